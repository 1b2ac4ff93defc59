"""Servers of others, for tests of what the product sends: they answer as told and keep what they were sent."""

import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

# Opens this machine to requests of the product under test.
LOCAL = ["127.0.0.0/8:*", "localhost:*"]


@dataclass(frozen=True)
class Received:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    peer: tuple[str, int]


Reply = tuple[int, dict[str, str], bytes]


@dataclass
class OtherServer:
    """A real HTTP server on a free port of this machine; `reply` decides each answer."""

    reply: Callable[[Received], Reply] = lambda _: (200, {}, b'{"success": true}')
    host: str = "127.0.0.1"
    port: int = 0
    certificate: ssl.SSLContext | None = None
    received: list[Received] = field(default_factory=list)

    def __enter__(self) -> Self:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                request = Received(
                    method=self.command,
                    path=self.path,
                    headers={name.lower(): value for name, value in self.headers.items()},
                    body=self.rfile.read(length),
                    peer=self.client_address,
                )
                outer.received.append(request)
                status, headers, body = outer.reply(request)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = handle_one  # noqa: N815 - the library's names

            def log_message(self, *args: Any) -> None:
                """Stay silent."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *args: Any) -> None:
                """Clients that go away are expected here."""

        self._server = Server((self.host, self.port), Handler)
        if self.certificate is not None:
            self._server.socket = self.certificate.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """The server's address."""
        return f"{'https' if self.certificate else 'http'}://{self.host}:{self.port}"

    def wait_for(self, count: int, *, seconds: float = 10) -> list[Received]:
        """Wait until as many requests arrived, and return them."""
        end = time.monotonic() + seconds
        while len(self.received) < count and time.monotonic() < end:
            time.sleep(0.01)
        return list(self.received)


class RawServer:
    """A server that speaks bytes: `talk` gets each connection, and may break every rule."""

    def __init__(self, talk: Callable[[socket.socket], None]) -> None:
        self._talk = talk
        self.connections = 0

    def __enter__(self) -> Self:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        # A blocked `accept` does not notice `close` alone.
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        with connection:
            try:
                self._talk(connection)
            except OSError:
                return


def read_request(connection: socket.socket) -> bytes:
    """Read a request without a body up to its end."""
    found = b""
    while b"\r\n\r\n" not in found:
        piece = connection.recv(4096)
        if not piece:
            break
        found += piece
    return found
