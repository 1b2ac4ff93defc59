"""One line per request, and errors as a message for the browser."""

import time
import uuid
from collections.abc import Callable
from typing import ClassVar

import structlog
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.http import urlencode

from cdp.core.api.problems import problem_of, problem_response
from cdp.core.errors import NotAuthenticated
from cdp.core.queries.metrics import observe_request
from cdp.core.reauthentication import ReauthenticationNeeded, lead_to_reauthentication
from cdp.core.ui import health
from cdp.core.ui.errors import error_page, is_rest

log = structlog.get_logger("cdp.requests")

Answer = Callable[[HttpRequest], HttpResponse]
QUIET_ROUTES = frozenset({"healthz", "readyz", "metrics"})
NO_ROUTE = "(no such address)"
# Of what a browser can hand to a page, these need security keys only.
PERMISSIONS = "camera=(), geolocation=(), microphone=(), payment=(), usb=(), publickey-credentials-get=(self)"


class RequestLogMiddleware:
    """Logs method, route, status and milliseconds. The route is the pattern, so neither ids nor names are in it."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, then log."""
        request_id = uuid.uuid4().hex[:16]
        structlog.contextvars.bind_contextvars(request_id=request_id)
        began = time.perf_counter()
        try:
            response = self.get_response(request)
        finally:
            structlog.contextvars.unbind_contextvars("request_id")
        seconds = time.perf_counter() - began
        route = route_of(request)
        observe_request(method=request.method or "", route=route, status=response.status_code, seconds=seconds)
        write = log.debug if route in QUIET_ROUTES or route.startswith(settings.STATIC_URL) else log.info
        write(
            "request",
            method=request.method,
            route=route,
            status=response.status_code,
            ms=round(seconds * 1000, 1),
            request_id=request_id,
        )
        response["X-Request-Id"] = request_id
        return response


def route_of(request: HttpRequest) -> str:
    """Return the pattern of the address, e.g. ``api/v1/profiles/<uuid:profile_id>``."""
    match = request.resolver_match
    if request.path_info in HealthMiddleware.answers:
        return request.path_info.lstrip("/")
    if match is None:
        return "static/…" if request.path.startswith(f"/{settings.STATIC_URL.strip('/')}/") else NO_ROUTE
    return match.route


class HealthMiddleware:
    """Answers health checks before the host is looked at: a supervisor asks by address, not by the public name."""

    answers: ClassVar[dict[str, Answer]] = {
        "/healthz": health.healthz,
        "/readyz": health.readyz,
        "/metrics": health.metrics,
    }

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer a health check, or pass on."""
        return self.answers.get(request.path_info, self.get_response)(request)


class ErrorMiddleware:
    """Turns the error family, and a database that is away, into an answer that says what to do."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, and keep what is shown out of every cache: it may be about people."""
        response = self.get_response(request)
        if not response.has_header("Cache-Control"):
            response["Cache-Control"] = "no-store"
        response.setdefault("Permissions-Policy", PERMISSIONS)
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Answer an error that a view raised; None lets Django log it and answer 500."""
        body = problem_of(error)
        if body is None or isinstance(error, Http404):
            return None
        if is_rest(request):
            return problem_response(error, body=body)
        if isinstance(error, NotAuthenticated):
            return redirect_to_login(request)
        if isinstance(error, ReauthenticationNeeded):
            return lead_to_reauthentication(request)
        return error_page(request, body)


def redirect_to_login(request: HttpRequest) -> HttpResponse:
    """Send somebody who is not signed in to the login page and back."""
    query = urlencode({"next": request.get_full_path()})
    return HttpResponse(status=302, headers={"Location": f"{settings.LOGIN_URL}?{query}"})
