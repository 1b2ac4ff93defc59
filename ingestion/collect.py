"""The collection endpoints: compatible with Segment's, RudderStack's and Jitsu's SDKs, answered before anything else.

What is done with each address: `ingestion.collecting`.
"""

import logging
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse

from cdp.core.errors import CdpError, Unavailable
from ingestion.collecting.answers import GOOD, Answer, Environ, MethodNotAllowed, preflight, problem
from ingestion.collecting.banner import answer_banner, answer_banner_script
from ingestion.collecting.documents import answer_health, answer_settings, answer_source_config
from ingestion.collecting.intake import read_raw, take_messages
from ingestion.collecting.pixels import take_pixel
from ingestion.collecting.routes import Kind, Route, find_route
from ingestion.collecting.snippet import answer_snippet
from ingestion.collecting.watch import ensure_watching, observe

log = logging.getLogger("cdp.collection")

StartResponse = Callable[..., Any]
Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


def discard(environ: Environ, _route: Route, _received_at: datetime) -> Answer:
    """Take what SDKs report about themselves, and keep none of it."""
    read_raw(environ)
    return GOOD


HANDLERS: dict[Kind, Callable[[Environ, Route, datetime], Answer]] = {
    Kind.MESSAGES: take_messages,
    Kind.PIXEL: take_pixel,
    Kind.DISCARDED: discard,
    Kind.SETTINGS: answer_settings,
    Kind.CUSTOMERIO_SETTINGS: answer_settings,
    Kind.SOURCE_CONFIG: answer_source_config,
    Kind.SNIPPET: answer_snippet,
    Kind.SNIPPET_PART: answer_snippet,
    Kind.HEALTH: answer_health,
    Kind.BANNER: answer_banner,
    Kind.BANNER_SCRIPT: answer_banner_script,
}


class CollectionApplication:
    """Answers the collection paths before Django wakes up: its request cycle costs as much as all of the collecting."""

    def __init__(self, application: Application) -> None:
        self.application = application

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer, or hand on."""
        route = find_route(environ.get("PATH_INFO", ""))
        if route is None:
            return self.application(environ, start_response)
        ensure_watching()
        answer = collect(environ, route)
        start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", answer.headers)
        return [answer.body]


class CollectionMiddleware:
    """The same inside Django, where another server or a test calls it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, or hand on."""
        route = find_route(request.path_info)
        if route is None:
            return self.get_response(request)
        answer = collect(request.META, route)
        response = HttpResponse(answer.body, status=answer.status)
        del response.headers["Content-Type"]
        for name, value in answer.headers:
            response.headers[name] = value
        return response


def collect(environ: Environ, route: Route) -> Answer:
    """Answer a request, and count the answer; errors carry `code` and `message`, and CORS like everything else.

    Parameters
    ----------
    environ : mapping
        Of WSGI.
    route : Route
        What its path names.
    """
    began = time.perf_counter()
    method = environ["REQUEST_METHOD"]
    answer = _answer(environ, route, method)
    if method == "HEAD" and answer.body:
        answer = Answer(answer.status, answer.headers, b"")
    observe(method, route.name, answer.status, time.perf_counter() - began)
    return answer


def _answer(environ: Environ, route: Route, method: str) -> Answer:
    if method == "OPTIONS":
        return preflight(environ, route.methods)
    try:
        if method not in route.methods.split(", "):
            message = f"This address takes {route.methods.partition(',')[0]}."
            raise MethodNotAllowed(message)
        return HANDLERS[route.kind](environ, route, datetime.now(UTC))
    except CdpError as error:
        return problem(error, route.methods)
    except (DatabaseError, InterfaceError) as error:
        log.warning("a request could not be stored", extra={"fault": type(error).__name__})
        message = "Messages cannot be stored at the moment. Send the same request again."
        return problem(Unavailable(message), route.methods)
