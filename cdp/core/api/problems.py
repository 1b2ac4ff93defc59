"""Every error as an RFC 9457 problem document, with a stable `code` and the single faults in `errors`.

References
----------
RFC 9457, Problem Details for HTTP APIs.
"""

import logging
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from django.core.exceptions import (
    BadRequest,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
    ValidationError,
)
from django.db import DataError, IntegrityError
from django.http import Http404, HttpResponse
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from cdp.core.api.json import JsonRenderer, dump
from cdp.core.connections import database_is_away
from cdp.core.errors import CdpError, FieldError

log = logging.getLogger("cdp.problems")

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 2
UNSTORABLE_TEXT = "A text holds the NUL character or half of a surrogate pair, which cannot be stored or compared."


def problem_body(
    *, code: str, status: int, title: str, detail: str, errors: list[FieldError] | None = None
) -> dict[str, Any]:
    """Return the members of a problem document."""
    return {
        "type": f"urn:cdp:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "errors": [{"path": e.path, "code": e.code, "message": e.message} for e in errors or []],
    }


def problem_of(error: BaseException) -> dict[str, Any] | None:
    """Return the problem document of an error, or None for a fault of ours."""
    if isinstance(error, CdpError):
        return problem_body(
            code=error.code, status=error.status, title=error.title, detail=error.message, errors=error.errors
        )
    if database_is_away(error):
        return _problem("unavailable", HTTPStatus.SERVICE_UNAVAILABLE, DATABASE_AWAY)
    for kinds, code, status, detail in KNOWN:
        if isinstance(error, kinds):
            if isinstance(error, (DataError, IntegrityError)):
                # Answered, but a service should have said it better: the log tells where.
                log.warning("the database refused a value", exc_info=error)
            return _problem(code, status, detail)
    if isinstance(error, exceptions.APIException):
        return _problem_of_framework(error)
    if is_unstorable_text(error):
        return _problem("input.unstorable", HTTPStatus.BAD_REQUEST, UNSTORABLE_TEXT)
    return None


def _problem(code: str, status: int, detail: str) -> dict[str, Any]:
    return problem_body(code=code, status=status, title=HTTPStatus(status).phrase, detail=detail)


def is_unstorable_text(error: BaseException) -> bool:
    """Tell whether a text reached the database driver that PostgreSQL cannot hold.

    Notes
    -----
    Addresses, forms, headers and filters are many; this is the net under all of them. The driver says it in words only.
    """
    return isinstance(error, UnicodeEncodeError) or (isinstance(error, ValueError) and "NUL (0x00)" in str(error))


KNOWN: list[tuple[tuple[type[BaseException], ...], str, int, str]] = [
    ((Http404,), "not_found", 404, "There is nothing at this address, or it may not be seen."),
    ((PermissionDenied,), "not_allowed", 403, "This needs a right that you lack."),
    ((RequestDataTooBig,), "input.too_large", 413, "The body is larger than this installation allows."),
    ((SuspiciousOperation, BadRequest), "input.invalid", 400, "The request cannot be read."),
    ((ValidationError,), "input.invalid", 400, "A value has the wrong form."),
    ((DataError,), "input.unstorable", 400, "A value is outside what can be stored or compared."),
    ((IntegrityError,), "conflict", 409, "Something else changed the same thing at the same moment. Read it again."),
]
DATABASE_AWAY = "The database is not available at the moment. Send the same request again."

FRAMEWORK_CODES = {
    "not_authenticated": "not_authenticated",
    "authentication_failed": "not_authenticated",
    "permission_denied": "not_allowed",
    "parse_error": "input.invalid",
    "method_not_allowed": "method_not_allowed",
    "not_acceptable": "not_acceptable",
    "unsupported_media_type": "input.media_type",
    "throttled": "too_many_requests",
    "not_found": "not_found",
}


def _problem_of_framework(error: exceptions.APIException) -> dict[str, Any]:
    status = error.status_code
    title = HTTPStatus(status).phrase
    if isinstance(error, exceptions.ValidationError):
        faults = list(_faults(error.detail, ""))
        detail = faults[0].message if len(faults) == 1 else f"The input has {len(faults)} faults."
        return problem_body(code="input.invalid", status=status, title=title, detail=detail, errors=faults)
    code = FRAMEWORK_CODES.get(error.default_code, "error")
    return problem_body(code=code, status=status, title=title, detail=str(error.detail))


def _faults(detail: Any, path: str) -> Iterator[FieldError]:
    """Walk DRF's nested error detail: objects by field, lists by position, leaves with their code."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            own = name not in {"non_field_errors", "detail"}
            yield from _faults(inner, f"{path}.{name}".lstrip(".") if own else path)
    elif isinstance(detail, list):
        nested = any(isinstance(inner, (dict, list)) for inner in detail)
        for position, inner in enumerate(detail):
            yield from _faults(inner, f"{path}[{position}]" if nested else path)
    else:
        yield FieldError(path=path, code=getattr(detail, "code", None) or "invalid", message=str(detail))


def handle_exception(error: Exception, context: dict[str, Any]) -> Response | None:
    """Answer REST's errors (DRF's `EXCEPTION_HANDLER`); None lets a fault of ours go on to the log and to 500."""
    body = problem_of(error)
    if body is None:
        return None
    set_rollback()
    # A view that answers in another format, say CSV, still gives its errors as JSON.
    request = context.get("request")
    if request is not None:
        request.accepted_renderer = JsonRenderer()
        request.accepted_media_type = "application/json"
    return Response(body, status=body["status"], headers=_headers(error, body["status"]), content_type=CONTENT_TYPE)


def _headers(error: BaseException, status: int) -> dict[str, str]:
    headers = {"Cache-Control": "no-store"}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    wait = getattr(error, "wait", None)
    if isinstance(wait, (int, float)):
        headers["Retry-After"] = str(max(1, int(wait)))
    return headers


def problem_response(error: BaseException, *, body: dict[str, Any]) -> HttpResponse:
    """Return a problem document as a plain Django response, for views outside DRF."""
    return HttpResponse(
        dump(body), status=body["status"], headers=_headers(error, body["status"]), content_type=CONTENT_TYPE
    )
