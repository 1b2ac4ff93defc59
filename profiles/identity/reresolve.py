"""Resolving anew what is stored: which identifiers would hang together had other rules been in force.

What was said is replayed in order: each statement names some identifiers, strongest first, and joins them as
`profiles.identity.resolve` does — where a limit breaks, the weakest is left out and the rest is tried again. Under the
rules by which the statements were accepted the outcome is what is stored.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from profiles.identity.graph import TypeRule

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Member:
    """An identifier as stored. One that is `muted` joins nothing: quarantined, blocked, or linked without consent."""

    id: int
    type_id: int
    profile_id: int
    first_seen_at: datetime
    muted: bool = False


@dataclass(frozen=True, slots=True)
class Statement:
    """Identifiers that were said to belong together at a time. A forced one holds whatever the limits say."""

    ids: tuple[int, ...]
    at: datetime
    is_forced: bool = False


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An identifier that a limit kept from being joined with another."""

    id: int
    other_id: int
    reason: str


@dataclass(slots=True)
class Resolved:
    """The outcome.

    Attributes
    ----------
    root_of : dict
        Identifier id → an identifier id that stands for its component.
    left_out : list of LeftOut
        What limits refused, each pair once.
    links : list of (int, int)
        Pairs, smaller first, that joined two components: with them each component hangs together.
    """

    root_of: dict[int, int] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    links: list[Pair] = field(default_factory=list)


class _Forest:
    """Components with what the limits count of each."""

    def __init__(self, members: Mapping[int, Member], rules: Mapping[int, TypeRule], apart: Sequence[Pair]) -> None:
        self.apart = apart
        self.parent = {one: one for one in members}
        self.rules = rules
        self.members = members
        self.windows = {rule.id: timedelta(days=rule.window_days) for rule in rules.values() if rule.window_days}
        self.counts: dict[int, dict[int, int]] = {}
        self.seen: dict[int, dict[int, list[datetime]]] = {}
        for one in members.values():
            self.counts[one.id] = {one.type_id: 1}
            if one.type_id in self.windows:
                self.seen[one.id] = {one.type_id: [one.first_seen_at]}

    def find(self, one: int) -> int:
        root = one
        while self.parent[root] != root:
            root = self.parent[root]
        while self.parent[one] != root:
            self.parent[one], one = root, self.parent[one]
        return root

    def union(self, a: int, b: int) -> bool:
        a, b = self.find(a), self.find(b)
        if a == b:
            return False
        if sum(self.counts[a].values()) < sum(self.counts[b].values()):
            a, b = b, a
        self.parent[b] = a
        counts = self.counts[a]
        for type_id, count in self.counts.pop(b).items():
            counts[type_id] = counts.get(type_id, 0) + count
        if b in self.seen:
            seen = self.seen.setdefault(a, {})
            for type_id, moments in self.seen.pop(b).items():
                mine = seen.setdefault(type_id, [])
                for moment in moments:
                    insort(mine, moment)
        return True

    def asserts(self, one: int) -> bool:
        return self.rules[self.members[one].type_id].asserts

    def held(self, root: int, type_id: int, at: datetime) -> int:
        window = self.windows.get(type_id)
        if window is None:
            return self.counts[root].get(type_id, 0)
        moments = self.seen.get(root, {}).get(type_id, [])
        return bisect_right(moments, at) - bisect_left(moments, at - window)

    def are_apart(self, roots: Iterable[int]) -> bool:
        among = set(roots)
        sides = ((self.find(a), self.find(b)) for a, b in self.apart)
        return any(a != b and a in among and b in among for a, b in sides)

    def broken(self, roots: Iterable[int], at: datetime) -> TypeRule | None:
        roots = list(roots)
        if len(roots) < 2:
            return None
        for type_id in sorted({type_id for root in roots for type_id in self.counts[root]}):
            rule = self.rules[type_id]
            if rule.limit is None:
                continue
            held = [self.held(root, type_id, at) for root in roots]
            if sum(held) > rule.limit and sum(held) > max(held):
                return rule
        return None


def resolve_anew(
    members: Sequence[Member],
    statements: Iterable[Statement],
    *,
    blocked: set[Pair],
    rules: Mapping[int, TypeRule],
    apart: Iterable[Pair] = (),
) -> Resolved:
    """Join identifiers by what was said, under the given rules.

    Parameters
    ----------
    statements : iterable of Statement
        In the order in which they were made. Identifiers that are not among `members` are passed over.
    blocked : set of (int, int)
        Pairs, smaller first, that must not be joined; none of a forced statement is.
    rules : mapping
        Identifier types by id.
    apart : iterable of (int, int)
        Pairs whose whole profiles were declared to be different people; none of a forced statement is.
    """
    by_id = {one.id: one for one in members}
    forest = _Forest(by_id, rules, [(a, b) for a, b in apart if a in by_id and b in by_id])
    found = Resolved()
    refused: set[Pair] = set()
    for statement in statements:
        ids = [one for one in statement.ids if one in by_id and not by_id[one].muted]
        if not statement.is_forced:
            if blocked:
                ids = _without_blocked(ids, blocked)
            ids = _without_excess(ids, statement.at, forest, refused, found)
        for other in ids[1:]:
            if forest.union(ids[0], other):
                found.links.append(pair(ids[0], other))
    found.root_of = {one: forest.find(one) for one in by_id}
    return found


def pair(a: int, b: int) -> Pair:
    """Return two ids, the smaller one first."""
    return (a, b) if a < b else (b, a)


def _without_blocked(ids: list[int], blocked: set[Pair]) -> list[int]:
    kept: list[int] = []
    for one in ids:
        if all(pair(one, other) not in blocked for other in kept):
            kept.append(one)
    return kept


def _weakest(ids: list[int], at: datetime, forest: _Forest) -> int:
    """Return the place of the identifier to leave out: a record gives way only where the others fit without it."""
    yields = len(ids) > 2 and forest.asserts(ids[-1])
    return -2 if yields and forest.broken(dict.fromkeys(map(forest.find, ids[:-1])), at) is not None else -1


def _without_excess(ids: list[int], at: datetime, forest: _Forest, refused: set[Pair], found: Resolved) -> list[int]:
    while len(ids) > 1:
        roots = dict.fromkeys(map(forest.find, ids))
        if forest.apart and forest.are_apart(roots):
            ids.pop()
            continue
        rule = forest.broken(roots, at)
        if rule is None:
            break
        weakest = ids.pop(_weakest(ids, at, forest))
        key = pair(ids[0], weakest)
        if key not in refused:
            refused.add(key)
            found.left_out.append(LeftOut(weakest, ids[0], f"{rule.key} limit"))
    return ids


def keep_together(active: Iterable[Pair], root_of: Mapping[int, int], links: Iterable[Pair]) -> list[Pair]:
    """Return those of `links` that are needed beside the active edges to make each component hang together."""
    parent = {one: one for one in root_of}

    def find(one: int) -> int:
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    for a, b in active:
        if a in parent and b in parent and root_of[a] == root_of[b]:
            parent[find(a)] = find(b)
    needed = []
    for a, b in links:
        if find(a) != find(b):
            parent[find(a)] = find(b)
            needed.append((a, b))
    return needed
