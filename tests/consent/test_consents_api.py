"""Purposes, notices and consents by REST."""

import pytest

from consent.models import Decision
from tests.world import api, faults

pytestmark = pytest.mark.django_db


@pytest.fixture
def dana(make_profile):
    return make_profile(email="dana@example.org", user_id="dana-1")


def record(client, person, state, **more):
    body = {"profile_id": str(person.uuid), "purpose": "marketing", "state": state, **more}
    return client.post("/api/v1/consents", body, format="json")


def check(client, person, **more):
    query = {"profile": str(person.uuid), "purpose": "marketing", **more}
    return client.get("/api/v1/consents/check", query).json()


def test_creates_a_purpose_once(officer):
    body = {"key": "marketing", "name": "Marketing", "legal_basis": "consent", "channels": ["email"]}
    first = officer.post("/api/v1/purposes", body, format="json")
    assert (first.status_code, officer.post("/api/v1/purposes", body, format="json").status_code) == (201, 200)
    assert first.json() == {
        **body,
        "retention_days": None,
        "recipients": [],
        "consent_categories": [],
        "special_category": False,
    }
    other = officer.post("/api/v1/purposes", {**body, "name": "Other"}, format="json")
    assert (other.status_code, other.json()["code"]) == (409, "consent.purpose_exists")
    changed = officer.patch("/api/v1/purposes/marketing", {"channels": ["email", "sms"]}, format="json")
    assert changed.json()["channels"] == ["email", "sms"]
    assert officer.get("/api/v1/purposes").json()["results"] == [changed.json()]


def test_refuses_a_purpose_with_an_unknown_member_or_basis(officer):
    answer = officer.post(
        "/api/v1/purposes", {"key": "x", "name": "X", "legal_basis": "because", "chanels": []}, format="json"
    )
    assert answer.status_code == 400
    assert faults(answer.json()) == [("chanels", "unknown")]


def test_keeps_every_version_of_a_notice_byte_for_byte(officer):
    texts = ["We write.\n", "We write weekly. "]
    made = [
        officer.post("/api/v1/notices", {"key": "terms", "language": "en", "text": text}, format="json").json()
        for text in texts
    ]
    assert [notice["version"] for notice in made] == [1, 2]
    listed = officer.get("/api/v1/notices?key=terms").json()["results"]
    assert [notice["text"] for notice in listed] == texts[::-1]


def test_records_a_decision_with_its_evidence(officer, marketing, dana):
    notice = {"key": "terms", "language": "en", "text": "We write."}
    officer.post("/api/v1/notices", notice, format="json")
    answer = record(
        officer,
        dana,
        "granted",
        channel="email",
        notice="terms/en",
        notice_version=1,
        evidence={"form": "signup"},
        source="shop",
        expires_at="2030-01-01T00:00:00Z",
    )
    assert answer.status_code == 201
    body = answer.json()
    assert body["profile_id"] == str(dana.uuid)
    assert body["expires_at"] == "2030-01-01T00:00:00.000Z"
    assert {name: body[name] for name in ("state", "channel", "actor", "notice_version", "conflict")} == {
        "state": "granted",
        "channel": "email",
        "actor": "subject",
        "notice_version": 1,
        "conflict": False,
    }
    assert (body["evidence"], body["source"]) == ({"form": "signup"}, "shop")
    assert officer.get(f"/api/v1/consents?profile={dana.uuid}").json()["results"] == [body]


def test_finds_the_person_by_identifier(officer, marketing, dana):
    body = {
        "identifier": {"type": "email", "value": " Dana@Example.org "},
        "purpose": "marketing",
        "state": "granted",
    }
    assert officer.post("/api/v1/consents", body, format="json").json()["profile_id"] == str(dana.uuid)


def test_checks_before_and_after_a_withdrawal(officer, marketing, dana):
    assert check(officer, dana) == {
        "allowed": False,
        "state": "unknown",
        "reason": "unknown",
        "decided_by": None,
    }
    granted = record(officer, dana, "granted").json()
    assert check(officer, dana, channel="email") == {
        "allowed": True,
        "state": "granted",
        "reason": "granted",
        "decided_by": granted["id"],
    }
    withdrawn = record(officer, dana, "denied", occurred_at="2020-01-01T00:00:00Z").json()
    assert withdrawn["state"] == "withdrawn"
    assert check(officer, dana)["decided_by"] == withdrawn["id"]
    before = check(officer, dana, as_of=granted["recorded_at"])
    assert before["allowed"]
    assert check(officer, dana, known_at=granted["recorded_at"])["allowed"]


def test_keeps_two_purposes_apart(officer, marketing, dana):
    officer.post("/api/v1/purposes", {"key": "analytics", "name": "Analytics"}, format="json")
    record(officer, dana, "granted")
    record(officer, dana, "granted", purpose="analytics")
    current = officer.get(f"/api/v1/profiles/{dana.uuid}/consents").json()["results"]
    assert [(row["purpose"], row["state"]) for row in current] == [
        ("analytics", "granted"),
        ("marketing", "granted"),
    ]
    assert len(officer.get(f"/api/v1/consents?profile={dana.uuid}").json()["results"]) == 2


def test_shows_the_version_that_the_current_answer_was_given_on(officer, marketing, dana):
    for text in ("Version one.", "Version two."):
        officer.post("/api/v1/notices", {"key": "terms", "language": "en", "text": text}, format="json")
    record(officer, dana, "granted", notice="terms", notice_version=1)
    record(officer, dana, "denied", notice="terms", notice_version=2)
    (current,) = officer.get(f"/api/v1/profiles/{dana.uuid}/consents").json()["results"]
    assert (current["state"], current["notice_version"], current["notice_is_latest"]) == ("withdrawn", 2, True)
    rows = officer.get("/api/v1/consents").json()["results"]
    assert [row["notice_is_latest"] for row in rows] == [True, False]


def test_flags_an_agents_grant_over_a_withdrawal_until_evidence_is_attached(officer, marketing, dana):
    record(officer, dana, "granted")
    record(officer, dana, "withdrawn")
    grant = record(officer, dana, "granted", actor="agent").json()
    assert grant["conflict"]
    assert check(officer, dana)["reason"] == "conflict"
    settled = officer.post(f"/api/v1/consents/{grant['id']}/evidence", {"evidence": {"call": "17"}}, format="json")
    assert not settled.json()["conflict"]
    assert check(officer, dana)["allowed"]


@pytest.mark.parametrize(
    ("wrong", "status", "code"),
    [
        ({"purpose": "nonsense"}, 404, "consent.unknown_purpose"),
        ({"channel": "fax"}, 400, "consent.unknown_channel"),
        ({"state": "expired"}, 400, "input.invalid"),
        ({"state": 7}, 400, "input.invalid"),
        ({"profile_id": "no-uuid"}, 404, "profile.not_found"),
        ({"profile_id": None}, 400, "input.invalid"),
        ({"identifier": {"type": "email", "value": "x@example.org"}}, 400, "input.invalid"),
        ({"occurred_at": "yesterday"}, 400, "input.invalid"),
        ({"occurred_at": "0000-01-01T00:00:00Z"}, 400, "input.invalid"),
        ({"occurred_at": "294277-01-01T00:00:00Z"}, 400, "input.invalid"),
        ({"occurred_at": 1e300}, 400, "input.invalid"),
        ({"expires_at": "2001-01-01T00:00:00Z"}, 400, "input.invalid"),
        ({"actor": "nobody"}, 400, "input.invalid"),
        ({"notice": "nonsense"}, 404, "consent.unknown_notice"),
        ({"notice_version": 0}, 400, "input.invalid"),
        ({"evidence": []}, 400, "input.invalid"),
        ({"evidence": {"text": "x" * 20_000}}, 400, "input.invalid"),
        ({"stat": "granted"}, 400, "input.invalid"),
    ],
)
def test_answers_bad_input_with_a_problem(officer, marketing, dana, wrong, status, code):
    answer = record(officer, dana, **{"state": "granted", **wrong})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not Decision.objects.exists()


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'"x"', b"null", b'{"state": NaN}', b'{"purpose": "\\u0000"}', b'{"purpose": "\\ud800"}']
)
def test_answers_a_broken_body_with_a_problem(officer, marketing, body):
    for address in ("consents", "purposes", "notices", "privacy-requests", "suppressions"):
        answer = officer.post(f"/api/v1/{address}", body, content_type="application/json")
        assert answer.status_code == 400


@pytest.mark.parametrize(
    "query",
    ["", "?profile=x", "?purpose=marketing", "?profile=x&purpose=marketing", "?profile=x&purpose=m&as_of=zz"],
)
def test_answers_a_bad_question_with_a_problem(officer, marketing, query):
    assert officer.get(f"/api/v1/consents/check{query}").status_code in {400, 404}


def test_needs_the_scope(marketing, dana):
    reader = api("consents:read")
    assert record(reader, dana, "granted").status_code == 403
    assert record(api("segments:write"), dana, "granted").status_code == 403
    assert record(api(), dana, "granted").status_code == 401
    for address in ("purposes", "notices", "consents", f"profiles/{dana.uuid}/consents"):
        assert reader.get(f"/api/v1/{address}").status_code == 200
        assert api("profiles:read").get(f"/api/v1/{address}").status_code == 403


def test_masks_evidence_for_whoever_may_not_see_personal_data(marketing, officer, dana):
    record(officer, dana, "granted", evidence={"ip": "192.0.2.77"})
    (row,) = api("consents:read").get(f"/api/v1/consents?profile={dana.uuid}").json()["results"]
    assert "192.0.2.77" not in str(row)


def test_lists_in_a_constant_number_of_statements(officer, marketing, make_profile, django_assert_max_num_queries):
    for number in range(7):
        record(officer, make_profile(email=f"p{number}@example.org"), "granted")
    with django_assert_max_num_queries(8):
        page = officer.get("/api/v1/consents?limit=5").json()
    assert len(page["results"]) == 5
    assert len(officer.get(page["next"]).json()["results"]) == 2


def test_reads_an_expired_grant_as_expired(officer, marketing, dana):
    record(
        officer,
        dana,
        "granted",
        occurred_at="2020-01-01T00:00:00Z",
        expires_at="2020-02-01T00:00:00Z",
    )
    assert check(officer, dana)["state"] == "expired"
    assert check(officer, dana, as_of="2020-01-15T00:00:00Z")["state"] == "granted"
    assert check(officer, dana, as_of="2020-01-15T00:00:00Z", known_at="2020-01-16T00:00:00Z")["state"] == "unknown"
    (current,) = officer.get(f"/api/v1/profiles/{dana.uuid}/consents").json()["results"]
    assert current["state"] == "expired"
