"""Splitting a request into its items, strictly where possible, leniently where single items spoil it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from ingestion.errors import NoItems, NotJson
from ingestion.spec.lenient import read_value, split_members, split_values
from ingestion.spec.limits import MAX_EVENT_BYTES
from ingestion.spec.message import ENDPOINTS, BadItem, Faulty
from ingestion.spec.sender import UserAgents
from ingestion.spec.soundness import check_item
from ingestion.spec.times import read_sent_at

# orjson turns whole numbers outside 64 bits into doubles without a word; so nineteen digits in a row call for a look.
_DIGITS_AS_ZERO = bytes(0x30 if 0x30 <= byte <= 0x39 else byte for byte in range(256))
_MANY_DIGITS = b"0" * 19
_WHOLE_NUMBER = re.compile(rb"[\[:,\s]-?([0-9]{19,})(?![0-9.eE])")


@dataclass(slots=True)
class Batch:
    """What one request carried.

    Attributes
    ----------
    endpoint_type : str
        The type that the path implies, ``""`` for lists.
    items : list
        Parsed elements as they came, any JSON value; `BadItem` where strict JSON refuses one.
    sent_at : datetime or None
        Of the whole request.
    context, integrations : dict
        Shared by the items, under each item's own.
    write_key : str or None
        The one in the body: of the request, else of its first item.
    warnings : tuple of str
        That each message of the request gets.
    ip_rule : str
        How much of the address that a message itself gives is kept (`ingestion.spec.sender`); ``""``: as it came.
    user_agents : UserAgents or None
        Parses what the browsers call themselves; None: that is left as it is.
    ip, user_agent : str
        Of the sender, where the source is a browser or mobile one; ``""``: not to be filled in.
    """

    endpoint_type: str
    items: list[Any]
    sent_at: datetime | None = None
    context: dict[str, Any] = field(default_factory=dict)
    integrations: dict[str, Any] = field(default_factory=dict)
    write_key: str | None = None
    warnings: tuple[str, ...] = ()
    ip: str = ""
    user_agent: str = ""
    ip_rule: str = ""
    user_agents: UserAgents | None = None


def split_items(body: bytes, endpoint: str, *, ip: str = "", user_agent: str = "") -> Batch:
    """Split a body into its items.

    Parameters
    ----------
    body : bytes
        Inflated.
    endpoint : str
        Last part of the collection path, a key of `ENDPOINTS`.
    ip, user_agent : str
        Of the sender, to be filled into contexts that lack them.

    Returns
    -------
    Batch
        For a single-event path with one item.

    Raises
    ------
    NotJson
        The body is no JSON, even leniently.
    NoItems
        Not an object, or no list of items under ``batch``.
    """
    endpoint_type = ENDPOINTS[endpoint]
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = None
        strict = False
    else:
        strict = _MANY_DIGITS not in body.translate(_DIGITS_AS_ZERO) or not _has_huge_integer(body)
    batch = _from_document(document, endpoint_type) if strict else _from_text(body, endpoint_type)
    batch.ip = ip
    batch.user_agent = user_agent
    return batch


def _has_huge_integer(body: bytes) -> bool:
    """Tell whether some run of digits looks like a whole number outside 64 bits, maybe inside a text."""
    for match in _WHOLE_NUMBER.finditer(b" " + body):
        digits = match[1].lstrip(b"0")
        limit = b"9223372036854775808" if match[0][1:2] == b"-" else b"18446744073709551615"
        if (len(digits), digits) > (len(limit), limit):
            return True
    return False


def _from_document(document: Any, endpoint_type: str) -> Batch:
    if not isinstance(document, dict):
        raise _no_object()
    if endpoint_type:
        return Batch(endpoint_type, [document], write_key=_key(document))
    items = document.get("batch")
    if not isinstance(items, list):
        raise _no_list()
    return _shared(Batch(endpoint_type, items), document)


def _from_text(body: bytes, endpoint_type: str) -> Batch:
    """Split by brackets and quotes alone, then read each part by itself."""
    try:
        text = body.decode("utf-8", "surrogatepass").strip()
    except UnicodeDecodeError:
        message = "The body is not UTF-8."
        raise NotJson(message) from None
    if text[:1] != "{":
        if text[:1] == "[":
            for part in split_values(text):
                read_value(part)
        else:
            read_value(text)
        raise _no_object()
    if endpoint_type:
        item = read_value(text)
        return Batch(endpoint_type, [item], write_key=_key(item.item if isinstance(item, BadItem) else item))
    document: dict[str, Any] = {}
    items: list[Any] | None = None
    for key, part in split_members(text):
        if key == "batch":
            items = [read_value(element) for element in split_values(part)] if part[:1] == "[" else None
            if items is None:
                read_value(part)
        else:
            document[key] = read_value(part)
    if items is None:
        raise _no_list()
    return _shared(Batch(endpoint_type, items), document)


def _shared(batch: Batch, document: dict[str, Any]) -> Batch:
    """Read what stands beside the items; what of it cannot be used is left out with a warning on each message."""
    warnings: list[str] = []
    for key in ("context", "integrations"):
        value = document.get(key)
        if value is None or value in ([], ""):
            continue
        shared = None
        if isinstance(value, dict):
            try:
                shared = check_item(value, max_event_bytes=MAX_EVENT_BYTES, warnings=warnings)
            except Faulty:
                shared = None
        if shared is None:
            warnings.append(f"unusable_batch_{key}")
        elif key == "context":
            batch.context = shared
        else:
            batch.integrations = shared
    sent_at = document.get("sentAt")
    if sent_at is not None:
        batch.sent_at = read_sent_at(sent_at, warnings)
    batch.warnings = tuple(warnings)
    batch.write_key = _key(document) or next((key for key in _item_keys(batch.items[:1])), None)
    return batch


def _item_keys(items: list[Any]) -> Iterator[str]:
    for item in items:
        fields = item.item if isinstance(item, BadItem) else item
        key = _key(fields) if isinstance(fields, dict) else None
        if key:
            yield key


def _key(fields: dict[str, Any]) -> str | None:
    key = fields.get("writeKey")
    return key if isinstance(key, str) and key else None


def _no_object() -> NoItems:
    return NoItems("The body must be a JSON object.")


def _no_list() -> NoItems:
    return NoItems("The body must hold a list of messages under `batch`.")
