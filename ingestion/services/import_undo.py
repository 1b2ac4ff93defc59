"""Taking back what imports gave: a whole import, or single records of a source. See `profiles.services.taking_back`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import F

from cdp.core import locks
from cdp.core.copying import bytea_array, int_array
from cdp.core.services import audit
from cdp.core.services.jobs import enqueue
from ingestion.errors import ImportConflict
from ingestion.models import Import, ImportChunk, Outcome
from ingestion.services.counting import count_moves
from ingestion.services.imports import UNDO_JOB, lock_import
from profiles.services.taking_back import Giver, take_events_back

OVER = (Import.Status.DONE, Import.Status.FAILED, Import.Status.CANCELLED)
UNDONE, DELETED = "import_undone", "record_deleted"
# Rejected, so that the same message may come in again.
RELEASE = f"""
UPDATE ingestion_message m SET outcome = {Outcome.REJECTED.value}, reason = %s, occurred_at = NULL
FROM (SELECT id, occurred_at FROM ingestion_message WHERE id = ANY(%s::bigint[])
    AND outcome = {Outcome.ACCEPTED.value} FOR UPDATE) AS old
WHERE m.id = old.id RETURNING m.id, old.occurred_at, m.source_id, m.received_at
"""
# Of the records with these lookups: the events that imports of the source made for them before the row that deletes.
RECORD_EVENTS = """
SELECT e.id, e.occurred_at FROM unnest(%s::bytea[], %s::bigint[]) AS t(lookup, before)
JOIN profiles_identifier i ON i.lookup = t.lookup
JOIN profiles_event e ON e.profile_id = i.profile_id AND e.source_id = %s AND e.identifiers @> ARRAY[i.id]
WHERE e.id < t.before
"""


def undo_import(*, import_id: int, actor: str, now: datetime) -> Import:
    """Begin to take back what an import gave; a job does it, chunk by chunk.

    Raises
    ------
    UnknownImport, ImportConflict
        There is none, or it is not over, or is taken back already.
    """
    with transaction.atomic():
        found = lock_import(import_id)
        if found.status not in OVER or found.began_at is None:
            message = "Only an import that is over can be taken back, and only once. Cancel one that runs first."
            raise ImportConflict(message)
        found.status = Import.Status.UNDOING
        found.save(update_fields=["status"])
        enqueue(kind=UNDO_JOB, arguments={"import": found.pk}, now=now)
        audit.record(
            actor=actor,
            action="import.undo_started",
            object=f"import:{import_id}",
            detail={"rows": found.rows},
            now=now,
        )
    return found


def undo_chunk(*, import_id: int, after: int, now: datetime) -> int | None:
    """Take the next chunk of rows back, in the caller's transaction.

    Parameters
    ----------
    after : int
        First row of the chunk before; 0 for the first.

    Returns
    -------
    int or None
        First row of this chunk; None when all are taken back.
    """
    with connection.cursor() as cursor:
        locks.take(cursor, locks.IDENTITY)
        found = lock_import(import_id)
        chunk = ImportChunk.objects.filter(owner_id=import_id, first_row__gt=after).order_by("first_row").first()
        if chunk is None:
            Import.objects.filter(pk=import_id).update(status=Import.Status.UNDONE)
            audit.record(
                actor="system",
                action="import.undone",
                object=f"import:{import_id}",
                detail={"rows": found.undone_rows},
                now=now,
            )
            return None
        assert found.source_id is not None
        ids = [one for one in chunk.event_ids if one]
        giver = Giver(found.source_id, found.began_at)
        _take_back(cursor, ids, giver, reason=UNDONE, detail={"import": import_id, "undone": True}, now=now)
        Import.objects.filter(pk=import_id).update(undone_rows=F("undone_rows") + len(chunk.outcomes))
        return chunk.first_row


def take_records_back(cursor: Any, *, source_id: int, gone: Mapping[bytes, int], import_id: int, now: datetime) -> None:
    """Take back what imports of a source gave for records that are gone there. The caller holds the lock `IDENTITY`.

    Parameters
    ----------
    gone : mapping
        Lookup of the record's `record_id` → id of the outcome row of the row that says so: what came later stays.
    """
    cursor.execute(RECORD_EVENTS, [bytea_array(gone), int_array(gone.values()), source_id])
    ids = [row[0] for row in cursor.fetchall()]
    detail = {"import": import_id, "deleted": True}
    _take_back(cursor, ids, Giver(source_id, None), reason=DELETED, detail=detail, now=now)


def _take_back(
    cursor: Any, ids: list[int], giver: Giver, *, reason: str, detail: dict[str, Any], now: datetime
) -> None:
    cursor.execute(RELEASE, [reason, int_array(ids)])
    rows = cursor.fetchall()
    count_moves((row[2], row[3], Outcome.ACCEPTED, Outcome.REJECTED) for row in rows)
    events = [(row[0], row[1]) for row in rows if row[1] is not None]
    take_events_back(cursor, events=events, giver=giver, now=now, detail=detail)
