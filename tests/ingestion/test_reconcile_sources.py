"""Holding two sources against each other: through real messages, identity, the job, REST and pages."""

import csv
import io
from datetime import timedelta

import pytest
from django.utils import timezone

from cdp.core.models import AuditEntry
from cdp.core.registries import Subject
from cdp.core.services.jobs import run_jobs
from ingestion.personal_data_watching import Reconciled
from ingestion.reconciliation_models import ReconciledPerson, Reconciliation
from ingestion.services import reconciling
from ingestion.services.reconciling import keep_reconciliations
from profiles.models import Identifier
from tests.profiles.sending import NOW, identify, send, source, track
from tests.world import api, faults, signed_in

pytestmark = pytest.mark.django_db
READER = ("sources:write", "profiles:read")


def person(name):
    return Identifier.objects.get(value=name).profile_id


def compare(**given):
    """Compare shop and crm to the end, and return the answer."""
    made = api(*READER).post("/api/v1/reconciliations", {"a": "shop", "b": "crm", **given}, format="json")
    assert made.status_code == 202, made.content
    run_jobs()
    return api("sources:read").get(f"/api/v1/reconciliations/{made.json()['id']}").json()


def people(found, *scopes, **query):
    answer = api("sources:read", "profiles:read", *scopes).get(f"/api/v1/reconciliations/{found['id']}/people", query)
    assert answer.status_code == 200, answer.content
    return answer


@pytest.fixture
def sources():
    """Four people: two in both, one in the shop only, one in the CRM only."""
    shop, crm = source(key="shop"), source(key="crm")
    send(
        identify("dana-1", email="dana@customer.example", firstName="Dana", city="Berlin", plan="gold", points=5),
        identify("eve-1", email="eve@customer.example", firstName="Eve"),
        track("Order Completed", "", "shopper-1"),
        origin=shop,
    )
    send(
        # Other ids, the same person: the address links them.
        identify("", "crm-77", email="dana@customer.example", firstName="DANA ", city="Hamburg", plan="gold", vip=True),
        identify("", "crm-78", email="eve@customer.example", firstName="Eve", city="Köln"),
        identify("", "crm-79", email="only@customer.example", firstName="Otto"),
        origin=crm,
        at=NOW + timedelta(minutes=1),
    )


def test_tells_who_is_where_and_which_fields_disagree(sources):
    found = compare()
    assert (found["status"], found["a"], found["b"]) == ("done", "shop", "crm")
    assert found["people"] == {"both": 2, "only_a": 1, "only_b": 1}
    none = {"same": 0, "form": 0, "different": 0, "only_a": 0, "only_b": 0}
    assert {one.pop("field"): one for one in found["fields"]} == {
        "email": {**none, "same": 2},
        "firstName": {**none, "same": 1, "form": 1},
        "city": {**none, "different": 1, "only_b": 1},
        "plan": {**none, "same": 1},
        "points": {**none, "only_a": 1},
        "vip": {**none, "only_b": 1},
    }
    assert (found["done"], found["total"]) == (4, 4)
    assert AuditEntry.objects.filter(action="reconciliation.created").count() == 1


def test_lists_people_and_both_values_masked_by_role(sources):
    found = compare()
    (row,) = people(found, "personal_data:read", state="different", field="city").json()["results"]
    assert (row["a"], row["b"]) == ("Berlin", "Hamburg")
    assert row["a_at"] < row["b_at"]
    (row,) = people(found, state="different", field="city").json()["results"]
    assert (row["a"], row["b"]) == ("B***", "H***")
    (row,) = people(found, state="only_b").json()["results"]
    profile = api("profiles:read", "personal_data:read").get(f"/api/v1/profiles/{row['profile_id']}").json()
    assert profile["traits"]["firstName"]["value"] == "Otto"
    assert AuditEntry.objects.filter(action="personal_data.read", object__startswith="reconciliation:").exists()


def test_counts_what_a_source_said_last(sources):
    crm, later = source(key="crm"), NOW + timedelta(hours=1)
    send(identify("", "crm-77", city="Berlin", plan=None), origin=crm, at=later)
    found = {one["field"]: one for one in compare()["fields"]}
    assert (found["city"]["same"], found["city"]["different"]) == (1, 0)
    # The CRM took it back, the shop still says it.
    assert found["plan"]["only_a"] == 1


def test_looks_at_a_period_only(sources):
    later = NOW + timedelta(days=1)
    send(track("Order Completed", "", "crm-79"), origin=source(key="shop"), at=later)
    since = (later - timedelta(hours=1)).isoformat()
    assert compare(since=since)["people"] == {"both": 0, "only_a": 1, "only_b": 0}
    assert compare(until=since)["people"] == {"both": 2, "only_a": 1, "only_b": 1}
    assert compare()["people"] == {"both": 3, "only_a": 1, "only_b": 0}


def test_goes_on_where_it_stopped(sources, monkeypatch):
    monkeypatch.setattr(reconciling, "STEP", 1)
    steps = []
    whole = reconciling._compare
    monkeypatch.setattr(reconciling, "_compare", lambda *given: (steps.append(given[2]), whole(*given)))
    assert compare()["people"] == {"both": 2, "only_a": 1, "only_b": 1}
    assert len(steps) == len(set(steps)) == 4


def test_shows_a_person_under_the_id_that_stayed(sources):
    found = compare()
    send(identify("eve-1", "shopper-1"), origin=source(key="web"), at=NOW + timedelta(hours=1))
    assert person("shopper-1") == person("eve-1")
    (row,) = people(found, state="only_a").json()["results"]
    assert api("profiles:read").get(f"/api/v1/profiles/{row['profile_id']}").status_code == 200


def test_gives_a_file_that_no_spreadsheet_runs(sources):
    send(identify("dana-1", city="=cmd()"), origin=source(key="shop"), at=NOW + timedelta(hours=1))
    found = compare()
    answer = people(found, "personal_data:read", state="different", field="city", format="csv")
    assert answer["Content-Type"].startswith("text/csv")
    header, row = list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert header == ["profile_id", "user_id", "email", "phone", "record_id", "field", "shop", "crm"]
    assert row[1:] == ["dana-1", "dana@customer.example", "", "", "city", "'=cmd()", "Hamburg"]
    masked = b"".join(people(found, state="only_b", format="csv").streaming_content).decode()
    assert "only@customer.example" not in masked


def test_erasure_takes_the_person_out(sources):
    found = compare()
    ids = (person("dana-1"),)
    subject = Subject(profile_ids=ids, uuids=(), identifiers=(("user_id", "dana-1"),), identifier_ids=(), lookups=())
    store = Reconciled()
    # firstName, city, points and vip.
    assert store.count(subject=subject) == 4
    assert {row["field"] for row in store.export(subject=subject)["reconciliations"]} == {
        "firstName",
        "city",
        "points",
        "vip",
    }
    assert store.erase(subject=subject, limit=100) == 4
    assert store.count(subject=subject) == 0
    assert people(found, state="different", field="city").json()["results"] == []


def test_erasure_takes_names_of_fields_out_that_mention_the_person(sources):
    send(identify("dana-1", **{"friend-of-eve-smith": True}), origin=source(key="shop"), at=NOW + timedelta(hours=1))
    compare()
    subject = Subject(profile_ids=(), uuids=(), identifiers=(("user_id", "eve-smith"),), identifier_ids=(), lookups=())
    store = Reconciled()
    assert store.count(subject=subject) == 1
    store.erase(subject=subject, limit=100)
    assert "friend-of-eve-smith" not in Reconciliation.objects.get().fields
    assert not ReconciledPerson.objects.filter(field="friend-of-eve-smith").exists()


def test_keeps_results_for_a_time_and_nobody_who_is_gone(sources):
    compare()
    ReconciledPerson.objects.update(profile_id=-1)
    keep_reconciliations(timezone.now())
    assert (Reconciliation.objects.count(), ReconciledPerson.objects.count()) == (1, 0)
    keep_reconciliations(timezone.now() + timedelta(days=91))
    assert Reconciliation.objects.count() == 0


def test_cancels_one_that_runs(sources):
    made = api(*READER).post("/api/v1/reconciliations", {"a": "shop", "b": "crm"}, format="json").json()
    for _ in range(2):
        answer = api(*READER).post(f"/api/v1/reconciliations/{made['id']}/cancel")
        assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    run_jobs()
    assert api("sources:read").get(f"/api/v1/reconciliations/{made['id']}").json()["people"]["both"] == 0


@pytest.mark.parametrize(
    ("body", "status", "path"),
    [
        ({"a": "shop", "b": "shop"}, 400, "b"),
        ({"a": "shop"}, 400, "b"),
        ({"a": "shop", "b": "crm", "colour": 1}, 400, "colour"),
        ({"a": "shop", "b": "crm", "since": "2026-02-01T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, 400, "until"),
    ],
)
def test_refuses_what_cannot_be_compared(sources, body, status, path):
    answer = api(*READER).post("/api/v1/reconciliations", body, format="json")
    assert (answer.status_code, [place for place, _ in faults(answer.json())]) == (status, [path])


def test_refuses_unknown_sources_fields_and_who_may_not(sources):
    assert api(*READER).post("/api/v1/reconciliations", {"a": "no", "b": "crm"}, format="json").status_code == 404
    found = compare()
    address = f"/api/v1/reconciliations/{found['id']}/people"
    reader = api("sources:read", "profiles:read")
    assert reader.get(address, {"state": "different"}).status_code == 400
    assert reader.get(address, {"state": "different", "field": "nothing"}).status_code == 400
    assert reader.get("/api/v1/reconciliations/999").status_code == 404
    assert api("sources:read").get(address, {"state": "only_a"}).status_code == 403
    assert api("profiles:read").get(address, {"state": "only_a"}).status_code == 403
    assert api("sources:write").post("/api/v1/reconciliations", {}, format="json").status_code in {400, 403}


def test_pages_from_the_form_to_the_people(sources):
    browser = signed_in("ada")
    assert "Compare two sources" in browser.get("/reconciliations").content.decode()
    made = browser.post("/reconciliations", {"a": "shop", "b": "crm", "since": "", "until": ""})
    assert made.status_code == 302, made.content.decode()[:2000]
    address = made["Location"]
    assert 'hx-trigger="every 2s"' in browser.get(address).content.decode()
    run_jobs()
    page = browser.get(f"{address}/progress").content.decode()
    assert "hx-trigger" not in page
    assert "state=only_a" in page
    assert "field=city&amp;state=different" in page
    shown = browser.get(f"{address}/people?field=city&state=different").content.decode()
    assert "Berlin" in shown
    assert "Hamburg" in shown
    assert "Berlin" not in signed_in("ivo").get(f"{address}/people?field=city&state=different").content.decode()
    file = browser.get(f"{address}/people.csv?state=only_b")
    assert b"only@customer.example" in b"".join(file.streaming_content)
    again = browser.post("/reconciliations", {"a": "shop", "b": "nothing"})
    assert again.status_code == 422
