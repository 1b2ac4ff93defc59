"""What every answer carries, and what an installation is asked by a name that is not its own."""

from io import BytesIO

import pytest
from django.test import Client

from consent.models import Purpose
from tests.world import PASSWORD, api, signed_in, staff

SHELL = ["/", "/profiles", "/account/", "/api-keys"]
ALONE = ["/password/reset", "/password/reset/sent", "/api/docs/", "/invitations/unknown", "/no-such-page"]
ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}

pytestmark = pytest.mark.django_db


def policy_of(answer) -> dict[str, list[str]]:
    """Return the content security policy by directive."""
    parts = [part.split() for part in answer["Content-Security-Policy"].split(";") if part.strip()]
    return {name: values for name, *values in parts}


@pytest.mark.parametrize("path", [*SHELL, *ALONE, "/admin/login/", "/api/v1/sources"])
def test_every_answer_keeps_browsers_strict(path):
    answer = signed_in("ada").get(path)
    assert {name: answer[name] for name in ALWAYS} == ALWAYS
    assert "camera=()" in answer["Permissions-Policy"]
    policy = policy_of(answer)
    assert policy["frame-ancestors"] == ["'none'"]
    assert policy["object-src"] == ["'none'"]
    assert policy["base-uri"] == policy["form-action"] == ["'self'"]
    assert "'unsafe-inline'" not in policy["script-src"]
    assert "*" not in answer["Content-Security-Policy"]


@pytest.mark.parametrize("path", ALONE)
def test_pages_that_stand_alone_allow_nothing_inline_and_evaluate_nothing(path):
    answer = signed_in("ada").get(path)
    assert "unsafe" not in answer["Content-Security-Policy"]
    assert b" onclick=" not in answer.content
    assert b" style=" not in answer.content


@pytest.mark.parametrize("path", [*SHELL, "/api/v1/sources", "/api/v1/profiles", "/admin/core/user/"])
def test_what_may_be_about_people_is_stored_in_no_cache(path):
    assert "no-store" in signed_in("ada").get(path)["Cache-Control"]


def test_errors_are_stored_in_no_cache_either():
    assert api().get("/api/v1/sources")["Cache-Control"] == "no-store"
    assert "no-store" in Client().get("/no-such-page")["Cache-Control"]


def test_answers_to_its_own_names_only(settings):
    settings.ALLOWED_HOSTS = ["cdp.example"]
    assert Client().get("/admin/login/", headers={"host": "evil.example"}).status_code == 400
    assert Client().get("/admin/login/", headers={"host": "cdp.example"}).status_code == 200


def test_cookies_are_out_of_reach_of_scripts_and_other_sites(settings):
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    browser = Client()
    browser.get("/admin/login/")
    browser.post("/admin/login/", {"username": staff("ana").email, "password": PASSWORD})
    session, token = (browser.cookies[name] for name in (settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME))
    assert (session["httponly"], session["secure"], session["samesite"]) == (True, True, "Lax")
    assert (token["secure"], token["samesite"]) == (True, "Lax")


def test_a_form_of_another_site_changes_nothing():
    browser = signed_in("ben", enforce_csrf_checks=True)
    before = Purpose.objects.count()
    assert browser.post("/purposes/new", {"key": "x"}).status_code in {403, 404}
    answer = browser.post("/api/v1/purposes", {"key": "x", "name": "x"}, content_type="application/json")
    assert answer.status_code == 403
    assert Purpose.objects.count() == before


def test_security_txt_names_whom_the_operator_named(settings):
    assert Client().get("/.well-known/security.txt").status_code == 404
    settings.CDP_SECURITY_CONTACT = "mailto:security@house.example"
    answer = Client().get("/.well-known/security.txt")
    assert answer["Content-Type"].startswith("text/plain")
    lines = answer.content.decode().splitlines()
    assert "Contact: mailto:security@house.example" in lines
    assert any(line.startswith("Expires: ") for line in lines)


# --- What is too much ------------------------------------------------------------------------------------------------


def test_refuses_a_form_of_too_many_fields_or_files():
    browser = signed_in("ada")
    fields = "&".join(f"f{number}=1" for number in range(1001))
    assert browser.post("/sources/new", fields, content_type="application/x-www-form-urlencoded").status_code == 400
    files = {f"f{number}": BytesIO(b"x") for number in range(101)}
    assert browser.post("/imports", files).status_code == 400


def test_refuses_a_body_over_the_limit_before_it_is_read(settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    client = api("administrator")
    answer = client.post("/api/v1/sources", b'{"key": "' + b"x" * 1000 + b'"}', content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (413, "input.too_large")


@pytest.mark.parametrize("body", ['{"a":' * 65 + "1" + "}" * 65, "[" * 200_000])
def test_refuses_json_that_is_nested_too_deeply(body):
    answer = api("administrator").post("/api/v1/sources", body, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, "json.invalid")


def test_the_answer_of_a_security_key_is_read_as_strictly():
    for credential in ("9" * 5000, "[" * 5000, '{"a":' * 100, "[]", "null", '{"id": 1e400}'):
        answer = signed_in("ada").post("/account/keys/add", {"name": "x", "credential": credential})
        assert answer.status_code == 422, credential[:20]
