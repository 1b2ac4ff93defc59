"""Learning from many records looks at some of them and at all who share a key; rules, and what words weigh."""

import numpy as np
import pytest

from profiles.matching import choosing, clustering, pool, table
from profiles.matching.blocking import Keys, Rule, pairs_of_rule
from profiles.matching.choosing import choose_rules, look_around, possible_rules
from profiles.matching.features import compare, features_of, names_of
from profiles.matching.fields import Field
from profiles.matching.learner import Learner
from profiles.matching.model import TrainedModel, read_model, write_model
from profiles.matching.pool import make_pool
from profiles.matching.table import make_table
from profiles.matching.training import train_model
from profiles.matching.weights import Weights
from tests.benchmarks.people import make_people
from tests.profiles.test_matching_parts import random_table

FIELDS = (Field("first_name", "name"), Field("surname", "name"), Field("dob", "date"), Field("email", "email"))


def people(size):
    found = make_people(size)
    columns = [found.columns[field.trait] for field in FIELDS]
    return make_table(fields=FIELDS, columns=columns, size=size), np.array(found.truth)


@pytest.mark.parametrize("across", [False, True])
def test_finds_around_some_records_the_pairs_that_hold_one_of_them(across):
    table = random_table(300)
    table.groups[::2] = 1
    anchors = np.zeros(table.size, bool)
    anchors[::7] = True
    keys = Keys(table)
    for rule in [*possible_rules(table), Rule((("town", "words:2"), ("born", "year")))]:
        everything, _ = pairs_of_rule(keys, rule, across=across)
        wanted = anchors[everything // table.size] | anchors[everything % table.size]
        assert np.array_equal(look_around(keys, rule, anchors, across=across).pairs, everything[wanted]), rule.label


@pytest.mark.parametrize("size", [1, 40])
def test_gives_few_records_the_keys_that_they_have_among_many(size):
    whole = random_table(300)
    rules = [*possible_rules(whole), Rule((("town", "words:2"), ("born", "year")))]
    rules.insert(3, Rule((("name", "learned:sameThreeCharStartPredicate"), ("born", "year"))))
    rules.append(Rule((("town", "learned:tokenFieldPredicate"),)))
    rows = np.random.default_rng(8).choice(whole.size, size, replace=False)
    few = whole.take(rows)
    known = {
        (row, key)
        for found, keys in Keys(whole).steady(rules)
        for row, key in zip(found.tolist(), keys.tolist(), strict=True)
    }
    found = [
        (int(rows[row]), key)
        for places, keys in Keys(few).steady_of_few(tuple(rules))
        for row, key in zip(places.tolist(), keys.tolist(), strict=True)
    ]
    assert sorted(found) == sorted(one for one in known if one[0] in set(rows.tolist()))
    assert len(found) > 20 * size


def test_joins_names_and_finds_components_of_few_as_of_many(monkeypatch):
    few = random_table(200)
    ties = np.random.default_rng(4).integers(0, 200, (2, 120))
    parts = clustering.components(200, *ties)
    monkeypatch.setattr(table, "FEW_RECORDS", 0)
    monkeypatch.setattr(clustering, "FEW_RECORDS", 0)
    many = random_table(200)
    for name, column in many.columns.items():
        assert [column.text(row) for row in range(200)] == [few.columns[name].text(row) for row in range(200)]
        assert dict(zip(column.values, column.counts, strict=True)) == dict(
            zip(few.columns[name].values, few.columns[name].counts, strict=True)
        )
    same = clustering.components(200, *ties)
    assert np.array_equal(parts[:, None] == parts, same[:, None] == same)
    assert 1 < len(set(parts.tolist())) < 200


def test_leaves_blocks_past_the_cap_out_around_records_too():
    table = make_table(fields=(Field("name", "name"),), columns=[["common"] * 5 + ["rare"] * 2], size=7)
    look = look_around(Keys(table), Rule((("name", "all"),)), np.ones(7, bool), across=False, most=4)
    assert look.pairs.tolist() == [5 * 7 + 6]
    assert look.cost == 1


def test_estimates_what_a_rule_costs_of_all_records():
    table, _ = people(6_000)
    anchors = np.zeros(table.size, bool)
    anchors[np.random.default_rng(3).choice(table.size, 2_000, replace=False)] = True
    rule = Rule((("surname", "sound"), ("dob", "year")))
    counted, _ = pairs_of_rule(Keys(table), rule, across=False)
    assert look_around(Keys(table), rule, anchors, across=False).cost == pytest.approx(len(counted), rel=0.1)


def test_learns_from_a_bounded_part_of_many_records(monkeypatch):
    monkeypatch.setattr(choosing, "MOST_RECORDS", 2_000)
    monkeypatch.setattr(choosing, "ANCHORS", 1_000)
    monkeypatch.setattr(pool, "MOST_VOTES", 5_000)
    monkeypatch.setattr(pool, "MOST_VOTED", 20_000)
    table, truth = people(6_000)
    made = make_pool(table, across=False, rng=np.random.default_rng(1))
    assert made.anchors.sum() == 1_000
    assert (made.anchors[made.left] | made.anchors[made.right]).all()
    assert len(made.left) <= 20_000
    # A pair of two of 6 000 holds one of 1 000 with a probability of 1 - (5/6)².
    matches = int((truth[made.left] == truth[made.right]).sum())
    counts = np.bincount(truth)
    assert matches * made.each == pytest.approx((counts * (counts - 1) // 2).sum(), rel=0.2)
    learner = Learner(made, seed=1)
    while len(learner.answers) < 60:
        learner.answer({p: truth[made.left[p]] == truth[made.right[p]] for p in learner.ask(10)})
    model = train_model(learner, fields=FIELDS, mode="deduplicate", precision=0.995)
    assert len(model.rules) > 2


@pytest.mark.parametrize("around", [False, True])
def test_a_rule_covers_only_what_its_blocks_within_the_cap_hold(monkeypatch, around):
    if around:
        monkeypatch.setattr(choosing, "MOST_RECORDS", 100)
        monkeypatch.setattr(choosing, "ANCHORS", 450)
    # 250 have one town, more than a block may hold; names are had by two each.
    fields = (Field("town", "name"), Field("name", "name"))
    towns = ["bath"] * 250 + [f"town {number // 2}" for number in range(250)]
    names = [f"name{number // 2}" for number in range(500)]
    table = make_table(fields=fields, columns=[towns, names], size=500)
    made = make_pool(table, across=False, rng=np.random.default_rng(1))
    matches = np.nonzero(made.right - made.left == 1)[0]
    town, name = Rule((("town", "all"),)), Rule((("name", "all"),))
    found = made.covers([town, name], matches)
    assert len(found[name]) > 200
    assert found[town].tolist() == [n for n in found[name].tolist() if made.left[matches[n]] >= 250]


def test_counts_a_match_that_several_rules_find_once_against_the_budget():
    one, other = Rule((("a", "all"),)), Rule((("b", "all"),))
    covers = {one: np.arange(50), other: np.arange(10, 60)}
    costs = {one: 60, other: 60}
    weights = np.ones(60)
    # 40 of the second's 60 pairs are known by then: 80 in all.
    assert choose_rules(covers, weights, costs, budget=80) == [one, other]
    assert choose_rules(covers, weights, costs, budget=79) == [one]
    # Where each match stands for one and a half, all of them are.
    assert choose_rules(covers, weights, costs, budget=60, each=1.5) == [one, other]


def test_a_rare_word_tells_more_than_a_common_one():
    texts = ["sony camera dsc1", "camera dsc1 black", "sony camera black", *["sony camera"] * 20]
    table = make_table(fields=(Field("name", "text"),), columns=[texts], size=len(texts))
    place = names_of(table).index("name:telling")
    rare, common = compare(table, np.array([0, 0]), np.array([1, 3]))[:, place].tolist()
    # Two of 23 have the rarest word in common, or all but one.
    assert rare == pytest.approx(1 - np.log(2) / np.log(23))
    assert common < 0.1
    telling = next(one for one in features_of(table) if one.name == "telling")
    assert telling.one("sony camera dsc1", "black dsc1") == pytest.approx(rare)
    assert telling.one("sony", "black") == 0.0


def test_compares_rare_words_of_few_pairs_as_of_many():
    table = random_table(200)
    left, right = np.random.default_rng(2).integers(0, 200, (2, 5_000))
    whole = compare(table, left, right)
    parts = np.concatenate([compare(table, left[n : n + 50], right[n : n + 50]) for n in range(0, 5_000, 50)])
    assert np.array_equal(whole, parts)


def test_reads_a_model_that_was_trained_before_rare_words_were_compared():
    table = random_table(10)
    names = [name for name in names_of(table) if not name.endswith(":telling")]
    old = TrainedModel(table.fields, "deduplicate", Weights(tuple(names), tuple(range(len(names))), 0.5), ())
    again = read_model(write_model(old))
    assert list(again.weights.names) == names_of(table)
    known = dict(zip(again.weights.names, again.weights.values, strict=True))
    assert [known[name] for name in names] == list(range(len(names)))
    assert known["street:telling"] == 0.0

    odd = TrainedModel(table.fields, "deduplicate", Weights(("street:charm",), (1.0,), 0.5), ())
    with pytest.raises(ValueError, match="train it anew"):
        read_model(write_model(odd))
