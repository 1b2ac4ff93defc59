"""Taking identifiers off a profile into one of their own. The caller holds the lock `IDENTITY`.

Used by the undo of a merge and by a steward's split: both block edges, and what then hangs together moves.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from cdp.core.copying import int_array, text_array
from cdp.core.registries import SplitPair, merge_participants
from cdp.core.services.jobs import enqueue
from profiles.models import ChangeKind, EventType
from profiles.queries.statements import read_corrections
from profiles.queries.trait_rules import read_rules
from profiles.services.groups import move_memberships
from profiles.services.merging import EVENTS_AT_ONCE, write_changes
from profiles.services.orders import rehome_orders
from profiles.services.settling import find_states
from profiles.services.traits import Meta, Traits, apply_ruled, micros, normal_form
from profiles.survivorship.folding import correction_state, put

MOVE_EVENTS = """
UPDATE profiles_event SET profile_id = %s
WHERE profile_id = %s AND identifiers[1] = ANY(%s::bigint[])
"""
# A correction follows the strongest identifier that the profile had when it was made.
MOVE_CORRECTIONS = """
UPDATE profiles_correction SET profile_id = %s WHERE profile_id = %s AND identifier_id = ANY(%s::bigint[])
"""
RECOUNT = """
INSERT INTO profiles_activity (profile_id, first_event_at, last_event_at, event_count)
SELECT profile_id, min(occurred_at), max(occurred_at), count(*) FROM profiles_event
WHERE profile_id = ANY(%s::bigint[]) GROUP BY profile_id
"""
STATED = """
SELECT profile_id, source_id, occurred_at, received_at, traits::text FROM profiles_event
WHERE profile_id = ANY(%s::bigint[]) AND type = %s AND name = '' AND traits IS NOT NULL
ORDER BY received_at, id
"""


@dataclass(frozen=True, slots=True)
class Identity:
    """The public id and age that a profile is to have."""

    uuid: str
    created_at: datetime


def active_edges(cursor: Any, identifier_ids: Sequence[int]) -> set[tuple[int, int]]:
    """Return the active edges among identifiers."""
    ids = int_array(identifier_ids)
    cursor.execute(
        "SELECT a, b FROM profiles_edge WHERE state = 1 AND a = ANY(%s::bigint[]) AND b = ANY(%s::bigint[])", [ids, ids]
    )
    return set(cursor.fetchall())


def block_edges(cursor: Any, edges: set[tuple[int, int]]) -> None:
    """Retract edges and block them: later messages do not join these identifiers again."""
    cursor.execute(
        "UPDATE profiles_edge e SET state = 3 FROM unnest(%s::bigint[], %s::bigint[]) AS t(a, b) "
        "WHERE e.a = t.a AND e.b = t.b",
        [int_array(edge[0] for edge in edges), int_array(edge[1] for edge in edges)],
    )


def reachable(start: set[int], edges: set[tuple[int, int]]) -> set[int]:
    """Return the identifiers that hang together with those of `start`."""
    neighbours: dict[int, set[int]] = {}
    for a, b in edges:
        neighbours.setdefault(a, set()).add(b)
        neighbours.setdefault(b, set()).add(a)
    found = set(start)
    frontier = list(start)
    while frontier:
        for other in neighbours.get(frontier.pop(), ()):
            if other not in found:
                found.add(other)
                frontier.append(other)
    return found


def split_off(
    cursor: Any, *, from_id: int, moved: set[int], identity: Identity | None, now: datetime, detail: dict[str, Any]
) -> tuple[int, str]:
    """Move identifiers, with all that came with them, into a profile of their own.

    Parameters
    ----------
    moved : set of int
        Ids of identifiers of `from_id`, not all of them.
    identity : Identity or None
        The public id and age of the new profile; None for a fresh one.
    detail : dict
        For the rows of history.

    Returns
    -------
    (int, str)
        Internal and public id of the new profile.
    """
    cursor.execute("SELECT nextval('profiles_profile_id_seq')")
    to_id: int = cursor.fetchone()[0]
    identity = identity or Identity(str(uuid.uuid4()), now)
    cursor.execute(
        "INSERT INTO profiles_profile (id, uuid, created_at, restricted, traits, trait_meta) "
        "SELECT %s, %s, %s, restricted, '{}', '{}' FROM profiles_profile WHERE id = %s",
        [to_id, identity.uuid, identity.created_at, from_id],
    )
    ids = int_array(moved)
    cursor.execute("UPDATE profiles_identifier SET profile_id = %s WHERE id = ANY(%s::bigint[])", [to_id, ids])
    move_memberships(cursor, identifier_ids=moved, to_id=to_id)
    cursor.execute(MOVE_CORRECTIONS, [to_id, from_id, ids])
    cursor.execute("SELECT coalesce(max(event_count), 0) FROM profiles_activity WHERE profile_id = %s", [from_id])
    if cursor.fetchone()[0] <= EVENTS_AT_ONCE:
        cursor.execute(MOVE_EVENTS, [to_id, from_id, ids])
        recompute(cursor, [from_id, to_id])
    else:
        arguments = {"from": from_id, "to": to_id, "identifiers": sorted(moved)}
        enqueue(kind="profiles.move-split-events", arguments=arguments, run_at=now)
    pairs = [SplitPair(from_id, to_id, tuple(sorted(moved)))]
    for participant in merge_participants:
        participant.on_split(pairs=pairs, now=now)
    write_changes(cursor, [(from_id, ChangeKind.SPLIT, detail), (to_id, ChangeKind.SPLIT, detail)], now)
    note_work(cursor, [from_id, to_id], "split", now)
    return to_id, identity.uuid


def note_work(cursor: Any, profile_ids: Sequence[int], token: str, now: datetime) -> None:
    """Tell the followers, if there are any, to look at profiles anew."""
    cursor.execute(
        "INSERT INTO profiles_work (profile_id, names, since, message_id) "
        "SELECT p, ARRAY[%s], %s, '' FROM unnest(%s::bigint[]) AS p WHERE EXISTS (SELECT FROM profiles_workinterest)",
        [token, now, int_array(profile_ids)],
    )


def recompute(cursor: Any, profile_ids: Sequence[int]) -> None:
    """Compute activity and traits of profiles from their events, and let their orders follow."""
    ids = int_array(profile_ids)
    cursor.execute("DELETE FROM profiles_activity WHERE profile_id = ANY(%s::bigint[])", [ids])
    cursor.execute(RECOUNT, [ids])
    known: dict[int, tuple[Traits, Meta]] = {profile_id: ({}, {}) for profile_id in profile_ids}
    rehome_orders(cursor, profile_ids)
    rules = read_rules(cursor)
    undecided: dict[int, set[str]] = {profile_id: set() for profile_id in profile_ids}
    cursor.execute(STATED, [ids, int(EventType.IDENTIFY)])
    for profile_id, source_id, occurred_at, received_at, traits in cursor.fetchall():
        stamp = [source_id, micros(occurred_at), micros(received_at)]
        stated = normal_form(orjson.loads(traits))
        apply_ruled(rules, *known[profile_id], stated, stamp, undecided[profile_id])
    wanted = {profile_id: names for profile_id, names in undecided.items() if names}
    if wanted:
        for profile_id, states in find_states(cursor, wanted=wanted, rules=rules, held={}).items():
            for name, state in states.items():
                put(*known[profile_id], name, state)
    for profile_id, name, value, created_at in read_corrections(cursor, profile_ids):
        put(*known[profile_id], name, correction_state(value, micros(created_at)))
    cursor.execute(
        "UPDATE profiles_profile p SET traits = t.j::jsonb, trait_meta = t.m::jsonb "
        "FROM unnest(%s::bigint[], %s::text[], %s::text[]) AS t(i, j, m) WHERE p.id = t.i",
        [
            ids,
            text_array(orjson.dumps(known[profile_id][0]).decode() for profile_id in profile_ids),
            text_array(orjson.dumps(known[profile_id][1]).decode() for profile_id in profile_ids),
        ],
    )
