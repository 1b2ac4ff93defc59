"""Sending one request, from what the gate handed out: touches no database, because it runs in threads."""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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

    `removal` None: the one request tells both. `signing` holds secrets of Standard Webhooks, empty for templates. With
    more than one in `people_per_request` each request is about a list of people, be it of one.
    """

    request: Template
    removal: Template | None
    signing: Sequence[str]
    secrets: Mapping[str, str]
    segment_key: str
    segment_name: str
    people_per_request: int = 1


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


def post(recipe: Recipe, parcels: Sequence[Parcel], line: Line) -> Outcome:
    """Send deliveries of one kind and reason in one request, unless their judgement is too old.

    Returns
    -------
    Outcome
        What came of it, the same for all.
    """
    return replace(_post(recipe, parcels, line), people=len(parcels))


def _post(recipe: Recipe, parcels: Sequence[Parcel], line: Line) -> Outcome:
    request = _write(recipe, parcels, datetime.now(UTC))
    if not all(is_sound(value) for value in request.headers.values()):
        # A value of this person cannot stand in a header: no fault of the receiver.
        return Outcome(retrying.DEAD, "bad header")
    # The last look before the wire: writing the request takes its time, too.
    if time.monotonic() > min(parcel.good_until for parcel in parcels):
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
    outcome = judge_answer(
        status=answer.status,
        retry_after=answer.headers.get("retry-after", ""),
        now=datetime.now(UTC),
        took_ms=_ms(started),
    )
    if len(parcels) > 1 and outcome.state == retrying.DEAD:
        # One of them may be what the receiver cannot bear: next time each goes by itself (`in_requests`).
        return replace(outcome, state=retrying.ROW_FAILED)
    return outcome


def _write(recipe: Recipe, parcels: Sequence[Parcel], sent_at: datetime) -> Written:
    first = parcels[0]
    message_id = _message_id(parcels)
    values: dict[str, Any] = {f"secret.{name}": value for name, value in recipe.secrets.items()}
    values |= {
        "event": first.kind,
        "reason": first.reason,
        "segment.key": recipe.segment_key,
        "segment.name": recipe.segment_name,
        "delivery.id": message_id,
        "sent_at": _stamp(sent_at),
    }
    people = [
        {"delivery.id": parcel.message_id, **{f"person.{name}": value for name, value in parcel.values.items()}}
        for parcel in parcels
    ]
    many = recipe.people_per_request > 1
    if not recipe.signing:
        template = recipe.removal if recipe.removal and first.kind == LEFT else recipe.request
        return write_request(template, values, people) if many else write_request(template, values | people[0])
    told: dict[str, Any] = {"segment": recipe.segment_key, "reason": first.reason or None}
    if many:
        told["people"] = [{"delivery_id": parcel.message_id, "person": dict(parcel.values)} for parcel in parcels]
    else:
        told["person"] = dict(first.values)
    body = orjson.dumps({"type": f"audience.{first.kind}", "timestamp": _stamp(sent_at), "data": told})
    written = write_request(recipe.request, values if many else values | people[0])
    headers = written.headers | sign(secrets=recipe.signing, message_id=message_id, body=body, now=sent_at)
    return Written("POST", written.url, headers, body)


def _message_id(parcels: Sequence[Parcel]) -> str:
    """Return the id of a request: of several deliveries one that the same ones have again when they are sent again."""
    if len(parcels) == 1:
        return parcels[0].message_id
    together = hashlib.sha256(" ".join(sorted(parcel.message_id for parcel in parcels)).encode())
    return f"msg_{together.hexdigest()[:32]}"


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _ms(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
