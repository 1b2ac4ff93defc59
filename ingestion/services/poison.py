"""What the processor cannot handle is set aside, so that nothing stands behind it; nothing is lost.

A batch that fails is tried again request by request; one whose worker was killed in ever smaller parts. A request that
fails three times is divided into its items; an item that still fails is quarantined with the kind of error (never its
text, which can hold values).
"""

import logging
import uuid
from datetime import datetime
from typing import Any

from django.db import transaction

from cdp.core.digests import message_digest
from ingestion.errors import IngestionError
from ingestion.models import InboxEntry, Message, Outcome, OutcomeCount, Quarantined
from ingestion.spec.message import BadItem
from ingestion.spec.soundness import pack
from ingestion.spec.split import split_items

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 3
CODE = "processing_failed"


def set_aside(*, inbox_id: int, fault: str, now: datetime) -> bool:
    """Note a failed attempt; after the last one divide the request, or quarantine its only item.

    Returns
    -------
    bool
        Whether the request is still there, to be tried again.
    """
    with transaction.atomic():
        entry = InboxEntry.objects.select_for_update().filter(pk=inbox_id).first()
        if entry is None:
            return False
        entry.attempts += 1
        logger.warning("processing failed: request %s, attempt %s, %s", inbox_id, entry.attempts, fault)
        if entry.attempts < MAX_ATTEMPTS:
            entry.save(update_fields=["attempts"])
            return True
        if entry.items > 1 and _divide(entry):
            entry.delete()
        else:
            _quarantine(entry, fault, now)
            entry.delete()
        return False


def _divide(entry: InboxEntry) -> bool:
    """Put each item into the inbox as a request of its own."""
    try:
        batch = split_items(bytes(entry.body), entry.endpoint)
    except IngestionError:
        return False
    shared: dict[str, Any] = {"context": batch.context, "integrations": batch.integrations}
    if batch.sent_at is not None:
        shared["sentAt"] = batch.sent_at.isoformat()
    InboxEntry.objects.bulk_create(
        InboxEntry(
            source_id=entry.source_id,
            received_at=entry.received_at,
            endpoint="batch",
            items=1,
            body=pack({"batch": [item.item if isinstance(item, BadItem) else item], **shared}),
            ip=entry.ip,
            user_agent=entry.user_agent,
            attempts=MAX_ATTEMPTS - 1,
        )
        for item in batch.items
    )
    return True


def _typed(entry: InboxEntry) -> bytes:
    """Return the request with what its path said, so that it can be processed again by itself."""
    try:
        batch = split_items(bytes(entry.body), entry.endpoint)
    except IngestionError:
        return bytes(entry.body)
    item = batch.items[0] if batch.endpoint_type not in {"", "merge"} else None
    if not isinstance(item, dict):
        return bytes(entry.body)
    return pack({**item, "type": item.get("type") or batch.endpoint_type})


def _quarantine(entry: InboxEntry, fault: str, now: datetime) -> None:
    message_id = f"cdp-{uuid.uuid4()}"
    row = Message.objects.create(
        source_id=entry.source_id,
        message_hash=message_digest(message_id),
        outcome=Outcome.QUARANTINED,
        received_at=entry.received_at,
        processed_at=now,
        reason=CODE,
    )
    Quarantined.objects.create(
        row=row,
        source_id=entry.source_id,
        message_id=message_id,
        code=CODE,
        detail=f"The message could not be processed ({fault}).",
        payload=_typed(entry),
        created_at=now,
    )
    hour = entry.received_at.replace(minute=0, second=0, microsecond=0)
    OutcomeCount.objects.create(
        source_id=entry.source_id, hour=hour, outcome=Outcome.QUARANTINED, count=max(entry.items, 1)
    )
