"""Resolving anew has an algebra: the rules that accepted what is stored change nothing; any rules keep their limits."""

import itertools
import os
from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from profiles.identity.graph import Claim, Given, Graph, TypeRule, find
from profiles.identity.reresolve import Member, Statement, keep_together, pair, resolve_anew
from profiles.identity.resolve import resolve

EXAMPLES = int(os.environ.get("IDENTITY_EXAMPLES", "0")) or 150
START = datetime(2026, 3, 1, tzinfo=UTC)
USER, EMAIL, DEVICE = 1, 2, 3


def rules(user: int | None = 1, email: int | None = 2, device: int | None = 3) -> dict[int, TypeRule]:
    """Return three types by strength."""
    rows = ((USER, "user_id", user), (EMAIL, "email", email), (DEVICE, "device_id", device))
    return {type_id: TypeRule(type_id, key, type_id, limit) for type_id, key, limit in rows}


messages = st.lists(
    st.tuples(st.integers(-1, 3), st.integers(-1, 4), st.integers(-1, 5)).filter(lambda one: max(one) >= 0),
    min_size=1,
    max_size=12,
)


def play(said, by):
    """Process messages as they come; return members and statements as they are stored."""
    graph = Graph({}, set(), by, itertools.count(1), itertools.count(1), map(str, itertools.count(1)))
    for number, values in enumerate(said):
        at = START + timedelta(minutes=number)
        identifiers = [
            Given(by[type_id], f"{type_id}:{value}".encode(), str(value))
            for type_id, value in zip((USER, EMAIL, DEVICE), values, strict=True)
            if value >= 0
        ]
        resolve(graph, Claim(identifiers, f"m{number}", 1, at, at, "identify"))
    nodes = list(graph.nodes.values())
    members = [Member(node.id, node.type.id, find(node.group).id, node.first_seen_at) for node in nodes]
    groups = {}
    for edge in graph.edges.values():
        groups.setdefault(edge.claim.message_id, (edge.claim.occurred_at, set()))[1].update((edge.a, edge.b))
    strength = {node.id: (node.type.priority, node.id) for node in nodes}
    statements = [Statement(tuple(sorted(ids, key=strength.get)), at) for at, ids in groups.values()]
    refused = [Statement((edge.b, edge.a), edge.claim.occurred_at) for edge in graph.refused_edges.values()]
    return members, statements, refused, set(graph.edges)


def parts(members, root_of):
    """Return the partition."""
    groups = {}
    for one in members:
        groups.setdefault(root_of[one.id], set()).add(one.id)
    return {frozenset(group) for group in groups.values()}


@settings(max_examples=EXAMPLES, derandomize=True, deadline=None)
@given(messages)
def test_changes_nothing_under_the_rules_by_which_it_was_accepted(said):
    members, statements, refused, _ = play(said, rules())
    stored = parts(members, {one.id: one.profile_id for one in members})
    found = resolve_anew(members, statements + refused, blocked=set(), rules=rules())
    assert parts(members, found.root_of) == stored


@settings(max_examples=EXAMPLES, derandomize=True, deadline=None)
@given(messages, st.integers(1, 3), st.integers(1, 3), st.integers(1, 4))
def test_keeps_every_limit_and_holds_together_by_its_links(said, user, email, device):
    by = rules(user, email, device)
    members, statements, refused, edges = play(said, rules())
    found = resolve_anew(members, statements + refused, blocked=set(), rules=by)
    kind = {one.id: one.type_id for one in members}
    for group in parts(members, found.root_of):
        for type_id, count in Counter(kind[one] for one in group).items():
            assert count <= by[type_id].limit
    links = keep_together(edges, found.root_of, found.links)
    active = [edge for edge in edges if found.root_of[edge[0]] == found.root_of[edge[1]]] + links
    parent = {one.id: one.id for one in members}

    def root(one):
        while parent[one] != one:
            one = parent[one]
        return one

    for a, b in active:
        parent[root(a)] = root(b)
    assert parts(members, {one.id: root(one.id) for one in members}) == parts(members, found.root_of)


@settings(max_examples=EXAMPLES, derandomize=True, deadline=None)
@given(messages)
def test_joins_all_that_was_said_without_limits(said):
    members, statements, refused, _ = play(said, rules())
    found = resolve_anew(members, statements + refused, blocked=set(), rules=rules(None, None, None))
    for statement in (*statements, *refused):
        assert len({found.root_of[one] for one in statement.ids}) == 1
    assert found.left_out == []


def member(number, type_id=EMAIL, days=0, muted=False):
    """Return an identifier first seen some days after the start."""
    return Member(number, type_id, number, START + timedelta(days=days), muted)


def test_joins_nothing_to_what_is_muted():
    members = [member(1, USER), member(2, muted=True), member(3, DEVICE)]
    found = resolve_anew(members, [Statement((1, 2, 3), START)], blocked=set(), rules=rules())
    assert parts(members, found.root_of) == {frozenset({1, 3}), frozenset({2})}


def test_counts_only_what_was_gained_within_the_window():
    by = {USER: rules()[USER], EMAIL: TypeRule(EMAIL, "email", 2, 1, None, 7)}
    members = [member(1, USER), member(2, days=0), member(3, days=3), member(4, days=8)]
    said = [Statement((1, number), members[number - 1].first_seen_at) for number in (2, 3, 4)]
    found = resolve_anew(members, said, blocked=set(), rules=by)
    # On day 3 the first is in the window, on day 8 it is not.
    assert parts(members, found.root_of) == {frozenset({1, 2, 4}), frozenset({3})}


def test_never_joins_a_blocked_pair_but_by_force():
    members = [member(1, USER), member(2), member(3, DEVICE)]
    blocked = {pair(1, 2)}
    found = resolve_anew(members, [Statement((1, 2, 3), START)], blocked=blocked, rules=rules())
    assert parts(members, found.root_of) == {frozenset({1, 3}), frozenset({2})}
    forced = [Statement((1, 2), START, is_forced=True)]
    assert resolve_anew(members, forced, blocked=blocked, rules=rules()).root_of[2] == found.root_of[1]
