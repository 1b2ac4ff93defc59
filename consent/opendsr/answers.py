"""What is answered: bodies of discovery, creation, status, cancellation, callbacks and errors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from consent.opendsr.wire import FORMATS, STANDARD_TYPES, TYPES

PENDING, IN_PROGRESS, COMPLETED, CANCELLED = "pending", "in_progress", "completed", "cancelled"
ORDER = (PENDING, IN_PROGRESS, COMPLETED, CANCELLED)
# Our statuses → theirs. They know neither refusal nor a rest: both are told in `extensions`.
STATES: Mapping[str, str] = {
    "received": PENDING,
    "awaiting_identity": PENDING,
    "open": PENDING,
    "approved": IN_PROGRESS,
    "running": IN_PROGRESS,
    "partial": IN_PROGRESS,
    "completed": COMPLETED,
    "rejected": CANCELLED,
    "cancelled": CANCELLED,
}
# Why something is cancelled; the words of the Data Rights Protocol.
NO_MATCH, REFUSED = "no_match", "other"


@dataclass(frozen=True, slots=True)
class State:
    """How a request stands."""

    subject_request_id: str
    controller_id: str
    state: str
    due_at: datetime
    api_version: str
    results_url: str | None = None
    results_count: int | None = None
    group_id: str = ""
    extensions: Mapping[str, Any] | None = None


def discovery(*, certificate_url: str, version: str, extensions: Mapping[str, Any]) -> dict[str, Any]:
    """Return what this processor can do; `extensions` by domain."""
    return {
        "api_version": version,
        "supported_identities": [
            {"identity_type": type_, "identity_format": format_} for type_ in STANDARD_TYPES for format_ in FORMATS
        ],
        "supported_subject_request_types": list(TYPES),
        "processor_certificate": certificate_url,
        "extensions": dict(extensions),
    }


def created(*, state: State, received_at: datetime, encoded_request: str) -> dict[str, Any]:
    """Return the answer to a new request; `encoded_request` is the received body in base64."""
    return {
        "controller_id": state.controller_id,
        "expected_completion_time": write_moment(state.due_at),
        "received_time": write_moment(received_at),
        "encoded_request": encoded_request,
        "subject_request_id": state.subject_request_id,
    }


def status(state: State) -> dict[str, Any]:
    """Return how a request stands."""
    body: dict[str, Any] = {
        "controller_id": state.controller_id,
        "expected_completion_time": write_moment(state.due_at),
        "subject_request_id": state.subject_request_id,
        "request_status": state.state,
        "api_version": state.api_version,
        "results_url": state.results_url,
        "results_count": state.results_count,
    }
    if state.group_id:
        body["group_id"] = state.group_id
    if state.extensions:
        body["extensions"] = dict(state.extensions)
    return body


def cancelled(*, state: State, received_at: datetime) -> dict[str, Any]:
    """Return the answer to a cancellation."""
    return {
        "controller_id": state.controller_id,
        "received_time": write_moment(received_at),
        "expected_completion_time": None,
        "subject_request_id": state.subject_request_id,
        "api_version": state.api_version,
    }


def callback(state: State, *, url: str) -> dict[str, Any]:
    """Return what a controller is told at one of its addresses."""
    return {**status(state), "status_callback_url": url}


def error(*, code: int, message: str, faults: Sequence[tuple[str, str, str]] = ()) -> dict[str, Any]:
    """Return an error; `faults` are (domain, reason, message)."""
    return {
        "error": {
            "code": code,
            "message": message,
            "errors": [{"domain": domain, "reason": reason, "message": text} for domain, reason, text in faults],
        }
    }


def write_moment(moment: datetime) -> str:
    """Return a time as RFC 3339 in UTC."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
