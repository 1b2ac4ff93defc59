"""The parts of matching without a database: normal forms, blocking, scores as dedupe's, guards, bounds."""

import numpy as np
import pytest
from dedupe import predicates as dedupe_predicates
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles.matching.blocking import (
    Keys,
    Rule,
    find_candidates,
    hash_values,
    pairs_of_rule,
    rank_words,
    sound,
)
from profiles.matching.choosing import choose_rules
from profiles.matching.clustering import cluster
from profiles.matching.evaluating import auto_link_threshold, drift_of, judge_clusters, judge_labels, lower_bound
from profiles.matching.features import compare
from profiles.matching.fields import Field, normalise
from profiles.matching.learned import LEARNED, atoms_of
from profiles.matching.learner import Learner, make_deduper, weights_of
from profiles.matching.model import Guard, TrainedModel, read_model, run_model, write_model
from profiles.matching.pool import make_pool
from profiles.matching.spec import read_spec, write_spec
from profiles.matching.table import make_table
from profiles.matching.training import train_model

FIELDS = (
    Field("name", "name"),
    Field("family", "name"),
    Field("street", "text"),
    Field("town", "text"),
    Field("born", "date"),
    Field("email", "email"),
    Field("phone", "phone"),
    Field("postcode", "postcode"),
    Field("number", "number"),
    Field("card", "exact"),
)
VALUES = {
    "name": ["Ann", "Anne", "Bob", "Rob", None],
    "family": ["Müller", "Mueller", "Muller", "Smith", None],
    "street": ["1 Long Road", "Long Rd 1", "2 High Street", None],
    "town": ["Bath", "Bathe", "York", None],
    "born": ["1980-01-02", "1980-02-01", "1981-01-02", "19991231", "unknown", None],
    "email": ["ann@post.example", "anne@post.example", "ann@other.example", None],
    "phone": ["+44 1234 567890", "01234 567891", "01234567890", None],
    "postcode": ["BA1 1AA", "BA11AB", "YO1 7HH", None],
    "number": ["12", "12.0", "13", "many", None],
    "card": ["A-1", "a-1", "B-2", None],
}


def random_table(size, seed=3):
    rng = np.random.default_rng(seed)
    columns = [[VALUES[f.trait][rng.integers(len(VALUES[f.trait]))] for _ in range(size)] for f in FIELDS]
    return make_table(fields=FIELDS, columns=columns, size=size)


@pytest.mark.parametrize(
    ("value", "comparison", "form"),
    [
        ("  Zoë O'Hara-Smith ", "name", "zoe ohara smith"),
        ("N/A", "name", None),
        ("3.2.1980", "date", "19800203"),
        ("1980-02-03T10:00:00Z", "date", "19800203"),
        ("12/31/1999", "date", "19991231"),
        ("No-Reply@post.example", "email", None),
        ("Ann@Post.Example", "email", "ann@post.example"),
        ("+44 (0)1234 567890", "phone", "234567890"),
        ("0400 000 000", "phone", None),
        ("ba1 1aa", "postcode", "ba11aa"),
        ("0012.50", "number", "0012.5"),
        (None, "text", None),
    ],
)
def test_brings_values_into_one_form(value, comparison, form):
    assert normalise(value, comparison) == form


def test_scores_as_dedupe_does():
    table = random_table(120)
    rng = np.random.default_rng(5)
    left, right = rng.integers(0, 120, 400), rng.integers(0, 120, 400)
    pairs = [(table.record(int(a)), table.record(int(b))) for a, b in zip(left, right, strict=True)]
    deduper = make_deduper(table, matches=50, distinct=50)
    ours = compare(table, left, right)
    theirs = deduper.data_model.distances(pairs)
    assert np.abs(ours - theirs).max() < 1e-6
    truth = rng.random(400) < 0.5
    deduper.classifier.fit(theirs, truth)
    scores = deduper.score(
        ((one, a), (two, b)) for one, two, (a, b) in zip(left.tolist(), (right + 200).tolist(), pairs, strict=True)
    )
    likely = weights_of(deduper.classifier, table).probabilities(ours)
    by_pair = {(int(a), int(b) - 200): score for (a, b), score in zip(scores["pairs"], scores["score"], strict=True)}
    assert max(abs(by_pair[a, b] - p) for a, b, p in zip(left.tolist(), right.tolist(), likely, strict=True)) < 1e-6


def test_contributions_add_up_to_the_match_weight():
    table = random_table(30)
    matrix = compare(table, np.array([0]), np.array([1]))
    deduper = make_deduper(table, matches=50, distinct=50)
    rng = np.random.default_rng(1)
    deduper.classifier.fit(rng.random((100, matrix.shape[1])), np.arange(100) % 2)
    weights = weights_of(deduper.classifier, table)
    bits = sum(weights.contributions(matrix[0]).values()) + weights.bias / np.log(2)
    assert 1 / (1 + 2**-bits) == pytest.approx(weights.probabilities(matrix)[0])


@pytest.mark.parametrize(
    ("name", "code"), [("robert", "r163"), ("rupert", "r163"), ("ashcraft", "a261"), ("tymczak", "t522"), ("", "")]
)
def test_knows_the_sound_of_a_word(name, code):
    # The first four are examples of the US National Archives; codes are not filled up with zeros here.
    assert sound(name) == code


def table_of_names(names):
    return make_table(fields=(Field("name", "name"),), columns=[names], size=len(names))


def test_leaves_out_blocks_past_the_cap_and_says_so():
    table = table_of_names(["common"] * 5 + ["rare"] * 2)
    pairs, report = pairs_of_rule(Keys(table), Rule((("name", "all"),)), across=False, most=4)
    assert pairs.tolist() == [5 * 7 + 6]
    assert (report.pairs, report.dropped_blocks, report.dropped_records, report.dropped_pairs) == (1, 1, 5, 10)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["ann lee", "lee ann", "bob", "bobby", None]), min_size=2, max_size=12))
def test_finds_each_pair_that_shares_a_key_once(names):
    table = table_of_names(names)
    found = find_candidates(table, [Rule((("name", "all"),)), Rule((("name", "sound"),))], across=False)
    keys = [name and {name, sound(name)} for name in names]
    expected = {
        (a, b) for a in range(len(names)) for b in range(a + 1, len(names)) if keys[a] and keys[b] and keys[a] & keys[b]
    }
    pairs = list(zip(found.left.tolist(), found.right.tolist(), strict=True))
    assert len(pairs) == len(set(pairs))
    assert set(pairs) == expected


def test_blocks_by_what_dedupe_learned_as_dedupe_does():
    table = random_table(150)
    functions = [dedupe_predicates.tokenFieldPredicate, dedupe_predicates.sameThreeCharStartPredicate]
    simple = [dedupe_predicates.StringPredicate(one, "street") for one in functions]
    for predicate in (simple[0], simple[1], simple[0] + dedupe_predicates.StringPredicate(functions[1], "family")):
        blocks = {}
        for row in range(table.size):
            for key in predicate(table.record(row)):
                blocks.setdefault(key, set()).add(row)
        expected = {(a, b) for block in blocks.values() for a in block for b in block if a < b}
        assert expected
        found, _ = pairs_of_rule(Keys(table), Rule(atoms_of(predicate)), across=False)
        assert {divmod(int(pair), table.size) for pair in found} == expected


def test_training_takes_what_dedupe_learned_within_its_budget():
    # Every tenth record is there twice; a town says much and gives few pairs, so dedupe learns it.
    names = [f"{a}{b}{c}" for a in ("an", "bel", "cor") for b in ("da", "el", "fi", "gra") for c in ("ha", "is", "jo")]
    rows = [(name, f"town {number}") for number, name in enumerate(names)]
    rows += [(name + "x", town) for name, town in rows[::2]]
    truth = [*range(len(names)), *range(0, len(names), 2)]
    fields = (Field("name", "name"), Field("town", "text"))
    table = make_table(fields=fields, columns=[[r[0] for r in rows], [r[1] for r in rows]], size=len(rows))
    learner = Learner(make_pool(table, across=False, rng=np.random.default_rng(1)), seed=1)
    while len(learner.answers) < 60 and (places := learner.ask(10)):
        pool = learner.pool
        learner.answer({one: truth[int(pool.left[one])] == truth[int(pool.right[one])] for one in places})
    model = train_model(learner, fields=fields, mode="deduplicate", precision=0.9)
    learned = [rule for rule in model.rules if any(atom.startswith(LEARNED) for _, atom in rule.atoms)]
    assert learned
    report = next(one for one in run_model(model, table).candidates.reports if one.rule == learned[0].label)
    assert report.pairs > 0


def test_measures_one_set_of_labels_on_one_set_of_folds():
    table = random_table(60)
    learner = Learner(make_pool(table, across=False, rng=np.random.default_rng(1)), seed=1)
    places = learner.ask(10)
    learner.answer({place: number % 2 == 0 for number, place in enumerate(places)})
    found, truth = learner.held_back()
    assert np.array_equal(learner.held_back()[0], found)
    assert np.array_equal(learner.held_back()[1], truth)
    # A further answer is measured with all others.
    learner.answer({learner.ask(1)[0]: True})
    assert len(learner.held_back()[0]) == len(found) + 1


def test_ranks_words_by_how_rare_they_are():
    values = ["red big chair", "red chair", "big red", "lonely", "chair chair"]
    table = make_table(fields=(Field("what", "text"),), columns=[values], size=len(values))
    value, place, hashes = rank_words(table.columns["what"])
    # Chair is in 3 values, red in 3, big in 2; nobody else has "lonely".
    ranked = {}
    for row, number, one in sorted(zip(value.tolist(), place.tolist(), hashes.tolist(), strict=True)):
        ranked.setdefault(row, []).append(one)
        assert len(ranked[row]) == number + 1
    big, chair, red = hash_values(["big", "chair", "red"]).tolist()
    assert ranked == {0: [big, chair, red], 1: [chair, red], 2: [big, red], 4: [chair]}


def test_bounds_what_labels_show_by_drawing_them_again():
    left, right = np.array([0, 0, 2, 4]), np.array([1, 2, 3, 5])
    together, truth = np.array([True, True, True, False]), np.array([True, False, True, True])
    quality = judge_labels(left, right, together, truth)
    # Right: 0-1 and 2-3. Claimed: those and 0-2. Real: those and 4-5.
    assert quality.f1 == pytest.approx(2 * 2 / (3 + 3))
    # Precision per record, itself included: 2/3, 1, 2/3, 1, 1, 1; recall: 1, 1, 1, 1, 1/2, 1/2.
    assert quality.b3_precision == pytest.approx((2 / 3 + 1 + 2 / 3 + 1 + 1 + 1) / 6)
    assert quality.b3_recall == pytest.approx(5 / 6)
    assert quality.f1_interval[0] < quality.f1 < quality.f1_interval[1]
    assert quality.b3_interval[0] < quality.b3_f1 < quality.b3_interval[1]


def test_drift_is_none_for_the_same_and_large_for_another_distribution():
    assert drift_of([900, 50, 50], [90, 5, 5]) == pytest.approx(0, abs=0.01)
    assert drift_of([900, 50, 50], [500, 250, 250]) > 0.25


def test_chooses_rules_that_cover_for_few_pairs():
    wide, narrow, useless = Rule((("a", "all"),)), Rule((("b", "all"),)), Rule((("c", "all"),))
    covers = {wide: np.arange(10), narrow: np.arange(8), useless: np.arange(0)}
    costs = {wide: 1_000, narrow: 10, useless: 1}
    assert choose_rules(covers, np.ones(10), costs, budget=2_000)[0] == narrow
    assert choose_rules(covers, np.ones(10), costs, budget=2_000)[1] == wide
    assert choose_rules(covers, np.ones(10), costs, budget=500) == [narrow]


def test_a_chain_of_likely_pairs_is_cut_where_its_ends_are_unlike():
    # 0-1 and 1-2 are likely, 0-2 is impossible; 0-1 more so.
    likely = {(0, 1): 0.95, (1, 2): 0.6, (0, 2): 0.0}

    def score(left, right):
        return np.array([likely[min(a, b), max(a, b)] for a, b in zip(left.tolist(), right.tolist(), strict=True)])

    found = cluster(4, np.array([0, 1]), np.array([1, 2]), np.array([0.95, 0.6]), score=score, forbidden=never)
    assert found[0] == found[1]
    assert len(set(found.tolist())) == 3


def never(left, right):
    return np.zeros(len(left), bool)


def test_never_joins_what_must_not_be_one_and_always_what_must():
    def score(left, right):
        return np.full(len(left), 0.99)

    def forbidden(left, right):
        return (np.minimum(left, right) == 0) & (np.maximum(left, right) == 2)

    left, right = np.array([0, 1, 0]), np.array([1, 2, 2])
    found = cluster(5, left, right, np.full(3, 0.99), score=score, forbidden=forbidden, must=[(3, 4)])
    assert found[0] != found[2]
    assert found[3] == found[4]


def test_guards_user_ids_and_birth_dates():
    rows = [("ann", "1950-01-02"), ("ann", "1987-11-30"), ("ann", "1950-01-02")]
    fields = (Field("name", "name"), Field("born", "date"))
    table = make_table(fields=fields, columns=[[r[0] for r in rows], [r[1] for r in rows]], size=3)
    a, b = np.array([0, 0, 1]), np.array([1, 2, 2])
    assert Guard(table, across=False)(a, b).tolist() == [True, False, True]
    owners = np.array([0, -1, 2])
    assert Guard(table, across=False, owners=owners)(a, b).tolist() == [True, True, True]
    assert Guard(table, across=False, apart=[(2, 0)])(a, b).tolist() == [True, True, True]


def test_a_model_survives_being_written():
    table = random_table(40)
    deduper = make_deduper(table, matches=50, distinct=50)
    matrix = compare(table, np.arange(20), np.arange(20, 40))
    deduper.classifier.fit(matrix, np.arange(20) % 2)
    model = TrainedModel(FIELDS, "deduplicate", weights_of(deduper.classifier, table), (Rule((("name", "sound"),)),))
    again = read_model(write_model(model))
    assert again == model
    assert run_model(again, table).clusters.tolist() == run_model(model, table).clusters.tolist()


def test_measures_pairs_and_b_cubed():
    truth = {"a": 1, "b": 1, "c": 1, "d": 2}
    found = {"a": "x", "b": "x", "c": "y", "d": "y"}
    quality = judge_clusters(found, truth)
    # Claimed: ab, cd; real: ab, ac, bc.
    assert (quality.precision, quality.recall) == (1 / 2, 1 / 3)
    # Precision 1, 1, 1/2, 1/2; recall 2/3, 2/3, 1/3, 1.
    assert quality.b3_precision == pytest.approx(3 / 4)
    assert quality.b3_recall == pytest.approx(2 / 3)
    assert quality.largest == 2


def test_bounds_a_share_from_below():
    # All of n right: the bound is 0.05 to the power 1/n.
    assert lower_bound(598, 598) == pytest.approx(0.05 ** (1 / 598))
    assert lower_bound(597, 597) < 0.995 <= lower_bound(598, 598)


def test_the_auto_link_zone_needs_labels_enough():
    likely, truth = [0.99] * 300 + [0.9] * 300 + [0.6] * 10, [True] * 600 + [False] * 10
    assert auto_link_threshold(likely, truth, precision=0.995) == 0.9
    assert auto_link_threshold(likely[:500], truth[:500], precision=0.995) is None
    # A single fault among the best 600 is one too many.
    assert auto_link_threshold(likely, [False, *truth[1:]], precision=0.995) is None


def test_reads_a_definition_or_names_its_faults():
    given = {"key": "k", "fields": [{"trait": "name", "comparison": "name"}]}
    spec, faults = read_spec(given)
    assert faults == []
    assert spec is not None
    assert spec.auto_link_precision == 0.995
    assert read_spec(write_spec(spec)) == (spec, [])
    assert [one.path for one in read_spec({**given, "mode": "link"})[1]] == ["sources"]
    assert read_spec([])[0] is None


def test_keeps_apart_two_owners_and_dates_that_no_slip_explains():
    born = ["1950-03-04", "1981-11-23", "1970-03-04", "1950-03-04", None]
    mail = ["ann@post.example", "ann@post.example", None, None, None]
    fields = (Field("born", "date"), Field("mail", "email"))
    # Enough others, so that an address of two is a rare one.
    many = 40
    others = [f"{number}@other.example" for number in range(many)]
    table = make_table(fields=fields, columns=[born + [None] * many, mail + others], size=len(born) + many)
    owners = np.full(table.size, -1)
    owners[[0, 3]] = 7, 8
    guard = Guard(table, across=False, owners=owners, apart=[(4, 2)])

    def barred(one, other):
        found = guard(np.array([one, other]), np.array([other, one]))
        assert found[0] == found[1]
        return bool(found[0])

    # Two user ids are two people; one says nothing about who has none.
    assert barred(0, 3)
    # Thirty-one years and six digits apart: somebody else, unless both have an address that few others have.
    assert barred(1, 3)
    assert not barred(0, 1)
    # Twenty years apart by one digit: mistyped.
    assert not barred(0, 2)
    assert barred(2, 4)
    assert not barred(0, 4)


def clustered(size, pairs, *, never=(), must=(), others=0.0):
    """Cluster records by pairs with probabilities; all other pairs have one probability."""
    known = {(min(a, b), max(a, b)): likely for a, b, likely in pairs}
    ban = {(min(pair), max(pair)) for pair in never}

    def score(left, right):
        return np.array([known.get((min(a, b), max(a, b)), others) for a, b in zip(left, right, strict=True)])

    def forbidden(left, right):
        return np.array([(min(a, b), max(a, b)) in ban for a, b in zip(left, right, strict=True)], bool)

    left, right, likely = (np.array(one) for one in zip(*pairs, strict=True))
    found = cluster(size, left, right, likely, score=score, forbidden=forbidden, must=must)
    return sorted(sorted(np.nonzero(found == one)[0].tolist()) for one in np.unique(found))


def test_cuts_a_crowd_at_its_weak_links():
    # 40 and 40 who belong together, tied by one pair that is likely enough: more than 60, so that it is cut at 0.6.
    crowd = [(a, b, 0.95) for start in (0, 40) for a in range(start, start + 40) for b in range(a + 1, start + 40)]
    parts = clustered(80, [*crowd, (0, 40, 0.55)], others=0.55)
    assert parts == [list(range(40)), list(range(40, 80))]
    # As few as 60 are looked at as a whole, and hold together.
    few = [(a, b, p) for a, b, p in crowd if a % 40 < 30 and b % 40 < 30]
    names = {row: place for place, row in enumerate(sorted({one for a, b, _ in few for one in (a, b)}))}
    few = [(names[a], names[b], p) for a, b, p in few]
    assert clustered(60, [*few, (0, 30, 0.55)], others=0.55) == [list(range(60))]


def test_a_forbidden_pair_parts_a_pair_a_triple_and_a_crowd():
    assert clustered(2, [(0, 1, 0.99)], never=[(0, 1)]) == [[0], [1]]
    # However likely the others are.
    assert [0, 2] not in [part[:3] for part in clustered(3, [(0, 1, 0.9), (1, 2, 0.99), (0, 2, 0.99)], never=[(0, 2)])]
    assert clustered(3, [(0, 1, 0.9), (1, 2, 0.99), (0, 2, 0.99)], never=[(0, 2)]) == [[0], [1, 2]]
    ring = [(a, b, 0.99) for a in range(8) for b in range(a + 1, 8)]
    parts = clustered(8, ring, never=[(0, 7)])
    assert not any({0, 7} <= set(part) for part in parts)


def test_what_somebody_tied_outweighs_what_is_unlikely():
    # Without the tie, 2 is alone: 0.5 on average would take more than 0.1 and 0.6.
    pairs = [(0, 1, 0.9), (1, 2, 0.6)]
    assert clustered(3, pairs, others=0.1) == [[0, 1], [2]]
    assert clustered(3, pairs, others=0.1, must=[(1, 2)]) == [[0, 1, 2]]


def test_shows_a_zone_only_in_a_fixed_order_and_by_whole_ties():
    # 59 right answers show 0.95; the next wrong one ends it, whatever follows.
    likely = [0.99 - 0.001 * number for number in range(400)]
    answers = [True] * 60 + [False] + [True] * 339
    assert auto_link_threshold(likely, answers, precision=0.95) == pytest.approx(likely[59])
    # Nothing is read into those that are as likely as a wrong one.
    tied = [0.9] * 100
    assert auto_link_threshold(tied, [True] * 60 + [False] * 40, precision=0.95) is None
    # Clopper and Pearson: all of n right show 0.05 ** (1 / n).
    assert lower_bound(58, 58) == pytest.approx(0.05 ** (1 / 58))
    assert lower_bound(58, 58) < 0.95 <= lower_bound(59, 59)
    assert auto_link_threshold([0.9] * 58, [True] * 58, precision=0.95) is None
