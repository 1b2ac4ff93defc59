"""Global Privacy Control: an objection of its own, once, that a later choice overrules."""

from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from cdp.core.senders import has_gpc
from consent.models import Decision
from consent.services.purposes import change_purpose, create_purpose
from tests.ingestion.door import make_source, post, process

pytestmark = pytest.mark.django_db

CHOICE = "Segment Consent Preference Updated"


@pytest.mark.parametrize(
    ("header", "on"),
    [
        ("1", True),
        (" 1 ", True),
        ("0,1", True),
        ("10", False),
        ("", False),
        ("true", False),
        ("0", False),
        ("1.0", False),
    ],
)
def test_is_on_for_exactly_one(header: str, on: bool):
    assert has_gpc(header) is on


@pytest.fixture
def sale(db):
    fields = {"name": "Sale and sharing", "legal_basis": "legitimate_interests"}
    create_purpose(key="sale", fields=fields, actor="system", now=datetime.now(UTC))
    create_purpose(key="news", fields={"name": "News"}, actor="system", now=datetime.now(UTC))
    return change_purpose(key="sale", fields={"gpc": True}, actor="system", now=datetime.now(UTC))


@pytest.fixture
def site(sale):
    return make_source("site", "browser")


def visit(
    key: str, number: int, *, name: str = "Page Seen", gpc: str | None = "1", consent: dict | None = None
) -> None:
    item = {"type": "track", "event": name, "anonymousId": "anon-dana", "messageId": f"m-{number}"}
    if consent is not None:
        item["context"] = {"consent": {"categoryPreferences": consent}}
    headers = {} if gpc is None else {"HTTP_SEC_GPC": gpc}
    assert post("/v1/track", item, key, **headers).status_code == 200
    process()


def states() -> list[tuple[str, str, str]]:
    rows = Decision.objects.select_related("purpose").order_by("id")
    return [(row.purpose.key, row.state, row.evidence["method"]) for row in rows]


def test_objects_once_to_the_purposes_that_it_opts_out_of(site):
    visit(site, 1)
    visit(site, 2)
    assert states() == [("sale", "objected", "gpc")]


def test_says_nothing_without_the_header_or_for_a_servers_messages(site):
    visit(site, 1, gpc=None)
    visit(site, 2, gpc="0")
    visit(make_source("backend"), 3)
    assert states() == []


def test_a_later_choice_overrules_it_and_stays(site):
    visit(site, 1)
    visit(site, 2, name=CHOICE, consent={"sale": True})
    visit(site, 3)
    assert states() == [("sale", "objected", "gpc"), ("sale", "granted", "consent_object")]


def test_does_not_object_against_the_choice_of_the_same_event(site):
    visit(site, 1, name=CHOICE, consent={"sale": True, "news": False})
    visit(site, 2)
    assert ("sale", "objected", "gpc") not in states()
    assert ("sale", "granted", "consent_object") in states()


def test_leaves_other_purposes_alone(site):
    visit(site, 1, consent={"news": True})
    assert set(states()) == {("sale", "objected", "gpc"), ("news", "granted", "consent_object")}


def test_costs_a_request_without_the_header_no_statement(site):
    item = {"type": "track", "event": "A", "anonymousId": "a"}
    post("/v1/track", item, site)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        post("/v1/track", item, site)
        post("/v1/track", item, site, HTTP_SEC_GPC="1")
    # One COPY each: COPY is no statement that Django counts, so nothing else was asked.
    assert [query["sql"] for query in queries if "consent" in query["sql"]] == []


def test_says_that_it_is_heeded():
    answer = Client().get("/.well-known/gpc.json")
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
    assert answer.json()["gpc"] is True
    datetime.strptime(answer.json()["lastUpdate"], "%Y-%m-%d").replace(tzinfo=UTC)
    assert "Set-Cookie" not in answer
