"""What goes back to an SDK: CORS like everything here, problems with `code` and `message`.

References
----------
CORS: Fetch standard, section 3.2. RFC 9457.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cdp.core.api.problems import problem_of, problem_response
from cdp.core.errors import CdpError

SUCCESS = b'{"success": true}'
# The smallest transparent GIF.
GIF = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")
PREFLIGHT_SECONDS = "600"

_HEADER_NAMES = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~, -]{1,1024}")

Environ = Mapping[str, Any]
Headers = list[tuple[str, str]]

CORS = [
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Expose-Headers", "Retry-After"),
    ("Vary", "Origin"),
]


class MethodNotAllowed(CdpError):
    """A collection path was asked for with another method than its own."""

    code = "method_not_allowed"
    status = 405
    title = "Method Not Allowed"


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back."""

    status: int
    headers: Headers
    body: bytes


def answer_with(body: bytes, content_type: str, *headers: tuple[str, str], status: int = 200) -> Answer:
    """Return a body that every origin may read."""
    length = ("Content-Length", str(len(body)))
    return Answer(status, [("Content-Type", content_type), length, *headers, *CORS], body)


GOOD = answer_with(SUCCESS, "application/json")
PIXEL = answer_with(GIF, "image/gif", ("Cache-Control", "no-store"))


def preflight(environ: Environ, methods: str) -> Answer:
    """Allow whatever headers are asked for: SDKs add headers to retries, and a fixed list would lose those."""
    headers = [
        ("Access-Control-Allow-Origin", "*"),
        ("Access-Control-Allow-Methods", methods),
        ("Access-Control-Max-Age", PREFLIGHT_SECONDS),
        ("Access-Control-Expose-Headers", "Retry-After"),
        ("Vary", "Origin, Access-Control-Request-Headers"),
    ]
    wanted = environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS", "")
    if _HEADER_NAMES.fullmatch(wanted):
        headers.append(("Access-Control-Allow-Headers", wanted))
    return Answer(204, headers, b"")


def problem(error: CdpError, methods: str) -> Answer:
    """Return the problem document; SDKs look for `code` and `message` and take anything else for a network fault."""
    document = problem_of(error) or {}
    document["message"] = document["detail"]
    response = problem_response(error, body=document)
    headers = [*response.items(), ("Content-Length", str(len(response.content))), *CORS]
    if isinstance(error, MethodNotAllowed):
        headers.append(("Allow", methods))
    return Answer(response.status_code, headers, response.content)
