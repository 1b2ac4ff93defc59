"""How tests send messages in and read what became of them."""

import json
from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

from django.db import connection
from django.http import HttpResponse
from django.test import Client

from ingestion.models import InboxEntry, Message, Outcome, OutcomeCount
from ingestion.queries.write_keys import forget_write_keys, read_write_key
from ingestion.services.process import process_batch
from ingestion.services.sources import SourceSettings, create_source

TRACK = {"type": "track", "event": "Order Completed", "userId": "dana-1", "messageId": "m-1"}


def make_source(key: str = "shop", kind: str = "server", write_key: str | None = None, **settings: Any) -> str:
    """Make a source and return its write key."""
    forget_write_keys()
    source = create_source(
        key=key,
        kind=kind,
        settings=SourceSettings(**settings),
        write_key=write_key,
        actor="system",
        now=datetime.now(UTC),
    )
    return read_write_key(source)


def basic(key: str) -> str:
    """Return the Basic header of a write key."""
    return "Basic " + b64encode(f"{key}:".encode()).decode()


def post(path: str, body: object, key: str | None = None, **headers: str) -> HttpResponse:
    """Post a body, JSON unless it is bytes, as text/plain like a browser."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    if key is not None:
        headers["HTTP_AUTHORIZATION"] = basic(key)
    return Client().post(path, raw, content_type="text/plain", **headers)


def process() -> None:
    """Process all that waits."""
    while process_batch(now=datetime.now(UTC)):
        pass


def inbox() -> list[InboxEntry]:
    """Return what waits, oldest first."""
    return list(InboxEntry.objects.order_by("id"))


def outcomes() -> dict[str, int]:
    """Return the counts of all outcomes, those of no source under ``unattributed``."""
    found: dict[str, int] = {}
    for row in OutcomeCount.objects.all():
        name = "unattributed" if row.source_id is None else Outcome(row.outcome).label
        found[name] = found.get(name, 0) + row.count
    return found


def rows() -> list[tuple[str, str, int]]:
    """Return outcome, reason and copies of every message row, oldest first."""
    return [(Outcome(row.outcome).label, row.reason, row.copies) for row in Message.objects.order_by("id")]


def event_count() -> int:
    """Return how many events are stored."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM profiles_event")
        return int(cursor.fetchone()[0])
