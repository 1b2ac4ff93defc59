"""Consent in numbers: over time, per source, who would be lost, and what needs a look."""

from datetime import timedelta

import pytest
from django.utils import timezone

from consent.services.decisions import NewDecision, record_decision
from consent.services.gate import filter_processable
from consent.services.purposes import change_purpose, create_notice, create_purpose
from profiles.models import Profile
from tests.consent.conftest import NOW
from tests.world import api, signed_in

pytestmark = pytest.mark.django_db


def decide(person: Profile, state: str, *, ago: timedelta = timedelta(), **more) -> None:
    new = NewDecision(
        purpose="marketing",
        state=state,
        recorded_by="system",
        profile_uuid=str(person.uuid),
        **{"channel": "email", "source": "api", **more},
    )
    record_decision(new=new, now=timezone.now() - ago)


@pytest.fixture
def people(make_profile, marketing) -> dict[str, Profile]:
    notice, _ = create_notice(key="n", language="en", text="Old.", actor="system", now=NOW)
    new, _ = create_notice(key="n", language="en", text="New.", actor="system", now=NOW)
    names = ("old", "import", "new", "channels", "withdrawn", "expired", "silent", "restricted")
    found = {name: make_profile(user_id=name) for name in names}
    decide(found["old"], "granted", ago=timedelta(days=3), notice=notice)
    decide(found["import"], "granted", actor="import", source="crm")
    decide(found["new"], "granted", notice=new, evidence={"method": "double_opt_in"})
    decide(found["channels"], "granted", channel=None)
    decide(found["withdrawn"], "granted")
    decide(found["withdrawn"], "withdrawn")
    soon = timezone.now() + timedelta(hours=1)
    decide(found["expired"], "granted", expires_at=soon, ago=timedelta(hours=2))
    decide(found["restricted"], "granted")
    Profile.objects.filter(pk=found["restricted"].pk).update(restricted=True)
    return found


def preview(**body) -> dict:
    answer = api("marketer").post("/api/v1/purposes/marketing/preview", {"channel": "email", **body}, format="json")
    assert answer.status_code == 200, answer.json()
    return answer.json()


@pytest.mark.parametrize(
    "basis", ["consent", "legitimate_interests", "public_task", "contract", "vital_interests", "legal_obligation"]
)
@pytest.mark.parametrize("channel", ["email", "sms", None])
def test_counts_as_the_gate_does(people, basis, channel):
    change_purpose(key="marketing", fields={"legal_basis": basis}, actor="system", now=NOW)
    ids = [person.pk for person in people.values()]
    allowed = filter_processable(profile_ids=ids, purpose="marketing", channel=channel, at=timezone.now())
    found = preview(channel=channel)
    assert (found["allowed_now"], found["lost"]) == (len(allowed), 0)


@pytest.mark.parametrize(
    ("stricter", "kept"),
    [
        ({}, {"old", "import", "new", "channels", "expired"}),
        ({"by_subject": True}, {"old", "new", "channels", "expired"}),
        ({"double_opt_in": True}, {"new"}),
        ({"notice_version": 2}, {"new"}),
        ({"notice_version": 1}, {"old", "new"}),
        ({"granted_after": "1 day"}, {"import", "new", "channels", "expired"}),
    ],
)
def test_tells_who_would_be_lost(people, stricter, kept):
    if "granted_after" in stricter:
        stricter = {"granted_after": (timezone.now() - timedelta(days=1)).isoformat()}
    found = preview(**stricter)
    assert (found["allowed_now"], found["allowed_then"]) == (5, len(kept))
    assert set(found["sample"]) == {
        str(people[name].uuid) for name in {"old", "import", "new", "channels", "expired"} - kept
    }


def test_a_purpose_that_comes_to_need_consent_loses_those_who_said_nothing(people):
    change_purpose(key="marketing", fields={"legal_basis": "legitimate_interests"}, actor="system", now=NOW)
    found = preview(legal_basis="consent")
    assert (found["allowed_now"], found["allowed_then"]) == (6, 5)
    assert found["sample"] == [str(people["silent"].uuid)]


def test_counts_decisions_by_day_and_source(people):
    found = api("marketer").get("/api/v1/purposes/marketing/statistics?days=7").json()
    assert len(found["days"]) == 8
    assert [sum(day["granted"] for day in found["days"]), sum(day["withdrawn"] for day in found["days"])] == [7, 1]
    assert [day["granted"] for day in found["days"]][4] == 1
    assert {row["source"]: row["granted"] for row in found["sources"]} == {"api": 6, "crm": 1}
    assert api("marketer").get("/api/v1/purposes/marketing/statistics?days=x").status_code == 400


def test_names_what_needs_a_look(people):
    found = api("compliance_officer").get("/api/v1/consents/attention").json()
    assert (found["conflicts"], found["expiring"]) == (0, 1)
    page = signed_in("ben").get("/consent/attention").content.decode()
    assert str(people["expired"].uuid)[:8] in page


def test_pages_show_it(people, django_assert_max_num_queries):
    browser = signed_in("ben")
    assert "over-time-data" in browser.get("/consent/purposes/marketing/statistics").content.decode()
    page = browser.get("/consent/purposes/marketing/stricter", {"ask": 1, "channel": "email", "double_opt_in": "on"})
    assert "4 would be lost" in page.content.decode()
    with django_assert_max_num_queries(15):
        browser.get("/consent/attention")
    create_purpose(key="empty", fields={"name": "Empty"}, actor="system", now=NOW)
    assert browser.get("/consent/purposes/empty/statistics").status_code == 200
