"""Approvals, exports and reveals ask again who one is."""

import pytest
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.core.reauthentication import need_recent_authentication, recently_authenticated
from tests.world import PASSWORD, api, signed_in, staff

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.core.test_reauthentication")]


@recently_authenticated
def reveal(request: HttpRequest) -> HttpResponse:
    return HttpResponse("shown")


class Approve(APIView):
    scopes = {"POST": "privacy:write"}

    def post(self, request: Request) -> Response:
        need_recent_authentication(request)
        return Response({})


urlpatterns = [path("reveal", reveal), path("api/approve", Approve.as_view()), path("", include("cdp.urls"))]


def test_lets_pass_who_signed_in_a_moment_ago():
    assert signed_in("ben").get("/reveal").content == b"shown"


def test_asks_who_signed_in_too_long_ago_and_leads_back():
    browser = signed_in("ben", minutes_ago=16)
    asked = browser.get("/reveal?page=2")
    assert (asked.status_code, asked["Location"]) == (302, "/account/confirm?next=%2Freveal%3Fpage%3D2")
    page = browser.get(asked["Location"])
    assert staff("ben").email.encode() in page.content
    back = browser.post(asked["Location"], {"password": PASSWORD, "next": "/reveal?page=2"})
    assert (back.status_code, back["Location"]) == (302, "/reveal?page=2")
    assert browser.get("/reveal").status_code == 200


def test_leads_a_form_back_to_the_page_that_it_was_on():
    browser = signed_in("ben", minutes_ago=16)
    asked = browser.post("/reveal", headers={"referer": "http://testserver/privacy-requests/7"})
    assert asked["Location"] == "/account/confirm?next=%2Fprivacy-requests%2F7"
    elsewhere = browser.post("/reveal", headers={"referer": "http://evil.example/x"})
    assert elsewhere["Location"] == "/account/confirm?next=%2F"


def test_tells_htmx_to_load_the_page_that_asks():
    asked = signed_in("ben", minutes_ago=16).post(
        "/reveal", headers={"hx-request": "true", "hx-current-url": "http://testserver/profiles/1"}
    )
    assert (asked.status_code, asked["HX-Redirect"]) == (204, "/account/confirm?next=%2Fprofiles%2F1")


def test_does_not_take_a_wrong_password_nor_lead_elsewhere():
    browser = signed_in("ben", minutes_ago=16)
    answer = browser.post("/account/confirm", {"password": "wrong", "next": "/reveal"})
    assert answer.status_code == 422
    assert b"not your password" in answer.content
    assert browser.get("/reveal").status_code == 302
    assert browser.post("/account/confirm", {"password": PASSWORD, "next": "//evil.example"})["Location"] == "/"


def test_wrong_passwords_lock_as_they_do_when_signing_in():
    browser = signed_in("ben", minutes_ago=16)
    for _ in range(5):
        answer = browser.post("/account/confirm", {"password": "wrong"})
    assert answer.status_code == 429
    assert browser.post("/account/confirm", {"password": PASSWORD}).status_code == 429


def test_signing_in_counts():
    browser = signed_in("ben", minutes_ago=16)
    browser.logout()
    browser.post("/admin/login/", {"username": staff("ben").email, "password": PASSWORD})
    assert browser.get("/reveal").status_code == 200


def test_rest_says_it_with_a_code_and_lets_keys_pass():
    answer = signed_in("ben", minutes_ago=16).post("/api/approve")
    assert (answer.status_code, answer.json()["code"]) == (403, "account.reauthentication_needed")
    assert signed_in("ben").post("/api/approve").status_code == 200
    assert api("privacy:write").post("/api/approve").status_code == 200


def test_who_is_not_signed_in_signs_in_first(client):
    assert client.get("/reveal")["Location"].startswith("/admin/login/")
    assert client.get("/account/confirm")["Location"].startswith("/admin/login/")
