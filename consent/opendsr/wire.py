"""Reading what a controller sends.

References
----------
OpenDSR specification 2.0, sections 3 to 6; OpenGDPR 1.0.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

V1, V2, STUB = "1.0", "2.0", "2.0"
TYPES = ("access", "portability", "erasure")
REGULATIONS = ("gdpr", "ccpa")
FORMATS = ("raw", "sha1", "md5", "sha256")
# Their identity types → ours. What has no counterpart of its own is a device.
IDENTITY_TYPES: Mapping[str, str] = {
    "controller_customer_id": "user_id",
    "email": "email",
    "android_id": "android.id",
    "ios_vendor_id": "ios.id",
    "android_advertising_id": "device_id",
    "fire_advertising_id": "device_id",
    "ios_advertising_id": "device_id",
    "microsoft_advertising_id": "device_id",
    "microsoft_publisher_id": "device_id",
    "roku_publisher_id": "device_id",
    "roku_advertising_id": "device_id",
    # Extensions of mParticle and AppsFlyer.
    "mobile_number": "phone",
    "phone_number_2": "phone",
    "phone_number_3": "phone",
    "customer_user_id": "user_id",
}
STANDARD_TYPES = tuple(IDENTITY_TYPES)[:11]
HASHES: Mapping[str, int] = {"sha1": 40, "md5": 32, "sha256": 64}
MOST_IDENTITIES = 100
MOST_CALLBACKS = 10
LONGEST = 2048
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})")


class BadMessage(Exception):
    """A message that is refused; the texts hold nothing of what it said."""

    def __init__(self, reason: str, message: str, *, code: int = 400, domain: str = "Validation") -> None:
        super().__init__(message)
        self.code = code
        self.domain = domain
        self.reason = reason
        self.message = message


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is meant: our type, the value as given, and how it is written (`FORMATS`)."""

    type: str
    value: str
    format: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of a controller."""

    subject_request_id: UUID
    type: str
    regulation: str
    submitted_at: datetime
    identities: tuple[Identity, ...]
    callbacks: tuple[str, ...]
    api_version: str
    group_id: str


def read_request(raw: bytes, *, version: str, default_regulation: str = "") -> Asked:
    """Read the body of a request.

    Parameters
    ----------
    version : str
        `V1` or `V2`, as the address says: the first version has no regulation.
    default_regulation : str
        Taken where a message names none; empty: refused.

    Raises
    ------
    BadMessage
        Saying which member is wrong.
    """
    body = read_json(raw)
    request_id = _read_id(body.get("subject_request_id"))
    type_ = body.get("subject_request_type")
    if type_ not in TYPES:
        raise BadMessage("subject_request_type", f"subject_request_type is one of {', '.join(TYPES)}.")
    regulation = body.get("regulation", default_regulation if version == V2 else REGULATIONS[0])
    if regulation not in REGULATIONS:
        raise BadMessage("regulation", f"regulation is one of {', '.join(REGULATIONS)}.")
    return Asked(
        subject_request_id=request_id,
        type=type_,
        regulation=regulation,
        submitted_at=read_moment(body.get("submitted_time"), "submitted_time"),
        identities=_read_identities(body),
        callbacks=_read_callbacks(body.get("status_callback_urls")),
        api_version=version,
        group_id=str(body.get("group_id") or "")[:255],
    )


def read_json(raw: bytes) -> dict[str, Any]:
    """Read a body.

    Raises
    ------
    BadMessage
        If it is no JSON object.
    """
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise BadMessage("body", "The body is no JSON.") from error
    if not isinstance(body, dict):
        raise BadMessage("body", "The body is a JSON object.")
    return body


def _read_id(value: Any) -> UUID:
    try:
        found = UUID(value)
    except (ValueError, TypeError, AttributeError) as error:
        raise BadMessage("subject_request_id", "subject_request_id is a UUID of version 4.") from error
    if str(found) != value or found.version != 4:
        raise BadMessage("subject_request_id", "subject_request_id is a UUID of version 4 in lower case.")
    return found


def read_moment(value: Any, name: str) -> datetime:
    """Read the time that a member holds (RFC 3339).

    Raises
    ------
    BadMessage
        If it is none.
    """
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        raise BadMessage(name, f"{name} is a time such as 2026-03-05T12:00:00Z (RFC 3339).")
    try:
        return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", value.upper()))
    except ValueError as error:
        raise BadMessage(name, f"{name} names a day or an hour that does not exist.") from error


def _read_identities(body: Mapping[str, Any]) -> tuple[Identity, ...]:
    given = body.get("subject_identities")
    if not isinstance(given, list) or not given or len(given) > MOST_IDENTITIES:
        raise BadMessage("subject_identities", f"subject_identities lists 1 to {MOST_IDENTITIES} identities.")
    return tuple(_read_identity(one, place) for place, one in enumerate(given))


def _read_identity(one: Any, place: int) -> Identity:
    path = f"subject_identities[{place}]"
    if not isinstance(one, dict):
        raise BadMessage(path, "An identity is an object of identity_type, identity_value and identity_format.")
    type_, value, format_ = (one.get(name) for name in ("identity_type", "identity_value", "identity_format"))
    if not isinstance(type_, str) or type_ not in IDENTITY_TYPES:
        raise BadMessage(f"{path}.identity_type", "This identity_type is not supported; see the discovery.")
    format_ = "raw" if format_ is None else format_
    if format_ not in FORMATS:
        raise BadMessage(f"{path}.identity_format", f"identity_format is one of {', '.join(FORMATS)}.")
    if not isinstance(value, str) or not value.strip() or len(value) > LONGEST or "\0" in value:
        raise BadMessage(f"{path}.identity_value", "identity_value is a text.")
    if format_ != "raw" and not re.fullmatch(rf"[0-9a-fA-F]{{{HASHES[format_]}}}", value.strip()):
        raise BadMessage(f"{path}.identity_value", f"identity_value is {HASHES[format_]} hexadecimal digits.")
    return Identity(type=IDENTITY_TYPES[type_], value=value.strip(), format=format_)


def _read_callbacks(given: Any) -> tuple[str, ...]:
    if given is None:
        return ()
    if not isinstance(given, list) or len(given) > MOST_CALLBACKS:
        raise BadMessage("status_callback_urls", f"status_callback_urls lists at most {MOST_CALLBACKS} addresses.")
    for place, url in enumerate(given):
        if not isinstance(url, str) or len(url) > LONGEST or not _is_http(url):
            raise BadMessage(f"status_callback_urls[{place}]", "A callback is an address that begins with https://.")
    return tuple(dict.fromkeys(given))


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("https", "http") and bool(parts.hostname) and not parts.username
