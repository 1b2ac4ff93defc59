"""Speak HTTP to the product: one connection that is kept, and patience when it is busy or restarting."""

import time
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

import orjson

from ingestion.demo.errors import ProductUnreachable, SendRefused

TIMEOUT_SECONDS = 60
PATIENCE_SECONDS = 180
LONGEST_WAIT_SECONDS = 30
BUSY = {429, 502, 503, 504}


class Connection:
    """A kept connection to the product; it reconnects by itself."""

    def __init__(self, base_url: str) -> None:
        parts = urlsplit(base_url)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self.base_url = base_url
        self._prefix = parts.path.rstrip("/")
        self._http = kind(parts.hostname or "127.0.0.1", parts.port, timeout=TIMEOUT_SECONDS)

    def close(self) -> None:
        """Close it; a later request opens it again."""
        self._http.close()

    def request(self, method: str, path: str, *, token: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Send a request, again while the product is busy or away, and return status and body.

        Raises
        ------
        ProductUnreachable
            The product did not take the request within three minutes.
        """
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        return self._send(method, path, headers, body)

    def collect(self, *, write_key: str, body: bytes) -> None:
        """Send a batch to the collection API.

        Raises
        ------
        SendRefused
            The product does not want the batch, e.g. because the write key was changed.
        ProductUnreachable
            As in `request`.
        """
        headers = {"X-Write-Key": write_key, "Content-Type": "application/json"}
        status, answer = self._send("POST", "/v1/batch", headers, body)
        if status != 200:
            raise SendRefused(f"The collection API answered {status}: {_reason(answer)}")

    def _send(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> tuple[int, bytes]:
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        wait = 0.25
        while True:
            try:
                self._http.request(method, self._prefix + path, body=body, headers=dict(headers))
                response = self._http.getresponse()
                answer = response.read()
            except (OSError, HTTPException) as error:
                self._http.close()
                fault, asked = type(error).__name__, None
            else:
                if response.status not in BUSY:
                    return response.status, answer
                fault, asked = f"status {response.status}", _retry_after(response)
            if time.monotonic() > give_up_at:
                raise ProductUnreachable(f"{self.base_url} did not take a request for {PATIENCE_SECONDS} s ({fault}).")
            time.sleep(min(asked if asked is not None else wait, LONGEST_WAIT_SECONDS))
            wait = min(2 * wait, 5.0)


class Rest:
    """The management API over a `Connection`, with one key."""

    def __init__(self, connection: Connection, api_key: str) -> None:
        self._connection = connection
        self._api_key = api_key

    def get(self, path: str) -> Any:
        """Return the JSON answer of a GET.

        Raises
        ------
        SendRefused
            The answer's status is not 200.
        """
        status, answer = self._connection.request("GET", path, token=self._api_key)
        if status != 200:
            raise SendRefused(f"GET {path} answered {status}: {_reason(answer)}")
        return orjson.loads(answer)

    def post(self, path: str, content: Mapping[str, Any]) -> Any:
        """Return the JSON answer of a POST.

        Raises
        ------
        SendRefused
            The answer's status is not of the 200s.
        """
        body = orjson.dumps(content)
        status, answer = self._connection.request("POST", path, token=self._api_key, body=body)
        if not 200 <= status < 300:
            raise SendRefused(f"POST {path} answered {status}: {_reason(answer)}")
        return orjson.loads(answer) if answer else None


def _retry_after(response: HTTPResponse) -> float | None:
    value = response.getheader("Retry-After", "")
    return float(value) if value.isdecimal() else None


def _reason(answer: bytes) -> str:
    try:
        problem = orjson.loads(answer)
    except orjson.JSONDecodeError:
        return "no reason given"
    named = problem if isinstance(problem, dict) else {}
    return str(named.get("detail") or named.get("message") or "no reason given")
