"""Sessions (`$session`): the visits that the stored events make, kept in `profiles_session`.

A session is the tracks, pages and screens of one person at one source, in their order, in which each follows the one
before within less than the gap. It stands at the time of its first event. Identify, group and alias calls, which
servers and imports send at any time, are no visits. It is derived from the events alone, never from how they arrived.

Whatever adds events or joins people folds what is new into the sessions around it: a session has no silence inside, so
that its two ends tell as much as its events. Whatever takes events away computes the person's sessions anew from what
is left. The caller holds the lock `IDENTITY`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import connection
from django.utils import timezone

from cdp.core import locks
from cdp.core.copying import int_array
from cdp.core.models import Job
from cdp.core.services.jobs import enqueue
from profiles.models import EventType, SessionGap
from profiles.queries.sessions import session_gap

if TYPE_CHECKING:
    from profiles.services.record import Incoming

ACTIVE_TYPES = (int(EventType.TRACK), int(EventType.PAGE), int(EventType.SCREEN))
JOB = "profiles.compute-sessions"
CHUNK = 2_000
# An event without this in its context has no campaign; most have none, and are not read again for it.
CAMPAIGN = '"campaign"'

# Pieces are sessions: each new event by itself, and what is there already around them. The one that began last before
# a stretch is the only one that can reach into it.
FOLD = """
WITH given AS ({given}),
stretch AS (
    SELECT profile_id, source_id, min(occurred_at) - %(gap)s AS since, max(ended_at) + %(gap)s AS until
    FROM given GROUP BY profile_id, source_id
),
near AS (
    SELECT s.* FROM stretch r CROSS JOIN LATERAL (
        SELECT * FROM profiles_session s
        WHERE s.profile_id = r.profile_id AND s.source_id = r.source_id
            AND s.occurred_at < r.until AND s.ended_at > r.since AND s.occurred_at >= coalesce((
                SELECT max(occurred_at) FROM profiles_session
                WHERE profile_id = r.profile_id AND source_id = r.source_id AND occurred_at <= r.since), r.since)
    ) AS s
),
piece AS (
    SELECT profile_id, source_id, occurred_at, ended_at, id, events, campaign, NULL::timestamptz AS stood_at FROM given
    UNION ALL SELECT profile_id, source_id, occurred_at, ended_at, id, events, campaign, occurred_at FROM near
),
parted AS (
    SELECT *, occurred_at - max(ended_at) OVER (timeline ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) >= %(gap)s
        AS begins
    FROM piece WINDOW timeline AS (PARTITION BY profile_id, source_id ORDER BY occurred_at, id)
),
numbered AS (
    SELECT *, count(*) FILTER (WHERE begins) OVER (PARTITION BY profile_id, source_id ORDER BY occurred_at, id) AS place
    FROM parted
),
whole AS (
    SELECT profile_id, source_id, min(occurred_at) AS occurred_at, max(ended_at) AS ended_at,
        (array_agg(id ORDER BY occurred_at, id))[1] AS id, sum(events) AS events,
        (array_agg(campaign ORDER BY occurred_at, id))[1] AS campaign, array_agg(stood_at) AS stood_at
    FROM numbered GROUP BY profile_id, source_id, place
),
gone AS (
    DELETE FROM profiles_session s USING whole w CROSS JOIN LATERAL unnest(w.stood_at) AS o(stood_at)
    WHERE s.profile_id = w.profile_id AND s.source_id = w.source_id AND s.occurred_at = o.stood_at
        AND o.stood_at > w.occurred_at
)
INSERT INTO profiles_session AS s (profile_id, source_id, occurred_at, ended_at, id, events, campaign)
SELECT profile_id, source_id, occurred_at, ended_at, id, events, campaign FROM whole
ORDER BY profile_id, source_id, occurred_at
ON CONFLICT (profile_id, source_id, occurred_at) DO UPDATE SET
    ended_at = excluded.ended_at, id = excluded.id, events = excluded.events, campaign = excluded.campaign
WHERE s.events <> excluded.events
"""
# LATERAL … LIMIT 1 finds each event by its key in the one partition that has it.
EVENTS = """
    SELECT t.p AS profile_id, t.s AS source_id, t.at AS occurred_at, t.at AS ended_at, t.id, 1 AS events,
        CASE WHEN t.c THEN (SELECT context -> 'campaign' FROM profiles_event
            WHERE id = t.id AND occurred_at = t.at LIMIT 1) END AS campaign
    FROM unnest(%(ids)s::bigint[], %(profiles)s::bigint[], %(sources)s::int[], %(times)s::timestamptz[],
        %(campaigns)s::boolean[]) AS t(id, p, s, at, c)
"""
DROPPED = """
    DELETE FROM profiles_session s USING unnest(%(dropped)s::bigint[], %(kept)s::bigint[]) AS m(dropped, kept)
    WHERE s.profile_id = m.dropped
    RETURNING m.kept AS profile_id, s.source_id, s.occurred_at, s.ended_at, s.id, s.events, s.campaign
"""
FOLD_EVENTS = FOLD.format(given=EVENTS)
FOLD_DROPPED = FOLD.format(given=DROPPED)
FORGET = "DELETE FROM profiles_session WHERE profile_id = ANY(%s::bigint[])"
# One sort serves everything: what a session ends with is what its successor's first event looks back on.
COMPUTE = """
INSERT INTO profiles_session (profile_id, source_id, occurred_at, ended_at, id, events, campaign)
SELECT profile_id, source_id, occurred_at, coalesce(lead(before) OVER following, last_at), id,
    coalesce(lead(place) OVER following, total + 1) - place, campaign
FROM (
    SELECT e.id, e.profile_id, e.source_id, e.occurred_at, e.context -> 'campaign' AS campaign,
        lag(e.occurred_at) OVER timeline AS before, row_number() OVER timeline AS place,
        max(e.occurred_at) OVER (PARTITION BY e.profile_id, e.source_id) AS last_at,
        count(*) OVER (PARTITION BY e.profile_id, e.source_id) AS total
    FROM profiles_event e WHERE e.type IN (1, 3, 4) AND e.profile_id = ANY(%(ids)s::bigint[])
    WINDOW timeline AS (PARTITION BY e.profile_id, e.source_id ORDER BY e.occurred_at, e.id)
) AS seen
WHERE before IS NULL OR occurred_at - before >= %(gap)s
WINDOW following AS (PARTITION BY profile_id, source_id ORDER BY occurred_at, id)
"""
NOTE_WORK = """
INSERT INTO profiles_work (profile_id, names, since, message_id)
SELECT p, ARRAY['event:$session'], %s, '' FROM unnest(%s::bigint[]) AS p
WHERE EXISTS (SELECT FROM profiles_workinterest WHERE token = 'event:$session')
"""
NEXT = "SELECT profile_id FROM profiles_activity WHERE profile_id > %s ORDER BY profile_id LIMIT %s"


def record_sessions(cursor: Any, messages: Iterable["Incoming"]) -> None:
    """Fold stored messages into the sessions around them (one statement)."""
    active = [message for message in messages if message.type in ACTIVE_TYPES]
    if not active:
        return
    cursor.execute(
        FOLD_EVENTS,
        {
            "gap": session_gap(),
            "ids": int_array(message.event_id for message in active),
            "profiles": int_array(message.group.id for message in active),
            "sources": int_array(message.claim.source_id for message in active),
            "times": "{" + ",".join([message.occurred_text for message in active]) + "}",
            "campaigns": "{" + ",".join(["t" if CAMPAIGN in message.json_text else "f" for message in active]) + "}",
        },
    )


def join_sessions(cursor: Any, dropped: Mapping[int, int]) -> None:
    """Give the sessions of profiles that were dropped to those that keep their events (one statement)."""
    cursor.execute(
        FOLD_DROPPED,
        {"gap": session_gap(), "dropped": int_array(dropped), "kept": int_array(dropped.values())},
    )


def recompute_sessions(cursor: Any, profile_ids: Sequence[int]) -> None:
    """Compute the sessions of profiles from the events that they have (two statements)."""
    ids = int_array(profile_ids)
    cursor.execute(FORGET, [ids])
    cursor.execute(COMPUTE, {"gap": session_gap(), "ids": ids})


def prepare_sessions() -> None:
    """Have all sessions computed anew if the silence that ends them is another one than it was."""
    kept = SessionGap.objects.first()
    if kept is not None and kept.minutes == settings.CDP_SESSION_MINUTES:
        return
    if not Job.objects.filter(kind=JOB, status__in=[Job.Status.QUEUED, Job.Status.RUNNING]).exists():
        enqueue(kind=JOB, arguments={"minutes": settings.CDP_SESSION_MINUTES})


def compute_sessions_again(job: Job) -> bool:
    """Compute the sessions of one chunk of profiles anew, and tell the followers; True once all are done."""
    with connection.cursor() as cursor:
        locks.take(cursor, locks.IDENTITY)
        cursor.execute(NEXT, [job.progress.get("after", 0), CHUNK])
        ids = [row[0] for row in cursor.fetchall()]
        recompute_sessions(cursor, ids)
        cursor.execute(NOTE_WORK, [timezone.now(), int_array(ids)])
    if len(ids) < CHUNK:
        SessionGap.objects.update_or_create(pk=1, defaults={"minutes": job.arguments["minutes"]})
        return True
    job.progress = {"after": ids[-1]}
    return False
