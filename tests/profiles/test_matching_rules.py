"""Which blocking rules a model gets: what they cover and cost, at the bounds."""

import numpy as np
import pytest

from profiles.matching import training
from profiles.matching.blocking import MOST_IN_BLOCK, Keys, Rule, pairs_of_rule
from profiles.matching.choosing import cheap_rules, choose_rules, look_around
from profiles.matching.features import names_of
from profiles.matching.fields import Field
from profiles.matching.learner import Learner
from profiles.matching.pool import make_pool
from profiles.matching.table import make_table
from profiles.matching.training import choose_rules_for, pair_budget
from profiles.matching.weights import Weights

NAME = Rule((("name", "all"),))


def table_of(**columns):
    """Return a table of names by column."""
    fields = tuple(Field(name, "name") for name in columns)
    return make_table(fields=fields, columns=list(columns.values()), size=len(next(iter(columns.values()))))


def test_finds_who_shares_a_word_that_is_the_rarest_of_one_only():
    texts = ["ruby mast", "topaz mast", "ruby oar", "topaz keel", "mast"]
    table = make_table(fields=(Field("name", "text"),), columns=[texts], size=5)

    def pairs(number):
        found, _ = pairs_of_rule(Keys(table), Rule((("name", f"words:{number}"),)), across=False)
        return [divmod(int(pair), 5) for pair in found]

    # Two have ruby, two topaz, three mast; nobody else has oar or keel.
    assert pairs(1) == [(0, 2), (1, 3)]
    assert pairs(2) == [(0, 1), (0, 2), (0, 4), (1, 3), (1, 4)]


def everybody(table):
    return np.ones(table.size, bool)


def test_a_block_as_large_as_the_cap_is_looked_at():
    table = table_of(name=["common"] * 5 + ["rare"] * 2)
    # 5 give 10 pairs, 2 give one.
    found, report = pairs_of_rule(Keys(table), NAME, across=False, most=5)
    look = look_around(Keys(table), NAME, everybody(table), across=False, most=5)
    assert (len(found), report.dropped_pairs, look.cost) == (11, 0, 11)
    assert look.pairs.tolist() == found.tolist()


@pytest.mark.parametrize("anchors", [None, everybody])
@pytest.mark.parametrize(("budget", "is_cheap"), [(0, False), (10, False), (11, True), (None, True)])
def test_leaves_out_what_costs_more_than_the_budget_or_gives_nothing(anchors, budget, is_cheap):
    crowd = MOST_IN_BLOCK + 1
    table = table_of(name=["crowd"] * crowd + ["common"] * 5 + ["rare"] * 2, none=[None] * (crowd + 7))
    mask = None if anchors is None else anchors(table)
    rules = [NAME, Rule((("none", "all"),))]
    looks = {
        look.rule: look.cost for look in cheap_rules(Keys(table), rules, budget=budget, across=False, anchors=mask)
    }
    assert looks.get(NAME) == (11 if is_cheap else None)
    if budget is not None:
        assert rules[1] not in looks


def test_covers_matches_again_after_what_is_new():
    first, again, new = (Rule(((name, "all"),)) for name in "abc")
    covers = {first: np.arange(10), again: np.arange(10), new: np.arange(10, 14)}
    costs = {first: 10, again: 11, new: 12}
    # What is covered once counts for a quarter: four new ones are more than a quarter of ten.
    assert choose_rules(covers, np.ones(14), costs, budget=1_000) == [first, new, again]


def test_begins_with_what_is_chosen_already_and_counts_it_against_the_budget():
    one, other = Rule((("a", "all"),)), Rule((("b", "all"),))
    covers = {one: np.arange(20), other: np.arange(20, 30)}
    costs = {one: 60, other: 60}
    assert choose_rules(covers, np.ones(30), costs, budget=100) == [one]
    assert choose_rules(covers, np.ones(30), costs, budget=100, first=[other]) == [other]
    assert choose_rules(covers, np.ones(30), costs, budget=120, first=[other]) == [other, one]


@pytest.mark.parametrize(
    ("records", "pairs"),
    [(100, 50_000), (60_000, 1_800_000), (60_001, 300_005), (300_000, 1_500_000), (400_000, 1_000_000)],
)
def test_allows_fewer_pairs_each_where_there_are_many_records(records, pairs):
    assert pair_budget(records) == pairs


@pytest.fixture(scope="module")
def learner():
    names = [f"{a}{b}{c}" for a in ("an", "bel", "cor") for b in ("dalimo", "elsapu") for c in ("hatiro", "istuva")]
    towns = [f"town {number}" for number in range(len(names))]
    table = table_of(name=[*names, *(f"{name}x" for name in names)], town=[*towns, *towns])
    return Learner(make_pool(table, across=False, rng=np.random.default_rng(1)), seed=1)


def matches_of(pool):
    return pool.right - pool.left == pool.table.size // 2


def weights_of(pool, bias):
    """Return weights that hold every pair as likely as each other."""
    names = tuple(names_of(pool.table))
    return Weights(names, (0.0,) * len(names), bias)


def test_what_people_said_outweighs_what_the_weights_hold(learner):
    pool = learner.pool
    matches = matches_of(pool)
    learner.answers = {place: bool(matches[place]) for place in range(len(pool.left))}
    unsure = training._choose(learner, weights_of(pool, -40.0), [], budget=1_000)
    assert unsure
    covered = pool.covers(unsure, np.nonzero(matches)[0])
    assert set(np.concatenate(list(covered.values())).tolist()) == set(range(int(matches.sum())))
    # Whatever is likely: nothing that all called different is worth a rule.
    learner.answers = dict.fromkeys(range(len(pool.left)), False)
    assert training._choose(learner, weights_of(pool, 40.0), [], budget=1_000) == []


def test_takes_nothing_of_dedupe_that_gives_many_keys(learner, monkeypatch):
    pool = learner.pool
    likely = matches_of(pool).astype(float)
    slim = Rule((("name", "learned:sameFiveCharStartPredicate"),))
    # Names of thirteen letters and more have eight times six in a row, and more.
    wide = Rule((("name", "learned:commonSixGram"),))
    assert slim in choose_rules_for(pool, likely, budget=10_000, learned=[slim])
    assert wide not in choose_rules_for(pool, likely, budget=10_000, learned=[wide])
    monkeypatch.setattr(training, "MOST_KEYS", 20)
    assert wide in choose_rules_for(pool, likely, budget=10_000, learned=[wide])


def test_takes_no_more_rules_than_a_run_can_look_at(learner, monkeypatch):
    pool = learner.pool
    likely = matches_of(pool).astype(float)
    rules = choose_rules_for(pool, likely, budget=1_000)
    assert len(rules) > 2
    monkeypatch.setattr(training, "MOST_RULES", 2)
    assert choose_rules_for(pool, likely, budget=1_000) == rules[:2]
