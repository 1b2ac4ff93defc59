"""Survivorship: who wins under each rule and why, whatever the order; one statement at a time gives the same."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles.survivorship.deciding import COUNTED, REASONS, Statement, decide
from profiles.survivorship.folding import UNDECIDED, correction_state, fold, join, state_of
from profiles.survivorship.rules import (
    EARLIEST,
    EARLIEST_VALUE,
    KINDS,
    LATEST_VALUE,
    LONGEST,
    MOST_FREQUENT,
    MOST_RECENT,
    SET_ONCE,
    SOURCE_PRIORITY,
    VERIFIED_FIRST,
    Rule,
    compile_rules,
    read_definition,
)

CRM, SHOP, WEB = 1, 2, 3
RULES = {kind: Rule(kind) for kind in KINDS} | {SOURCE_PRIORITY: Rule(SOURCE_PRIORITY, ranks={CRM: 2, SHOP: 1})}
VALUES = st.sampled_from([None, "a", "bb", "B", "2026-03-01", "2026-01-01T05:00:00Z", 1, 2.5, True, ["x"], ""])


@st.composite
def said(draw: Any, most: int = 8) -> list[Statement]:
    """Statements in the order in which they were stored; few moments, so that many are equal."""
    return [
        Statement(
            draw(VALUES),
            draw(st.sampled_from([CRM, SHOP, WEB])),
            draw(st.integers(1, 4)),
            draw(st.integers(4, 6)),
            number,
            draw(st.booleans()),
        )
        for number in range(1, draw(st.integers(0, most)) + 1)
    ]


kinds = st.sampled_from(list(KINDS))
orders = st.sampled_from([{}, {SHOP: 2, CRM: 1}])


def best(rule: Rule, statements: list[Statement], ranks: dict[int, int]) -> Any:
    """The trait that all statements make."""
    return state_of(decide(statements, rule, ranks), statements, rule)


def say(value: Any, at: int, source: int = WEB, *, number: int | None = None, verified: bool = False) -> Statement:
    return Statement(value, source, at, at, at if number is None else number, verified)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(kinds, orders, st.data())
def test_decides_the_same_in_any_order(kind, ranks, data):
    statements = data.draw(said())
    shuffled = data.draw(st.permutations(statements))
    expected = decide(statements, RULES[kind], ranks)
    found = decide(shuffled, RULES[kind], ranks)
    by_id = {one.id: reason for one, reason in zip(shuffled, found.reasons, strict=True)}
    assert [by_id[one.id] for one in statements] == list(expected.reasons)
    assert best(RULES[kind], shuffled, ranks) == best(RULES[kind], statements, ranks)
    assert set(found.reasons) <= set(REASONS)
    assert found.reasons.count("wins") == (found.winner is not None)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(kinds, orders, st.data())
def test_gives_the_same_one_statement_at_a_time(kind, ranks, data):
    rule = RULES[kind]
    state: Any = (None, None)
    seen: list[Statement] = []
    for one in data.draw(said()):
        seen.append(one)
        stamp = [one.source_id, one.occurred, one.received]
        found = fold(rule, ranks, state, one.value, stamp, one.verified)
        if found is UNDECIDED:
            found = best(rule, seen, ranks)
        state = state if found is None else found
        assert state == best(rule, seen, ranks), (seen, found)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(kinds, orders, st.data())
def test_joins_two_profiles_into_what_all_statements_make(kind, ranks, data):
    rule, statements = RULES[kind], data.draw(said())
    sides: tuple[list[Statement], list[Statement]] = ([], [])
    for one in statements:
        sides[data.draw(st.integers(0, 1))].append(one)
    found = join(rule, ranks, best(rule, sides[0], ranks), best(rule, sides[1], ranks))
    if found is not UNDECIDED:
        assert found == best(rule, statements, ranks)


CASES = [
    (MOST_RECENT, [say("a", 1), say("b", 2)], "b", ["older", "wins"]),
    (MOST_RECENT, [say("a", 1), say(None, 2)], None, ["older", "wins"]),
    (SOURCE_PRIORITY, [say("a", 1, CRM), say("b", 3, WEB), say("c", 2, SHOP)], "a",
     ["wins", "weaker_source", "weaker_source"]),
    (SOURCE_PRIORITY, [say("a", 1, CRM), say("b", 2, CRM)], "b", ["older", "wins"]),
    (VERIFIED_FIRST, [say("a", 1, verified=True), say("b", 2)], "a", ["wins", "unverified"]),
    (SET_ONCE, [say("late", 5), say("early", 2), say(None, 9)], "early", ["later", "wins", "cannot_unset"]),
    (EARLIEST, [say("a", 1), say(None, 2), say("b", 3), say("c", 4)], "b", ["unset_since", "unset", "wins", "later"]),
    (LONGEST, [say("Ann", 3), say("Annabel", 1), say("Annabel", 2)], "Annabel", ["shorter", "same", "wins"]),
    (LATEST_VALUE, [say("2026-03-01", 1), say("2026-02-28T23:00:00-05:00", 2)], "2026-02-28T23:00:00-05:00",
     ["lower", "wins"]),
    (EARLIEST_VALUE, [say("2026-03-01", 1), say("2026-02-28", 2)], "2026-02-28", ["higher", "wins"]),
    (LATEST_VALUE, [say(9, 1), say(10, 2), say("99", 3)], 10, ["lower", "wins", "lower"]),
    (MOST_FREQUENT, [say("x", 1), say("y", 2), say("x", 3), say("z", 4)], "x", ["same", "rarer", "wins", "rarer"]),
    (MOST_FREQUENT, [say("x", 1), say("y", 2)], "y", ["rarer", "wins"]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "statements", "value", "reasons"), CASES)
def test_says_who_wins_and_why_the_others_lost(kind, statements, value, reasons):
    verdict = decide(statements, RULES[kind], {})
    assert best(RULES[kind], statements, {})[0] == value
    assert list(verdict.reasons) == reasons


def test_lets_the_stronger_source_win_at_the_same_moment():
    statements = [Statement("crm", CRM, 5, 5, 1), Statement("web", WEB, 5, 9, 2)]
    assert best(RULES[MOST_RECENT], statements, {CRM: 1})[0] == "crm"
    assert best(RULES[MOST_RECENT], statements, {})[0] == "web"
    assert list(decide(statements, RULES[MOST_RECENT], {CRM: 1}).reasons) == ["wins", "weaker_source"]


def test_counts_only_the_newest_statements():
    statements = [say("old", number) for number in range(1, COUNTED)]
    statements += [say("new", COUNTED + number) for number in range(COUNTED // 2 + 1)]
    verdict = decide(statements, RULES[MOST_FREQUENT], {})
    assert best(RULES[MOST_FREQUENT], statements, {})[0] == "new"
    assert verdict.reasons.count("not_counted") == len(statements) - COUNTED


@pytest.mark.parametrize("kind", KINDS)
def test_lets_a_correction_stand_above_every_statement(kind):
    corrected = correction_state("mine", 7)
    assert fold(RULES[kind], {}, corrected, "theirs", [CRM, 1 << 60, 1 << 60], True) is None
    assert join(RULES[kind], {}, corrected, ("theirs", [CRM, 9, 9])) == corrected
    assert join(RULES[kind], {}, correction_state("older", 6), corrected) == corrected


def read(given: Any) -> Any:
    return read_definition(given, known_sources=frozenset({"crm", "web"}))


def test_reads_rules_into_one_form():
    definition, faults = read(
        {"traits": {"plan": "longest", "mail": {"rule": "verified_first", "verified_by": "mail_verified"}}}
    )
    assert faults == []
    assert definition == {
        "sources": [],
        "traits": {"mail": {"rule": "verified_first", "verified_by": "mail_verified"}, "plan": {"rule": "longest"}},
    }
    assert read(definition) == (definition, [])
    rules = compile_rules(
        {"sources": ["crm", "web"], "traits": {"a": {"rule": "source_priority"}, "b": {"rule": "most_recent"}}},
        version=3,
        source_ids={"crm": CRM, "web": WEB},
    )
    assert rules.by_trait == {"a": Rule(SOURCE_PRIORITY, ranks={CRM: 2, WEB: 1})}
    assert rules.ranks == {CRM: 2, WEB: 1}


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ([], ""),
        ({"trait": {}}, "trait"),
        ({"sources": "crm"}, "sources"),
        ({"sources": ["crm", "crm"]}, "sources"),
        ({"sources": ["gone"]}, "sources"),
        ({"traits": []}, "traits"),
        ({"traits": {"": "longest"}}, "traits."),
        ({"traits": {"$x": "longest"}}, "traits.$x"),
        ({"traits": {"a": "loudest"}}, "traits.a.rule"),
        ({"traits": {"a": 1}}, "traits.a"),
        ({"traits": {"a": {"rule": ["longest"]}}}, "traits.a.rule"),
        ({"traits": {"a": {"rule": "longest", "sources": ["crm"]}}}, "traits.a.sources"),
        ({"traits": {"a": "source_priority"}}, "traits.a.sources"),
        ({"traits": {"a": "verified_first"}}, "traits.a"),
        ({"traits": {"a": {"rule": "verified_first", "verified_by": 1}}}, "traits.a.verified_by"),
    ],
)
def test_names_what_is_wrong_with_rules(given, path):
    _, faults = read(given)
    assert path in [fault.path for fault in faults]
    assert {fault.code for fault in faults} == {"trait_rules.invalid"}


@pytest.mark.parametrize(("kind", "stays"), [(EARLIEST, "aa"), (SET_ONCE, "aa"), (LONGEST, "bb"), (MOST_RECENT, "bb")])
def test_decides_a_tie_by_the_order_of_storing(kind, stays):
    """Of two statements of one moment and one source, one at a time as all together."""
    rule, statements = RULES[kind], [say("aa", 5, number=1), say("bb", 5, number=2)]
    state = (None, None)
    for one in statements:
        stamp = [one.source_id, one.occurred, one.received]
        found = fold(rule, {}, state, one.value, stamp, one.verified)
        state = state if found is None else found
    assert state == best(rule, statements, {})
    assert state[0] == stays
