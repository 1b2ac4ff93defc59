"""Sending one request, from what the gate handed out: touches no database, because it runs in threads."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from cdp.core.outgoing import Line, OutgoingFailed, OutgoingRefused
from segments.sending import retrying
from segments.sending.retrying import Outcome, judge_answer
from segments.sending.signing import sign
from segments.sending.templates import Template, Written, is_sound, write_request

TIMEOUT_SECONDS = 10.0
LEFT = "left"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a destination is told: what is the same for each delivery.

    `removal` None: the one request tells both. `signing` holds secrets of Standard Webhooks, empty for templates.
    """

    request: Template
    removal: Template | None
    signing: Sequence[str]
    secrets: Mapping[str, str]
    segment_key: str
    segment_name: str


@dataclass(frozen=True, slots=True)
class Parcel:
    """One delivery, ready to be sent: about whom, what happened, and the values by column name.

    `good_until` is the moment of `time.monotonic()` after which sending may no longer start.
    """

    delivery_id: int
    message_id: str
    kind: str
    reason: str
    values: Mapping[str, Any]
    good_until: float


def post(recipe: Recipe, parcel: Parcel, line: Line) -> Outcome:
    """Send one delivery, unless its judgement is too old; return what came of it."""
    sent_at = datetime.now(UTC)
    request = _write(recipe, parcel, sent_at)
    if not all(is_sound(value) for value in request.headers.values()):
        # A value of this person cannot stand in a header: no fault of the receiver.
        return Outcome(retrying.DEAD, "bad header")
    # The last look before the wire: writing the request takes its time, too.
    if time.monotonic() > parcel.good_until:
        return Outcome(retrying.NOT_TRIED)
    started = time.monotonic()
    try:
        answer = line.send(
            request.url,
            method=request.method,
            headers=request.headers,
            body=request.body,
            timeout_seconds=TIMEOUT_SECONDS,
        )
    except OutgoingFailed as error:
        return Outcome(retrying.LINE_FAILED, error.reason, took_ms=_ms(started))
    except OutgoingRefused:
        return Outcome(retrying.LINE_FAILED, "not allowed", took_ms=_ms(started))
    return judge_answer(
        status=answer.status,
        retry_after=answer.headers.get("retry-after", ""),
        now=datetime.now(UTC),
        took_ms=_ms(started),
    )


def _write(recipe: Recipe, parcel: Parcel, sent_at: datetime) -> Written:
    values: dict[str, Any] = {f"person.{name}": value for name, value in parcel.values.items()}
    values |= {f"secret.{name}": value for name, value in recipe.secrets.items()}
    values |= {
        "event": parcel.kind,
        "reason": parcel.reason,
        "segment.key": recipe.segment_key,
        "segment.name": recipe.segment_name,
        "delivery.id": parcel.message_id,
        "sent_at": _stamp(sent_at),
    }
    if not recipe.signing:
        return write_request(recipe.removal if recipe.removal and parcel.kind == LEFT else recipe.request, values)
    event = {
        "type": f"audience.{parcel.kind}",
        "timestamp": _stamp(sent_at),
        "data": {"segment": recipe.segment_key, "reason": parcel.reason or None, "person": dict(parcel.values)},
    }
    body = orjson.dumps(event)
    written = write_request(recipe.request, values)
    headers = written.headers | sign(secrets=recipe.signing, message_id=parcel.message_id, body=body, now=sent_at)
    return Written("POST", written.url, headers, body)


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _ms(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
