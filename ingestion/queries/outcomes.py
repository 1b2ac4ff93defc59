"""What became of one message."""

import json
from typing import Any

import orjson
from django.db import connection

from ingestion.errors import AmbiguousMessage, IngestionError, UnknownMessage
from ingestion.models import Message, Outcome
from ingestion.queries.sources import read_source_keys
from ingestion.queries.traffic import find_event_of, find_messages
from ingestion.spec.item import sent_message_id
from ingestion.spec.limits import MAX_ID_CHARACTERS
from ingestion.spec.message import BadItem
from ingestion.spec.split import split_items

PENDING = "pending"
# The inbox is searched by text, and only for messages that have no row yet.
SEARCHED_REQUESTS = 20
WAITING = """
SELECT source_id, endpoint, body, received_at FROM ingestion_inbox
WHERE position(%s::bytea IN body) > 0 OR position(%s::bytea IN body) > 0 ORDER BY id LIMIT %s
"""


def find_outcomes(*, message_id: str, source: str | None = None) -> list[dict[str, Any]]:
    """Return what became of a message, once for each source that sent it.

    Parameters
    ----------
    message_id : str
        As sent.
    source : str or None
        Key of a source; None for all.
    """
    if not message_id or "\0" in message_id or len(message_id) > MAX_ID_CHARACTERS:
        return []
    keys = read_source_keys()
    # First the inbox: what is processed in between then has its row.
    waiting = _find_waiting(message_id)
    rows = {row.source_id: _present(row, message_id, keys) for row in find_messages(message_id=message_id)}
    found = waiting | rows
    return [
        {**outcome, "source": keys[source_id]}
        for source_id, outcome in sorted(found.items())
        if source_id in keys and source in (None, keys[source_id])
    ]


def get_outcome(*, message_id: str, source: str | None = None) -> dict[str, Any]:
    """Return what became of a message.

    Raises
    ------
    UnknownMessage
        No source has sent it.
    AmbiguousMessage
        Several have, and none is named.
    """
    found = find_outcomes(message_id=message_id, source=source)
    if not found:
        message = "No source has sent a message with this id."
        raise UnknownMessage(message)
    if len(found) > 1:
        message = f"{len(found)} sources have sent a message with this id. Name one: ?source=KEY."
        raise AmbiguousMessage(message)
    return found[0]


def _present(row: Message, message_id: str, keys: dict[int, str]) -> dict[str, Any]:
    event = find_event_of(message=row)
    return {
        "message_id": message_id,
        "source": keys.get(row.source_id, ""),
        "outcome": Outcome(row.outcome).label,
        "copies": row.copies,
        "reason": row.reason,
        "warnings": row.warnings or [],
        "profile_id": event.profile_uuid if event is not None else None,
        "received_at": row.received_at,
        "processed_at": row.processed_at,
    }


def _find_waiting(message_id: str) -> dict[int, dict[str, Any]]:
    """Return the message where it waits, per source, with the copies that wait."""
    found: dict[int, dict[str, Any]] = {}
    # As JSON writes it within a text, in UTF-8 or in ASCII; other spellings are found once they are processed.
    text = message_id.encode("utf-8", "replace").decode()
    with connection.cursor() as cursor:
        cursor.execute(WAITING, [orjson.dumps(text)[1:-1], json.dumps(text)[1:-1].encode(), SEARCHED_REQUESTS])
        rows = cursor.fetchall()
    for source_id, endpoint, body, received_at in rows:
        copies = _count_in(bytes(body), endpoint, message_id)
        if not copies:
            continue
        known = found.setdefault(
            source_id,
            {
                "message_id": message_id,
                "source": "",
                "outcome": PENDING,
                "copies": 0,
                "reason": "",
                "warnings": [],
                "profile_id": None,
                "received_at": received_at,
                "processed_at": None,
            },
        )
        known["copies"] += copies
    return found


def _count_in(body: bytes, endpoint: str, message_id: str) -> int:
    try:
        items = split_items(body, endpoint).items
    except IngestionError:
        return 0
    fields = (item.item if isinstance(item, BadItem) else item for item in items)
    return sum(isinstance(one, dict) and sent_message_id(one) == message_id for one in fields)
