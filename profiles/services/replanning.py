"""What other rules, or a value less or more, would mean for stored profiles: found without writing anything.

The statements are the edges, those of one message together, as they were accepted, and those that were refused where
the rules got wider. Where a value joins nothing any more, the events tell what else their messages said.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cdp.core.copying import int_array
from cdp.core.registries import consent_requirements
from profiles.identity.graph import LinkKind, TypeRule
from profiles.identity.reresolve import LeftOut, Member, Pair, Statement, keep_together, pair, resolve_anew
from profiles.models import Edge, RulesRunValue

ACTIVE, BLOCKED, REFUSED = int(Edge.State.ACTIVE), int(Edge.State.BLOCKED), int(Edge.State.REFUSED)
# What a person or a model declared, and aliases, hold whatever the limits say.
FORCED = frozenset({int(LinkKind.ALIAS), int(LinkKind.STEWARD), int(LinkKind.MODEL)})
GRANTED = "granted"
# Profiles that hang together by refused edges are looked at together, up to so many.
LARGEST_FAMILY = 3_000
MOST_ARRAYS = 20_000

NEIGHBOURS = """
SELECT DISTINCT j.profile_id FROM profiles_identifier i
JOIN profiles_edge e ON e.a = i.id AND e.state = 4 JOIN profiles_identifier j ON j.id = e.b
WHERE i.profile_id = ANY(%(ids)s::bigint[]) AND NOT i.quarantined AND NOT j.quarantined
UNION
SELECT DISTINCT j.profile_id FROM profiles_identifier i
JOIN profiles_edge e ON e.b = i.id AND e.state = 4 JOIN profiles_identifier j ON j.id = e.a
WHERE i.profile_id = ANY(%(ids)s::bigint[]) AND NOT i.quarantined AND NOT j.quarantined
"""
MEMBERS = """
SELECT i.id, i.type_id, i.profile_id, i.first_seen_at, i.quarantined, v.change
FROM profiles_identifier i LEFT JOIN profiles_rulesrunvalue v ON v.run_id = %s AND v.identifier_id = i.id
WHERE i.profile_id = ANY(%s::bigint[])
"""
EDGES = """
SELECT e.id, e.a, e.b, e.kind, e.source_id, e.message_id, e.created_at, e.state FROM profiles_edge e
WHERE e.a = ANY(%s::bigint[]) AND e.state IN (1, 3, 4) ORDER BY e.id
"""
ARRAYS = """
SELECT profile_id, identifiers, min(id) AS first, min(received_at) FROM profiles_event
WHERE profile_id = ANY(%s::bigint[]) AND identifiers[1] = ANY(%s::bigint[]) AND cardinality(identifiers) > 1
GROUP BY profile_id, identifiers ORDER BY first LIMIT %s
"""
RETURNING_IDS = """
SELECT x.profile_id, x.uuid::text, m.id, m.absorbed_identifier_ids, m.absorbed_created_at
FROM profiles_absorbedid x JOIN profiles_merge m ON m.id = x.merge_id
WHERE x.profile_id = ANY(%s::bigint[]) ORDER BY m.id
"""


@dataclass(frozen=True, slots=True)
class Trial:
    """The rules to try.

    Attributes
    ----------
    rules : mapping
        Types by id.
    reconsiders : bool
        Refused edges are tried, too: some rule got wider.
    disallowed : frozenset of (int, int)
        Type id and source id where sources of that kind may not assert the type.
    purposes : mapping
        Type id → purpose, for types that ask for one now.
    run_id : int
        The run whose values count as quarantined, lifted or blocked already; 0: only what is stored.
    """

    rules: Mapping[int, TypeRule]
    reconsiders: bool = False
    disallowed: frozenset[tuple[int, int]] = frozenset()
    purposes: Mapping[int, str] = field(default_factory=dict)
    run_id: int = 0


@dataclass(frozen=True, slots=True)
class StoredEdge:
    """A row of an edge."""

    id: int
    a: int
    b: int
    kind: int
    source_id: int
    message_id: str
    created_at: datetime
    state: int


@dataclass(frozen=True, slots=True)
class Returning:
    """A public id that a part takes back, and the merge that had absorbed it."""

    uuid: str
    merge_id: int
    created_at: datetime


@dataclass(slots=True)
class Part:
    """Identifiers that leave a profile for one of their own; `uuids` had been absorbed with them, its own first."""

    profile_id: int
    ids: tuple[int, ...]
    is_muted: bool
    uuids: list[Returning] = field(default_factory=list)


@dataclass(slots=True)
class Plan:
    """What is to be done, and what it comes to.

    Attributes
    ----------
    profile_ids : list of int
        What was looked at.
    profile_of : dict
        Identifier id → profile id, as stored.
    parts : list of Part
        What leaves its profile.
    joined : list of list of int
        Identifiers that form one person and lie in several profiles.
    dropped, revived, links : list
        Edges that are to be refused, that hold again, and that are to be added.
    left_out : list of (LeftOut, StoredEdge)
        What a limit refuses now and held before, with the edge that said so.
    arrays : list of (int, list, list)
        Profile id, identifiers of events as they are, and in their new order.
    """

    profile_ids: list[int] = field(default_factory=list)
    profile_of: dict[int, int] = field(default_factory=dict)
    type_of: dict[int, int] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)
    joined: list[list[int]] = field(default_factory=list)
    dropped: list[StoredEdge] = field(default_factory=list)
    revived: list[StoredEdge] = field(default_factory=list)
    links: list[Pair] = field(default_factory=list)
    left_out: list[tuple[LeftOut, StoredEdge]] = field(default_factory=list)
    arrays: list[tuple[int, list[int], list[int]]] = field(default_factory=list)
    merged: int = 0
    split: int = 0

    @property
    def is_empty(self) -> bool:
        """Nothing is to be done."""
        return not (self.parts or self.joined or self.dropped or self.revived or self.arrays)


def make_plan(cursor: Any, profile_ids: Iterable[int], trial: Trial) -> Plan:
    """Find what the trial's rules mean for some profiles; with `reconsiders`, for those that they could join too."""
    ids = sorted(set(profile_ids))
    if trial.reconsiders:
        ids = _family(cursor, ids)
    members = _members(cursor, ids, trial)
    by_id = {one.id: one for one in members}
    cursor.execute(EDGES, [int_array(by_id)])
    edges = [edge for row in cursor.fetchall() if (edge := StoredEdge(*row)).b in by_id]
    stated = [edge for edge in edges if edge.state == ACTIVE or (edge.state == REFUSED and trial.reconsiders)]
    arrays = _arrays(cursor, members)
    statements = _statements(stated, by_id, trial)
    # A message whose strongest identifier joins nothing any more still says that the others belong together.
    statements += [Statement(_of_one_profile(array, by_id), at) for _, array, at in arrays]
    apart = {(edge.a, edge.b) for edge in edges if edge.state == BLOCKED and edge.kind == Edge.APART}
    blocked = {(edge.a, edge.b) for edge in edges if edge.state == BLOCKED} - apart
    found = resolve_anew(members, statements, blocked=blocked, rules=trial.rules, apart=apart)
    plan = Plan(ids, {one.id: one.profile_id for one in members}, {one.id: one.type_id for one in members})
    _plan_edges(plan, stated, found.root_of, found.links, found.left_out)
    _plan_profiles(cursor, plan, members, found.root_of)
    muted = {one.id for one in members if one.muted}
    plan.arrays = [(profile_id, array, _last(array, muted)) for profile_id, array, _ in arrays]
    return plan


def _family(cursor: Any, ids: list[int]) -> list[int]:
    """Return the profiles and all those that refused edges lead to, as far as they are not too many."""
    known = set(ids)
    frontier = known
    while frontier and len(known) < LARGEST_FAMILY:
        cursor.execute(NEIGHBOURS, {"ids": int_array(frontier)})
        frontier = {row[0] for row in cursor.fetchall()} - known
        known |= frontier
    return sorted(known)


def _members(cursor: Any, ids: Sequence[int], trial: Trial) -> list[Member]:
    cursor.execute(MEMBERS, [trial.run_id, int_array(ids)])
    rows = cursor.fetchall()
    lifted, changes = int(RulesRunValue.Change.LIFT), {int(one) for one in RulesRunValue.Change}
    unjoined = _without_consent(ids, trial)
    return [
        Member(
            row_id,
            type_id,
            profile_id,
            first_seen_at,
            (quarantined and change != lifted)
            or change in changes - {lifted}
            or profile_id in unjoined.get(type_id, ()),
        )
        for row_id, type_id, profile_id, first_seen_at, quarantined, change in rows
    ]


def _without_consent(ids: Sequence[int], trial: Trial) -> dict[int, set[int]]:
    """Return, by type, the profiles in which its values join nothing as the person has not granted the purpose."""
    found = {}
    for type_id, purpose in trial.purposes.items():
        granted = {
            profile_id
            for requirement in consent_requirements
            for profile_id, state in requirement(purpose, ids).items()
            if state == GRANTED
        }
        found[type_id] = set(ids) - granted
    return found


def _statements(stated: list[StoredEdge], by_id: Mapping[int, Member], trial: Trial) -> list[Statement]:
    """Put the edges of one message together, in the order of the first of each."""
    groups: dict[tuple[object, ...], list[StoredEdge]] = {}
    for edge in stated:
        forced = edge.kind in FORCED and edge.state == ACTIVE
        # What was refused was refused one by one, and is tried last.
        alone = forced or edge.state == REFUSED or not edge.message_id
        groups.setdefault((edge.state, edge.id) if alone else (edge.source_id, edge.message_id), []).append(edge)
    ordered = sorted(groups.values(), key=lambda edges: edges[0].state != ACTIVE)
    return [_statement(edges, by_id, trial) for edges in ordered]


def _statement(edges: list[StoredEdge], by_id: Mapping[int, Member], trial: Trial) -> Statement:
    first = edges[0]
    ids = {one for edge in edges for one in (edge.a, edge.b)}
    if trial.disallowed:
        ids = {one for one in ids if (by_id[one].type_id, first.source_id) not in trial.disallowed}
    ordered = sorted(ids, key=lambda one: (trial.rules[by_id[one].type_id].priority, one))
    return Statement(tuple(ordered), first.created_at, first.kind in FORCED and first.state == ACTIVE)


def _arrays(cursor: Any, members: Sequence[Member]) -> list[tuple[int, list[int], datetime]]:
    """Return the distinct identifiers of events whose strongest joins nothing, where others stand beside it."""
    held: dict[int, int] = {}
    for one in members:
        held[one.profile_id] = held.get(one.profile_id, 0) + 1
    muted = [one for one in members if one.muted and held[one.profile_id] > 1]
    if not muted:
        return []
    profiles = int_array({one.profile_id for one in muted})
    cursor.execute(ARRAYS, [profiles, int_array(one.id for one in muted), MOST_ARRAYS])
    own = {one.id for one in members if one.muted}
    return [(profile_id, array, at) for profile_id, array, _, at in cursor.fetchall() if not own.issuperset(array)]


def _of_one_profile(array: list[int], by_id: Mapping[int, Member]) -> tuple[int, ...]:
    """Return those of a message's identifiers that it joined: the others had been left out."""
    home = by_id[array[0]].profile_id
    return tuple(one for one in array if one in by_id and by_id[one].profile_id == home)


def _last(array: list[int], muted: set[int]) -> list[int]:
    return [one for one in array if one not in muted] + [one for one in array if one in muted]


def _plan_edges(
    plan: Plan, stated: list[StoredEdge], root_of: Mapping[int, int], links: list[Pair], left_out: list[LeftOut]
) -> None:
    active = []
    revived: set[Pair] = set()
    for edge in stated:
        together = root_of[edge.a] == root_of[edge.b]
        if together:
            active.append((edge.a, edge.b))
            if edge.state == REFUSED:
                plan.revived.append(edge)
                revived.add((edge.a, edge.b))
        elif edge.state == ACTIVE:
            plan.dropped.append(edge)
    plan.links = keep_together(active, root_of, links)
    dropped = {(edge.a, edge.b): edge for edge in plan.dropped}
    sides: dict[int, StoredEdge] = {}
    for edge in plan.dropped:
        sides.setdefault(edge.a, edge)
        sides.setdefault(edge.b, edge)
    for one in left_out:
        key = pair(one.id, one.other_id)
        if root_of[one.id] == root_of[one.other_id] or key in revived:
            continue
        # The star of a message need not be that of its edges: an edge that went with this identifier tells the message.
        cause = dropped.get(key) or sides.get(one.id)
        if cause is not None:
            plan.left_out.append((one, cause))


def _plan_profiles(cursor: Any, plan: Plan, members: Sequence[Member], root_of: Mapping[int, int]) -> None:
    """Find which identifiers leave their profile, and which people lie in several."""
    held: dict[int, dict[int, list[Member]]] = {}
    spread: dict[int, list[Member]] = {}
    for one in members:
        held.setdefault(one.profile_id, {}).setdefault(root_of[one.id], []).append(one)
        spread.setdefault(root_of[one.id], []).append(one)
    divided = {profile_id: groups for profile_id, groups in held.items() if len(groups) > 1}
    returning: dict[int, list[tuple[str, int, set[int], datetime]]] = {}
    if divided:
        cursor.execute(RETURNING_IDS, [int_array(divided)])
        for profile_id, public_id, merge_id, identifiers, created_at in cursor.fetchall():
            returning.setdefault(profile_id, []).append((public_id, merge_id, set(identifiers), created_at))
    for profile_id, groups in divided.items():
        _divide(plan, profile_id, groups, returning.get(profile_id, []))
    for together in spread.values():
        profiles = {one.profile_id for one in together}
        if len(profiles) > 1:
            plan.joined.append([one.id for one in together])
            plan.merged += len(profiles) - 1


def _divide(
    plan: Plan,
    profile_id: int,
    groups: Mapping[int, list[Member]],
    returning: Sequence[tuple[str, int, set[int], datetime]],
) -> None:
    """Say which part keeps the profile, and which public ids the others take back."""
    absorbed = set().union(*(ids for _, _, ids, _ in returning)) if returning else set()

    def claim_of(root: int) -> tuple[bool, int, datetime, int]:
        own = groups[root]
        original = sum(one.id not in absorbed for one in own)
        return own[0].muted, -original, min(one.first_seen_at for one in own), min(one.id for one in own)

    keeps, *leave = sorted(groups, key=claim_of)
    staying = {one.id for one in groups[keeps]}
    parts = []
    for root in leave:
        own = groups[root]
        part = Part(profile_id, tuple(sorted(one.id for one in own)), own[0].muted)
        parts.append(part)
        plan.split += not part.is_muted
    free = {one for part in parts if not part.is_muted for one in part.ids}
    for public_id, merge_id, ids, created_at in returning:
        if ids & staying or not ids & free:
            continue
        for part in parts:
            if not part.is_muted and ids & set(part.ids):
                part.uuids.append(Returning(public_id, merge_id, created_at))
                break
    plan.parts.extend(parts)
