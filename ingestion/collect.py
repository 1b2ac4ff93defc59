"""The collection endpoints: compatible with Segment's and RudderStack's SDKs, answered before anything else runs.

A request is checked for key, size and shape, written to the inbox in one statement, and answered. Identity and
suppression are never looked up here, so the answer cannot tell whether anybody is known.

References
----------
Segment HTTP API; CORS: Fetch standard, section 3.2.
"""

import ipaddress
import logging
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse

from cdp.core.api.problems import problem_of, problem_response
from cdp.core.errors import CdpError, Unavailable
from cdp.core.services.wakeups import wake_now
from ingestion.errors import NoItems, NotJson, RefusedMessage, SecretKeyNeeded, TooLarge, UnusableKey
from ingestion.queries.write_keys import KnownSource, find_source_of, read_identifier_rules
from ingestion.services.accept import accept_request, count_unattributed, reject_message
from ingestion.spec.item import read_item, sent_message_id
from ingestion.spec.limits import MAX_REQUEST_BYTES
from ingestion.spec.message import ENDPOINTS, Fault
from ingestion.spec.request import find_write_key, read_body
from ingestion.spec.split import Batch, split_items

log = logging.getLogger("cdp.collection")

PREFIX = "/v1/"
METHODS = "POST, OPTIONS"
SUCCESS = b'{"success": true}'
PREFLIGHT_SECONDS = "600"
TASK_NAME = "ingestion.process_inbox"
MAX_USER_AGENT_CHARACTERS = 512
# A body over the limit is read to its end up to this size: a client that is still sending would not see the answer.
DRAINED_BYTES = 64 * 1024 * 1024
CHUNK_BYTES = 64 * 1024
MAX_DIGITS = 18
# What counts as a request without a usable source or item list.
UNATTRIBUTED = (UnusableKey, NotJson, NoItems, TooLarge)

_HEADER_NAMES = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~, -]{1,1024}")

Environ = Mapping[str, Any]
Headers = list[tuple[str, str]]
StartResponse = Callable[..., Any]
Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]

CORS = [
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Expose-Headers", "Retry-After"),
    ("Vary", "Origin"),
]
GOOD_HEADERS = [("Content-Type", "application/json"), ("Content-Length", str(len(SUCCESS))), *CORS]


class MethodNotAllowed(CdpError):
    """A collection path was asked for with another method than POST."""

    code = "method_not_allowed"
    status = 405
    title = "Method Not Allowed"


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back."""

    status: int
    headers: Headers
    body: bytes


GOOD = Answer(200, GOOD_HEADERS, SUCCESS)


class CollectionApplication:
    """Answers the collection paths before Django wakes up: its request cycle costs as much as all of the collecting."""

    def __init__(self, application: Application) -> None:
        self.application = application

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer, or hand on."""
        endpoint = find_endpoint(environ.get("PATH_INFO", ""))
        if endpoint is None:
            return self.application(environ, start_response)
        answer = collect(environ, endpoint)
        start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", answer.headers)
        return [answer.body]


class CollectionMiddleware:
    """The same inside Django, where another server or a test calls it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, or hand on."""
        endpoint = find_endpoint(request.path_info)
        if endpoint is None:
            return self.get_response(request)
        answer = collect(request.META, endpoint)
        response = HttpResponse(answer.body, status=answer.status)
        del response.headers["Content-Type"]
        for name, value in answer.headers:
            response.headers[name] = value
        return response


def find_endpoint(path: str) -> str | None:
    """Return the collection endpoint that a path names, with or without a slash at its end."""
    if not path.startswith(PREFIX):
        return None
    endpoint = path[len(PREFIX) :].removesuffix("/")
    return endpoint if endpoint in ENDPOINTS else None


def collect(environ: Environ, endpoint: str) -> Answer:
    """Take in the request; errors carry `code` and `message`, and CORS like everything else.

    Parameters
    ----------
    environ : mapping
        Of WSGI.
    endpoint : str
        A key of `ENDPOINTS`.
    """
    method = environ["REQUEST_METHOD"]
    if method == "OPTIONS":
        return _preflight(environ)
    received_at = datetime.now(UTC)
    try:
        if method != "POST":
            message = "Send messages with POST."
            raise MethodNotAllowed(message)
        try:
            _take_in(environ, endpoint, received_at)
        except UNATTRIBUTED:
            count_unattributed(received_at=received_at)
            raise
    except CdpError as error:
        return _problem(error, method)
    except (DatabaseError, InterfaceError) as error:
        log.warning("a request could not be stored", extra={"fault": type(error).__name__})
        message = "Messages cannot be stored at the moment. Send the same request again."
        return _problem(Unavailable(message), method)
    return GOOD


def _take_in(environ: Environ, endpoint: str, received_at: datetime) -> None:
    query = environ.get("QUERY_STRING", "")
    key = find_write_key(
        authorization=environ.get("HTTP_AUTHORIZATION"),
        write_key_header=environ.get("HTTP_X_WRITE_KEY"),
        query_key=parse_qs(query).get("writeKey", [None])[0] if "writeKey" in query else None,
    )
    raw = _read_raw(environ)
    source = _source_of(key) if key else None
    body = read_body(raw, environ.get("HTTP_CONTENT_ENCODING"))
    batch = split_items(body, endpoint)
    if source is None:
        source = _source_of(batch.write_key)
    if not batch.items:
        return
    if batch.endpoint_type:
        _check_single(batch, source, received_at)
    accept_request(
        source_id=source.id,
        endpoint=endpoint,
        items=len(batch.items),
        body=body,
        received_at=received_at,
        sender=_sender(environ) if source.is_public else ("", ""),
    )
    wake_now(TASK_NAME)


def _source_of(key: str | None) -> KnownSource:
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


def _check_single(batch: Batch, source: KnownSource, received_at: datetime) -> None:
    """Refuse a single message that has a fault, and keep a row that says so."""
    item = batch.items[0]
    fault: CdpError | None = None
    if batch.endpoint_type == "merge" and source.is_public:
        message = "The link call joins profiles, so it needs the secret key of a server source."
        fault, code, message_id = SecretKeyNeeded(message), "secret_key_needed", sent_message_id(item)
    else:
        read = read_item(
            item,
            batch=batch,
            received_at=received_at,
            max_event_bytes=source.max_event_bytes,
            rules=read_identifier_rules(),
            new_id=_new_id,
        )
        if not isinstance(read, Fault):
            return
        fault, code, message_id = RefusedMessage(read.message, code=read.code), read.code, read.message_id
    reject_message(source_id=source.id, message_id=message_id or _new_id(), code=code, received_at=received_at)
    raise fault


def _read_raw(environ: Environ) -> bytes:
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


def _sender(environ: Environ) -> tuple[str, str]:
    """Return the sender's address and user agent, for sources whose sender is the person's own device."""
    address = environ.get("REMOTE_ADDR", "")
    if settings.PRODUCTION and "HTTP_X_FORWARDED_FOR" in environ:
        # The last entry is the one that our own proxy wrote.
        address = environ["HTTP_X_FORWARDED_FOR"].rpartition(",")[2]
    return _checked_address(address), environ.get("HTTP_USER_AGENT", "")[:MAX_USER_AGENT_CHARACTERS].replace("\0", "")


@lru_cache(maxsize=10_000)
def _checked_address(address: str) -> str:
    try:
        return str(ipaddress.ip_address(address.strip()))
    except ValueError:
        return ""


def _preflight(environ: Environ) -> Answer:
    """Allow whatever headers are asked for: SDKs add headers to retries, and a fixed list would lose those."""
    headers = [
        ("Access-Control-Allow-Origin", "*"),
        ("Access-Control-Allow-Methods", METHODS),
        ("Access-Control-Max-Age", PREFLIGHT_SECONDS),
        ("Access-Control-Expose-Headers", "Retry-After"),
        ("Vary", "Origin, Access-Control-Request-Headers"),
    ]
    wanted = environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS", "")
    if _HEADER_NAMES.fullmatch(wanted):
        headers.append(("Access-Control-Allow-Headers", wanted))
    return Answer(204, headers, b"")


def _problem(error: CdpError, method: str) -> Answer:
    """Return the problem document; SDKs look for `code` and `message` and take anything else for a network fault."""
    document = problem_of(error) or {}
    document["message"] = document["detail"]
    response = problem_response(error, body=document)
    headers = [*response.items(), ("Content-Length", str(len(response.content))), *CORS]
    if isinstance(error, MethodNotAllowed):
        headers.append(("Allow", METHODS))
    return Answer(response.status_code, headers, b"" if method == "HEAD" else response.content)


def _new_id() -> str:
    return f"cdp-{uuid.uuid4()}"
