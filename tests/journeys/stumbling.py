"""A way to the product that stumbles: it refuses requests, or loses the answer to one that was delivered."""

import http.client
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LOSE = 0
"""The request is delivered, its answer is lost."""

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}
REFUSAL = b'{"code": "refused", "message": "Send it again."}'


@dataclass(slots=True)
class Way:
    """The address to send to, what happens to the next POSTs (a status, or `LOSE`), and what came by."""

    url: str
    stumbles: list[int] = field(default_factory=list)
    seen: list[tuple[str, int]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


@contextmanager
def stumbling_way(base_url: str, *stumbles: int) -> Generator[Way, None, None]:
    """Open a way to `base_url` on which the first POSTs fail as given."""
    target = base_url.removeprefix("http://")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            with way.lock:
                status = way.stumbles.pop(0) if self.command == "POST" and way.stumbles else None
            if status:
                self._reply(status, [("Content-Type", "application/json"), ("Retry-After", "1")], REFUSAL)
                return
            headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
            onward = http.client.HTTPConnection(target, timeout=30)
            onward.request(self.command, self.path, body or None, headers)
            answer = onward.getresponse()
            text = answer.read()
            onward.close()
            if status == LOSE:
                self._reply(500, [], b"")
                return
            self._reply(answer.status, answer.getheaders(), text)

        def _reply(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
            with way.lock:
                way.seen.append((self.command, status))
            self.send_response(status)
            names = {name.lower() for name, _ in headers}
            if "access-control-allow-origin" not in names:
                headers = [
                    *headers,
                    ("Access-Control-Allow-Origin", "*"),
                    ("Access-Control-Expose-Headers", "Retry-After"),
                ]
            for name, value in headers:
                if name.lower() not in HOP_BY_HOP:
                    self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_POST = do_OPTIONS = do_HEAD = _pass  # noqa: N815 - names that http.server calls

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    way = Way(f"http://127.0.0.1:{server.server_address[1]}", list(stumbles))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield way
    server.shutdown()
    server.server_close()
    thread.join()
