"""Sending messages through the inbox and the real processor, without HTTP."""

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from django.db import connection

from ingestion.models import InboxEntry, Message, Source
from ingestion.services.process import process_batch
from profiles.models import Identifier, Refusal

NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
_numbers = itertools.count(1)


def source(kind: str = "server", key: str | None = None, **fields: Any) -> Source:
    """Return the source of a kind, made once."""
    key = key or f"{kind}-source"
    found, _ = Source.objects.get_or_create(
        key=key,
        defaults={
            "name": key,
            "kind": kind,
            "write_key_digest": key.encode(),
            "write_key_sealed": b"",
            "created_at": NOW,
            **fields,
        },
    )
    return found


def put(items: Sequence[dict[str, Any]], *, origin: Source | None = None, at: datetime = NOW) -> None:
    """Put one request into the inbox, as the door does."""
    numbered = [{"messageId": f"m-{next(_numbers)}", **item} for item in items]
    InboxEntry.objects.create(
        source_id=(origin or source()).pk,
        received_at=at,
        endpoint="batch",
        items=len(numbered),
        body=orjson.dumps({"batch": numbered}),
    )


def process(*, now: datetime = NOW) -> None:
    """Process until the inbox is empty."""
    while process_batch(now=now):
        pass


def send(*items: dict[str, Any], origin: Source | None = None, at: datetime = NOW, one_by_one: bool = True) -> None:
    """Send items, in one request or in one request (and batch of the processor) each."""
    if not one_by_one:
        put(items, origin=origin, at=at)
        process(now=at)
        return
    for number, item in enumerate(items):
        put([item], origin=origin, at=at + timedelta(milliseconds=number))
        process(now=at + timedelta(milliseconds=number))


def partition() -> set[frozenset[str]]:
    """Return the identifiers of each profile as TYPE:VALUE."""
    groups: dict[int, set[str]] = {}
    for row in Identifier.objects.select_related("type"):
        groups.setdefault(row.profile_id, set()).add(f"{row.type.key}:{row.value}")
    return {frozenset(group) for group in groups.values()}


def events_of(type_key: str, value: str) -> int:
    """Return how many events the holder of an identifier has."""
    holder = Identifier.objects.get(type__key=type_key, value=value).profile_id
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM profiles_event WHERE profile_id = %s", [holder])
        count: int = cursor.fetchone()[0]
    return count


def reasons() -> list[str]:
    """Return the reasons of all refusals, oldest first."""
    return list(Refusal.objects.order_by("id").values_list("reason", flat=True))


def outcomes() -> dict[str, int]:
    """Return how many outcome rows there are of each kind."""
    counts: dict[str, int] = {}
    for row in Message.objects.all():
        name = row.get_outcome_display()
        counts[name] = counts.get(name, 0) + 1
    return counts


def identify(user: str = "", anonymous: str = "", **traits: Any) -> dict[str, Any]:
    """Return an identify."""
    return {"type": "identify", "userId": user, "anonymousId": anonymous, "traits": traits}


def track(name: str, user: str = "", anonymous: str = "", **properties: Any) -> dict[str, Any]:
    """Return a track."""
    return {"type": "track", "event": name, "userId": user, "anonymousId": anonymous, "properties": properties}


def alias(user: str, previous: str) -> dict[str, Any]:
    """Return an alias."""
    return {"type": "alias", "userId": user, "previousId": previous}
