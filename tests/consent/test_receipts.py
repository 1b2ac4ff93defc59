"""Receipts: signed, complete by ISO/IEC TS 27560, and the person's own."""

import json
from datetime import timedelta

import pytest
from django.test import Client

from cdp.core.signing import SignatureInvalid, verify_document
from consent.services.decisions import NewDecision, record_decision
from consent.services.field_tags import NewFieldTag, tag_field
from consent.services.purposes import create_notice
from profiles.models import Profile
from tests.consent.conftest import NOW, later
from tests.world import api

pytestmark = pytest.mark.django_db
MANDATORY = {"schema_version", "record_id", "pii_principal_id", "receipt_id", "pii_processing", "party_identification"}
OF_PURPOSE = {
    "purpose",
    "lawful_basis",
    "privacy_notice",
    "language",
    "pii_information",
    "pii_controllers",
    "storage_locations",
    "retention_period",
    "jurisdiction",
    "recipient_third_parties",
    "withdrawal_method",
    "authority_party",
    "events",
}
OF_EVENT = {"event_time", "validity_duration", "entity_id", "event_type", "event_state"}
OF_PARTY = {"party_id", "party_name", "party_address", "party_contact", "party_type"}


@pytest.fixture
def dana(make_profile, marketing) -> Profile:
    return make_profile(email="dana@example.org")


def decide(person: Profile, state: str, minutes: float, **more) -> None:
    new = NewDecision(
        purpose="marketing", channel="email", state=state, recorded_by="system", profile_uuid=str(person.uuid), **more
    )
    record_decision(new=new, now=later(minutes))


def receipt(person: Profile) -> dict:
    answer = api("compliance_officer").get(f"/api/v1/profiles/{person.uuid}/consent-receipt")
    assert answer.status_code == 200
    return json.loads(answer.content)


def test_tells_the_whole_story_in_the_words_of_the_standard(dana):
    notice, _ = create_notice(key="news", language="en", text="We write.", actor="system", now=NOW)
    decide(dana, "granted", 1, notice=notice, evidence={"method": "form"})
    decide(dana, "granted", 2, expires_at=later(2) + timedelta(days=3650))
    decide(dana, "withdrawn", 3)
    found = receipt(dana)
    assert set(found) >= MANDATORY
    (one,) = found["pii_processing"]["purposes"]
    assert set(one) >= OF_PURPOSE
    assert all(set(event) >= OF_EVENT for event in one["events"])
    assert [event["event_state"] for event in one["events"]] == ["given", "renewed", "withdrawn"]
    assert one["state"] == "withdrawn"
    assert set(found["party_identification"][0]) >= OF_PARTY
    assert "dana@example.org" not in json.dumps(found)


def test_is_signed_and_notices_any_change(dana):
    decide(dana, "granted", 1)
    found = receipt(dana)
    assert verify_document(found, purpose="consent_receipt").retired is False
    found["pii_processing"]["purposes"][0]["state"] = "refused"
    with pytest.raises(SignatureInvalid):
        verify_document(found)


def test_keeps_the_record_and_changes_the_receipt(dana):
    decide(dana, "granted", 1)
    first, second = receipt(dana), receipt(dana)
    assert first["record_id"] == second["record_id"]
    assert first["receipt_id"] != second["receipt_id"]


def test_names_the_organisation_and_the_tagged_fields(dana):
    officer = api("compliance_officer")
    said = {"name": "House Ltd", "address": "Main Street 1", "contact": "Privacy desk", "jurisdiction": "DE"}
    assert officer.patch("/api/v1/organisation", said, format="json").json()["name"] == "House Ltd"
    assert api("marketer").patch("/api/v1/organisation", said, format="json").status_code == 403
    new = NewFieldTag(kind="trait", name="religion", purposes=["marketing"], sensitivity="special_category")
    tag_field(new=new, actor="system", now=NOW)
    decide(dana, "granted", 1)
    found = receipt(dana)
    assert found["party_identification"][0]["party_name"] == "House Ltd"
    (one,) = found["pii_processing"]["purposes"]
    assert one["jurisdiction"] == "DE"
    special = {row["pii_type"]: row["special_pii_category"] for row in one["pii_information"]}
    assert special == {"email": False, "religion": True}


def test_a_person_downloads_their_own_by_link(dana):
    decide(dana, "granted", 1)
    body = {"profile_id": str(dana.uuid), "kind": "preferences"}
    url = api("compliance_officer").post("/api/v1/preference-links", body, format="json").json()["url"]
    path = "/" + url.split("/", 3)[3]
    page = Client().get(path, {"language": "de"}).content.decode()
    assert f'href="{path}/receipt"' in page
    answer = Client().get(f"{path}/receipt")
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert verify_document(json.loads(answer.content), purpose="consent_receipt")
    assert Client().get("/preferences/wrong/receipt").status_code == 404
