"""Events that are too many to move within a merge or split: moved afterwards by a job, in chunks.

An event belongs to the holder of its strongest identifier. A step looks for events of which that is not true, without
any lock, and moves them a chunk at a time under `IDENTITY`: so whatever happens to the profiles meanwhile (another
merge, an undo), each event ends where its identifier is, and a step may be run twice.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from cdp.core import locks
from cdp.core.copying import int_array
from cdp.core.models import Job
from profiles.models import Merge
from profiles.services.orders import rehome_orders
from profiles.services.sessions import recompute_sessions
from profiles.services.splitting import lock_profiles, note_work, recompute_traits

# Some 0.1 s under the lock.
CHUNK = 4_000
CHUNKS_A_STEP = 10
KINDS = ("profiles.repoint-events", "profiles.move-split-events")
STRAY = """
SELECT e.id, e.occurred_at FROM profiles_event e WHERE e.profile_id = %s
    AND NOT EXISTS (SELECT FROM profiles_identifier i WHERE i.profile_id = %s AND i.id = e.identifiers[1]) LIMIT %s
"""
# The bounds let the planner leave partitions out.
MOVE = """
UPDATE profiles_event e SET profile_id = i.profile_id
FROM unnest(%(ids)s::bigint[], %(times)s::timestamptz[]) AS t(id, at), profiles_identifier i
WHERE e.id = t.id AND e.occurred_at = t.at AND e.occurred_at BETWEEN %(first)s AND %(last)s
    AND e.profile_id = %(was)s AND i.id = e.identifiers[1] AND i.profile_id <> %(was)s
RETURNING e.profile_id, e.occurred_at
"""
RESOLVE = """
SELECT id FROM profiles_profile WHERE id = %(id)s
UNION ALL SELECT profile_id FROM profiles_absorbedid WHERE dropped_id = %(id)s
"""
GIVE = """
INSERT INTO profiles_activity (profile_id, first_event_at, last_event_at, event_count) VALUES (%s, %s, %s, %s)
ON CONFLICT (profile_id) DO UPDATE SET
    first_event_at = least(profiles_activity.first_event_at, excluded.first_event_at),
    last_event_at = greatest(profiles_activity.last_event_at, excluded.last_event_at),
    event_count = profiles_activity.event_count + excluded.event_count
"""
TAKE = "UPDATE profiles_activity SET event_count = event_count - %s WHERE profile_id = %s"
# Partitions are in the order of time, so the first one that holds an event of the profile ends each search.
BOUNDS = """
UPDATE profiles_activity a SET first_event_at = b.first_at, last_event_at = b.last_at
FROM (
    SELECT p, (SELECT occurred_at FROM profiles_event WHERE profile_id = p ORDER BY occurred_at LIMIT 1) AS first_at,
        (SELECT occurred_at FROM profiles_event WHERE profile_id = p ORDER BY occurred_at DESC LIMIT 1) AS last_at
    FROM unnest(%s::bigint[]) AS p
) AS b WHERE a.profile_id = b.p AND b.first_at IS NOT NULL
"""


def repoint_events(job: Job) -> bool:
    """Move some events of the profile that a merge dropped; True once all are moved and the merge is done."""
    if _move_some(job):
        return False
    with transaction.atomic(), connection.cursor() as cursor:
        locks.take(cursor, locks.IDENTITY)
        to_id = resolve_id(cursor, job.arguments["from"])
        if to_id is not None:
            sides = [job.arguments["from"], to_id]
            # An order that was touched meanwhile went back to the side of its event, and a session with its profile.
            rehome_orders(cursor, sides)
            recompute_sessions(cursor, sides)
            note_work(cursor, [to_id], "merge", timezone.now())
        Merge.objects.filter(pk=job.arguments["merge"]).update(state=Merge.State.DONE)
    return True


def move_split_events(job: Job) -> bool:
    """Move some events of identifiers that were split off; True once all are moved and both profiles are right."""
    if _move_some(job):
        return False
    with transaction.atomic(), connection.cursor() as cursor:
        locks.take(cursor, locks.IDENTITY)
        found = (resolve_id(cursor, job.arguments[side]) for side in ("from", "to"))
        ids = sorted({profile_id for profile_id in found if profile_id is not None})
        lock_profiles(cursor, ids)
        cursor.execute("DELETE FROM profiles_activity WHERE event_count <= 0 AND profile_id = ANY(%s)", [ids])
        cursor.execute(BOUNDS, [int_array(ids)])
        recompute_traits(cursor, ids)
        note_work(cursor, ids, "split", timezone.now())
        if job.arguments.get("merge"):
            Merge.objects.filter(pk=job.arguments["merge"]).update(state=Merge.State.DONE)
    return True


def is_moving(cursor: Any, profile_ids: Iterable[int]) -> bool:
    """Tell whether events of profiles are still to be moved."""
    return bool(_jobs_of(cursor, set(profile_ids)))


def finish_moves(*, profile_ids: Iterable[int], keep_alive: Callable[[], None]) -> None:
    """Move at once what jobs have still to move from or to profiles.

    Parameters
    ----------
    keep_alive : callable
        Called between the parts of the work.
    """
    steps: dict[str, Callable[[Job], bool]] = dict(zip(KINDS, (repoint_events, move_split_events), strict=True))
    with connection.cursor() as cursor:
        jobs = _jobs_of(cursor, set(profile_ids))
    for job in jobs:
        while not steps[job.kind](job):
            keep_alive()


def resolve_id(cursor: Any, profile_id: int) -> int | None:
    """Return the profile that an internal id belongs to now; None if it was erased."""
    cursor.execute(RESOLVE, {"id": profile_id})
    row: tuple[int] | None = cursor.fetchone()
    return row[0] if row else None


def _jobs_of(cursor: Any, profile_ids: set[int]) -> list[Job]:
    found = []
    for job in Job.objects.filter(kind__in=KINDS).exclude(status=Job.Status.DONE).order_by("id"):
        named = [job.arguments[side] for side in ("from", "to") if side in job.arguments]
        if profile_ids & {*named, *(resolve_id(cursor, one) for one in named)}:
            found.append(job)
    return found


def _move_some(job: Job) -> int:
    """Move up to a step's worth of events that are not where their strongest identifier is."""
    from_id = job.arguments["from"]
    with connection.cursor() as cursor:
        places = dict.fromkeys([from_id, resolve_id(cursor, from_id)])
    moved = 0
    for place in places:
        if place is None:
            continue
        with connection.cursor() as cursor:
            cursor.execute(STRAY, [place, place, CHUNK * CHUNKS_A_STEP])
            stray = sorted(cursor.fetchall(), key=lambda row: row[1])
        for start in range(0, len(stray), CHUNK):
            moved += _move_chunk(place, stray[start : start + CHUNK])
        if moved:
            break
    job.progress = {"moved": job.progress.get("moved", 0) + moved}
    return moved


def _move_chunk(was: int, events: list[tuple[int, datetime]]) -> int:
    """Move events to the holders of their strongest identifiers, and let the numbers of events follow."""
    with transaction.atomic(), connection.cursor() as cursor:
        locks.take(cursor, locks.IDENTITY)
        times = [moment for _, moment in events]
        cursor.execute(
            MOVE,
            {
                "ids": int_array(row[0] for row in events),
                "times": times,
                "first": times[0],
                "last": times[-1],
                "was": was,
            },
        )
        rows = cursor.fetchall()
        # A profile that was merged counts the events of the id that it dropped already.
        counted_at = resolve_id(cursor, was)
        spans: dict[int, list[datetime]] = defaultdict(list)
        for holder, moment in rows:
            spans[holder].append(moment)
        for holder, moments in sorted(spans.items()):
            if holder == counted_at:
                continue
            cursor.execute(GIVE, [holder, min(moments), max(moments), len(moments)])
            if counted_at is not None:
                cursor.execute(TAKE, [len(moments), counted_at])
    return len(rows)
