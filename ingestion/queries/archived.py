"""Finding accepted messages as they were received."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from cdp.core.copying import int_array
from ingestion.errors import IngestionError
from ingestion.models import Archived, Message
from ingestion.spec.split import Batch, split_items

# A message is archived by the batch that accepts it: `archived_at` is its `processed_at`, which finds the partition.
OF_MESSAGES = """
SELECT a.first_id, a.archived_at, array_agg(m.id ORDER BY m.id)
FROM ingestion_message m
CROSS JOIN LATERAL (
    SELECT first_id, archived_at, last_id, removed FROM ingestion_archive
    WHERE archived_at = m.processed_at AND first_id <= m.id ORDER BY first_id DESC LIMIT 1
) a
WHERE m.id = ANY(%s::bigint[]) AND a.last_id >= m.id AND NOT coalesce(m.id = ANY(a.removed), false)
GROUP BY 1, 2 ORDER BY 1, 2
"""
OF_PROFILES = """
SELECT a.first_id, a.archived_at, array_agg(m.id ORDER BY m.id)
FROM profiles_event e
JOIN ingestion_message m ON m.id = e.id
CROSS JOIN LATERAL (
    SELECT first_id, archived_at, last_id, removed FROM ingestion_archive
    WHERE archived_at = m.processed_at AND first_id <= m.id ORDER BY first_id DESC LIMIT 1
) a
WHERE e.profile_id = ANY(%s::bigint[]) AND a.last_id >= m.id AND NOT coalesce(m.id = ANY(a.removed), false)
GROUP BY 1, 2 ORDER BY 1, 2
"""

Place = tuple[int, datetime, list[int]]
"""Key of an archive row (first id, time), and the ids of the messages meant in it."""


@dataclass(frozen=True, slots=True)
class Raw:
    """One message as it was received, and the request that brought it."""

    row_id: int
    item: dict[str, Any]
    batch: Batch
    source_id: int
    endpoint: str
    received_at: datetime
    items: int


def find_places(*, ids: Sequence[int]) -> list[Place]:
    """Return where in the archive messages are, by the ids of their rows."""
    with connection.cursor() as cursor:
        cursor.execute(OF_MESSAGES, [int_array(ids)])
        return list(cursor.fetchall())


def find_places_of(*, profile_ids: Sequence[int]) -> list[Place]:
    """Return where in the archive the messages of profiles are."""
    with connection.cursor() as cursor:
        cursor.execute(OF_PROFILES, [int_array(profile_ids)])
        return list(cursor.fetchall())


def find_raw(*, message: Message) -> Raw | None:
    """Return an accepted message as it was received; None if it is not kept any more."""
    places = find_places(ids=[message.pk])
    if not places:
        return None
    row = Archived.objects.filter(first_id=places[0][0], archived_at=places[0][1]).first()
    found = read_raws(row) if row is not None else []
    return next((raw for raw in found if raw.row_id == message.pk), None)


def read_raws(row: Archived) -> list[Raw]:
    """Return the messages of an archive row, without those that were taken out."""
    try:
        batch = split_items(bytes(row.body), row.endpoint, ip=row.ip, user_agent=row.user_agent)
    except IngestionError:
        return []
    return [
        Raw(row.first_id + place, item, batch, row.source_id, row.endpoint, row.received_at, len(batch.items))
        for place, item in enumerate(batch.items)
        if isinstance(item, dict)
    ]
