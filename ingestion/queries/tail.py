"""The last messages of a source, as they arrive."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from django.db import connection

from cdp.core.errors import FieldError, InvalidInput
from ingestion.models import InboxEntry, Outcome
from profiles.models import EventType

ROWS = 50
# Outcome rows have no index but their id: so many of the newest are looked at, fewer where events are, too.
NEWEST = 200_000
NEWEST_EVENTS = 20_000
MANY_DIGITS = 7
FIND = """
SELECT m.id, m.outcome, m.copies, m.received_at, m.processed_at, m.reason, m.warnings,
    e.type, e.name, e.message_id, q.message_id, q.detail, q.payload
FROM ingestion_message m
LEFT JOIN LATERAL (
    SELECT type, name, message_id, properties, traits FROM profiles_event
    WHERE id = m.id AND occurred_at = m.occurred_at
) e ON true
LEFT JOIN ingestion_quarantined q ON q.row_id = m.id
WHERE m.id > (SELECT coalesce(max(id), 0) FROM ingestion_message) - %(newest)s AND m.source_id = %(source)s
    AND (%(outcome)s::int IS NULL OR m.outcome = %(outcome)s)
    AND (%(event)s::text IS NULL OR e.name = %(event)s OR position(%(event_in_payload)s::bytea IN q.payload) > 0)
    AND (%(property)s::text IS NULL
        OR jsonb_exists(e.properties, %(property)s) OR jsonb_exists(e.traits, %(property)s)
        OR position(%(property_in_payload)s::bytea IN q.payload) > 0)
    AND (%(value)s::text IS NULL OR e.properties ->> %(property)s = %(value)s OR e.traits ->> %(property)s = %(value)s)
ORDER BY m.id DESC LIMIT %(rows)s
"""
PENDING = "pending"
OUTCOMES = {outcome.label: outcome.value for outcome in Outcome}
TYPES = {int(kind): kind.label.lower() for kind in EventType}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which messages; ``""`` where it does not matter. `value` goes with `property`."""

    outcome: str = ""
    event: str = ""
    property: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True)
class TailRow:
    """One message. `detail` says what is wrong with it, if something is."""

    row_id: int
    outcome: str
    copies: int
    received_at: datetime
    processed_at: datetime
    reason: str
    warnings: list[str]
    type: str
    event: str
    message_id: str
    detail: str


def read_wanted(*, outcome: str, event: str, property: str) -> Wanted:
    """Read the filters of an address.

    Parameters
    ----------
    property : str
        ``NAME``: messages that have it; ``NAME:VALUE``: those where it has this value.

    Raises
    ------
    InvalidInput
        For an outcome that does not exist, or a value that could name a person: addresses end up in logs and histories.
    """
    if outcome and outcome != PENDING and outcome not in OUTCOMES:
        _refuse("outcome", f"The outcome is one of {', '.join([PENDING, *OUTCOMES])}.")
    name, _, value = property.replace("\0", "").partition(":")
    if "@" in value or sum(char.isdigit() for char in value) >= MANY_DIGITS:
        _refuse("property", "This value could name a person. Look for people by an identifier, under Profiles.")
    return Wanted(outcome, event.replace("\0", ""), name, value)


def _refuse(path: str, message: str) -> None:
    raise InvalidInput(message, errors=[FieldError(path=path, code="input.invalid", message=message)])


def find_latest(*, source_id: int, wanted: Wanted, rows: int = ROWS) -> list[TailRow]:
    """Return the latest messages of a source, newest first, among the newest 200 000 of all sources.

    With a filter by event or property: among the newest 20 000.
    """
    if wanted.outcome == PENDING:
        return []
    by_event = bool(wanted.event or wanted.property)
    parameters = {
        "newest": NEWEST_EVENTS if by_event else NEWEST,
        "source": source_id,
        "outcome": OUTCOMES.get(wanted.outcome),
        "event": wanted.event or None,
        "event_in_payload": b'"event":' + orjson.dumps(wanted.event),
        "property": wanted.property or None,
        "property_in_payload": orjson.dumps(wanted.property) + b":",
        "value": wanted.value or None,
        "rows": rows,
    }
    with connection.cursor() as cursor:
        cursor.execute(FIND, parameters)
        return [_row(*row) for row in cursor.fetchall()]


def count_waiting(*, source_id: int) -> int:
    """Return how many messages of a source wait for the processor."""
    return sum(InboxEntry.objects.filter(source_id=source_id).values_list("items", flat=True))


def _row(  # noqa: PLR0913 - the columns of the statement
    row_id: int,
    outcome: int,
    copies: int,
    received_at: datetime,
    processed_at: datetime,
    reason: str,
    warnings: list[str] | None,
    kind: int | None,
    name: str | None,
    message_id: str | None,
    aside_id: str | None,
    detail: str | None,
    payload: Any,
) -> TailRow:
    type_key, event = TYPES.get(kind or 0, ""), name or ""
    if payload is not None:
        type_key, event = _named(bytes(payload))
    return TailRow(
        row_id,
        Outcome(outcome).label,
        copies,
        received_at,
        processed_at,
        reason,
        warnings or [],
        type_key,
        event,
        message_id or aside_id or "",
        detail or "",
    )


def _named(payload: bytes) -> tuple[str, str]:
    """Return type and event name of a quarantined message, as far as it says so."""
    try:
        item = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return "", ""
    if not isinstance(item, dict):
        return "", ""
    kind, name = item.get("type"), item.get("event") or item.get("name")
    return (kind if isinstance(kind, str) else ""), (name if isinstance(name, str) else "")
