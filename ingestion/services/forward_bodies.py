"""What is sent to the other system of a request: as it was received wherever possible, written again where not.

It is written again to leave messages out, to put the other system's key in place of this one's, to say whose address
it came from, and to keep the times right: a receiver corrects the sender's clock by comparing `sentAt` with its own, so
a request that waited an hour here would bring its events forward by an hour.

References
----------
Segment common fields specification: timestamp = receivedAt - (sentAt - originalTimestamp).
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ingestion.errors import IngestionError
from ingestion.spec.message import ENDPOINTS, BadItem, Faulty
from ingestion.spec.soundness import pack
from ingestion.spec.split import Batch, split_items
from ingestion.spec.times import read_time

KEY = "writeKey"
KEY_IN_BODY = b'"writeKey"'
# A receiver takes a delay up to this for the network's.
DELAY = timedelta(seconds=2)
# Short paths are those of browsers; every receiver takes the long ones, with the key in a header.
LONG = {"b": "batch", **{name: kind for name, kind in ENDPOINTS.items() if kind}}


@dataclass(frozen=True, slots=True)
class Sending:
    """What is known when a copy is sent: the other system's key, how long it waited, and the sender's address."""

    write_key: str
    received_at: datetime
    now: datetime
    ip: str = ""

    @property
    def delay(self) -> timedelta:
        """How long it waited, if that matters to the receiver; else zero."""
        waited = self.now - self.received_at
        return waited if waited > DELAY else timedelta(0)


def path_of(endpoint: str) -> str:
    """Return the last part of the address that an endpoint has at the other system."""
    return LONG.get(endpoint, endpoint)


def write_body(body: bytes, endpoint: str, *, keep: Sequence[bool], sending: Sending) -> bytes | None:
    """Return what is sent; None if nothing is left.

    Parameters
    ----------
    keep : sequence of bool
        For each item of the request, in order.
    """
    if not any(keep):
        return None
    if all(keep) and not sending.delay and not sending.ip and KEY_IN_BODY not in body:
        return body
    single = bool(ENDPOINTS[endpoint])
    document = _read(body, single=single)
    if document is None or (not single and len(document["batch"]) != len(keep)):
        document = _again(split_items(body, endpoint))
    if not single:
        document["batch"] = [item for item, kept in zip(document["batch"], keep, strict=True) if kept]
    items = [document] if single else [item for item in document["batch"] if isinstance(item, dict)]
    sent_at = document.get("sentAt")
    for item in items:
        if sending.ip:
            _say_address(item, sending.ip)
        if sending.delay:
            _keep_time(item, sent_at, sending)
        if KEY in item:
            item[KEY] = sending.write_key
    if not single and sending.delay and sent_at is not None:
        document["sentAt"] = _later(sent_at, sending.delay)
    if KEY in document:
        document[KEY] = sending.write_key
    return _write(document)


def only_items(body: bytes, endpoint: str, *, keep: Sequence[bool]) -> bytes | None:
    """Return a body with some of its items, else as it was; None if nothing is left, or it cannot be taken apart."""
    document = _read(body, single=bool(ENDPOINTS[endpoint]))
    if not any(keep) or document is None:
        return None
    if ENDPOINTS[endpoint]:
        return body
    if len(document["batch"]) != len(keep):
        return None
    document["batch"] = [item for item, kept in zip(document["batch"], keep, strict=True) if kept]
    return _write(document)


def without_items(body: bytes, endpoint: str, mentions: Callable[[bytes], bool]) -> bytes | None:
    """Return a body without the items that mention somebody; None if nothing is to be left of it.

    Parameters
    ----------
    mentions : callable
        Tells whether JSON holds a mention.
    """
    single = bool(ENDPOINTS[endpoint])
    document = _read(body, single=single)
    if document is None or single:
        return None
    left = [item for item in document["batch"] if not mentions(pack(item))]
    document["batch"] = left
    # What stands beside the items is said of each of them.
    return _write(document) if left and not mentions(pack(document)) else None


def _read(body: bytes, *, single: bool) -> dict[str, Any] | None:
    """Parse a body as it is; None where only the lenient reading finds items in it."""
    try:
        # Not orjson, which turns whole numbers of more than 64 bits into other ones.
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or (not single and not isinstance(document.get("batch"), list)):
        return None
    return document


def _write(document: dict[str, Any]) -> bytes:
    """Return JSON with every number and text as it was; ASCII, because a text may hold half of a surrogate pair."""
    return json.dumps(document, separators=(",", ":")).encode()


def _again(batch: Batch) -> dict[str, Any]:
    """Put a request together from what could be read of it."""
    items = [item.item if isinstance(item, BadItem) else item for item in batch.items]
    if batch.endpoint_type:
        return dict(items[0])
    document: dict[str, Any] = {"batch": items}
    if batch.context:
        document["context"] = batch.context
    if batch.integrations:
        document["integrations"] = batch.integrations
    if batch.sent_at is not None:
        document["sentAt"] = batch.sent_at.isoformat()
    return document


def _say_address(item: dict[str, Any], ip: str) -> None:
    """Write the sender's address into the context, where the receiver would otherwise see this machine's."""
    context = item.get("context")
    if context is None:
        item["context"] = {"ip": ip}
    elif isinstance(context, dict):
        context.setdefault("ip", ip)


def _keep_time(item: dict[str, Any], batch_sent_at: Any, sending: Sending) -> None:
    """Let the receiver find the time at which the event happened, though it receives it late."""
    own = item.get("sentAt")
    if not item.get("timestamp") and not item.get("originalTimestamp"):
        # It would be taken for the time of receipt. By the sender's clock where that is known, as it is corrected.
        item["timestamp"] = own or batch_sent_at or sending.received_at.isoformat()
    if own is not None:
        item["sentAt"] = _later(own, sending.delay)


def _later(value: Any, delay: timedelta) -> Any:
    try:
        moment = read_time(value)
    except Faulty:
        return value
    return (moment + delay).isoformat() if isinstance(moment, datetime) else value


def readable(body: bytes, endpoint: str) -> Batch | None:
    """Split a request into its items; None if it cannot be read."""
    try:
        return split_items(body, endpoint)
    except IngestionError:
        return None
