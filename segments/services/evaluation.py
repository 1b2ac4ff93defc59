"""Writing membership: one statement finds who enters and who leaves, and writes rows, history and next checks.

Callers hold the advisory lock `segments`, so that evaluation is single-file.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from cdp.core.copying import int_array, text_array
from profiles.models import ChangeKind
from segments.language.compile import compile_membership
from segments.language.plan import Setting
from segments.language.rfm import next_day_sql
from segments.language.windows import earliest
from segments.models import MembershipChange, Segment
from segments.queries.segments import LiveSegment

ENTERED, LEFT = MembershipChange.Kind.ENTERED, MembershipChange.Kind.LEFT
# More changes than this in one segment are followed in others by looking at everyone.
FOLLOWED_CHANGES = 20_000
WORK_MEMORY = "128MB"
# Where one change moves everybody, the next look at everyone waits so many times as long as the last one took: it never
# takes more than a small share of the machine.
PACE = 20


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a membership is looked at: `event`, `trait`, `consent`, `time`, `merge`, `definition`, …, and the message."""

    kind: str
    message_id: str = ""


Changes = list[tuple[int, int]]
Clock = Callable[[], datetime]
# Work of the form `members:SEGMENT_ID:DELTA`: merges and erasures hold the lock `identity`, and must not wait for the
# row of a segment that is being computed.
COUNT_PREFIX = "members"

# Naming the profiles again keeps their keys in the scans of the index. Of a segment that has just gone live the planner
# believes that it has a row or none, and would read all of its rows instead, once for each profile.
STATE_OF_SOME = """
asked as (
    select * from unnest(%(apply_ids)s::bigint[], %(apply_kinds)s::text[], %(apply_messages)s::text[])
        as a(profile_id, reason, message_id)
),
state as (
    select a.profile_id, p.uuid, a.reason, a.message_id, coalesce(e.member, false) as member, e.next_at,
        m.since is not null as was_member
    from asked a
    left join evaluated e on e.profile_id = a.profile_id
    left join segments_membership m on m.segment_id = %(apply_segment)s and m.profile_id = a.profile_id
        and m.profile_id = any(%(apply_ids)s::bigint[])
    left join profiles_profile p on p.id = a.profile_id
)"""
AMONG_SOME = " and m.profile_id = any(%(apply_ids)s::bigint[])"
WAIT_OF_SOME = """
waiting as (
    insert into segments_nextcheck (segment_id, profile_id, at)
    select %(apply_segment)s, profile_id, next_at from state where next_at is not null
    on conflict (segment_id, profile_id) do update set at = excluded.at where segments_nextcheck.at <> excluded.at
),
settled as (
    delete from segments_nextcheck n using state s
    where n.segment_id = %(apply_segment)s and n.profile_id = s.profile_id and s.next_at is null
        and n.profile_id = any(%(apply_ids)s::bigint[])
)"""

STATE_OF_ALL = """
known as (
    select profile_id from segments_membership where segment_id = %(apply_segment)s
),
state as (
    select coalesce(e.profile_id, m.profile_id) as profile_id, p.uuid, %(apply_reason)s as reason, '' as message_id,
        coalesce(e.member, false) as member, e.next_at, m.profile_id is not null as was_member
    from evaluated e
    full join known m on m.profile_id = e.profile_id
    left join profiles_profile p on p.id = coalesce(e.profile_id, m.profile_id)
)"""
# Most moments are the same as before: only what differs is written.
WAIT_OF_ALL = """
checks as (
    select coalesce(e.profile_id, n.profile_id) as profile_id, e.next_at, n.at
    from (select profile_id, next_at from evaluated where next_at is not null) e
    full join (select profile_id, at from segments_nextcheck where segment_id = %(apply_segment)s) n
        on n.profile_id = e.profile_id
    where e.next_at is distinct from n.at
),
waiting as (
    insert into segments_nextcheck (segment_id, profile_id, at)
    select %(apply_segment)s, profile_id, next_at from checks where next_at is not null
    on conflict (segment_id, profile_id) do update set at = excluded.at
),
settled as (
    delete from segments_nextcheck n using checks c
    where n.segment_id = %(apply_segment)s and n.profile_id = c.profile_id and c.next_at is null
)"""

APPLY = """
with evaluated as materialized (
{evaluated}
),{state},
entered as (
    insert into segments_membership (segment_id, profile_id, since)
    select %(apply_segment)s, profile_id, %(apply_now)s from state where member and not was_member
    on conflict do nothing
    returning profile_id
),
gone as (
    delete from segments_membership m using state s
    where m.segment_id = %(apply_segment)s and m.profile_id = s.profile_id and s.was_member and not s.member{among}
    returning m.profile_id
),
changed as (
    select profile_id, {entered_kind} as kind from entered union all select profile_id, {left_kind} from gone
),
history as (
    insert into segments_membershipchange (segment_id, profile_id, profile_uuid, kind, at, reason)
    select %(apply_segment)s, c.profile_id, s.uuid, c.kind, %(apply_now)s,
        jsonb_strip_nulls(jsonb_build_object('kind', s.reason, 'message_id', nullif(s.message_id, '')))
    from changed c join state s on s.profile_id = c.profile_id where s.uuid is not null
),
profile_history as (
    insert into profiles_change (profile_id, kind, at, detail)
    select c.profile_id, case c.kind when {entered_kind} then {profile_entered} else {profile_left} end, %(apply_now)s,
        jsonb_build_object('segment', %(apply_key)s::text, 'reason', s.reason)
    from changed c join state s on s.profile_id = c.profile_id where s.uuid is not null
),
{waits}
"""
KINDS: Mapping[str, int] = {
    "entered_kind": int(ENTERED),
    "left_kind": int(LEFT),
    "profile_entered": int(ChangeKind.ENTERED),
    "profile_left": int(ChangeKind.LEFT),
}
SETTLE_ALL = "DELETE FROM segments_nextcheck WHERE segment_id = %s"
NOTE_SOME = """
UPDATE segments_segment s SET member_count = s.member_count + t.change, computed_at = greatest(s.computed_at, %s)
FROM unnest(%s::int[], %s::int[]) AS t(id, change) WHERE s.id = t.id
"""
# What merges and erasures took away and is still waiting to be subtracted must not be subtracted twice.
NOTE_ALL = """
UPDATE segments_segment SET member_count = (SELECT count(*) FROM segments_membership WHERE segment_id = %(id)s) - (
        SELECT coalesce(sum(split_part(name, ':', 3)::int), 0) FROM profiles_work, unnest(names) AS name
        WHERE name LIKE 'members:' || %(id)s || ':%%'
    ),
    live_version = %(version)s, computed_at = %(now)s, next_run_at = %(next_run)s, compute_seconds = %(seconds)s,
    stale = false
WHERE id = %(id)s
"""


def prepare_session(cursor: Any) -> None:
    """Let the transaction's statements hash large sets in memory; compiling them would cost more than it saves."""
    cursor.execute(f"SET LOCAL work_mem = '{WORK_MEMORY}'; SET LOCAL jit = off")


def evaluate_some(segment: LiveSegment, asked: Mapping[int, Reason], *, now: datetime, setting: Setting) -> Changes:
    """Bring the membership of some profiles up to date.

    Parameters
    ----------
    asked : mapping
        Internal profile ids, each with the reason that is written if its membership changes.

    Returns
    -------
    list of (int, int)
        Profile id and kind of each change.
    """
    compiled = compile_membership(segment.definition, now=now, setting=setting, some=True)
    statement = (
        APPLY.format(evaluated=compiled.sql, state=STATE_OF_SOME, waits=WAIT_OF_SOME, among=AMONG_SOME, **KINDS)
        + "select profile_id, kind from changed"
    )
    ids = int_array(asked)
    with connection.cursor() as cursor:
        cursor.execute(
            statement,
            {
                **compiled.parameters,
                "profile_ids": ids,
                "apply_ids": ids,
                "apply_kinds": text_array(reason.kind for reason in asked.values()),
                "apply_messages": text_array(reason.message_id for reason in asked.values()),
                "apply_segment": segment.id,
                "apply_key": segment.key,
                "apply_now": now,
            },
        )
        return cursor.fetchall()


def evaluate_all(segment: LiveSegment, *, reason: str, now: datetime, setting: Setting) -> Changes | None:
    """Compute the membership of everyone anew.

    Returns
    -------
    list of (int, int) or None
        The changes; None if there are more than `FOLLOWED_CHANGES`.
    """
    compiled = compile_membership(segment.definition, now=now, setting=setting)
    statement = APPLY.format(evaluated=compiled.sql, state=STATE_OF_ALL, waits=WAIT_OF_ALL, among="", **KINDS)
    statement += f"select profile_id, kind, count(*) over () from changed limit {FOLLOWED_CHANGES + 1}"
    began = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute(
            statement,
            {
                **compiled.parameters,
                "apply_reason": reason,
                "apply_segment": segment.id,
                "apply_key": segment.key,
                "apply_now": now,
            },
        )
        rows = cursor.fetchall()
        seconds = time.perf_counter() - began
        next_run = earliest([compiled.runs_at, next_rank(cursor, ranked=segment.is_ranked, now=now, seconds=seconds)])
        noted: dict[str, Any] = {
            "id": segment.id,
            "version": segment.version,
            "now": now,
            "next_run": next_run,
            "seconds": seconds,
        }
        cursor.execute(NOTE_ALL, noted)
    return None if len(rows) > FOLLOWED_CHANGES else [(row[0], row[1]) for row in rows]


def next_rank(cursor: Any, *, ranked: bool, now: datetime, seconds: float) -> datetime | None:
    """Return when the passing of days next moves a rank; where looking at everyone takes long, at leisure (`PACE`)."""
    if not ranked:
        return None
    cursor.execute(next_day_sql("%(now)s"), {"now": now})
    at: datetime | None = cursor.fetchone()[0]
    return None if at is None else max(at, now + PACE * timedelta(seconds=seconds))


def note_evaluated(changes: Mapping[int, Changes], *, others: Mapping[int, int], now: datetime) -> None:
    """Bring the counts of segments up to date, in one statement.

    Parameters
    ----------
    changes : mapping
        Of the segments in which some profiles were evaluated.
    others : mapping
        What else changed the number of members, by segment id.
    """
    deltas = {id: sum(1 if kind == ENTERED else -1 for _, kind in found) for id, found in changes.items()}
    for id, delta in others.items():
        deltas[id] = deltas.get(id, 0) + delta
    if deltas:
        ids = sorted(deltas)
        with connection.cursor() as cursor:
            cursor.execute(NOTE_SOME, [now, int_array(ids), int_array(deltas[id] for id in ids)])


def forget_members(segment: Segment, *, reason: str, now: datetime) -> None:
    """Let everyone leave a segment that is no longer live."""
    with connection.cursor() as cursor:
        parameters: dict[str, Any] = {"id": segment.pk, "key": segment.key, "now": now, "reason": reason}
        cursor.execute(FORGET, parameters)
        cursor.execute(SETTLE_ALL, [segment.pk])
    Segment.objects.filter(pk=segment.pk).update(member_count=0, live_version=None, next_run_at=None)


FORGET = f"""
with gone as (
    delete from segments_membership where segment_id = %(id)s returning profile_id
),
known as (
    select g.profile_id, p.uuid from gone g join profiles_profile p on p.id = g.profile_id
),
history as (
    insert into segments_membershipchange (segment_id, profile_id, profile_uuid, kind, at, reason)
    select %(id)s, profile_id, uuid, {int(LEFT)}, %(now)s, jsonb_build_object('kind', %(reason)s::text) from known
)
insert into profiles_change (profile_id, kind, at, detail)
select profile_id, {int(ChangeKind.LEFT)}, %(now)s,
    jsonb_build_object('segment', %(key)s::text, 'reason', %(reason)s::text)
from known
"""
