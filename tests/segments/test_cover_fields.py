"""A segment's purpose has to cover the traits and events that it uses."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from cdp.core.models import AuditEntry
from consent.queries.field_tags import read_sensitivities
from consent.services.purposes import create_purpose
from tests.segments.asking import definition, did, trait
from tests.world import NOW, api, faults, signed_in

pytestmark = pytest.mark.django_db
RICH = definition(trait("income", "gt", 50000))


@pytest.fixture
def marketer() -> APIClient:
    return api("marketer")


@pytest.fixture
def officer() -> APIClient:
    for key, special in (("marketing", False), ("credit", False), ("care", True)):
        fields = {"name": key, "legal_basis": "consent", "channels": ["email"], "special_category": special}
        create_purpose(key=key, fields=fields, actor="system", now=NOW)
    return api("compliance_officer")


def tag(officer: APIClient, kind: str, name: str, purposes: list[str] | None, **more: Any) -> Any:
    body = {"kind": kind, "name": name, "purposes": purposes, **more}
    return officer.post("/api/v1/field-tags", body, format="json")


def save(marketer: APIClient, found: Any, key: str = "rich", **more: Any) -> Any:
    body = {"key": key, "name": key, "definition": found, "purpose": "marketing", **more}
    return marketer.post("/api/v1/segments", body, format="json")


def test_refuses_a_trait_that_serves_another_purpose_with_the_reason(officer: APIClient, marketer: APIClient) -> None:
    assert tag(officer, "trait", "income", ["credit"]).status_code == 201
    answer = save(marketer, RICH, status="live")
    assert (answer.status_code, answer.json()["code"]) == (400, "segment.field_not_covered")
    assert faults(answer.json()) == [("match", "field_not_covered")]
    assert "may serve only credit, not marketing" in answer.json()["detail"]
    assert save(marketer, RICH, purpose="credit").status_code == 201


def test_does_not_mind_what_has_no_tag_or_a_segment_without_purpose(officer: APIClient, marketer: APIClient) -> None:
    assert save(marketer, RICH).status_code == 201
    tag(officer, "trait", "income", [])
    assert save(marketer, RICH, key="no-purpose", purpose=None).status_code == 201


@pytest.mark.parametrize(
    ("kind", "name", "found"),
    [
        ("event", "Prescription Filled", definition(did("Prescription Filled"))),
        ("event", "Prescription Filled", definition(did("*"))),
        ("trait", "email", definition({"type": "identity", "namespace": "email", "op": "exists"})),
    ],
)
def test_looks_at_events_and_identifiers_too(
    officer: APIClient, marketer: APIClient, kind: str, name: str, found: Any
) -> None:
    tag(officer, kind, name, ["credit"])
    assert save(marketer, found).json().get("code") == "segment.field_not_covered"


def test_looks_into_segments_that_a_segment_refers_to(officer: APIClient, marketer: APIClient) -> None:
    save(marketer, RICH, key="inner", purpose=None)
    tag(officer, "trait", "income", ["credit"])
    outer = definition({"type": "segment", "key": "inner"})
    answer = save(marketer, outer, key="outer")
    assert answer.json().get("code") == "segment.field_not_covered"


def test_a_special_category_serves_only_purposes_set_up_for_it(officer: APIClient, marketer: APIClient) -> None:
    tag(officer, "trait", "income", None, sensitivity="special_category")
    assert "GDPR Art. 9" in save(marketer, RICH).json()["detail"]
    assert save(marketer, RICH, purpose="care").status_code == 201
    assert read_sensitivities() == {"income": "special_category"}


def test_only_the_officer_overrides_with_a_reason_that_is_audited(officer: APIClient, marketer: APIClient) -> None:
    tag(officer, "trait", "income", ["credit"])
    leave = {"segment": "rich", "purpose": "marketing", "kind": "trait", "name": "income"}
    assert marketer.post("/api/v1/field-overrides", {**leave, "reason": "please"}, format="json").status_code == 403
    assert officer.post("/api/v1/field-overrides", {**leave, "reason": " "}, format="json").status_code == 400
    given = officer.post("/api/v1/field-overrides", {**leave, "reason": "Balance test of May"}, format="json")
    assert given.status_code == 201
    assert save(marketer, RICH).status_code == 201
    assert save(marketer, RICH, key="other").status_code == 400
    entry = AuditEntry.objects.get(action="field.allowed")
    assert (entry.object, entry.detail["reason"]) == ("segment:rich", "Balance test of May")
    assert officer.delete(f"/api/v1/field-overrides/{given.json()['id']}").json()["lifted_at"] is not None
    assert AuditEntry.objects.filter(action="field.allowed_no_more").count() == 1
    change = {"definition": definition(trait("income", "gt", 1))}
    assert marketer.patch("/api/v1/segments/rich", change, format="json").status_code == 400
    assert marketer.patch("/api/v1/segments/rich", {"name": "Rich people"}, format="json").status_code == 200


def test_shows_the_officer_what_a_later_tag_no_longer_covers(officer: APIClient, marketer: APIClient) -> None:
    save(marketer, RICH)
    assert officer.get("/api/v1/field-tags/uncovered").json() == {"results": []}
    tag(officer, "trait", "income", ["credit"])
    (use,) = officer.get("/api/v1/field-tags/uncovered").json()["results"]
    assert (use["used_by"], use["purpose"], use["fields"][0]["name"]) == ("segment:rich", "marketing", "income")
    browser = signed_in("ben")
    assert "Used against their tags" in browser.get("/consent/fields").content.decode()
    leave = {"used_by": "segment:rich", "purpose": "marketing", "kind": "trait", "name": "income", "reason": "Agreed"}
    assert signed_in("ana").post("/consent/fields/allow", leave).status_code == 403
    assert browser.post("/consent/fields/allow", leave, follow=True).status_code == 200
    assert officer.get("/api/v1/field-tags/uncovered").json() == {"results": []}


def test_tags_on_the_page_and_tells_changes_apart(officer: APIClient) -> None:
    browser = signed_in("ben")
    form = {"kind": "trait", "name": "income", "sensitivity": "sensitive", "serves": "only", "purposes": ["credit"]}
    assert browser.post("/consent/fields", form).status_code == 302
    (row,) = officer.get("/api/v1/field-tags").json()["results"]
    assert (row["purposes"], row["sensitivity"]) == (["credit"], "sensitive")
    assert tag(officer, "trait", "income", None).status_code == 200
    assert AuditEntry.objects.filter(action="field.tagged").count() == 2
    assert browser.post(f"/consent/fields/{row['id']}/untag").status_code == 302
    assert officer.get(f"/api/v1/field-tags/{row['id']}").status_code == 404
    assert tag(officer, "trait", "income", ["nobody"]).status_code == 404
