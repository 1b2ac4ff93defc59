"""Taking identifiers off a profile into one of their own. The caller holds the lock `IDENTITY`.

Used by the undo of a merge, by a steward's split and by a blocked edge: each blocks edges, and what then hangs together
moves.
"""

import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from cdp.core.copying import int_array, text_array
from cdp.core.registries import SplitPair, merge_participants
from cdp.core.services.jobs import enqueue
from profiles.identity.components import Edge
from profiles.models import ChangeKind, EventType
from profiles.queries.sides import list_absorbed
from profiles.queries.statements import read_corrections
from profiles.queries.trait_rules import read_rules
from profiles.services.groups import move_memberships
from profiles.services.merging import EVENTS_AT_ONCE, write_changes
from profiles.services.orders import rehome_orders
from profiles.services.sessions import recompute_sessions
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


LOCK = "SELECT id FROM profiles_profile WHERE id = ANY(%s::bigint[]) ORDER BY id FOR UPDATE"
BLOCK = """
UPDATE profiles_edge e SET state = 3, blocked_at = %s, blocked_by = %s, blocked_for = %s, block_reason = %s
FROM unnest(%s::bigint[], %s::bigint[]) AS t(a, b) WHERE e.a = t.a AND e.b = t.b
"""
MAKE_PROFILE = """
INSERT INTO profiles_profile (id, uuid, created_at, restricted, traits, trait_meta)
SELECT %s, %s, %s, restricted, '{}', '{}' FROM profiles_profile WHERE id = %s
"""
RENAME = "UPDATE profiles_profile SET uuid = %s, created_at = %s WHERE id = %s"
MOVE_ABSORBED = """
UPDATE profiles_absorbedid x SET profile_id = t.p FROM unnest(%s::uuid[], %s::bigint[]) AS t(u, p) WHERE x.uuid = t.u
"""
HOLDERS = "SELECT id, profile_id FROM profiles_identifier WHERE profile_id = ANY(%s::bigint[])"


@dataclass(frozen=True, slots=True)
class Identity:
    """The public id and age that a profile is to have."""

    uuid: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Moving:
    """Identifiers that leave `from_id`, and what they become.

    Attributes
    ----------
    identity : Identity or None
        The public id and age of the profile that they make; None for a fresh one.
    to_id : int or None
        Its internal id: one that a merge had dropped; None for a fresh one.
    staying : Identity or None
        The public id and age that `from_id` goes on with, where it gives its own away.
    merge_id : int or None
        The merge that is undone, if it is one.
    """

    from_id: int
    identifiers: set[int]
    identity: Identity | None = None
    to_id: int | None = None
    staying: Identity | None = None
    merge_id: int | None = None


@dataclass(frozen=True, slots=True)
class Separated:
    """The profile that identifiers were moved into; `is_pending` while their events are still to follow."""

    profile_id: int
    uuid: str
    is_pending: bool


@dataclass(frozen=True, slots=True)
class Act:
    """Who blocks edges, by which act, when and why."""

    name: str
    actor: str
    now: datetime
    reason: str = ""


def lock_profiles(cursor: Any, profile_ids: Iterable[int]) -> None:
    """Hold the rows of profiles: a decision about consent, which takes no other lock, comes before or after."""
    cursor.execute(LOCK, [int_array(profile_ids)])


def block_edges(cursor: Any, edges: set[Edge], *, act: Act) -> None:
    """Retract edges and block them: later messages do not join these identifiers again."""
    ends = [int_array(edge[place] for edge in edges) for place in (0, 1)]
    cursor.execute(BLOCK, [act.now, act.actor, act.name, act.reason, *ends])


def split_off(cursor: Any, moving: Moving, *, now: datetime, detail: dict[str, Any]) -> Separated:
    """Move identifiers, with all that came with them, into a profile of their own.

    Parameters
    ----------
    moving : Moving
        Some, not all, of a profile's identifiers.
    detail : dict
        For the rows of history.

    Notes
    -----
    More events than `EVENTS_AT_ONCE` are moved afterwards by a job; everything else is done at once.
    """
    from_id, moved = moving.from_id, moving.identifiers
    to_id = moving.to_id
    if to_id is None:
        cursor.execute("SELECT nextval('profiles_profile_id_seq')")
        to_id = cursor.fetchone()[0]
    assert to_id is not None
    identity = moving.identity or Identity(str(uuid.uuid4()), now)
    if moving.staying is not None:
        cursor.execute(RENAME, [moving.staying.uuid, moving.staying.created_at, from_id])
    cursor.execute(MAKE_PROFILE, [to_id, identity.uuid, identity.created_at, from_id])
    ids = int_array(moved)
    cursor.execute("UPDATE profiles_identifier SET profile_id = %s WHERE id = ANY(%s::bigint[])", [to_id, ids])
    move_memberships(cursor, identifier_ids=moved, to_id=to_id)
    cursor.execute(MOVE_CORRECTIONS, [to_id, from_id, ids])
    return_absorbed_ids(cursor, [from_id, to_id])
    cursor.execute("SELECT coalesce(max(event_count), 0) FROM profiles_activity WHERE profile_id = %s", [from_id])
    is_pending = cursor.fetchone()[0] > EVENTS_AT_ONCE
    if not is_pending:
        cursor.execute(MOVE_EVENTS, [to_id, from_id, ids])
        recompute(cursor, [from_id, to_id])
    else:
        arguments = {"from": from_id, "to": to_id, "merge": moving.merge_id}
        enqueue(kind="profiles.move-split-events", arguments=arguments, run_at=now)
    pairs = [SplitPair(from_id, to_id, tuple(sorted(moved)))]
    for participant in merge_participants:
        participant.on_split(pairs=pairs, now=now)
    write_changes(cursor, [(from_id, ChangeKind.SPLIT, detail), (to_id, ChangeKind.SPLIT, detail)], now)
    note_work(cursor, [from_id, to_id], "split", now)
    return Separated(to_id, identity.uuid, is_pending)


def return_absorbed_ids(cursor: Any, profile_ids: Sequence[int]) -> None:
    """Let absorbed public ids resolve to where the identifiers are that were theirs."""
    absorbed = list_absorbed(cursor, profile_ids)
    if not absorbed:
        return
    cursor.execute(HOLDERS, [int_array(profile_ids)])
    holders = dict(cursor.fetchall())
    found = {}
    for one in absorbed:
        where = Counter(holders[identifier] for identifier in one.own if identifier in holders)
        if where:
            found[one.uuid] = where.most_common(1)[0][0]
    cursor.execute(MOVE_ABSORBED, [list(found), int_array(found.values())])


def inherit_history(cursor: Any, dropped_id: int, to_id: int) -> None:
    """Give the history that was written under an internal id that no longer exists to a profile."""
    cursor.execute("UPDATE profiles_change SET profile_id = %s WHERE profile_id = %s", [to_id, dropped_id])


def note_work(cursor: Any, profile_ids: Sequence[int], token: str, now: datetime) -> None:
    """Tell the followers, if there are any, to look at profiles anew."""
    cursor.execute(
        "INSERT INTO profiles_work (profile_id, names, since, message_id) "
        "SELECT p, ARRAY[%s], %s, '' FROM unnest(%s::bigint[]) AS p WHERE EXISTS (SELECT FROM profiles_workinterest)",
        [token, now, int_array(profile_ids)],
    )


def recompute(cursor: Any, profile_ids: Sequence[int]) -> None:
    """Compute activity and traits of profiles from their events, and let their orders and sessions follow."""
    ids = int_array(profile_ids)
    cursor.execute("DELETE FROM profiles_activity WHERE profile_id = ANY(%s::bigint[])", [ids])
    cursor.execute(RECOUNT, [ids])
    recompute_traits(cursor, profile_ids)


def recompute_traits(cursor: Any, profile_ids: Sequence[int]) -> None:
    """Compute the traits of profiles from their events, and let their orders and sessions follow."""
    ids = int_array(profile_ids)
    known: dict[int, tuple[Traits, Meta]] = {profile_id: ({}, {}) for profile_id in profile_ids}
    rehome_orders(cursor, profile_ids)
    recompute_sessions(cursor, profile_ids)
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
