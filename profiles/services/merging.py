"""Carrying merges out: what the resolver decided becomes rows. The caller holds the lock `IDENTITY`.

Every table that names a profile follows: those of this app here, those of the apps above through `MergeParticipant`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from cdp.core.copying import int_array, text_array
from cdp.core.registries import MergePair, merge_participants
from cdp.core.services.jobs import enqueue
from profiles.identity.graph import EdgeRecord, Group, MergeRecord, find
from profiles.models import ChangeKind, Edge
from profiles.queries.trait_rules import read_rules
from profiles.services.sessions import join_sessions
from profiles.services.settling import find_states
from profiles.services.traits import Meta, Traits, merge_traits
from profiles.survivorship.folding import put
from profiles.survivorship.rules import Rules

# Re-pointing 10 000 events takes some 0.04 s; more would hold the lock too long and becomes a job.
EVENTS_AT_ONCE = 10_000
ACTIVE, REFUSED = int(Edge.State.ACTIVE), int(Edge.State.REFUSED)

INSERT_MERGES = """
INSERT INTO profiles_merge (survivor_uuid, absorbed_uuid, kind, rule, message_id, actor, created_at, state,
    absorbed_created_at, absorbed_identifier_ids, absorbed_profile_id)
SELECT s, a, k, r, m, %(actor)s, %(now)s, CASE WHEN p THEN 2 ELSE 1 END, c, i::bigint[], d
FROM unnest(%(survivors)s::uuid[], %(absorbed)s::uuid[], %(kinds)s::smallint[], %(rules)s::text[],
    %(messages)s::text[], %(pending)s::boolean[], %(created)s::timestamptz[], %(identifiers)s::text[],
    %(ids)s::bigint[]) WITH ORDINALITY AS t(s, a, k, r, m, p, c, i, d, n)
ORDER BY n RETURNING id
"""
MOVE = "UPDATE {table} t SET profile_id = m.kept FROM unnest(%s::bigint[], %s::bigint[]) AS m(dropped, kept) "
MOVE += "WHERE t.profile_id = m.dropped"
FOLLOWING = (
    "profiles_identifier",
    "profiles_absorbedid",
    "profiles_work",
    "profiles_order",
    "profiles_groupmembership",
    "profiles_correction",
)
MERGE_ACTIVITY = """
INSERT INTO profiles_activity (profile_id, first_event_at, last_event_at, event_count)
SELECT m.kept, min(a.first_event_at), max(a.last_event_at), sum(a.event_count)
FROM unnest(%s::bigint[], %s::bigint[]) AS m(dropped, kept) JOIN profiles_activity a ON a.profile_id = m.dropped
GROUP BY m.kept
ON CONFLICT (profile_id) DO UPDATE SET
    first_event_at = least(profiles_activity.first_event_at, excluded.first_event_at),
    last_event_at = greatest(profiles_activity.last_event_at, excluded.last_event_at),
    event_count = profiles_activity.event_count + excluded.event_count
"""
INSERT_ABSORBED = """
INSERT INTO profiles_absorbedid (uuid, profile_id, dropped_id, merge_id)
SELECT * FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[], %s::bigint[])
"""
INSERT_EDGES = """
INSERT INTO profiles_edge (a, b, kind, rule, message_id, source_id, created_at, state, merge_id)
SELECT a, b, k, r, m, s, %s, z, nullif(g, 0)
FROM unnest(%s::bigint[], %s::bigint[], %s::smallint[], %s::text[], %s::text[], %s::int[], %s::bigint[],
    %s::smallint[]) AS t(a, b, k, r, m, s, g, z)
ON CONFLICT (a, b) DO UPDATE SET state = 1, kind = excluded.kind, rule = excluded.rule,
    message_id = excluded.message_id, source_id = excluded.source_id, created_at = excluded.created_at,
    merge_id = excluded.merge_id, blocked_at = NULL, blocked_by = '', blocked_for = '', block_reason = ''
WHERE profiles_edge.state IN (2, 4) AND excluded.state = 1
RETURNING a, b
"""
INSERT_CHANGES = """
INSERT INTO profiles_change (profile_id, kind, at, detail)
SELECT p, k, %s, d::jsonb FROM unnest(%s::bigint[], %s::smallint[], %s::text[]) AS t(p, k, d)
"""


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored profile that takes part in a merge."""

    id: int
    traits: Traits
    meta: Meta
    event_count: int
    identifier_ids: list[int]
    restricted: bool


def write_changes(cursor: Any, rows: Iterable[tuple[int, ChangeKind, dict[str, Any]]], now: datetime) -> None:
    """Add rows of history: profile id, kind, detail."""
    rows = list(rows)
    if rows:
        details = text_array(orjson.dumps(detail).decode() for _, _, detail in rows)
        cursor.execute(
            INSERT_CHANGES,
            [now, int_array(row[0] for row in rows), int_array(int(row[1]) for row in rows), details],
        )


def apply_merges(cursor: Any, merges: list[MergeRecord], *, now: datetime, actor: str = "") -> dict[int, int]:
    """Carry merges out.

    Parameters
    ----------
    merges : list of MergeRecord
        In the order in which they were decided.
    actor : str
        Who merged, where a person did.

    Returns
    -------
    dict
        `id(merge)` → id of its ledger row, for the edges that belong to it.
    """
    if not merges:
        return {}
    finals = {final.id: final for final in (find(merge.group) for merge in merges)}
    stored = _read_stored(cursor, finals.values())
    dropped = {
        profile_id: final.id
        for final in finals.values()
        for profile_id in final.profile_ids
        if profile_id != final.id and profile_id in stored
    }
    large = {profile_id for profile_id in dropped if stored[profile_id].event_count > EVENTS_AT_ONCE}
    ids = _write_ledger(cursor, merges, stored, large, now=now, actor=actor)
    _move_rows(cursor, dropped, large)
    _replace_profiles(cursor, finals.values(), stored, list(dropped))
    absorbed = [merge.absorbed_uuid for merge in merges]
    kept = [find(merge.group).id for merge in merges]
    dropped_ids = [merge.dropped_id for merge in merges]
    cursor.execute(INSERT_ABSORBED, [absorbed, int_array(kept), int_array(dropped_ids), int_array(ids)])
    for profile_id in large:
        merge_id = next(row for row, merge in zip(ids, merges, strict=True) if merge.dropped_id == profile_id)
        enqueue(
            kind="profiles.repoint-events",
            arguments={"from": profile_id, "merge": merge_id},
            run_at=now,
        )
    pairs = [
        MergePair(final, merge.dropped_id, merge.survivor_uuid, merge.absorbed_uuid, row, merge.claim.message_id)
        for merge, final, row in zip(merges, kept, ids, strict=True)
    ]
    for participant in merge_participants:
        participant.on_merge(pairs=pairs, now=now)
    details = [
        {"merge": row, "absorbed": merge.absorbed_uuid, "survivor": merge.survivor_uuid}
        for merge, row in zip(merges, ids, strict=True)
    ]
    write_changes(cursor, zip(kept, [ChangeKind.MERGED] * len(kept), details, strict=True), now)
    return {id(merge): row for merge, row in zip(merges, ids, strict=True)}


def write_edges(
    cursor: Any, edges: Iterable[EdgeRecord], merge_rows: dict[int, int], *, now: datetime
) -> set[tuple[int, int]]:
    """Store edges; one that is known already stays as it is, one that was retracted or refused holds from now on.

    Returns
    -------
    set of (int, int)
        Those that are new or hold again.
    """
    edges = list(edges)
    if not edges:
        return set()
    cursor.execute(
        INSERT_EDGES,
        [
            now,
            int_array(edge.a for edge in edges),
            int_array(edge.b for edge in edges),
            int_array(int(edge.kind) for edge in edges),
            text_array(edge.claim.rule for edge in edges),
            text_array(edge.claim.message_id for edge in edges),
            int_array(edge.claim.source_id for edge in edges),
            int_array(merge_rows[id(edge.merge)] if edge.merge is not None else 0 for edge in edges),
            int_array(REFUSED if edge.refused else ACTIVE for edge in edges),
        ],
    )
    return set(cursor.fetchall())


def _read_stored(cursor: Any, finals: Iterable[Group]) -> dict[int, Stored]:
    ids = int_array(profile_id for final in finals for profile_id in final.profile_ids)
    cursor.execute(
        "SELECT p.id, p.traits::text, p.trait_meta::text, coalesce(a.event_count, 0), "
        "array(SELECT i.id FROM profiles_identifier i WHERE i.profile_id = p.id), p.restricted "
        "FROM profiles_profile p LEFT JOIN profiles_activity a ON a.profile_id = p.id "
        "WHERE p.id = ANY(%s::bigint[]) ORDER BY p.id FOR UPDATE OF p",
        [ids],
    )
    return {row[0]: Stored(row[0], orjson.loads(row[1]), orjson.loads(row[2]), *row[3:]) for row in cursor.fetchall()}


def _write_ledger(
    cursor: Any, merges: list[MergeRecord], stored: dict[int, Stored], large: set[int], *, now: datetime, actor: str
) -> list[int]:
    identifiers = [
        int_array(
            [
                *(i for p in merge.absorbed_profile_ids if p in stored for i in stored[p].identifier_ids),
                *merge.absorbed_new_ids,
            ]
        )
        for merge in merges
    ]
    cursor.execute(
        INSERT_MERGES,
        {
            "survivors": [merge.survivor_uuid for merge in merges],
            "absorbed": [merge.absorbed_uuid for merge in merges],
            "kinds": int_array(int(merge.kind) for merge in merges),
            "rules": text_array(merge.claim.rule for merge in merges),
            "messages": text_array(merge.claim.message_id for merge in merges),
            "pending": [merge.dropped_id in large for merge in merges],
            "created": [merge.absorbed_created_at for merge in merges],
            "identifiers": identifiers,
            "ids": int_array(merge.absorbed_id for merge in merges),
            "actor": actor,
            "now": now,
        },
    )
    return [row[0] for row in cursor.fetchall()]


def _move_rows(cursor: Any, dropped: dict[int, int], large: set[int]) -> None:
    if not dropped:
        return
    both = [int_array(dropped), int_array(dropped.values())]
    for table in FOLLOWING:
        cursor.execute(MOVE.format(table=table), both)
    small = {old: new for old, new in dropped.items() if old not in large}
    cursor.execute(MOVE.format(table="profiles_event"), [int_array(small), int_array(small.values())])
    join_sessions(cursor, dropped)
    cursor.execute(MERGE_ACTIVITY, both)
    cursor.execute("DELETE FROM profiles_activity WHERE profile_id = ANY(%s::bigint[])", both[:1])


def _settle_merged(
    cursor: Any,
    finals: Iterable[Group],
    stored: dict[int, Stored],
    merged: dict[int, tuple[Traits, Meta, set[str]]],
    rules: Rules,
) -> None:
    """Decide the traits that the two sides alone could not tell, from all that was said of both."""
    wanted = {profile_id: names for profile_id, (_, _, names) in merged.items() if names}
    if not wanted:
        return
    sides = {final.id: [p for p in final.profile_ids if p in stored] for final in finals if final.id in wanted}
    states = find_states(
        cursor,
        wanted=wanted,
        rules=rules,
        held={final: [(stored[p].traits, stored[p].meta) for p in members] for final, members in sides.items()},
        also={p: final for final, members in sides.items() for p in members},
    )
    for profile_id, found in states.items():
        traits, meta, _ = merged[profile_id]
        for name, state in found.items():
            put(traits, meta, name, state)


def _replace_profiles(cursor: Any, finals: Iterable[Group], stored: dict[int, Stored], dropped: list[int]) -> None:
    """Delete the rows that went, and give the kept ones the public id, age and traits of the merged profile."""
    cursor.execute("DELETE FROM profiles_profile WHERE id = ANY(%s::bigint[])", [int_array(dropped)])
    rules = read_rules(cursor)
    merged = {
        final.id: merge_traits([(stored[p].traits, stored[p].meta) for p in final.profile_ids if p in stored], rules)
        for final in finals
        if final.id in stored
    }
    _settle_merged(cursor, finals, stored, merged, rules)
    rows = []
    for final in finals:
        if final.id in stored:
            traits, meta, _ = merged[final.id]
            # A restriction of processing holds for whoever the person turns out to be.
            restricted = any(stored[p].restricted for p in final.profile_ids if p in stored)
            row = (final.id, final.uuid, final.created_at, orjson.dumps(traits), orjson.dumps(meta), restricted)
            rows.append(row)
    cursor.execute(
        "UPDATE profiles_profile p SET uuid = t.u, created_at = t.c, traits = t.j::jsonb, trait_meta = t.m::jsonb, "
        "restricted = t.r "
        "FROM unnest(%s::bigint[], %s::uuid[], %s::timestamptz[], %s::text[], %s::text[], %s::boolean[]) "
        "AS t(i, u, c, j, m, r) "
        "WHERE p.id = t.i",
        [
            int_array(row[0] for row in rows),
            [row[1] for row in rows],
            [row[2] for row in rows],
            text_array(row[3].decode() for row in rows),
            text_array(row[4].decode() for row in rows),
            [row[5] for row in rows],
        ],
    )
