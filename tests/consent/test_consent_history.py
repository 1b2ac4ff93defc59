"""A person's consents as purposes by channels, and the timeline behind each cell on both clocks."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from consent.services.decisions import NewDecision, record_decision
from consent.services.purposes import create_purpose
from profiles.models import Profile
from tests.consent.conftest import NOW, later
from tests.world import api, signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def dana(make_profile, marketing) -> Profile:
    create_purpose(key="orders", fields={"name": "Orders", "legal_basis": "contract"}, actor="system", now=NOW)
    return make_profile(email="dana@example.org")


def decide(person: Profile, state: str, minutes: float, channel: str | None = "email", **more) -> str:
    new = NewDecision(
        purpose="marketing", channel=channel, state=state, recorded_by="system", profile_uuid=str(person.uuid), **more
    )
    found = record_decision(new=new, now=later(minutes))
    assert found is not None
    return str(found.pk)


def check(person: Profile, **query) -> dict:
    asked = {"profile": str(person.uuid), "purpose": "marketing", "channel": "email"}
    asked |= {name: at.isoformat() for name, at in query.items()}
    return api("compliance_officer").get("/api/v1/consents/check", asked).json()


def test_profile_shows_purposes_by_channels_with_a_way_to_each_history(dana):
    decide(dana, "granted", 1)
    page = signed_in("ben").get(f"/profiles/{dana.uuid}").content.decode()
    links = re.findall(r'href="(/profiles/[^"]+/consents/[^"]+)"', page)
    start = f"/profiles/{dana.uuid}/consents"
    assert links == [f"{start}/marketing?channel=email", f"{start}/marketing?channel=sms", f"{start}/orders"]
    for link in links:
        assert signed_in("ben").get(link).status_code == 200


def test_shows_every_decision_of_the_cell_and_of_all_channels_with_both_times(dana):
    decide(dana, "granted", 1, occurred_at=later(-60), evidence={"method": "paper form"})
    decide(dana, "withdrawn", 2, channel=None)
    decide(dana, "granted", 3, channel="sms")
    page = signed_in("ben").get(f"/profiles/{dana.uuid}/consents/marketing?channel=email").content.decode()
    assert "<strong>2</strong> decisions" in page
    assert "may not be processed for this purpose: withdrawn" in page
    assert "paper form" in page
    assert (
        "paper form"
        not in signed_in("ana").get(f"/profiles/{dana.uuid}/consents/marketing?channel=email").content.decode()
    )


def test_answers_on_both_clocks_what_stood_and_what_was_known(dana):
    # Signed on paper an hour earlier, typed in at minute 10, withdrawn at minute 20.
    grant = decide(dana, "granted", 10, occurred_at=later(-60), actor="agent")
    withdrawal = decide(dana, "withdrawn", 20)
    assert check(dana)["decided_by"] == withdrawal
    assert check(dana, as_of=later(0)) == {
        "allowed": True, "state": "granted", "reason": "granted", "decided_by": grant,
    }  # fmt: skip
    assert check(dana, as_of=later(0), known_at=later(5))["state"] == "unknown"
    assert check(dana, known_at=later(15))["state"] == "granted"
    assert check(dana, as_of=later(-61))["state"] == "unknown"
    assert check(dana, as_of=later(20), known_at=later(15))["state"] == "granted"
    page = signed_in("ben").get(
        f"/profiles/{dana.uuid}/consents/marketing",
        {"channel": "email", "as_of": f"{later(0):%Y-%m-%dT%H:%M}", "known_at": ""},
    )
    assert "What stood then" in page.content.decode()
    assert "Data may be processed" in page.content.decode()


def test_a_consent_that_ended_is_given_again_and_both_are_told_apart(dana):
    end = timezone.now() - timedelta(seconds=1)
    first = decide(dana, "granted", -120, expires_at=end, occurred_at=later(-120))
    assert check(dana)["state"] == "expired"
    assert check(dana, as_of=later(-60))["decided_by"] == first
    second = decide(dana, "granted", 1)
    assert (check(dana)["allowed"], check(dana)["decided_by"]) == (True, second)


def test_an_objection_is_told_apart_from_a_withdrawal_and_stands_against_other_bases(dana):
    create_purpose(key="fit", fields={"name": "Fit", "legal_basis": "legitimate_interests"}, actor="system", now=NOW)
    asked = {"profile": str(dana.uuid), "purpose": "fit"}
    rest = api("compliance_officer")
    assert rest.get("/api/v1/consents/check", asked).json()["reason"] == "legal_basis"
    body = {"profile_id": str(dana.uuid), "purpose": "fit", "state": "objected"}
    assert rest.post("/api/v1/consents", body, format="json").json()["state"] == "objected"
    assert rest.get("/api/v1/consents/check", asked).json()["reason"] == "objected"
    decide(dana, "granted", 1)
    decide(dana, "withdrawn", 2)
    assert check(dana)["reason"] == "withdrawn"
