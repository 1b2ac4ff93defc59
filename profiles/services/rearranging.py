"""Carrying out a plan of `profiles.services.replanning`: profiles divided and joined, edges and ledger brought in line.

The caller holds the lock `IDENTITY` since before it made the plan. Everything is set-based: a step costs a constant
number of statements, however many profiles it divides.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cdp.core.copying import int_array, text_array
from cdp.core.registries import SplitPair, merge_participants
from cdp.core.services.jobs import enqueue
from profiles.identity.graph import Claim, EdgeRecord, Graph, Group, LinkKind, MergeRecord, find
from profiles.identity.reresolve import Pair
from profiles.identity.resolve import join
from profiles.models import ChangeKind
from profiles.services.graphs import GROUPS
from profiles.services.merging import EVENTS_AT_ONCE, apply_merges, write_changes, write_edges
from profiles.services.replanning import Part, Plan
from profiles.services.splitting import note_work, recompute

# Dividing one takes about a millisecond; the rest of a large profile is divided by the next step.
MOST_PARTS = 200

NEW_IDS = "SELECT nextval('profiles_profile_id_seq') FROM generate_series(1, %s)"
INSERT_PROFILES = """
INSERT INTO profiles_profile (id, uuid, created_at, restricted, traits, trait_meta)
SELECT t.i, t.u, t.c, p.restricted, '{}', '{}'
FROM unnest(%s::bigint[], %s::uuid[], %s::timestamptz[], %s::bigint[]) AS t(i, u, c, f)
JOIN profiles_profile p ON p.id = t.f
"""
MOVE_IDENTIFIERS = """
UPDATE profiles_identifier i SET profile_id = t.p FROM unnest(%s::bigint[], %s::bigint[]) AS t(i, p) WHERE i.id = t.i
"""
MOVE_MEMBERSHIPS = """
UPDATE profiles_groupmembership m SET profile_id = t.p
FROM unnest(%s::bigint[], %s::bigint[]) AS t(i, p) WHERE m.identifier_id = t.i
"""
MOVE_CORRECTIONS = """
UPDATE profiles_correction c SET profile_id = t.p
FROM unnest(%s::bigint[], %s::bigint[]) AS t(i, p) WHERE c.identifier_id = t.i
"""
MOVE_EVENTS = """
UPDATE profiles_event e SET profile_id = t.p FROM unnest(%s::bigint[], %s::bigint[]) AS t(i, p)
WHERE e.profile_id = ANY(%s::bigint[]) AND e.identifiers[1] = t.i
"""
REORDER = """
UPDATE profiles_event e SET identifiers = t.n::bigint[]
FROM unnest(%s::bigint[], %s::text[], %s::text[]) AS t(p, o, n)
WHERE e.profile_id = t.p AND e.identifiers = t.o::bigint[]
"""
LARGE = "SELECT profile_id FROM profiles_activity WHERE profile_id = ANY(%s::bigint[]) AND event_count > %s"
MOVE_ABSORBED = """
UPDATE profiles_absorbedid x SET profile_id = t.p
FROM unnest(%s::uuid[], %s::bigint[]) AS t(u, p) WHERE x.uuid = t.u
"""
DROP_EDGES = "UPDATE profiles_edge SET state = 4, merge_id = NULL WHERE id = ANY(%s::bigint[]) AND state = 1"
REVIVE_EDGES = """
UPDATE profiles_edge e SET state = 1, merge_id = nullif(t.m, 0)
FROM unnest(%s::bigint[], %s::bigint[]) AS t(i, m) WHERE e.id = t.i AND e.state = 4
"""
LEDGER = """
INSERT INTO profiles_refusal (profile_uuids, identifier_type, identifier_value, reason, rule, message_id, source_id,
    created_at)
SELECT array(SELECT p.uuid FROM profiles_profile p WHERE p.id IN (i.profile_id, o.profile_id)),
    y.key, i.value, t.reason, %s, t.message, t.source, %s
FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::int[]) AS t(id, other, reason, message, source)
JOIN profiles_identifier i ON i.id = t.id JOIN profiles_identifier o ON o.id = t.other
JOIN profiles_identifiertype y ON y.id = i.type_id
"""


@dataclass(slots=True)
class Done:
    """What a step did; `is_whole` is False where parts are left for the next one."""

    merged: int = 0
    split: int = 0
    refused: int = 0
    is_whole: bool = True


def carry_out(cursor: Any, plan: Plan, *, rule: str, now: datetime, actor: str = "") -> Done:
    """Divide, join and bring edges and ledger in line, as planned.

    Parameters
    ----------
    rule : str
        What the ledger names as the reason, e.g. ``rules version 3``.
    """
    done = Done(is_whole=len(plan.parts) <= MOST_PARTS)
    if plan.is_empty and not plan.links:
        return done
    cursor.execute(
        "SELECT id FROM profiles_profile WHERE id = ANY(%s::bigint[]) ORDER BY id FOR UPDATE",
        [int_array(plan.profile_ids)],
    )
    _reorder(cursor, plan)
    cursor.execute(DROP_EDGES, [int_array(edge.id for edge in plan.dropped)])
    parts = plan.parts[:MOST_PARTS]
    separate(cursor, parts, rule=rule, now=now)
    done.split = sum(not part.is_muted for part in parts)
    place = dict(plan.profile_of)
    for part in parts:
        place.update(dict.fromkeys(part.ids, part.profile_id))
    claim = Claim([], "", 0, now, now, rule)
    if plan.left_out:
        _note_refusals(cursor, plan, rule, now)
        done.refused = len(plan.left_out)
    merges: dict[int, MergeRecord] = {}
    rows: dict[int, int] = {}
    if plan.joined and done.is_whole:
        merges, rows = _join(cursor, plan, place, claim, now, actor)
        done.merged = len(rows)
    _connect(cursor, plan, place, merges, rows, claim, now)
    return done


def _reorder(cursor: Any, plan: Plan) -> None:
    if plan.arrays:
        cursor.execute(
            REORDER,
            [
                int_array(profile_id for profile_id, _, _ in plan.arrays),
                text_array(int_array(old) for _, old, _ in plan.arrays),
                text_array(int_array(new) for _, _, new in plan.arrays),
            ],
        )


def separate(cursor: Any, parts: Sequence[Part], *, rule: str, now: datetime) -> None:
    """Move parts into profiles of their own; each part's `profile_id` is the new one afterwards.

    A part that had come by a merge takes its public id back, and the merge counts as undone.
    """
    if not parts:
        return
    cursor.execute(NEW_IDS, [len(parts)])
    new_ids = [row[0] for row in cursor.fetchall()]
    olds = [part.profile_id for part in parts]
    returned = [part.uuids[0].uuid if part.uuids else str(uuid.uuid4()) for part in parts]
    own = [part.uuids[0] for part in parts if part.uuids]
    cursor.execute("DELETE FROM profiles_absorbedid WHERE uuid = ANY(%s::uuid[])", [[one.uuid for one in own]])
    cursor.execute(
        "UPDATE profiles_merge SET undone_at = %s WHERE id = ANY(%s::bigint[]) AND undone_at IS NULL",
        [now, int_array(one.merge_id for one in own)],
    )
    created = [part.uuids[0].created_at if part.uuids else now for part in parts]
    cursor.execute(INSERT_PROFILES, [int_array(new_ids), returned, created, int_array(olds)])
    moved = [(one, new) for part, new in zip(parts, new_ids, strict=True) for one in part.ids]
    ids, places = int_array(one for one, _ in moved), int_array(new for _, new in moved)
    cursor.execute(MOVE_IDENTIFIERS, [ids, places])
    cursor.execute(MOVE_MEMBERSHIPS, [ids, places])
    cursor.execute(MOVE_CORRECTIONS, [ids, places])
    following = [(one.uuid, new) for part, new in zip(parts, new_ids, strict=True) for one in part.uuids[1:]]
    if following:
        cursor.execute(MOVE_ABSORBED, [[one for one, _ in following], int_array(new for _, new in following)])
    cursor.execute(LARGE, [int_array(olds), EVENTS_AT_ONCE])
    large = {row[0] for row in cursor.fetchall()}
    cursor.execute(MOVE_EVENTS, [ids, places, int_array(set(olds) - large)])
    recompute(
        cursor, sorted({one for old, new in zip(olds, new_ids, strict=True) if old not in large for one in (old, new)})
    )
    for part, new in zip(parts, new_ids, strict=True):
        if part.profile_id in large:
            arguments = {"from": part.profile_id, "to": new, "identifiers": list(part.ids)}
            enqueue(kind="profiles.move-split-events", arguments=arguments, run_at=now)
    pairs = [SplitPair(part.profile_id, new, part.ids) for part, new in zip(parts, new_ids, strict=True)]
    for participant in merge_participants:
        participant.on_split(pairs=pairs, now=now)
    history = [
        (one, ChangeKind.SPLIT, {"rule": rule, "separated": public_id})
        for old, new, public_id in zip(olds, new_ids, returned, strict=True)
        for one in (old, new)
    ]
    write_changes(cursor, history, now)
    note_work(cursor, sorted({*olds, *new_ids}), "split", now)
    for part, new in zip(parts, new_ids, strict=True):
        part.profile_id = new


def _join(
    cursor: Any, plan: Plan, place: Mapping[int, int], claim: Claim, now: datetime, actor: str
) -> tuple[dict[int, MergeRecord], dict[int, int]]:
    """Merge the profiles of each person; return the merge that each absorbed profile went by, and its ledger row."""
    people = [sorted({place[one] for one in together}) for together in plan.joined]
    cursor.execute(GROUPS, [int_array(one for profiles in people for one in profiles)])
    groups = {
        profile_id: Group(profile_id, public_id, created_at, first_event_at, event_count)
        for profile_id, public_id, created_at, first_event_at, event_count in cursor.fetchall()
    }
    graph = Graph({}, set(), {}, iter(()), iter(()), iter(()))
    merges: dict[int, MergeRecord] = {}
    of_group = {id(group): profile_id for profile_id, group in groups.items()}
    for profiles in people:
        _, records = join(graph, claim, [groups[one] for one in profiles], kind=LinkKind.RULE)
        merges.update((of_group[id(absorbed)], record) for absorbed, record in records.items())
    rows = apply_merges(cursor, graph.merges, now=now, actor=actor)
    note_work(cursor, sorted({find(groups[profiles[0]]).id for profiles in people}), "merge", now)
    return merges, rows


def _connect(  # noqa: PLR0913 - what one step knows
    cursor: Any,
    plan: Plan,
    place: Mapping[int, int],
    merges: Mapping[int, MergeRecord],
    rows: Mapping[int, int],
    claim: Claim,
    now: datetime,
) -> None:
    """Let refused edges hold again and add what is missing; an edge between two profiles belongs to their merge."""

    def merge_of(a: int, b: int) -> MergeRecord | None:
        if place[a] == place[b]:
            return None
        return merges.get(place[b]) or merges.get(place[a])

    def is_one(a: int, b: int) -> bool:
        # What is to be joined later gets its edges later.
        return place[a] == place[b] or bool(rows)

    revived = [edge for edge in plan.revived if is_one(edge.a, edge.b)]
    if revived:
        owners = [merge_of(edge.a, edge.b) for edge in revived]
        cursor.execute(
            REVIVE_EDGES,
            [
                int_array(edge.id for edge in revived),
                int_array(0 if owner is None else rows[id(owner)] for owner in owners),
            ],
        )
    records = [_record(link, claim, merge_of(*link)) for link in plan.links if is_one(*link)]
    write_edges(cursor, records, dict(rows), now=now)


def _record(link: Pair, claim: Claim, merge: MergeRecord | None) -> EdgeRecord:
    return EdgeRecord(link[0], link[1], claim, LinkKind.RULE, merge)


def _note_refusals(cursor: Any, plan: Plan, rule: str, now: datetime) -> None:
    cursor.execute(
        LEDGER,
        [
            rule,
            now,
            int_array(one.id for one, _ in plan.left_out),
            int_array(one.other_id for one, _ in plan.left_out),
            text_array(one.reason for one, _ in plan.left_out),
            text_array(edge.message_id for _, edge in plan.left_out),
            int_array(edge.source_id for _, edge in plan.left_out),
        ],
    )
