"""Recent messages of a source: as they were received while that is kept, else put together from what is stored."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from django.db import connection

from cdp.core.copying import int_array
from ingestion.models import Archived, Message, Outcome, Quarantined, Source
from ingestion.queries.archived import Raw, find_places, read_raws
from ingestion.queries.traffic import NEWEST
from ingestion.treatment.cleaning import RAW
from profiles.models import EventType

EVENTS = """
SELECT e.id, e.type, e.name, e.received_at, e.properties::text, e.traits::text, e.context::text
FROM unnest(%s::bigint[], %s::timestamptz[]) AS m(id, at)
JOIN profiles_event e ON e.id = m.id AND e.occurred_at = m.at
ORDER BY e.id DESC
"""
NAMED = {EventType.TRACK: "event", EventType.PAGE: "name", EventType.SCREEN: "name"}


# An archived request can have megabytes: only so many are read for one look.
MAX_REQUESTS = 20


@dataclass(frozen=True, slots=True)
class Sample:
    """A message of a source, in the shape in which SDKs send.

    `aside` is the reason for which it stands in quarantine, ``""`` for an accepted one. `is_raw` tells that it is as it
    was received; else it was put together from its event: what transformations and the plan did to it shows.
    """

    row_id: int
    received_at: datetime
    message: dict[str, Any]
    aside: str = ""
    is_raw: bool = True


def read_samples(*, source: Source, limit: int) -> list[Sample]:
    """Return recent messages, newest first: up to `limit` accepted ones and up to a fifth as many from quarantine."""
    newest = Message.objects.order_by("-id").values_list("id", flat=True).first() or 0
    rows = (
        Message.objects.filter(
            id__gt=newest - NEWEST, source_id=source.pk, outcome=Outcome.ACCEPTED, occurred_at__isnull=False
        )
        .order_by("-id")
        .values_list("id", "occurred_at")[:limit]
    )
    found = list(rows)
    raws = _read_archived([row[0] for row in found]) if found else {}
    accepted = [_from_raw(raw) for raw in raws.values() if raw.endpoint != "merge"]
    left = [row for row in found if row[0] not in raws]
    if left:
        with connection.cursor() as cursor:
            cursor.execute(EVENTS, [int_array(row[0] for row in left), [row[1] for row in left]])
            accepted += [_from_event(row) for row in cursor.fetchall()]
    aside = Quarantined.objects.filter(source_id=source.pk).order_by("-row_id")[: max(1, limit // 5)]
    quarantined = [sample for row in aside if (sample := _from_quarantine(row)) is not None]
    return sorted(accepted + quarantined, key=lambda sample: -sample.row_id)


def _read_archived(ids: Sequence[int]) -> dict[int, Raw]:
    places = sorted(find_places(ids=ids), key=lambda place: place[0], reverse=True)[:MAX_REQUESTS]
    if not places:
        return {}
    moments = [place[1] for place in places]
    rows = Archived.objects.filter(
        first_id__in=[place[0] for place in places], archived_at__gte=min(moments), archived_at__lte=max(moments)
    )
    wanted = {row_id for place in places for row_id in place[2]}
    return {raw.row_id: raw for row in rows for raw in read_raws(row) if raw.row_id in wanted}


def _from_raw(raw: Raw) -> Sample:
    message = dict(raw.item)
    if raw.batch.endpoint_type:
        message.setdefault("type", raw.batch.endpoint_type)
    own = message.get("context")
    if raw.batch.context and (own is None or isinstance(own, dict)):
        message["context"] = {**raw.batch.context, **(own or {})}
    return Sample(raw.row_id, raw.received_at, message)


_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


def undo_cleaning(message: dict[str, Any]) -> None:
    """Put back what cleaning replaced, in place, as far as it is noted in the message's context."""
    context = message.get("context")
    noted = context.pop(RAW, None) if isinstance(context, dict) else None
    for path, value in noted.items() if isinstance(noted, dict) else ():
        parts: list[Any] = [int(index) if index else name for name, index in _STEP.findall(path)]
        container: Any = message
        for part in parts[:-1]:
            container = container[part] if _has(container, part) else None
        last = parts[-1] if parts else None
        if (isinstance(container, dict) and isinstance(last, str)) or _has(container, last):
            container[last] = value


def _has(container: Any, part: Any) -> bool:
    if isinstance(container, list):
        return isinstance(part, int) and part < len(container)
    return isinstance(container, dict) and part in container


def _from_event(row: tuple[Any, ...]) -> Sample:
    row_id, kind, name, received_at, properties, traits, context = row
    message: dict[str, Any] = {"type": EventType(kind).label.lower()}
    if name and kind in NAMED:
        message[NAMED[kind]] = name
    for key, text in (("properties", properties), ("traits", traits), ("context", context)):
        if text is not None:
            message[key] = orjson.loads(text)
    undo_cleaning(message)
    return Sample(row_id, received_at, message, is_raw=False)


def _from_quarantine(row: Quarantined) -> Sample | None:
    try:
        message = orjson.loads(bytes(row.payload))
    except orjson.JSONDecodeError:
        return None
    return Sample(row.pk, row.created_at, message, row.code) if isinstance(message, dict) else None
