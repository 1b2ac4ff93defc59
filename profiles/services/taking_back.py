"""Taking events back as if they had never come: what only they gave goes, what others gave as well stays.

The caller holds the lock `IDENTITY`. Identifiers and edges that no remaining event supports go; a profile that falls
apart is split, and whoever was absorbed gets their public id again; traits, activity and orders are computed anew from
the events that remain; a profile without identifiers disappears. Nothing is blocked: a later message may say all again.
What people decided (a steward's merge, consent, a privacy request) is kept, and with it what it is about.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cdp.core import registries
from cdp.core.copying import int_array
from cdp.core.registries import Subject
from profiles.identity.components import components
from profiles.identity.graph import LinkKind
from profiles.models import ChangeKind
from profiles.services.merging import write_changes
from profiles.services.orders import forget_order_messages
from profiles.services.splitting import Identity, Moving, inherit_history, note_work, recompute, split_off

# LATERAL … LIMIT 1 would not delete; the bounds let the planner leave partitions out.
DELETE_EVENTS = """
DELETE FROM profiles_event e USING unnest(%(ids)s::bigint[], %(times)s::timestamptz[]) AS t(id, at)
WHERE e.id = t.id AND e.occurred_at = t.at AND e.occurred_at BETWEEN %(first)s AND %(last)s
RETURNING e.profile_id, e.identifiers
"""
HOLDERS = "SELECT id, profile_id, source_id, first_seen_at FROM profiles_identifier WHERE id = ANY(%s::bigint[])"
HELD = "SELECT id, profile_id FROM profiles_identifier WHERE profile_id = ANY(%s::bigint[])"
LOCK = "SELECT id FROM profiles_profile WHERE id = ANY(%s::bigint[]) ORDER BY id FOR UPDATE"
SUPPORTING = """
SELECT DISTINCT profile_id, identifiers FROM profiles_event WHERE profile_id = ANY(%s::bigint[])
"""
EDGES = """
SELECT a, b, kind, source_id, merge_id FROM profiles_edge
WHERE state = 1 AND (a = ANY(%(ids)s::bigint[]) OR b = ANY(%(ids)s::bigint[]))
"""
RETRACT = """
UPDATE profiles_edge e SET state = 2 FROM unnest(%s::bigint[], %s::bigint[]) AS t(a, b) WHERE e.a = t.a AND e.b = t.b
"""
DELETE_EDGES = "DELETE FROM profiles_edge WHERE a = ANY(%(ids)s::bigint[]) OR b = ANY(%(ids)s::bigint[])"
DELETE_IDENTIFIERS = "DELETE FROM profiles_identifier WHERE id = ANY(%s::bigint[])"
ABSORBED = """
SELECT m.id, m.absorbed_uuid::text, m.absorbed_created_at, m.absorbed_identifier_ids, x.profile_id
FROM profiles_merge m JOIN profiles_absorbedid x ON x.uuid = m.absorbed_uuid
WHERE m.id = ANY(%s::bigint[]) AND m.undone_at IS NULL AND m.state = 1
"""
ROUNDS = 1_000
LIMIT = 5_000


@dataclass(frozen=True, slots=True)
class Giver:
    """Who gave what is taken back: identifiers that this source saw first, at `received_at` (None: at any time)."""

    source_id: int
    received_at: datetime | None


@dataclass(frozen=True, slots=True)
class _Absorbed:
    """A side that a merge absorbed, whose ground goes."""

    merge_id: int
    uuid: str
    created_at: datetime
    identifier_ids: frozenset[int]
    profile_id: int


def take_events_back(
    cursor: Any, *, events: Sequence[tuple[int, datetime]], giver: Giver, now: datetime, detail: dict[str, Any]
) -> None:
    """Take events back, with all that only they gave, in a number of statements that does not grow with them.

    Parameters
    ----------
    events : sequence of (int, datetime)
        Id and `occurred_at` of each.
    giver : Giver
        Whose identifiers may go.
    detail : dict
        For the rows of history.

    Notes
    -----
    Each profile that falls apart costs some statements more.
    """
    if not events:
        return
    profiles, mentioned = _delete_events(cursor, events, now)
    cursor.execute(HOLDERS, [int_array(mentioned)])
    holders = {row[0]: row[1:] for row in cursor.fetchall()}
    profiles |= {row[0] for row in holders.values()}
    cursor.execute(LOCK, [int_array(profiles)])
    supported, pairs = _support(cursor, profiles)
    anchored = {one for anchors in registries.profile_anchors for one in anchors(sorted(profiles))}
    gone = {
        identifier
        for identifier, (profile_id, source_id, first_seen_at) in holders.items()
        if identifier not in supported
        and profile_id not in anchored
        and source_id == giver.source_id
        and giver.received_at in (None, first_seen_at)
    }
    loose, merge_ids = _loose_edges(cursor, mentioned - gone, gone, pairs, giver, anchored, holders)
    cursor.execute(RETRACT, [int_array(edge[0] for edge in loose), int_array(edge[1] for edge in loose)])
    cursor.execute(DELETE_EDGES, {"ids": int_array(gone)})
    cursor.execute(DELETE_IDENTIFIERS, [int_array(gone)])
    touched = {holders[one][0] for edge in loose for one in edge if one in holders} | {holders[one][0] for one in gone}
    made = _divide(cursor, touched, merge_ids, now, detail)
    _finish(cursor, profiles | made, now, detail)


def _delete_events(cursor: Any, events: Sequence[tuple[int, datetime]], now: datetime) -> tuple[set[int], set[int]]:
    times = [moment for _, moment in events]
    cursor.execute(
        DELETE_EVENTS,
        {"ids": int_array(row[0] for row in events), "times": times, "first": min(times), "last": max(times)},
    )
    profiles, mentioned = set(), set()
    for profile_id, identifiers in cursor.fetchall():
        profiles.add(profile_id)
        mentioned.update(identifiers)
    forget_order_messages(cursor, [row[0] for row in events], now=now)
    return profiles, mentioned


def _support(cursor: Any, profiles: Iterable[int]) -> tuple[set[int], set[tuple[int, int]]]:
    """Return the identifiers, and the pairs of them, that remaining events name."""
    cursor.execute(SUPPORTING, [int_array(profiles)])
    supported: set[int] = set()
    pairs: set[tuple[int, int]] = set()
    for _, identifiers in cursor.fetchall():
        supported.update(identifiers)
        # Edges are stars around the strongest, but a limit may have left that one out.
        pairs.update((min(a, b), max(a, b)) for place, a in enumerate(identifiers) for b in identifiers[place + 1 :])
    return supported, pairs


def _loose_edges(  # noqa: PLR0913 - what is known of one batch
    cursor: Any,
    kept: set[int],
    gone: set[int],
    pairs: set[tuple[int, int]],
    giver: Giver,
    anchored: set[int],
    holders: dict[int, Any],
) -> tuple[set[tuple[int, int]], set[int]]:
    """Return the edges of messages that nothing supports any more, and the merges that edges now going had made."""
    cursor.execute(EDGES, {"ids": int_array(kept | gone)})
    loose: set[tuple[int, int]] = set()
    merge_ids: set[int] = set()
    of_messages = (int(LinkKind.RULE), int(LinkKind.IMPORT))
    for a, b, kind, source_id, merge_id in cursor.fetchall():
        is_gone = a in gone or b in gone
        is_held = any(one in holders and holders[one][0] in anchored for one in (a, b))
        if not is_gone and ((a, b) in pairs or kind not in of_messages or source_id != giver.source_id or is_held):
            continue
        if not is_gone:
            loose.add((a, b))
        if merge_id is not None:
            merge_ids.add(merge_id)
    return loose, merge_ids


def _divide(cursor: Any, profiles: set[int], merge_ids: set[int], now: datetime, detail: dict[str, Any]) -> set[int]:
    """Split the profiles that fell apart; return the new ones."""
    cursor.execute(HELD, [int_array(profiles)])
    held: dict[int, set[int]] = {}
    for identifier, profile_id in cursor.fetchall():
        held.setdefault(profile_id, set()).add(identifier)
    everything = {one for members in held.values() for one in members}
    cursor.execute(EDGES, {"ids": int_array(everything)})
    edges = {(row[0], row[1]) for row in cursor.fetchall()}
    cursor.execute(ABSORBED, [int_array(merge_ids)])
    absorbed: dict[int, list[_Absorbed]] = {}
    for merge_id, public_id, created_at, identifiers, profile_id in cursor.fetchall():
        side = _Absorbed(merge_id, public_id, created_at, frozenset(identifiers), profile_id)
        absorbed.setdefault(profile_id, []).append(side)
    made: set[int] = set()
    for profile_id, members in sorted(held.items()):
        parts = components(members, edges)
        if len(parts) > 1:
            made |= _split(cursor, profile_id, parts, absorbed.get(profile_id, []), now, detail)
    return made


def _split(
    cursor: Any,
    profile_id: int,
    parts: list[set[int]],
    absorbed: list[_Absorbed],
    now: datetime,
    detail: dict[str, Any],
) -> set[int]:
    """Give each part but one a profile of its own: whoever was absorbed gets their public id again."""
    whose = {id(part): next((one for one in absorbed if one.identifier_ids & part), None) for part in parts}
    # The survivor's part stays; of several the oldest.
    staying = min(parts, key=lambda part: (whose[id(part)] is not None, min(part)))
    made = set()
    for part in parts:
        if part is staying:
            continue
        side = whose[id(part)]
        if side is not None:
            absorbed = [one for one in absorbed if one is not side]
            whose = {key: None if one is side else one for key, one in whose.items()}
            cursor.execute("DELETE FROM profiles_absorbedid WHERE uuid = %s RETURNING dropped_id", [side.uuid])
            dropped_id = cursor.fetchone()[0]
            cursor.execute("UPDATE profiles_merge SET undone_at = %s WHERE id = %s", [now, side.merge_id])
        identity = Identity(side.uuid, side.created_at) if side is not None else None
        moving = Moving(profile_id, part, identity)
        to_id = split_off(cursor, moving, now=now, detail={**detail, "separated": True}).profile_id
        if side is not None:
            inherit_history(cursor, dropped_id, to_id)
        made.add(to_id)
    return made


def _finish(cursor: Any, profiles: set[int], now: datetime, detail: dict[str, Any]) -> None:
    """Compute what remains anew, and let go of profiles that nothing names any more."""
    cursor.execute(HELD, [int_array(profiles)])
    named = {row[1] for row in cursor.fetchall()}
    cursor.execute(SUPPORTING, [int_array(profiles - named)])
    named |= {row[0] for row in cursor.fetchall()}
    vanishing = sorted(profiles - named)
    recompute(cursor, sorted(named))
    write_changes(cursor, [(one, ChangeKind.TRAITS, {**detail, "names": []}) for one in sorted(named)], now)
    note_work(cursor, sorted(named), "split", now)
    if vanishing:
        subject = Subject(tuple(vanishing), (), (), (), ())
        # By their internal ids alone: what mentions the same identifiers elsewhere is somebody else's.
        for store in reversed(registries.personal_data):
            for _ in range(ROUNDS):
                if not store.erase(subject=subject, limit=LIMIT):
                    break
