"""Taking messages out of the archive: those of an erased person, and those that mention one."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from cdp.core.registries import Mentions
from ingestion.errors import IngestionError
from ingestion.models import Archived, ForwardedCopy
from ingestion.partitions import PARENT
from ingestion.queries.archived import Place
from ingestion.services.archive import PARTITIONS
from ingestion.services.forward_bodies import without_items
from ingestion.spec.soundness import pack
from ingestion.spec.split import Batch, split_items

# Bodies are read and written again, so this many at once.
CHUNK = 50


def take_out(places: Iterable[Place]) -> int:
    """Take messages out of the archive, within the caller's transaction; return how many there were.

    The others keep their positions, and with them their ids.
    """
    count = 0
    for first_id, archived_at, ids in places:
        row = _hold(first_id, archived_at)
        if row is None:
            continue
        known = set(row.removed or ())
        gone = known.union(ids)
        count += len(gone - known)
        _keep_others(row, gone)
    return count


def take_out_mentions(mentions: Mentions, keep_alive: Callable[[], None]) -> int:
    """Take out every message that mentions a person, whoever sent it; return how many there were.

    Outside of any lock: every body of the archive is searched.
    """
    count = 0
    with connection.cursor() as cursor:
        cursor.execute(PARTITIONS, [PARENT])
        for (partition,) in cursor.fetchall():
            keep_alive()
            cursor.execute(
                f"SELECT first_id, archived_at FROM {partition} "
                "WHERE lower(encode(body, 'escape') COLLATE \"C\") LIKE ANY(%s) ORDER BY first_id",
                [mentions.patterns],
            )
            found = cursor.fetchall()
            for start in range(0, len(found), CHUNK):
                keep_alive()
                with transaction.atomic():
                    count += sum(_redact(key, mentions) for key in found[start : start + CHUNK])
    return count


def take_out_of_copies(mentions: Mentions, keep_alive: Callable[[], None]) -> int:
    """Take every message that mentions a person out of the copies that wait to be forwarded; return how many copies.

    Outside of any lock, as `take_out_mentions`.
    """
    keep_alive()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM ingestion_forwardedcopy "
            "WHERE lower(encode(body, 'escape') COLLATE \"C\") LIKE ANY(%s) ORDER BY id",
            [mentions.patterns],
        )
        found = [row[0] for row in cursor.fetchall()]
    count = 0
    for start in range(0, len(found), CHUNK):
        keep_alive()
        with transaction.atomic():
            rows = ForwardedCopy.objects.select_for_update().filter(pk__in=found[start : start + CHUNK]).order_by("pk")
            for row in rows:
                if not mentions.found_in(bytes(row.body)):
                    continue
                count += 1
                left = without_items(bytes(row.body), row.endpoint, mentions.found_in)
                if left is None or mentions.found_in(left):
                    row.delete()
                else:
                    row.body, row.size = left, len(left)
                    row.save(update_fields=["body", "size"])
    return count


def _redact(key: tuple[int, datetime], mentions: Mentions) -> int:
    row = _hold(*key)
    if row is None or not mentions.found_in(bytes(row.body)):
        return 0
    known = set(row.removed or ())
    every = set(range(row.first_id, row.last_id + 1))
    batch = _read(row)
    if batch is None or mentions.found_in(pack([batch.context, batch.integrations])):
        gone = every
    else:
        named = (place for place, item in enumerate(batch.items) if mentions.found_in(pack(item)))
        gone = known.union(row.first_id + place for place in named)
    # Even where no item holds the mention, what stands beside the items is gone afterwards.
    _keep_others(row, gone)
    return max(len(gone - known), 1)


def _keep_others(row: Archived, gone: set[int]) -> None:
    """Write the row again without some of its messages; without any left, delete it."""
    key = Archived.objects.filter(first_id=row.first_id, archived_at=row.archived_at)
    batch = _read(row)
    if batch is None or batch.endpoint_type or gone.issuperset(range(row.first_id, row.last_id + 1)):
        key.delete()
        return
    body: dict[str, Any] = {
        "batch": [None if row.first_id + place in gone else item for place, item in enumerate(batch.items)],
        "context": batch.context,
        "integrations": batch.integrations,
    }
    if batch.sent_at is not None:
        body["sentAt"] = batch.sent_at.isoformat()
    key.update(body=pack(body), removed=sorted(gone))


def _read(row: Archived) -> Batch | None:
    try:
        return split_items(bytes(row.body), row.endpoint)
    except IngestionError:
        return None


def _hold(first_id: int, archived_at: datetime) -> Archived | None:
    return Archived.objects.select_for_update().filter(first_id=first_id, archived_at=archived_at).first()
