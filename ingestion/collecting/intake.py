"""Taking messages in: checked for key, size and shape, written to the inbox in one statement.

Identity and suppression are never looked up here, so the answer cannot tell whether anybody is known.
"""

import uuid
from datetime import datetime
from functools import lru_cache
from urllib.parse import parse_qs

from cdp.core.client_address import address_of
from cdp.core.errors import CdpError
from cdp.core.senders import has_gpc
from cdp.core.services.wakeups import wake_now
from ingestion.collecting.answers import GOOD, Answer, Environ
from ingestion.collecting.copying import may_copy
from ingestion.collecting.pressure import check_pressure
from ingestion.collecting.routes import Route
from ingestion.errors import NoItems, NotJson, RefusedMessage, SecretKeyNeeded, TooLarge, UnusableKey
from ingestion.queries.write_keys import KnownSource, find_source_of, read_identifier_rules
from ingestion.services.accept import accept_request, count_unattributed, reject_message
from ingestion.spec.item import read_item, sent_message_id
from ingestion.spec.limits import MAX_REQUEST_BYTES
from ingestion.spec.message import Fault
from ingestion.spec.request import find_write_key, read_body
from ingestion.spec.sender import shorten_address
from ingestion.spec.split import Batch, split_items

TASK_NAME = "ingestion.process_inbox"
MAX_USER_AGENT_CHARACTERS = 512
# A body over the limit is read to its end up to this size: a client that is still sending would not see the answer.
DRAINED_BYTES = 64 * 1024 * 1024
CHUNK_BYTES = 64 * 1024
MAX_DIGITS = 18
NOBODY = ("", "", False)
# What counts as a request without a usable source or item list.
UNATTRIBUTED = (UnusableKey, NotJson, NoItems, TooLarge)


def take_messages(environ: Environ, route: Route, received_at: datetime) -> Answer:
    """Take in the request, or raise what is wrong with it."""
    try:
        _take_in(environ, route.endpoint, received_at)
    except UNATTRIBUTED:
        count_unattributed(received_at=received_at)
        raise
    return GOOD


def _take_in(environ: Environ, endpoint: str, received_at: datetime) -> None:
    key = key_of(environ)
    raw = read_raw(environ)
    check_pressure()
    source = source_of(key) if key else None
    body = read_body(raw, environ.get("HTTP_CONTENT_ENCODING"))
    batch = split_items(body, endpoint)
    if source is None:
        source = source_of(batch.write_key)
    if not batch.items:
        return
    if batch.endpoint_type:
        fault = find_fault(batch, source, received_at)
        if fault is not None:
            error, message_id = fault
            reject_message(
                source_id=source.id, message_id=message_id or new_id(), code=code_of(error), received_at=received_at
            )
            raise error
    put_in(environ, source, endpoint, batch, body, received_at)


def put_in(
    environ: Environ, source: KnownSource, endpoint: str, batch: Batch, body: bytes, received_at: datetime
) -> None:
    """Write the request to the inbox and wake the processor."""
    accept_request(
        source_id=source.id,
        endpoint=endpoint,
        items=len(batch.items),
        body=body,
        received_at=received_at,
        sender=_sender(environ, source.ip_storage) if source.is_public else NOBODY,
        copies=source.forwards and may_copy(source),
    )
    wake_now(TASK_NAME)


def key_of(environ: Environ) -> str | None:
    """Return the write key of headers or query; None: it may be in the body."""
    query = environ.get("QUERY_STRING", "")
    return find_write_key(
        authorization=environ.get("HTTP_AUTHORIZATION"),
        write_key_header=environ.get("HTTP_X_WRITE_KEY"),
        query_key=parse_qs(query).get("writeKey", [None])[0] if "writeKey" in query else None,
    )


def source_of(key: str | None) -> KnownSource:
    """Return the source of a key, or say that there is none."""
    if not key:
        message = (
            "The request has no write key. Send it as the user name of Basic authentication, in X-Write-Key, "
            "or as writeKey in the query or the body."
        )
        raise UnusableKey(message)
    source = find_source_of(key)
    if source is None:
        message = "No active source has this write key."
        raise UnusableKey(message)
    return source


def find_fault(batch: Batch, source: KnownSource, received_at: datetime) -> tuple[CdpError, str] | None:
    """Return what is wrong with a single message, and its id as far as it has one; None if it is good."""
    item = batch.items[0]
    if batch.endpoint_type == "merge" and source.is_public:
        message = "The link call joins profiles, so it needs the secret key of a server source."
        return SecretKeyNeeded(message), sent_message_id(item)
    if source.is_transformed and batch.endpoint_type != "merge":
        # Only the message that the transformations make of it tells whether it has a fault.
        return None
    read = read_item(
        item,
        batch=batch,
        received_at=received_at,
        max_event_bytes=source.max_event_bytes,
        rules=read_identifier_rules(),
        new_id=new_id,
    )
    return (RefusedMessage(read.message, code=read.code), read.message_id) if isinstance(read, Fault) else None


def code_of(error: CdpError) -> str:
    """Return the reason that the outcome row of a refused message gives."""
    return "secret_key_needed" if isinstance(error, SecretKeyNeeded) else error.code


def read_raw(environ: Environ) -> bytes:
    """Return the body as sent, never more than the limit and a byte."""
    declared = environ.get("CONTENT_LENGTH")
    stream = environ["wsgi.input"]
    if not declared:
        # A chunked request declares no length.
        chunked = "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower()
        raw: bytes = stream.read(MAX_REQUEST_BYTES + 1) if chunked else b""
        return raw
    size = int(declared) if declared.isascii() and declared.isdigit() and len(declared) <= MAX_DIGITS else 0
    if size <= MAX_REQUEST_BYTES:
        raw = stream.read(size)
        return raw
    if size <= DRAINED_BYTES:
        while size > 0 and (chunk := stream.read(min(size, CHUNK_BYTES))):
            size -= len(chunk)
    message = f"The request has {declared} bytes; the limit is {MAX_REQUEST_BYTES}. Send smaller batches."
    raise TooLarge(message)


def _sender(environ: Environ, ip_rule: str) -> tuple[str, str, bool]:
    """Return the sender's address, user agent and privacy control, where the sender is the person's own device."""
    address = address_of(environ)
    user_agent = environ.get("HTTP_USER_AGENT", "")[:MAX_USER_AGENT_CHARACTERS].replace("\0", "")
    gpc = "HTTP_SEC_GPC" in environ and has_gpc(environ["HTTP_SEC_GPC"])
    return _kept_address(address, ip_rule), user_agent, gpc


_kept_address = lru_cache(maxsize=10_000)(shorten_address)


def new_id() -> str:
    """Make a message id for a message that has none."""
    return f"cdp-{uuid.uuid4()}"
