"""Consent strings of the IAB framework, by REST and on messages."""

from datetime import UTC, datetime, timedelta

import pytest

from consent.asking_models import UnmappedCategory
from consent.models import Decision
from consent.services.decisions import NewDecision, record_decision
from consent.services.purposes import change_purpose, create_purpose
from tests.consent.tcf.writing import write
from tests.profiles.sending import send, source
from tests.world import api, faults

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC)
YESTERDAY = NOW.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)


def string(*purposes: int, day: datetime = YESTERDAY, **said: object) -> str:
    return write(purposes=frozenset(purposes), created_at=day, updated_at=day, **said)


@pytest.fixture
def ads(db):
    create_purpose(key="ads", fields={"name": "Advertising"}, actor="system", now=NOW)
    return change_purpose(key="ads", fields={"tcf_purposes": [1, 4]}, actor="system", now=NOW)


@pytest.fixture
def measuring(db):
    create_purpose(key="measuring", fields={"name": "Measuring"}, actor="system", now=NOW)
    return change_purpose(key="measuring", fields={"tcf_purposes": [7]}, actor="system", now=NOW)


@pytest.fixture
def dana(make_profile):
    return make_profile(email="dana@example.org")


def post(text: str, **more):
    body = {"tc_string": text, "identifier": {"type": "email", "value": "dana@example.org"}, **more}
    return api("compliance_officer").post("/api/v1/consents/tcf", body, format="json")


def test_records_what_a_string_says_on_each_mapped_purpose(ads, measuring, dana):
    text = string(1, 4)
    answer = post(text)
    assert answer.status_code == 201
    body = answer.json()
    assert (body["tcf"]["purposes"], body["tcf"]["cmp_id"], body["tcf"]["flags"]) == ([1, 4], 10, [])
    assert {one["purpose"]: one["state"] for one in body["consents"]} == {"ads": "granted", "measuring": "denied"}
    evidence = body["consents"][0]["evidence"]
    assert (evidence["method"], evidence["tc_string"], evidence["cmp_id"]) == ("tcf", text, 10)


def test_writes_nothing_twice(ads, measuring, dana):
    post(string(1, 4))
    assert post(string(1, 4)).json()["consents"] == []
    assert Decision.objects.count() == 2


def test_an_old_string_does_not_lift_a_withdrawal_made_since(ads, dana):
    post(string(1, 4))
    new = NewDecision(purpose="ads", channel=None, state="withdrawn", recorded_by="system", profile_uuid=str(dana.uuid))
    record_decision(new=new, now=datetime.now(UTC))
    post(string(1, 4))
    query = {"profile": str(dana.uuid), "purpose": "ads"}
    verdict = api("compliance_officer").get("/api/v1/consents/check", query).json()
    assert (verdict["allowed"], verdict["state"]) == (False, "withdrawn")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("CQSbk4AQSbk4ANwAAAENAwCg", "consent.tcf_truncated"),
        ("BOEFEAyOEFEAyAHABDENAI4AAAB9vABAASA", "consent.tcf_wrong_version"),
        (string(1, 4, service_specific=False), "consent.tcf_void"),
        (string(1, 4, disclosed_vendors=None), "consent.tcf_void"),
    ],
)
def test_refuses_a_string_that_says_nothing(ads, dana, text, code):
    answer = post(text)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert not Decision.objects.exists()


def test_refuses_consent_tools_that_the_register_deleted(ads, dana, settings):
    settings.CDP_TCF_DELETED_CMPS = frozenset({10})
    assert post(string(1, 4)).json()["code"] == "consent.tcf_void"


def test_needs_the_own_vendor_where_it_has_a_number(ads, dana, settings):
    settings.CDP_TCF_VENDOR_ID = 7
    assert post(string(1, 4)).json()["consents"][0]["state"] == "denied"
    allowed = string(1, 4, vendors=frozenset({7}), disclosed_vendors=frozenset({7}))
    assert post(allowed).json()["consents"][0]["state"] == "granted"


def test_needs_one_person_and_the_right(ads, dana):
    answer = post(string(1), profile_id=str(dana.uuid))
    assert faults(answer.json()) == [("", "one_of")] or answer.status_code == 400
    reader = api("marketer").post("/api/v1/consents/tcf", {"tc_string": "x"}, format="json")
    assert reader.status_code == 403


def test_reads_and_changes_what_signals_mean_for_a_purpose(ads):
    officer = api("compliance_officer")
    given = {
        "gpc": True,
        "consent_mode": ["ad_storage"],
        "words": {"de": {"name": "Werbung", "description": "Anzeigen"}},
    }
    changed = officer.patch("/api/v1/purposes/ads/signals", given, format="json").json()
    assert changed == {"description": "", "tcf_purposes": [1, 4], **given}
    assert officer.get("/api/v1/purposes/ads/signals").json() == changed
    for wrong in ({"tcf_purposes": [25]}, {"consent_mode": ["ads"]}, {"words": {"xx": {"name": "x"}}}):
        assert officer.patch("/api/v1/purposes/ads/signals", wrong, format="json").status_code == 400


# --- On messages -----------------------------------------------------------------------------------------------------


def visit(user: str, at: datetime, *, name: str = "Page Seen", **consent: object) -> None:
    item = {
        "type": "track",
        "event": name,
        "userId": user,
        "anonymousId": f"anon-{user}",
        "context": {"consent": consent},
    }
    send(item, origin=source("browser"), at=at)


def states() -> list[tuple[str, str, str]]:
    rows = Decision.objects.select_related("purpose").order_by("id")
    return [(row.purpose.key, row.state, row.evidence["method"]) for row in rows]


def test_a_string_on_a_message_writes_where_nothing_is_stored(ads, measuring):
    visit("dana", NOW, tcf=string(1, 4))
    visit("dana", NOW + timedelta(minutes=1), tcf=string(1, 4))
    assert sorted(states()) == [("ads", "granted", "consent_object"), ("measuring", "denied", "consent_object")]


def test_any_no_is_a_no(ads):
    visit("dana", NOW, tcf=string(1, 4), categoryPreferences={"ads": False})
    visit("eve", NOW, tcf=string(1), categoryPreferences={"ads": True})
    assert [state for _, state, _ in states()] == ["denied", "denied"]


def test_counts_strings_that_say_nothing(ads):
    visit("dana", NOW, tcf="CQSbk4AQSbk4ANwAAAENAwCg")
    visit("dana", NOW, tcf=string(1, 4, service_specific=False))
    assert states() == []
    counted = dict(UnmappedCategory.objects.values_list("category", "count"))
    assert counted == {"tcf: truncated": 1, "tcf: global_scope": 1}


def test_consent_mode_is_kept_as_evidence_and_mapped():
    create_purpose(key="ads", fields={"name": "Ads"}, actor="system", now=NOW)
    change_purpose(key="ads", fields={"consent_mode": ["ad_storage", "ad_user_data"]}, actor="system", now=NOW)
    said = {"ad_storage": "granted", "ad_user_data": "granted", "security_storage": "granted", "odd": "granted"}
    visit("dana", NOW, googleConsentMode=said)
    visit("eve", NOW, googleConsentMode={"ad_storage": "granted"})
    visit("eve", NOW, googleConsentMode={"ad_storage": "denied"})
    assert [state for _, state, _ in states()] == ["granted", "denied"]
    del said["odd"]
    first = Decision.objects.order_by("id").first()
    assert first is not None
    assert first.evidence["consent_mode"] == said
    client = api("compliance_officer")
    (person,) = client.get("/api/v1/profiles?identifier=user_id:dana").json()["results"]
    signals = client.get(f"/api/v1/profiles/{person['id']}/consent-mode").json()["signals"]
    assert (signals["ad_storage"], signals["ad_user_data"], signals["analytics_storage"]) == (
        "granted",
        "granted",
        "unknown",
    )
