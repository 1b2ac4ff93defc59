"""Tables of consents: our columns, those of OneTrust and Klaviyo, and what becomes of each row."""

from datetime import UTC, datetime

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from cdp.core.digests import identifier_digest
from cdp.core.sealed_files import sealed_directory
from cdp.core.services.jobs import run_jobs
from consent.asking_models import ConsentImport
from consent.models import Decision
from consent.services.decisions import NewDecision, record_decision
from consent.services.purposes import create_notice, create_purpose
from consent.suppression_models import Suppression
from consent.tables.rows import RowFault, read_claims, simplify
from profiles.models import Identifier, Profile
from tests.world import api

NOW = datetime.now(UTC)


def claim(preset: str, **row: str):
    (found,) = read_claims({simplify(name): value for name, value in row.items()}, preset=preset)
    return found


# --- Rows ------------------------------------------------------------------------------------------------------------


def test_reads_own_columns_with_evidence():
    found = claim(
        "columns",
        Email="dana@example.org",
        purpose="news",
        channel="EMAIL",
        state="Granted",
        occurred_at="2024-03-01 10:00:00",
        notice="signup/en",
        notice_version="2",
        **{"Evidence form": "spring", "evidence_ip": ""},
    )
    assert (found.identifier_type, found.identifier, found.purpose) == ("email", "dana@example.org", "news")
    assert (found.channel, found.state, found.notice, found.notice_version) == ("email", "granted", "signup/en", 2)
    assert found.occurred_at == datetime(2024, 3, 1, 10, tzinfo=UTC)
    assert found.evidence == {"form": "spring"}


@pytest.mark.parametrize(
    ("status", "state"),
    [("ACTIVE", "granted"), ("Withdrawn", "withdrawn"), ("No Consent", "denied"), ("PENDING", "pending")],
)
def test_reads_an_export_of_onetrust(status, state):
    found = claim(
        "onetrust",
        **{
            "Data Subject Identifier": "dana@example.org",
            "Purpose Name": "Weekly offers",
            "Consent Status": status,
            "Interaction Date": "2024-03-01T10:00:00Z",
            "Collection Point Name": "Shop",
            "Receipt ID": "r-1",
        },
    )
    assert (found.identifier_type, found.purpose, found.state) == ("email", "Weekly offers", state)
    assert found.evidence == {"collection_point": "Shop", "transaction_id": "r-1"}


def test_reads_what_expired_as_a_grant_with_its_end():
    row = {"Identifier": "dana-1", "Purpose": "x", "Status": "Expired", "Expiry Date": "03/01/2024 10:00"}
    found = claim("onetrust", **row)
    assert (found.identifier_type, found.state) == ("user_id", "granted")
    assert found.expires_at == datetime(2024, 3, 1, 10, tzinfo=UTC)
    del row["Expiry Date"]
    with pytest.raises(RowFault, match="expired_without_a_date"):
        claim("onetrust", **row)


def test_reads_both_channels_of_a_profile_of_klaviyo_but_not_who_was_never_asked():
    row = {
        "email": "dana@example.org",
        "phone_number": "+4915112345678",
        "email_marketing_consent": "SUBSCRIBED",
        "email_marketing_consent_timestamp": "2024-03-01T10:00:00+01:00",
        "sms_marketing_consent": "UNSUBSCRIBED",
    }
    email, sms = read_claims(row, preset="klaviyo")
    assert (email.identifier_type, email.channel, email.state) == ("email", "email", "granted")
    assert (sms.identifier_type, sms.channel, sms.state) == ("phone", "sms", "withdrawn")
    assert (
        read_claims(
            {**row, "email_marketing_consent": "NEVER_SUBSCRIBED", "sms_marketing_consent": ""}, preset="klaviyo"
        )
        == []
    )


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"email": ""}, "identifier_missing"),
        ({"purpose": " "}, "purpose_missing"),
        ({"state": "maybe"}, "state_unknown"),
        ({"state": ""}, "state_missing"),
        ({"occurred_at": "yesterday"}, "time_unreadable"),
        ({"occurred_at": "0001-01-01"}, "time_unreadable"),
        ({"notice_version": "two"}, "notice_version_unreadable"),
        ({"email": "x" * 600}, "value_too_long"),
        ({"email": "", "identifier": "dana"}, "identifier_type_missing"),
    ],
)
def test_says_what_is_wrong_with_a_row(change, fault):
    row = {"email": "dana@example.org", "purpose": "news", "state": "yes", **change}
    with pytest.raises(RowFault, match=fault):
        read_claims(row, preset="columns")


# --- Whole tables ----------------------------------------------------------------------------------------------------


@pytest.fixture
def news(db):
    fields = {"name": "Weekly offers", "channels": ["email", "sms"]}
    return create_purpose(key="news", fields=fields, actor="system", now=NOW)[0]


def bring_in(text: str, **more: object):
    body = {"file": SimpleUploadedFile("consents.csv", text.encode()), **more}
    answer = api("compliance_officer").post("/api/v1/consent-imports", body, format="multipart")
    assert answer.status_code == 202, answer.json()
    run_jobs()
    made = api("compliance_officer").get(f"/api/v1/consent-imports/{answer.json()['id']}").json()
    listed = api("compliance_officer").get(f"/api/v1/consent-imports/{made['id']}/rows").json()["results"]
    return made, [(one["row"], one["outcome"], one["reason"]) for one in listed]


def test_brings_each_row_into_the_ledger_with_its_evidence(news, make_profile):
    dana = make_profile(email="dana@example.org")
    create_notice(key="signup", language="en", text="We write.", actor="system", now=NOW)
    table = (
        "email,purpose,channel,state,occurred_at,notice,notice_version,evidence_form\n"
        "dana@example.org,news,email,yes,2024-03-01,signup,1,spring\n"
        "NEW@example.org,Weekly offers,,granted,2024-03-01,,,\n"
        "dana@example.org,news,fax,yes,,,,\n"
        "dana@example.org,none,,yes,,,,\n"
        "not an address,news,,yes,,,,\n"
        "dana@example.org,news,sms,perhaps,,,,\n"
    )
    made, rows = bring_in(table)
    assert rows == [
        (2, "recorded", ""),
        (3, "recorded", ""),
        (4, "rejected", "channel_unknown"),
        (5, "rejected", "purpose_unknown"),
        (6, "rejected", "identifier_unreadable"),
        (7, "rejected", "state_unknown"),
    ]
    assert (made["status"], made["rows"], made["recorded"], made["rejected"]) == ("done", 6, 2, 4)
    row = Decision.objects.get(profile_id=dana.pk)
    assert (row.actor, row.state, row.notice.key, row.evidence["form"]) == ("import", "granted", "signup", "spring")
    assert row.effective_at == datetime(2024, 3, 1, tzinfo=UTC)
    assert Identifier.objects.filter(value="new@example.org").exists()
    # The same table again brings nothing new.
    again, _ = bring_in(table)
    assert (again["recorded"], again["unchanged"]) == (0, 2)


def test_never_turns_a_withdrawal_into_a_grant(news, make_profile):
    dana = make_profile(email="dana@example.org")
    new = NewDecision(
        purpose="news", channel="email", state="withdrawn", recorded_by="system", profile_uuid=str(dana.uuid)
    )
    record_decision(new=new, now=datetime.now(UTC))
    made, rows = bring_in("email,purpose,channel,state\ndana@example.org,news,email,yes\n")
    assert (made["conflicts"], rows) == (1, [(2, "conflict", "")])
    query = {"profile": str(dana.uuid), "purpose": "news", "channel": "email"}
    assert api("compliance_officer").get("/api/v1/consents/check", query).json()["allowed"] is False


def test_keeps_nothing_of_who_was_erased(news):
    Suppression.objects.create(
        digest=identifier_digest("email", "eve@example.org"), identifier_type="email", reason="x", created_at=NOW
    )
    _, rows = bring_in("email,purpose,state\neve@example.org,news,yes\neve@example.org,news,no\n")
    assert rows == [(2, "rejected", "suppressed"), (3, "unchanged", "suppressed")]
    assert not Profile.objects.exists()


def test_reads_a_table_of_klaviyo_for_the_purpose_that_it_stands_for(news):
    table = (
        "Email;Phone Number;Email Marketing Consent;SMS Marketing Consent;Email Marketing Consent Timestamp\n"
        "dana@example.org;+4915112345678;SUBSCRIBED;NEVER_SUBSCRIBED;2024-03-01T10:00:00Z\n"
        "eve@example.org;;NEVER_SUBSCRIBED;;\n"
    )
    _made, rows = bring_in(table, preset="klaviyo", purpose="news")
    assert rows == [(2, "recorded", ""), (3, "unchanged", "nothing_said")]
    body = {"file": SimpleUploadedFile("x.csv", b"Email\n"), "preset": "klaviyo"}
    refused = api("compliance_officer").post("/api/v1/consent-imports", body, format="multipart")
    assert (refused.status_code, refused.json()["errors"][0]["path"]) == (400, "purpose")


def test_takes_names_of_purposes_by_a_mapping(news):
    table = "Identifier,Purpose,Status\ndana@example.org,Offers (weekly),Active\n"
    _, rows = bring_in(table, preset="onetrust", purposes='{"Offers (weekly)": "news"}')
    assert rows == [(2, "recorded", "")]
    body = {"file": SimpleUploadedFile("x.csv", b"a\n"), "purposes": '{"x": "none"}'}
    refused = api("compliance_officer").post("/api/v1/consent-imports", body, format="multipart")
    assert refused.json()["code"] == "consent.unknown_purpose"


def test_reads_in_steps_and_needs_few_statements(news, monkeypatch, django_assert_max_num_queries):
    monkeypatch.setattr("consent.services.importing.ROWS_A_STEP", 100)
    lines = "".join(f"p{number}@example.org,news,yes\n" for number in range(250))
    body = {"file": SimpleUploadedFile("x.csv", f"email,purpose,state\n{lines}".encode())}
    api("compliance_officer").post("/api/v1/consent-imports", body, format="multipart")
    # Three steps, each with a constant number of statements whatever the rows.
    with django_assert_max_num_queries(150):
        run_jobs()
    made = ConsentImport.objects.get()
    assert (made.status, made.read_rows, made.recorded) == ("done", 250, 250)


@pytest.mark.parametrize("content", [b"", b"email,purpose,state\n", b"email\n\xff\xfe\n"])
def test_says_that_a_file_is_no_table(news, content):
    body = {"file": SimpleUploadedFile("x.csv", content or b"\n")}
    api("compliance_officer").post("/api/v1/consent-imports", body, format="multipart")
    run_jobs()
    made = ConsentImport.objects.get()
    assert made.status == "failed"
    assert made.fault


def test_deletes_the_file_when_it_is_read(news, django_capture_on_commit_callbacks):
    before = set(sealed_directory().iterdir())
    with django_capture_on_commit_callbacks(execute=True):
        bring_in("email,purpose,state\ndana@example.org,news,yes\n")
    assert set(sealed_directory().iterdir()) == before
    assert ConsentImport.objects.get().stored == ""
