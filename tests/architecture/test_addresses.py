"""Every address, walked by somebody who is not signed in and by somebody who may do nothing."""

import pytest
from django.test import Client
from django.urls import get_resolver
from rest_framework.views import APIView

from cdp.core.access import ALL_SCOPES
from cdp.core.api.permissions import HasScope, needed_scope
from tests.architecture.addresses import sample, walk
from tests.world import api, signed_in

# What anybody may see, with the reason.
PUBLIC = {
    "healthz": "supervisors and load balancers have no key",
    "readyz": "the same",
    "metrics": "lengths of queues only",
    "api/schema/": "the contract",
    "api/docs/": "the contract, to try with a key",
    "password/reset": "who forgot the password cannot sign in",
    "password/reset/sent": "the same",
    "password/reset/<uidb64>/<token>": "the token is the key",
    "password/reset/done": "the same",
    "invitations/<str:token>": "the token is the key",
    "preferences/<str:token>": "the token is the key",
    "preferences/<str:token>/receipt": "the token is the key",
    "unsubscribe/<str:token>": "the token is the key",
    "confirm/<str:token>": "the token is the key",
    "forms/<slug:key>": "anybody may sign up",
    ".well-known/gpc.json": "for browsers",
    ".well-known/security.txt": "for whoever found a weakness",
    ".well-known/cdp-signing-keys.json": "public keys, with which others verify what was signed here",
    ".well-known/cdp-signing-key.pem": "the same",
    "privacy": "anybody may ask for their rights",
    "privacy/code": "the code is the key",
    "privacy/confirm/<str:token>": "the token is the key",
    "packages/<str:token>": "the token is the key",
    "opendsr/certificate.pem": "with it others verify answers",
    "opendsr/v1/discovery": "what a processor can do, by the specification",
    "opendsr/v2/discovery": "the same",
    "opendsr/stub/v2/discovery": "the same",
    "admin/login/": "signing in",
    "account/sign-on/<slug:provider_id>/": "leads to the sign-on service",
    "account/sign-on/<slug:provider_id>/callback": "comes from the sign-on service",
    "admin/jsi18n/": "texts of the shell",
}
# What only reads but takes a body: identifiers stay out of addresses, definitions are too long for them.
READS_BY_POST = {"preview", "lookup", "dry-run", "rows", "people", "reach", "compare"}
METHODS = ("get", "post", "put", "patch", "delete", "head", "options")


ADDRESSES = list(walk(get_resolver().url_patterns))
IDS = [route or "/" for route, _, _ in ADDRESSES]
# The admin site's last resort is a regular expression; it answers as its pages do.
WALKED = [address for address in ADDRESSES if "(" not in address[0]]


def is_public(route: str) -> bool:
    return route in PUBLIC


@pytest.mark.django_db
@pytest.mark.parametrize(("route", "path"), [pair[:2] for pair in WALKED], ids=[pair[0] or "/" for pair in WALKED])
def test_stops_who_is_not_signed_in(route: str, path: str):
    browser = Client()
    for method in METHODS:
        answer = getattr(browser, method)(path)
        if is_public(route):
            assert answer.status_code < 500, (method, answer.status_code)
        elif method == "options" and answer.status_code == 405:
            continue
        else:
            assert answer.status_code in {302, 401, 403, 405}, (method, answer.status_code)
            if answer.status_code == 302:
                assert answer["Location"].startswith(("/admin/login/", "/admin/"))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("route", "path"), [pair[:2] for pair in WALKED if not is_public(pair[0])], ids=lambda value: value or "/"
)
def test_shows_nothing_to_who_may_do_nothing(route: str, path: str):
    browser = signed_in("cy")
    answer = browser.get(path)
    if route in OPEN_TO_ALL_STAFF:
        assert answer.status_code in {200, 302, 403, 405}
    else:
        assert answer.status_code in {302, 403, 404, 405}, answer.status_code


# Pages that show nothing of customers: the way out, the own password, the empty start.
OPEN_TO_ALL_STAFF = {
    "",
    "admin/",
    "admin/logout/",
    "account/",
    "account/confirm",
    "account/app/add",
    "account/keys/add",
    "account/recovery-codes/new",
    "admin/password_change/",
    "admin/password_change/done/",
    "admin/search/",
    "admin/autocomplete/",
}


def rest_views() -> list[tuple[str, type[APIView]]]:
    found = []
    for route, _, pattern in ADDRESSES:
        view = getattr(pattern.callback, "cls", None) or getattr(pattern.callback, "view_class", None)
        if view is not None and issubclass(view, APIView) and route not in PUBLIC:
            found.append((route, view))
    return found


@pytest.mark.parametrize(("route", "view"), rest_views(), ids=[route for route, _ in rest_views()])
def test_every_rest_view_declares_a_known_scope_for_each_method(route: str, view: type[APIView]):
    methods = [method.upper() for method in METHODS if hasattr(view, method) and method != "options"]
    assert methods
    for method in methods:
        scope = needed_scope(view, method)
        assert scope in ALL_SCOPES, f"{view.__name__}.{method.lower()} declares no scope"
        if method not in {"GET", "HEAD"} and not scope.endswith(":write"):
            assert route.rsplit("/", 1)[-1] in READS_BY_POST, f"{view.__name__}.{method.lower()} writes with {scope}"
    assert HasScope in view.permission_classes


@pytest.mark.django_db
@pytest.mark.parametrize(("route", "view"), rest_views(), ids=[route for route, _ in rest_views()])
def test_every_rest_view_refuses_a_key_without_the_scope(route: str, view: type[APIView]):
    # A key of every scope but those that the view names.
    named = {needed_scope(view, method) for method in ("GET", "POST", "PUT", "PATCH", "DELETE")}
    resources = {scope.split(":")[0] for scope in named if scope}
    client = api(*sorted(scope for scope in ALL_SCOPES if scope.split(":")[0] not in resources))
    for method in METHODS[:5]:
        if hasattr(view, method):
            answer = getattr(client, method)(sample(route))
            assert answer.status_code == 403, (method, answer.status_code)
