"""Requests of single sign-on, sent through the one guarded place that connects to servers of others."""

import io
from collections.abc import Mapping
from typing import Any

import orjson
from requests import PreparedRequest, Response, Session
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from cdp.core.outgoing import OURS, OutgoingFailed, send

TIMEOUT_SECONDS = 10.0


class GuardedTransport(BaseAdapter):
    """A transport of `requests` that opens no connection of its own."""

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,  # noqa: ARG002 - the signature of requests
        timeout: Any = None,  # noqa: ARG002
        verify: Any = True,  # noqa: ARG002
        cert: Any = None,  # noqa: ARG002
        proxies: Mapping[str, str] | None = None,  # noqa: ARG002
    ) -> Response:
        """Send one request; a redirect is not followed.

        Raises
        ------
        OutgoingRefused, OutgoingFailed
            Shown as a page: it is an operator who must act.
        """
        body: Any = request.body or b""
        content = body.encode() if isinstance(body, str) else bytes(body)
        headers = {name: str(value) for name, value in request.headers.items() if name.lower() not in OURS}
        answer = send(
            request.url or "",
            method=request.method or "GET",
            headers=headers,
            body=content,
            timeout_seconds=TIMEOUT_SECONDS,
        )
        if not answer.is_success or not _is_json(answer.body):
            message = f"The sign-on service answered {answer.status}, or something that is no JSON."
            raise OutgoingFailed(message, reason="protocol")
        response = Response()
        response.status_code = answer.status
        response.headers = CaseInsensitiveDict(answer.headers)
        response.raw = io.BytesIO(answer.body)
        response.url = request.url or ""
        response.request = request
        return response

    def close(self) -> None:
        """Nothing is kept open."""


def _is_json(body: bytes) -> bool:
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return True


def guarded_session() -> Session:
    """Return a session of `requests` whose every request goes through `cdp.core.outgoing`."""
    session = Session()
    session.trust_env = False
    session.max_redirects = 0
    session.mount("https://", GuardedTransport())
    session.mount("http://", GuardedTransport())
    return session
