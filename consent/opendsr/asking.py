"""What is asked of a processor, and what it says: the controller's side.

Strict in what is sent, liberal in what is read: `in-progress` and `canceled` are read as well.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from consent.opendsr.answers import CANCELLED, COMPLETED, IN_PROGRESS, ORDER, PENDING, write_moment
from consent.opendsr.wire import V2, BadMessage, read_json, read_moment

RAW = "raw"
# Our identifier types → theirs, in the order in which they are tried. What processors have no name for is left out.
THEIRS: Mapping[str, Sequence[str]] = {
    "user_id": ("controller_customer_id",),
    "email": ("email",),
    "phone": ("mobile_number",),
    "android.id": ("android_id",),
    "ios.id": ("ios_vendor_id",),
    "device_id": ("android_advertising_id", "ios_advertising_id"),
}
SPELLINGS: Mapping[str, str] = {"in-progress": IN_PROGRESS, "canceled": CANCELLED}


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a processor says of itself: identity types that it takes as they are, kinds of requests, its certificate."""

    identities: frozenset[str]
    types: frozenset[str]
    certificate_url: str


@dataclass(frozen=True, slots=True)
class Told:
    """How a processor says that a request stands."""

    subject_request_id: UUID
    state: str
    due_at: datetime | None
    callback_url: str
    reason: str


def read_discovery(raw: bytes) -> Abilities:
    """Read what a processor can do.

    Raises
    ------
    BadMessage
        If it is no discovery.
    """
    body = read_json(raw)
    identities, types = body.get("supported_identities"), body.get("supported_subject_request_types")
    url = body.get("processor_certificate")
    if not isinstance(identities, list) or not isinstance(types, list) or not isinstance(url, str):
        raise BadMessage("discovery", "The discovery names no identities, no request types or no certificate.")
    taken = [one for one in identities if isinstance(one, dict) and one.get("identity_format", RAW) == RAW]
    return Abilities(
        frozenset(str(one.get("identity_type")) for one in taken), frozenset(str(one) for one in types), url
    )


def name_for(identities: Iterable[Mapping[str, str]], *, abilities: Abilities) -> list[dict[str, str]]:
    """Return a person's identifiers as a processor takes them; those of kinds that it does not know are left out."""
    named = {
        (theirs, one["value"])
        for one in identities
        for theirs in THEIRS.get(one["type"], ())
        if theirs in abilities.identities
    }
    return [
        {"identity_type": theirs, "identity_value": value, "identity_format": RAW} for theirs, value in sorted(named)
    ]


def write_request(
    *,
    subject_request_id: UUID,
    regulation: str,
    submitted_at: datetime,
    identities: Sequence[Mapping[str, str]],
    callback_url: str,
) -> bytes:
    """Return the body of a request for erasure."""
    return json.dumps(
        {
            "regulation": regulation,
            "subject_request_id": str(subject_request_id),
            "subject_request_type": "erasure",
            "submitted_time": write_moment(submitted_at),
            "subject_identities": list(identities),
            "api_version": V2,
            "status_callback_urls": [callback_url],
        }
    ).encode()


def read_told(raw: bytes) -> Told:
    """Read a status or a callback.

    Raises
    ------
    BadMessage
        If the request or its state cannot be read.
    """
    body = read_json(raw)
    value = body.get("subject_request_id")
    try:
        request_id = UUID(value) if isinstance(value, str) else None
    except ValueError:
        request_id = None
    state = str(body.get("request_status", "")).lower()
    state = SPELLINGS.get(state, state)
    if request_id is None or state not in ORDER:
        raise BadMessage("request_status", "A status names subject_request_id and request_status.")
    return Told(request_id, state, _moment(body), str(body.get("status_callback_url", "")), _reason(body))


def read_created(raw: bytes) -> datetime | None:
    """Return when a processor expects to be done, of its answer to a new request.

    Raises
    ------
    BadMessage
        If it is no such answer.
    """
    return _moment(read_json(raw))


def goes_forward(*, told: str, known: str) -> bool:
    """Tell whether a state is later than the one known: callbacks may come twice and in any order.

    One that is over, either way, stays as it is.
    """
    return known not in (COMPLETED, CANCELLED) and ORDER.index(told) > ORDER.index(known or PENDING)


def _moment(body: Mapping[str, Any]) -> datetime | None:
    given = body.get("expected_completion_time")
    return None if given is None else read_moment(given, "expected_completion_time")


def _reason(body: Mapping[str, Any]) -> str:
    """Return why a request was cancelled, as far as an extension says so in one word."""
    extensions = body.get("extensions")
    said = extensions.values() if isinstance(extensions, dict) else ()
    words = [one.get("reason") for one in said if isinstance(one, dict)]
    return next((one[:40] for one in words if isinstance(one, str) and one.replace("_", "").isalnum()), "")
