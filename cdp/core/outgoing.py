"""Every HTTP request that the product sends to somebody else's server goes through here, and nothing else connects.

The name is looked up once; every answer is checked (`cdp.core.addresses`); the connection goes to a checked address,
while Host, SNI and the certificate's name stay those of the URL. Redirects are not followed, environment proxies not
used, replies capped and not unpacked, and the whole request has one deadline (docs/decisions/0010-outgoing-http.md).
"""

import io
import ipaddress
import re
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from http.client import HTTPException, HTTPResponse, IncompleteRead
from types import TracebackType
from typing import Any, Self

from django.conf import settings

from cdp.core.addresses import Allowance, IpAddress, OutgoingRefused, Target, check_addresses, read_allowances, read_url
from cdp.core.errors import CdpError

__all__ = ["Answer", "Line", "OutgoingFailed", "OutgoingRefused", "check_url", "send"]

REPLY_BYTES = 64 * 1024
# Headers count too, and what a broken server sends after them.
RECEIVED_BYTES = REPLY_BYTES + 256 * 1024
PIECE_BYTES = 64 * 1024
ADDRESSES_TRIED = 4
# A kept connection is given up after this long, so that a name that now leads elsewhere is looked up and checked again.
LINE_SECONDS = 30.0
LOOK_UP_SECONDS = 5.0
AGENT = "CustomerDataPlatform/1"
OURS = {"host", "content-length", "transfer-encoding", "connection", "accept-encoding", "expect", "upgrade", "te"}

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class OutgoingFailed(CdpError):
    """The other server could not be reached or did not answer properly; the request may be sent again.

    Attributes
    ----------
    reason : str
        ``look_up``, ``connect``, ``tls``, ``timeout`` or ``protocol``.
    """

    code = "outgoing.failed"
    status = 502
    title = "The other server did not answer"

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Answer:
    """What the other server said: any status, names of headers in lower case, at most 64 KB of body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_success(self) -> bool:
        """Tell whether it took the request (2xx). A redirect is none: it is not followed."""
        return 200 <= self.status < 300


def send(
    url: str,
    *,
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    timeout_seconds: float = 10.0,
) -> Answer:
    """Send one request and return the answer, whatever its status.

    Parameters
    ----------
    timeout_seconds : float
        For everything together: looking up the name, connecting, sending, and reading the answer to its end.

    Raises
    ------
    OutgoingRefused
        The URL may not be called; nothing was sent.
    OutgoingFailed
        No connection, no valid certificate, no answer in time.
    """
    with Line() as line:
        return line.send(url, method=method, headers=headers, body=body, timeout_seconds=timeout_seconds)


def check_url(url: str, *, timeout_seconds: float = LOOK_UP_SECONDS) -> Target:
    """Make sure that a URL may be called as things are now, without calling it: for forms that save one.

    Raises
    ------
    OutgoingRefused
        As in `send`, and if the name cannot be looked up: what is given, not the other server, is at fault.
    """
    target = read_url(url)
    try:
        _find_addresses(target, time.monotonic() + timeout_seconds)
    except OutgoingFailed as error:
        raise OutgoingRefused(error.message) from error
    return target


class Line:
    """Requests to one server over a kept connection, one after the other; not for several threads."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._origin: tuple[str, str, int] | None = None
        self._opened_at = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; a later request opens another."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def send(
        self,
        url: str,
        *,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        timeout_seconds: float = 10.0,
    ) -> Answer:
        """Send a request as `cdp.core.outgoing.send` does.

        A kept connection that the server closed meanwhile is opened again and the request sent once more, so a server
        may see it twice.
        """
        deadline = time.monotonic() + timeout_seconds
        target = read_url(url)
        head = _head(target, method, headers or {}, len(body))
        if self._socket is not None and (
            self._origin != target.origin or time.monotonic() - self._opened_at > LINE_SECONDS
        ):
            self.close()
        kept = self._socket is not None
        try:
            return self._exchange(target, method, head + body, deadline)
        except OutgoingFailed as failure:
            # Only where the server closed what was kept; a broken answer would come again.
            if not kept or not isinstance(failure.__cause__, ConnectionError | ssl.SSLError):
                raise
        return self._exchange(target, method, head + body, deadline)

    def _exchange(self, target: Target, method: str, message: bytes, deadline: float) -> Answer:
        if self._socket is None:
            self._socket = _connect(target, deadline)
            self._origin, self._opened_at = target.origin, time.monotonic()
        wire = _Wire(self._socket, deadline)
        stays = False
        try:
            wire.sendall(message)
            response = HTTPResponse(wire, method=method)  # type: ignore[arg-type]
            response.begin()
            read = response.read(REPLY_BYTES + 1)
            if response.length and len(read) <= REPLY_BYTES:
                raise IncompleteRead(read, response.length)
            stays = len(read) <= REPLY_BYTES and not response.will_close
        except TimeoutError as error:
            raise OutgoingFailed(f"{target.host} did not answer in time.", reason="timeout") from error
        except (OSError, HTTPException, ValueError) as error:
            raise OutgoingFailed(f"{target.host} broke the connection off.", reason="protocol") from error
        finally:
            if not stays:
                self.close()
        return Answer(status=response.status, headers=_joined(response), body=read[:REPLY_BYTES])


def _joined(response: HTTPResponse) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in response.headers.items():
        key = name.lower()
        found[key] = f"{found[key]}, {value}" if key in found else value
    return found


def _head(target: Target, method: str, headers: Mapping[str, str], length: int) -> bytes:
    """Return the request's first part. What frames the request is written here and nowhere else."""
    if not _TOKEN.fullmatch(method):
        raise OutgoingRefused("The method is no name.")
    lines = [f"{method} {target.path} HTTP/1.1", f"Host: {target.authority}", "Accept-Encoding: identity"]
    if not any(name.lower() == "user-agent" for name in headers):
        lines.append(f"User-Agent: {AGENT}")
    if length or method not in {"GET", "HEAD"}:
        lines.append(f"Content-Length: {length}")
    for name, value in headers.items():
        if name.lower() in OURS:
            raise OutgoingRefused(f"The header {name} is set by the product itself: leave it out.")
        if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise OutgoingRefused("A header has a name or a value that HTTP does not allow (line breaks, for example).")
        lines.append(f"{name}: {value}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _find_addresses(target: Target, deadline: float) -> list[IpAddress]:
    """Look the name up once, and return its addresses when every one of them may be called."""
    addresses = [target.address] if target.address is not None else _look_up(target, deadline)
    check_addresses(
        target,
        addresses,
        allowances=_allowances(tuple(settings.CDP_OUTGOING_ALLOW)),
        ports=settings.CDP_OUTGOING_PORTS,
    )
    return addresses


@cache
def _allowances(entries: tuple[str, ...]) -> tuple[Allowance, ...]:
    return read_allowances(entries)


def _look_up(target: Target, deadline: float) -> list[IpAddress]:
    """Ask the system's resolver, in a thread: it cannot be told a deadline."""
    found: list[Any] = []

    def ask() -> None:
        try:
            found.append(resolve(target.host, target.port))
        except OSError as error:
            found.append(error)

    thread = threading.Thread(target=ask, name="look-up", daemon=True)
    thread.start()
    thread.join(min(LOOK_UP_SECONDS, max(0.0, deadline - time.monotonic())))
    if not found:
        raise OutgoingFailed(f"The name server did not answer for {target.host} in time.", reason="timeout")
    if isinstance(found[0], OSError):
        raise OutgoingFailed(f"The name {target.host} is not known.", reason="look_up") from found[0]
    # A zone ("fe80::1%2") is left out: the address before it is refused anyway.
    return [ipaddress.ip_address(answer.partition("%")[0]) for answer in dict.fromkeys(found[0])]


def resolve(host: str, port: int) -> list[str]:
    """Return every address that the system has for a name, in its order."""
    return [str(answer[4][0]) for answer in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def _connect(target: Target, deadline: float) -> socket.socket:
    addresses = _find_addresses(target, deadline)
    plain = _reach(target, addresses[:ADDRESSES_TRIED], deadline)
    if target.scheme == "http":
        return plain
    try:
        plain.settimeout(_remaining(deadline))
        return _tls(str(settings.CDP_OUTGOING_CA_FILE)).wrap_socket(plain, server_hostname=target.host)
    except TimeoutError as error:
        plain.close()
        raise OutgoingFailed(f"{target.host} did not answer in time.", reason="timeout") from error
    except ssl.SSLCertVerificationError as error:
        plain.close()
        message = f"The certificate of {target.host} is not valid for it ({error.verify_message.rstrip('.')})."
        raise OutgoingFailed(message, reason="tls") from error
    except (OSError, ValueError) as error:
        plain.close()
        raise OutgoingFailed(f"{target.host} and the product found no common TLS.", reason="tls") from error


def _reach(target: Target, addresses: Sequence[IpAddress], deadline: float) -> socket.socket:
    """Connect to the first address that answers; each has its share of the time that is left."""
    last: OSError | None = None
    for number, address in enumerate(addresses):
        try:
            # With an address instead of a name nothing is looked up again.
            connection = socket.create_connection(
                (str(address), target.port), timeout=_remaining(deadline) / (len(addresses) - number)
            )
        except OSError as error:
            last = error
        else:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection
    if isinstance(last, TimeoutError):
        raise OutgoingFailed(f"{target.host} could not be reached in time.", reason="timeout") from last
    raise OutgoingFailed(f"{target.host} refuses connections or cannot be reached.", reason="connect") from last


@cache
def _tls(ca_file: str) -> ssl.SSLContext:
    """Return the settings of TLS: the system's authorities, and the installation's own beside them."""
    context = ssl.create_default_context()
    if ca_file:
        context.load_verify_locations(cafile=ca_file)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _remaining(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


class _Wire:
    """A socket under one deadline, as far as `HTTPResponse` knows sockets.

    A time limit on each call would let a server that sends a byte a second hold a worker for hours.
    """

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline

    def sendall(self, data: bytes) -> None:
        """Send everything."""
        view = memoryview(data)
        while view:
            self._connection.settimeout(_remaining(self._deadline))
            view = view[self._connection.send(view[:PIECE_BYTES]) :]

    def makefile(self, mode: str) -> io.BufferedReader:
        """Return what the response is read from; closing it does not close the connection."""
        del mode
        return io.BufferedReader(_Received(self._connection, self._deadline))


class _Received(io.RawIOBase):
    """The bytes that come back, up to a limit: a server decides neither how long nor how much is read."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        super().__init__()
        self._connection = connection
        self._deadline = deadline
        self._left = RECEIVED_BYTES

    def readable(self) -> bool:
        """Tell that this can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what is there, waiting no longer than the deadline."""
        if self._left <= 0:
            message = "the reply is longer than is read"
            raise HTTPException(message)
        self._connection.settimeout(_remaining(self._deadline))
        count = self._connection.recv_into(buffer)
        self._left -= count
        return count
