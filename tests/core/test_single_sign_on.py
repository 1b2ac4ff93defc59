"""Single sign-on by OpenID Connect, against a provider that runs here and speaks HTTP."""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from django.test import Client

from cdp.core.models import AuditEntry, User
from cdp.core.queries.accounts import roles_of
from cdp.core.sign_in.roles import read_roles, role_of
from tests.world import signed_in, staff

pytestmark = pytest.mark.django_db
BEGIN = "/account/sign-on/oidc/"


class Provider:
    """A sign-on service: answers what it knows of a person, checks the client and the proof of the code."""

    def __init__(self) -> None:
        self.claims: dict[str, object] = {}
        self.challenge = ""
        self.status = 200
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                base = provider.url
                if self.path == "/.well-known/openid-configuration":
                    self.answer(
                        {
                            "issuer": base,
                            "authorization_endpoint": f"{base}/authorize",
                            "token_endpoint": f"{base}/token",
                            "userinfo_endpoint": f"{base}/userinfo",
                            "jwks_uri": f"{base}/keys",
                            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
                        }
                    )
                else:
                    assert self.headers["Authorization"] == "Bearer token-of-the-person"
                    self.answer(provider.claims)

            def do_POST(self):
                given = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                user, _, secret = base64.b64decode(self.headers["Authorization"].split()[1]).decode().partition(":")
                proof = base64.urlsafe_b64encode(hashlib.sha256(given["code_verifier"][0].encode()).digest())
                assert (user, secret, given["code"]) == ("cdp", "s3cret", ["one-code"])
                assert proof.decode().rstrip("=") == provider.challenge
                now = int(time.time())
                token = jwt.encode(
                    {"iss": provider.url, "aud": "cdp", "sub": "u-1", "iat": now, "exp": now + 60}, "k" * 32, "HS256"
                )
                self.answer({"access_token": "token-of-the-person", "token_type": "Bearer", "id_token": token})

            def answer(self, body):
                content = json.dumps(body).encode()
                self.send_response(provider.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def provider(settings) -> Iterator[Provider]:
    running = Provider()
    settings.CDP_OUTGOING_ALLOW = ["127.0.0.0/8:*"]
    settings.CDP_OIDC_ISSUER = running.url
    settings.CDP_OIDC_ROLES = {"crm": "marketer", "dpo": "compliance_officer", "root": "administrator"}
    settings.SOCIALACCOUNT_PROVIDERS = {
        "openid_connect": {
            "OAUTH_PKCE_ENABLED": True,
            "APPS": [
                {
                    "provider_id": "oidc",
                    "name": "House",
                    "client_id": "cdp",
                    "secret": "s3cret",
                    "settings": {"server_url": running.url},
                }
            ],
        }
    }
    yield running
    running.server.shutdown()
    running.server.server_close()


def come_in(provider: Provider, **claims: object):
    """Sign in as somebody of whom the provider says this."""
    provider.claims = {"sub": "u-1", "email": "nia@house.example", "email_verified": True, "name": "Nia", **claims}
    browser = Client()
    sent = browser.get(f"{BEGIN}?next=/profiles")
    assert sent.status_code == 302
    asked = parse_qs(urlsplit(sent["Location"]).query)
    assert sent["Location"].startswith(f"{provider.url}/authorize?")
    assert asked["code_challenge_method"] == ["S256"]
    provider.challenge = asked["code_challenge"][0]
    return browser, browser.get(f"{BEGIN}callback", {"code": "one-code", "state": asked["state"][0]})


def test_somebody_new_comes_in_with_the_role_of_their_group(provider):
    browser, answer = come_in(provider, groups=["staff", "crm"])
    assert (answer.status_code, answer["Location"]) == (302, "/profiles")
    nia = User.objects.get(email="nia@house.example")
    assert roles_of(user=nia) == ["marketer"]
    assert not nia.has_usable_password()
    assert browser.get("/profiles").status_code == 200
    assert AuditEntry.objects.get(action="user.signed_in").detail == {"methods": ["socialaccount"]}


def test_the_role_follows_the_groups_at_each_sign_in(provider):
    come_in(provider, groups=["crm"])
    come_in(provider, groups=["dpo", "crm"])
    assert roles_of(user=User.objects.get(email="nia@house.example")) == ["compliance_officer"]


def test_whoever_lost_their_group_does_not_come_in(provider):
    come_in(provider, groups=["crm"])
    browser, answer = come_in(provider, groups=["staff"])
    assert answer.status_code == 403
    assert b"none of the groups" in answer.content
    assert browser.get("/").status_code == 302


def test_somebody_known_is_recognised_by_a_verified_address_only(provider):
    ana = staff("ana")
    assert come_in(provider, email=ana.email, email_verified=False, groups=["root"])[1].status_code == 403
    assert roles_of(user=ana) == ["marketer"]
    assert come_in(provider, email=ana.email, groups=["dpo"])[1].status_code == 302
    assert roles_of(user=ana) == ["compliance_officer"]
    assert User.objects.count() == 1


def test_who_is_switched_off_does_not_come_in(provider):
    ana = staff("ana")
    ana.is_active = False
    ana.save()
    browser, answer = come_in(provider, email=ana.email, groups=["crm"])
    assert answer.status_code == 403
    assert browser.get("/").status_code == 302


def test_the_last_administrator_keeps_the_role(provider):
    ada = staff("ada")
    assert come_in(provider, email=ada.email, groups=["crm"])[1].status_code == 302
    assert roles_of(user=ada) == ["administrator"]


def test_needs_no_second_factor_here(provider, settings):
    settings.CDP_SECOND_FACTOR_ROLES = frozenset({"administrator"})
    browser, _ = come_in(provider, groups=["root"])
    assert browser.get("/").status_code == 200


def test_a_provider_that_fails_is_said_on_a_page(provider):
    provider.status = 500
    answer = Client().get(BEGIN)
    assert answer.status_code == 502
    assert b"sign-on service" in answer.content


def test_an_answer_that_was_not_asked_for_is_refused(provider):
    assert Client().get(f"{BEGIN}callback", {"code": "one-code", "state": "guessed"}).status_code == 403
    assert signed_in("ana").get(f"{BEGIN}callback").status_code == 403


def test_the_provider_must_be_public_or_allowed(provider, settings):
    settings.CDP_OUTGOING_ALLOW = []
    answer = Client().get(BEGIN)
    assert answer.status_code == 400
    assert b"CDP_OUTGOING" in answer.content


def test_without_a_provider_there_is_no_such_address():
    assert Client().get(BEGIN).status_code == 404
    assert b"sign-on" not in Client().get("/admin/login/").content


def test_the_sign_in_page_offers_it(provider):
    assert b"/account/sign-on/oidc/?next=" in Client().get("/admin/login/").content


@pytest.mark.parametrize(
    ("claims", "role"),
    [
        ({"groups": ["crm"]}, "marketer"),
        ({"groups": "crm"}, "marketer"),
        ({"groups": ["crm", "root"]}, "administrator"),
        ({"groups": ["other"]}, None),
        ({"groups": {"crm": 1}}, None),
        ({}, None),
    ],
)
def test_the_claim_gives_the_role(claims, role):
    roles = read_roles(["crm=marketer", "root=administrator"])
    assert role_of(claims, claim="groups", roles=roles) == role


def test_the_claim_may_lie_deeper_and_a_star_is_for_everybody():
    claims = {"realm_access": {"roles": ["cdp"]}}
    assert role_of(claims, claim="realm_access.roles", roles={"cdp": "integrator"}) == "integrator"
    assert role_of({}, claim="groups", roles={"*": "marketer"}) == "marketer"


@pytest.mark.parametrize("entry", ["crm", "=marketer", "crm=boss"])
def test_a_wrong_entry_is_refused(entry):
    with pytest.raises(ValueError, match="GROUP=ROLE"):
        read_roles([entry])
