"""What is answered where no view could: for programs a problem document, for people a page."""

import sys
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from cdp.core.api.problems import RETRY_AFTER_SECONDS, problem_body, problem_of, problem_response
from cdp.core.ui.policy import STRICT

REST_PREFIXES = ("/api/", "/opendsr/")

FAULT_OF_OURS = problem_body(
    code="internal",
    status=500,
    title="Internal Server Error",
    detail="Something went wrong on our side. It has been logged with the number in X-Request-Id.",
)


def is_rest(request: HttpRequest) -> bool:
    """Tell whether the answer is for a program: at an address of REST, or for a script of a page that asks for JSON."""
    return request.path.startswith(REST_PREFIXES) or request.headers.get("Accept") == "application/json"


def error_page(request: HttpRequest | None, body: dict[str, Any]) -> HttpResponse:
    """Return a problem as a page that stands alone.

    Parameters
    ----------
    request : HttpRequest or None
        None where the page's context processors could fail as the request did.
    body : dict
        A problem document.
    """
    response = render(request, "error.html", {"problem": body}, status=body["status"])
    response._csp_replace = STRICT  # type: ignore[attr-defined]
    if body["status"] == HTTPStatus.SERVICE_UNAVAILABLE:
        response["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def _answer(request: HttpRequest, error: BaseException | None, *, code: str, status: int, detail: str) -> HttpResponse:
    body = problem_body(code=code, status=status, title=HTTPStatus(status).phrase, detail=detail)
    if is_rest(request):
        return problem_response(error or Exception(), body=body)
    return error_page(request, body)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 400."""
    return _answer(request, exception, code="input.invalid", status=400, detail="The request cannot be read.")


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 403."""
    return _answer(request, exception, code="not_allowed", status=403, detail="This needs a right that you lack.")


def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:  # noqa: ARG001 - Django's signature
    """Answer 403 for a form whose token is missing or old."""
    detail = "The form has expired. Go back, load the page again and repeat."
    return _answer(request, None, code="csrf_failed", status=403, detail=detail)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 404."""
    detail = "There is nothing at this address, or it may not be seen."
    return _answer(request, exception, code="not_found", status=404, detail=detail)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 500, or 503 where only the database is away."""
    error = sys.exc_info()[1]
    known = problem_of(error) if error is not None else None
    body = known if known is not None and known["status"] == HTTPStatus.SERVICE_UNAVAILABLE else FAULT_OF_OURS
    if is_rest(request):
        return problem_response(error or Exception(), body=body)
    # Without the request: its context processors would ask the database again.
    return error_page(None, body)
