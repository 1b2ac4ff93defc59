"""The description of the REST API, and the page that shows it."""

import re

import pytest
from django.test import Client
from django.urls import URLPattern, get_resolver
from rest_framework.views import APIView

from cdp.core.ui.policy import STRICT
from ingestion.collecting.routes import EXACT, KEYED, find_route

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def schema(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        answer = Client().get("/api/schema/?format=json")
    assert answer.status_code == 200
    return answer.json()


def test_describes_the_audit_trail_with_its_parameters(schema):
    operation = schema["paths"]["/api/v1/audit"]["get"]
    names = {parameter["name"] for parameter in operation["parameters"]}
    assert names == {"actor", "action", "object", "since", "until", "limit", "cursor"}
    assert "results" in schema["components"]["schemas"]["AuditPageSchema"]["properties"]


def test_names_both_ways_in(schema):
    schemes = schema["components"]["securitySchemes"]
    assert schemes["apiKey"] == {"type": "http", "scheme": "bearer"}
    assert schemes["session"]["in"] == "cookie"


def test_every_operation_has_a_name_of_its_own(schema):
    names = [
        operation["operationId"]
        for path in schema["paths"].values()
        for operation in path.values()
        if isinstance(operation, dict) and "operationId" in operation
    ]
    assert len(names) == len(set(names))


def test_docs_load_from_this_installation_only_and_hold_nothing_inline():
    answer = Client().get("/api/docs/")
    page = answer.content.decode()
    assert answer.status_code == 200
    assert all(source.startswith("/") for source in re.findall(r'(?:src|href)="([^"]+)"', page))
    assert not re.search(r"<script(?![^>]*src)|<style|\son\w+=", page)
    for directive, sources in STRICT.items():
        assert f"{directive} {' '.join(sources)}" in answer["Content-Security-Policy"]
    assert "unsafe" not in answer["Content-Security-Policy"]


def test_docs_script_is_served_apart():
    answer = Client().get("/api/docs/?script=")
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("application/javascript")


@pytest.mark.parametrize("path", ["/password/reset", "/password/reset/sent", "/password/reset/done"])
def test_public_pages_have_the_strict_policy(path):
    assert "unsafe" not in Client().get(path)["Content-Security-Policy"]


def _shape(path):
    """Return an address with every part that a caller chooses written alike."""
    return re.sub(r"\{[^}]*\}|<[^>]*>", "*", path)


def _rest_addresses(patterns, prefix=""):
    """Every address that a view of the REST API answers."""
    for one in patterns:
        path = prefix + str(one.pattern)
        if not isinstance(one, URLPattern):
            yield from _rest_addresses(one.url_patterns, path)
        elif issubclass(getattr(one.callback, "cls", object), APIView) and one.name not in {"schema", "docs"}:
            yield "/" + path


def test_describes_every_address_of_the_rest_api(schema):
    described = {_shape(path) for path in schema["paths"]}
    assert {_shape(path) for path in _rest_addresses(get_resolver().url_patterns)} - described == set()


def test_describes_every_address_of_collection_and_its_method(schema):
    answered = {(path, route.methods.split(", ")[0].lower()) for path, route in EXACT.items() if path[-1] != "/"}
    answered |= {(f"{prefix}a-key{suffix}", "get") for prefix, suffix, _, _ in KEYED}
    described = {(path, method) for path, item in schema["paths"].items() for method in item if method != "parameters"}

    def is_described(address, method):
        return any(
            method == its and re.fullmatch(re.sub(r"\{[^}]*\}", "[^/]+", path), address) for path, its in described
        )

    assert [one for one in sorted(answered) if not is_described(*one)] == []
    # And the other way round: what is described under no other roof is answered.
    own = {path for path, item in schema["paths"].items() for one in item.values() if "v1" in one.get("tags", [])}
    assert [
        path for path in own if find_route(re.sub(r"\{type\}", "track", path).replace("{", "").replace("}", "")) is None
    ] == []
