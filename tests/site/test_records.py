"""Records: retention with its proofs, the register of processing, the data map, the self-check, disclosures."""

import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from cdp.core.models import User
from cdp.core.services.audit import record
from cdp.site.self_check import find_gaps, read_last_check, run_self_check
from consent.models import Purpose
from consent.retention_models import RetentionRun
from consent.services.disclosures import Terms, record_disclosures
from consent.services.retention import run_nightly
from consent.templatetags.consents import place
from ingestion.models import Forwarding, Source
from profiles.models import Profile
from segments.sending_models import Destination
from segments.services.definitions import NewSegment, create_segment
from tests.profiles.sending import NOW, identify, send, source, track
from tests.segments.asking import definition, trait
from tests.world import api, signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def officer():
    return api("compliance_officer")


def events_named(name):
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM profiles_event WHERE name = %s", [name])
        return cursor.fetchone()[0]


def test_deletes_events_past_their_time_and_proves_it(officer):
    old, young = timezone.now() - timedelta(days=40), timezone.now() - timedelta(days=1)
    for at in (old, old, young):
        send({**track("Page Read", "reader-1"), "timestamp": at.isoformat()}, origin=source(), at=timezone.now())
    send({**track("Order Completed", "reader-1"), "timestamp": old.isoformat()}, origin=source(), at=timezone.now())
    rule = {"kind": "event", "name": "Page Read", "keep_days": 30, "reason": "no longer needed"}
    assert officer.post("/api/v1/retention-rules", rule, format="json").status_code == 201
    tried = officer.post("/api/v1/retention-rules/event/Page Read/run").json()
    assert (tried["rows"], tried["profiles"], tried["dry_run"], events_named("Page Read")) == (2, 1, True, 3)
    run_nightly(timezone.now())
    assert (events_named("Page Read"), events_named("Order Completed")) == (1, 1)
    run = RetentionRun.objects.get(dry_run=False)
    assert (run.rows, run.keep_days) == (2, 30)
    run_nightly(timezone.now())
    assert RetentionRun.objects.filter(dry_run=False).count() == 1
    assert [one["dry_run"] for one in officer.get("/api/v1/retention-runs").json()["results"]] == [False, True]
    assert officer.delete("/api/v1/retention-rules/event/Page Read").status_code == 204
    assert officer.delete("/api/v1/retention-rules/event/Page Read").status_code == 404


def test_deletes_traits_past_their_time(officer):
    old = timezone.now() - timedelta(days=40)
    send(
        {**identify("dana-1", city="Ulm", plan="gold"), "timestamp": old.isoformat()},
        origin=source(),
        at=timezone.now(),
    )
    send(identify("eve-1", city="Bonn"), origin=source(), at=timezone.now())
    rule = {"kind": "trait", "name": "city", "keep_days": 30}
    officer.post("/api/v1/retention-rules", rule, format="json")
    done = officer.post("/api/v1/retention-rules/trait/city/run?dry_run=false").json()
    # The trait of the profile, and the statement in the event that made it.
    assert (done["rows"], done["profiles"]) == (2, 1)
    assert sorted(map(str, (one.traits for one in Profile.objects.all()))) == ["{'city': 'Bonn'}", "{'plan': 'gold'}"]


@pytest.mark.parametrize("wrong", [{"kind": "table"}, {"keep_days": 0}, {"name": ""}, {"unknown": 1}])
def test_refuses_a_schedule_that_is_none(officer, wrong):
    rule = {"kind": "event", "name": "Page Read", "keep_days": 30, **wrong}
    assert officer.post("/api/v1/retention-rules", rule, format="json").status_code == 400


def test_puts_the_register_together_and_keeps_dated_editions(officer):
    Purpose.objects.create(
        key="ads", name="Ads", recipients=["Mailer Ltd"], retention_days=90, created_at=timezone.now()
    )
    send(identify("dana-1", email="dana@customer.example"), origin=source())
    register = officer.get("/api/v1/processing-register").json()
    (activity,) = register["activities"]
    assert (activity["recipients"], activity["retention_days"]) == (["Mailer Ltd"], 90)
    assert [one["source"] for one in register["collection"]] == ["server-source"]
    made = officer.post("/api/v1/processing-register/editions").json()
    Purpose.objects.all().delete()
    (kept,) = officer.get("/api/v1/processing-register/editions").json()["results"]
    assert (kept["sha256"], len(kept["document"]["activities"])) == (made["sha256"], 1)
    assert api("marketer").get("/api/v1/processing-register").status_code == 403


def test_draws_what_flows_where(officer):
    source(owner="Ivo")
    answer = officer.post("/api/v1/segments", {"key": "x", "name": "X", "definition": {}}, format="json")
    assert answer.status_code == 403
    made = api("administrator").post(
        "/api/v1/segments",
        {
            "key": "buyers",
            "name": "Buyers",
            "definition": definition(trait("city", "eq", "Ulm")),
        },
        format="json",
    )
    assert made.status_code == 201, made.json()
    flows = officer.get("/api/v1/data-map").json()["flows"]
    assert {"from": "field:trait:city", "to": "segment:buyers", "basis": ""} in flows


@pytest.fixture
def outlets():
    """Forwarding of a source, and a destination that sends the city of a segment's members; neither names the other."""
    shop = source(owner="")
    send(identify("dana-1", city="Ulm"), origin=shop)
    Purpose.objects.create(key="ads", name="Ads", created_at=NOW)
    new = NewSegment("buyers", "Buyers", definition(trait("city", "eq", "Ulm")), status="live", purpose="ads")
    segment, _ = create_segment(new=new, actor="test", clock=timezone.now)
    Destination.objects.create(
        key="crm",
        name="CRM",
        recipient="CRM Ltd",
        segment=segment,
        kind="request",
        purpose="ads",
        channel="email",
        columns=[{"source": "trait:city", "name": "city"}, "email"],
        sealed=b"",
        expired_until=NOW,
        created_at=NOW,
        created_by="test",
    )
    Forwarding.objects.create(
        source_id=shop.id, url="https://old.example/v1", write_key_sealed=b"", purpose="gone", since=NOW
    )


def test_draws_and_registers_every_way_out(officer, outlets):
    flows = {(one["from"], one["to"]): one["basis"] for one in officer.get("/api/v1/data-map").json()["flows"]}
    basis = "ads (consent)"
    assert flows["segment:buyers", "recipient:CRM Ltd"] == basis
    assert flows["field:trait:city", "recipient:CRM Ltd"] == flows["field:trait:email", "recipient:CRM Ltd"] == basis
    assert flows["source:server-source", "recipient:old.example"] == "gone"
    register = officer.get("/api/v1/processing-register").json()
    (ads,) = register["activities"]
    assert (ads["recipients"], ads["data"]) == (["CRM Ltd"], ["email", "trait:city"])
    assert {(one["kind"], one["recipient"]) for one in register["outlets"]} == {
        ("destination", "CRM Ltd"),
        ("forwarding", "old.example"),
    }
    shown = signed_in("ben").get("/records").content.decode()
    assert "Ways out of the house" in shown
    assert "whole messages" in shown


def test_checks_every_way_out(outlets):
    found = {(one.code, one.object): one.link for one in find_gaps()}
    assert found["destination.unnamed_recipient", "destination:crm"] == "/destinations/crm"
    assert found["destination.no_purpose", "forwarding:server-source"] == "/sources/server-source/forwarding"
    Destination.objects.update(enabled=False)
    Purpose.objects.filter(key="ads").update(recipients=["old.example"])
    Forwarding.objects.update(purpose="ads")
    assert not [one for one in find_gaps() if one.code.startswith("destination.")]


def test_shows_on_the_overview_how_many_gaps_there_are(outlets):
    run_self_check(timezone.now())
    count = len(read_last_check()["findings"])
    assert f"{count} gaps in the records of processing" in signed_in("ben").get("/").content.decode()
    assert "gaps in the records" not in signed_in("ana").get("/").content.decode()


def test_finds_what_is_missing_in_the_configuration(officer):
    Source.objects.all().delete()
    source(owner="")
    Purpose.objects.create(key="ads", name="Ads", created_at=NOW)
    codes = {(one.code, one.object) for one in find_gaps()}
    assert {
        ("source.no_owner", "source:server-source"),
        ("purpose.no_notice", "purpose:ads"),
        ("purpose.no_retention", "purpose:ads"),
        ("retention.none", "installation"),
    } <= codes
    run_self_check(timezone.now())
    run_self_check(timezone.now())
    found = officer.get("/api/v1/self-check").json()
    assert len(found["findings"]) == len(read_last_check()["findings"]) == len(codes)


def test_shows_the_pages_to_the_officer_and_not_to_others():
    Purpose.objects.create(key="ads", name="Ads", created_at=timezone.now())
    send(identify("dana-1"), origin=source())
    terms = Terms("export", "Mailer Ltd", "ads", None, ("email",))
    record_disclosures(profile_ids=[Profile.objects.get().pk], terms=terms, at=timezone.now(), reference="export:1")
    ben, ana = signed_in("ben"), signed_in("ana")
    for path, word in (
        ("/records", "Activities"),
        ("/data-map", "server-source"),
        ("/retention", "for ever"),
        ("/disclosures", "Mailer Ltd"),
        ("/disclosures?recipient=Nobody", "Nothing left the house"),
        ("/audit", "Who did what"),
    ):
        assert word in ben.get(path).content.decode(), path
        assert ana.get(path).status_code == 403, path
    assert b"Ads" in b"".join(ben.get("/records?format=csv").streaming_content)
    assert b"seq,at,actor" in b"".join(ben.get("/audit?format=csv&action=purpose.created").streaming_content)
    posted = ben.post("/retention", {"kind": "event", "name": "Seen", "keep_days": 5})
    assert posted.status_code == 302
    assert "Seen" in ben.get("/retention").content.decode()
    assert ben.post("/retention", {"kind": "event", "name": "", "keep_days": 5}).status_code == 422


def test_freezes_a_restricted_person():
    send(identify("dana-1", city="Ulm"), origin=source())
    Profile.objects.update(restricted=True)
    public_id = Profile.objects.get().uuid
    body = {"trait": "city", "value": "Bonn", "reason": "asked"}
    answer = api("administrator").post(f"/api/v1/profiles/{public_id}/corrections", body, format="json")
    assert (answer.status_code, answer.json()["code"]) == (423, "profile.restricted")


def test_says_in_words_what_the_export_names():
    ben = signed_in("ben")
    purpose = Purpose.objects.create(key="ads", name="Ads", created_at=timezone.now())
    record(
        actor=f"user:{User.objects.get(email__startswith='ben').pk}",
        action="segment.member_added",
        object=f"profile:{uuid.UUID(int=10)}",
        detail={"by_hand": True, "sha256": "0" * 64, "kinds": ["a", "b"], "nothing": None, "inner": {"n_rows": 3}},
        now=timezone.now(),
    )
    page = ben.get("/audit").content.decode()
    for words in ("segment member added", "profile 00000000", "by hand</span> yes", "00000000…", "a, b", "n rows 3"):
        assert words in page, words
    assert 'title="segment.member_added"' in page
    assert User.objects.get(email__startswith="ben").email in page
    exported = b"".join(ben.get("/audit?format=csv").streaming_content)
    assert b"segment.member_added" in exported
    records = ben.get("/records").content.decode()
    assert ">purpose ads</a>" in records
    assert ">your organisation</a>" in records
    record_disclosures(
        profile_ids=[1], terms=Terms("export", "Mailer Ltd", "ads", None, ("trait:city",)), at=timezone.now()
    )
    Purpose.objects.update(legal_basis="legitimate_interests")
    records = ben.get("/records").content.decode()
    assert "trait city" in records
    assert "legitimate interests" in records
    assert b"trait:city" in b"".join(ben.get("/records?format=csv").streaming_content)
    purpose.delete()
    send(identify("dana-1", city="Ulm"), origin=source())
    flows = ben.get("/data-map").content.decode()
    assert "trait city" in flows
    assert "trait:city" not in flows


def test_shows_twenty_entries_at_a_time(django_assert_max_num_queries):
    ben = signed_in("ben")
    for number in range(25):
        record(actor="system", action="test.done", object=f"thing:{number}", now=timezone.now())
    with django_assert_max_num_queries(12):
        page = ben.get("/audit").content.decode()
    assert page.count('title="test.done"') == 20
    assert "Older" in page


def test_knows_what_rows_of_a_table_are():
    assert [place(one) for one in ("profiles_identifier", "profiles_event_m2026_10", "merges_and_history")] == [
        "identifier",
        "event",
        "merges and history",
    ]
    assert place("pg_stats of core_auditentry") == "statistics of audit entry"
    assert place("planner_statistics") == "planner statistics"
