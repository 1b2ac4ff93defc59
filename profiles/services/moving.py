"""Events that are too many to move within a merge or split: moved afterwards by a job, in chunks."""

from datetime import datetime

from django.db import connection
from django.utils import timezone

from cdp.core import locks
from cdp.core.models import Job
from profiles.models import Merge
from profiles.services.splitting import note_work, recompute

CHUNK = 5_000
REPOINT = """
UPDATE profiles_event SET profile_id = %s WHERE (id, occurred_at) IN (
    SELECT id, occurred_at FROM profiles_event WHERE profile_id = %s LIMIT %s)
"""
MOVE_SPLIT = """
UPDATE profiles_event SET profile_id = %s WHERE (id, occurred_at) IN (
    SELECT id, occurred_at FROM profiles_event
    WHERE profile_id = %s AND identifiers[1] = ANY(%s::bigint[]) LIMIT %s)
"""


def repoint_events(job: Job) -> bool:
    """Move one chunk of an absorbed profile's events; True once all are moved and the merge is done."""
    arguments = job.arguments
    with connection.cursor() as cursor:
        locks.take(cursor, locks.IDENTITY)
        cursor.execute("SELECT profile_id FROM profiles_absorbedid WHERE merge_id = %s", [arguments["merge"]])
        row = cursor.fetchone()
        # The survivor may itself have been absorbed meanwhile.
        to_id = row[0] if row is not None else arguments["to"]
        cursor.execute(REPOINT, [to_id, arguments["from"], CHUNK])
        moved = cursor.rowcount
        # An order that was touched meanwhile went back to the side of its event.
        cursor.execute("UPDATE profiles_order SET profile_id = %s WHERE profile_id = %s", [to_id, arguments["from"]])
        if moved == CHUNK:
            return False
        Merge.objects.filter(pk=arguments["merge"]).update(state=Merge.State.DONE)
        note_work(cursor, [to_id], "merge", _now())
    return True


def move_split_events(job: Job) -> bool:
    """Move one chunk of a split-off side's events; True once all are moved."""
    arguments = job.arguments
    with connection.cursor() as cursor:
        locks.take(cursor, locks.IDENTITY)
        cursor.execute(MOVE_SPLIT, [arguments["to"], arguments["from"], arguments["identifiers"], CHUNK])
        if cursor.rowcount == CHUNK:
            return False
        recompute(cursor, [arguments["from"], arguments["to"]])
        note_work(cursor, [arguments["from"], arguments["to"]], "split", _now())
    return True


def _now() -> datetime:
    return timezone.now()
