"""Recent messages of a source, as near to how they came as what is stored allows."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from django.db import connection

from cdp.core.copying import int_array
from ingestion.models import Message, Outcome, Quarantined, Source
from ingestion.queries.traffic import NEWEST
from profiles.models import EventType

EVENTS = """
SELECT e.id, e.type, e.name, e.received_at, e.properties::text, e.traits::text, e.context::text
FROM unnest(%s::bigint[], %s::timestamptz[]) AS m(id, at)
JOIN profiles_event e ON e.id = m.id AND e.occurred_at = m.at
ORDER BY e.id DESC
"""
NAMED = {EventType.TRACK: "event", EventType.PAGE: "name", EventType.SCREEN: "name"}


@dataclass(frozen=True, slots=True)
class Sample:
    """A message of a source: `message` has the shape in which SDKs send, without ids.

    `aside` is the reason for which it stands in quarantine, ``""`` for an accepted one.
    """

    row_id: int
    received_at: datetime
    message: dict[str, Any]
    aside: str = ""


def read_samples(*, source: Source, limit: int) -> list[Sample]:
    """Return recent messages, newest first: up to `limit` accepted ones and up to a fifth as many from quarantine.

    Notes
    -----
    An accepted message is put together from its event, so what transformations and the plan did to it when it came
    shows in it; quarantined ones are as they came.
    """
    newest = Message.objects.order_by("-id").values_list("id", flat=True).first() or 0
    rows = (
        Message.objects.filter(
            id__gt=newest - NEWEST, source_id=source.pk, outcome=Outcome.ACCEPTED, occurred_at__isnull=False
        )
        .order_by("-id")
        .values_list("id", "occurred_at")[:limit]
    )
    found = list(rows)
    accepted: list[Sample] = []
    if found:
        with connection.cursor() as cursor:
            cursor.execute(EVENTS, [int_array(row[0] for row in found), [row[1] for row in found]])
            accepted = [_from_event(row) for row in cursor.fetchall()]
    aside = Quarantined.objects.filter(source_id=source.pk).order_by("-row_id")[: max(1, limit // 5)]
    quarantined = [sample for row in aside if (sample := _from_quarantine(row)) is not None]
    return sorted(accepted + quarantined, key=lambda sample: -sample.row_id)


def _from_event(row: tuple[Any, ...]) -> Sample:
    row_id, kind, name, received_at, properties, traits, context = row
    message: dict[str, Any] = {"type": EventType(kind).label.lower()}
    if name and kind in NAMED:
        message[NAMED[kind]] = name
    for key, text in (("properties", properties), ("traits", traits), ("context", context)):
        if text is not None:
            message[key] = orjson.loads(text)
    return Sample(row_id, received_at, message)


def _from_quarantine(row: Quarantined) -> Sample | None:
    try:
        message = orjson.loads(bytes(row.payload))
    except orjson.JSONDecodeError:
        return None
    return Sample(row.pk, row.created_at, message, row.code) if isinstance(message, dict) else None
