"""A product in miniature for the demo's loader: it keeps what it is sent and can be told to be busy."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson


class MiniatureProduct(ThreadingHTTPServer):
    """Answers the few addresses that the loader speaks to."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.base_url = f"http://127.0.0.1:{self.server_port}"
        self.batches: list[tuple[str, dict[str, Any], int]] = []
        self.made: dict[str, list[dict[str, Any]]] = {"purposes": [], "notices": [], "segments": []}
        self.answers_before_good: list[tuple[int, dict[str, str]]] = []
        self.stop_after: int | None = None

    @property
    def messages(self) -> list[dict[str, Any]]:
        """Every message that was accepted, in order."""
        return [message for _, batch, _ in self.batches for message in batch["batch"]]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: MiniatureProduct

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self._answer(200, {"results": self.server.made[path.rpartition("/")[2]], "next": None})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path != "/v1/batch":
            content = orjson.loads(body)
            self.server.made[self.path.rpartition("/")[2]].append(content)
            self._answer(201, content)
        elif self.server.answers_before_good:
            status, headers = self.server.answers_before_good.pop(0)
            self._answer(status, {"code": "busy", "message": "Come back later."}, headers)
        elif self.server.stop_after is not None and len(self.server.batches) >= self.server.stop_after:
            self._answer(400, {"code": "stop", "message": "No more, says the test."})
        else:
            self.server.batches.append((self.headers["X-Write-Key"], orjson.loads(body), len(body)))
            self._answer(200, {"success": True})

    def _answer(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
        body = orjson.dumps(content)
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent."""


@contextmanager
def miniature_product() -> Iterator[MiniatureProduct]:
    """Run one on a free port."""
    server = MiniatureProduct()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
