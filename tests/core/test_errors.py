"""Errors: for programs a problem document, for people a page; never more than they may know."""

import pytest
from django.core.exceptions import PermissionDenied, SuspiciousOperation, ValidationError
from django.db import DataError, IntegrityError, InterfaceError, OperationalError
from django.http import Http404, HttpResponse
from django.test import Client
from django.urls import include, path
from rest_framework import exceptions
from rest_framework.views import APIView

from cdp.core.errors import Conflict, FieldError, InvalidInput, NotAuthenticated, Unavailable
from tests.two_connections import server_closed
from tests.world import api, faults, signed_in

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.core.test_errors")]

RAISED: list[Exception] = []


def page(_request):
    if RAISED:
        raise RAISED[0]
    return HttpResponse("fine")


class Rest(APIView):
    scopes = {"GET": "profiles:read", "POST": "profiles:write"}

    def get(self, _request):
        raise RAISED[0]

    def post(self, request):
        raise (
            InvalidInput("Seen.", errors=[FieldError("a.b[0]", "x.y", "Seen.")]) if request.data else Conflict("Empty.")
        )


urlpatterns = [path("page", page), path("api/thing", Rest.as_view()), path("", include("cdp.urls"))]
handler400 = "cdp.core.ui.errors.bad_request"
handler403 = "cdp.core.ui.errors.forbidden"
handler404 = "cdp.core.ui.errors.not_found"
handler500 = "cdp.core.ui.errors.server_error"


@pytest.fixture
def fail():
    def with_(error: Exception) -> None:
        RAISED[:] = [error]

    yield with_
    RAISED.clear()


SECRET = "ada@customer.example"
CASES = [
    (InvalidInput("Say it otherwise."), 400, "input.invalid", "Say it otherwise."),
    (Conflict("Somebody was first."), 409, "conflict", "Somebody was first."),
    (Unavailable("Later."), 503, "unavailable", "Later."),
    (Http404(SECRET), 404, "not_found", "nothing at this address"),
    (PermissionDenied(SECRET), 403, "not_allowed", "right that you lack"),
    (SuspiciousOperation(SECRET), 400, "input.invalid", "cannot be read"),
    (ValidationError(SECRET), 400, "input.invalid", "wrong form"),
    (DataError(SECRET), 400, "input.unstorable", "outside what can be stored"),
    (IntegrityError(SECRET), 409, "conflict", "same moment"),
    (OperationalError(SECRET), 503, "unavailable", "Send the same request again"),
    (InterfaceError(SECRET), 503, "unavailable", "Send the same request again"),
    (server_closed(SECRET), 503, "unavailable", "Send the same request again"),
    (ValueError("A string literal cannot contain NUL (0x00) characters."), 400, "input.unstorable", "NUL"),
    (UnicodeEncodeError("utf-8", "\ud800", 0, 1, SECRET), 400, "input.unstorable", "surrogate"),
]
IDS = [type(case[0]).__name__ for case in CASES]


@pytest.mark.parametrize(("error", "status", "code", "words"), CASES, ids=IDS)
def test_rest_answers_with_a_problem_document(fail, error, status, code, words):
    fail(error)
    answer = api("profiles:read").get("/api/thing")
    body = answer.json()
    assert (answer.status_code, body["status"], body["code"]) == (status, status, code)
    assert answer["Content-Type"] == "application/problem+json"
    assert words in body["detail"]
    assert SECRET not in answer.content.decode()
    assert set(body) == {"type", "title", "status", "detail", "code", "errors"}
    assert answer.has_header("Retry-After") == (status == 503)


@pytest.mark.parametrize(("error", "status", "code", "words"), CASES, ids=IDS)
def test_pages_answer_with_a_message(fail, error, status, code, words):
    fail(error)
    answer = Client(raise_request_exception=False).get("/page")
    assert answer.status_code == status
    assert answer["Content-Type"].startswith("text/html")
    assert words in answer.content.decode()
    assert SECRET not in answer.content.decode()


@pytest.mark.parametrize("address", ["/page", "/api/thing"])
def test_a_fault_of_ours_is_500_and_tells_nothing(fail, address):
    fail(KeyError(SECRET))
    browser = signed_in("ada", raise_request_exception=False)
    answer = browser.get(address)
    assert answer.status_code == 500
    assert "on our side" in answer.content.decode()
    assert SECRET not in answer.content.decode()
    assert answer["X-Request-Id"]


def test_a_page_sends_who_is_not_signed_in_to_the_login_and_back(fail):
    fail(NotAuthenticated("Sign in."))
    answer = Client().get("/page?a=b")
    assert (answer.status_code, answer["Location"]) == (302, "/admin/login/?next=%2Fpage%3Fa%3Db")


def test_errors_of_the_framework_name_path_and_code(fail):
    detail = {"name": [exceptions.ErrorDetail("Too long.", "max_length")], "parts": [{}, {"n": ["No."]}]}
    fail(exceptions.ValidationError(detail))
    body = api("profiles:read").get("/api/thing").json()
    assert list(faults(body)) == [("name", "max_length"), ("parts[1].n", "invalid")]


@pytest.mark.parametrize(
    ("body", "kind", "status", "code"),
    [
        (b"{", "application/json", 400, "json.invalid"),
        (b'{"a": NaN}', "application/json", 400, "json.invalid"),
        (b'{"a": "\\u0000"}', "application/json", 400, "json.invalid"),
        (b'"\\udc00"', "application/json", 400, "json.invalid"),
        (b"[" * 10_000, "application/json", 400, "json.invalid"),
        (b"<a/>", "application/xml", 415, "input.media_type"),
        (b'{"a": 1}', "application/json", 400, "input.invalid"),
        (b"{}", "application/json", 409, "conflict"),
    ],
)
def test_bad_bodies_are_refused(body, kind, status, code):
    answer = api("profiles:write").post("/api/thing", data=body, content_type=kind)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_body_over_the_limit_is_413(settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    answer = api("profiles:write").post("/api/thing", data=b'"' + b"x" * 200 + b'"', content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (413, "input.too_large")


def test_unknown_addresses_are_404_in_the_form_that_was_asked_for():
    assert Client().get("/api/nothing").json()["code"] == "not_found"
    assert b"nothing at this address" in Client().get("/nothing").content


def test_session_writes_need_the_token():
    browser = signed_in("ada", enforce_csrf_checks=True)
    answer = browser.post("/api/thing", data=b'{"a": 1}', content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")


def test_a_key_needs_no_token():
    client = api("profiles:write", enforce_csrf_checks=True)
    answer = client.post("/api/thing", data=b'{"a": 1}', content_type="application/json")
    assert answer.status_code == 400


def test_answers_are_kept_out_of_caches(fail):
    assert Client().get("/page")["Cache-Control"] == "no-store"
    fail(Conflict("x"))
    assert api("profiles:read").get("/api/thing")["Cache-Control"] == "no-store"


def test_error_pages_run_no_scripts_of_others(fail):
    fail(Conflict("x"))
    assert "unsafe" not in Client().get("/page")["Content-Security-Policy"]
