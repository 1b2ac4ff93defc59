"""What became of messages, by REST: rows, counts, quarantine."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from cdp.core.models import AuditEntry
from cdp.core.services.audit import flush_reads
from ingestion.models import OutcomeCount
from tests.ingestion.door import TRACK, make_source, post, process
from tests.world import api

pytestmark = pytest.mark.django_db


def status(**given):
    return api("sources:read").get("/api/v1/ingestion/status", given).json()


def counts(source="shop", **given):
    return next(row for row in status(**given)["per_source"] if row["source"] == source)


def test_tells_what_became_of_a_message():
    key = make_source()
    post("/v1/track", TRACK, key)
    waiting = api("sources:read").get("/api/v1/messages/m-1").json()
    assert waiting["outcome"] == "pending"
    assert waiting["processed_at"] is None
    assert waiting["source"] == "shop"
    process()
    post("/v1/track", TRACK, key)
    process()
    row = api("sources:read").get("/api/v1/messages/m-1").json()
    assert row.keys() == {
        "message_id",
        "source",
        "outcome",
        "copies",
        "reason",
        "warnings",
        "profile_id",
        "received_at",
        "processed_at",
    }
    assert (row["message_id"], row["source"], row["outcome"], row["copies"]) == ("m-1", "shop", "accepted", 2)
    assert (row["reason"], row["warnings"]) == ("", [])
    profile = api("profiles:read").get("/api/v1/profiles", {"identifier": "user_id:dana-1"}).json()["results"][0]
    assert row["profile_id"] == profile["id"]


def test_tells_the_reason_and_the_warnings():
    key = make_source()
    post("/v1/track", {**TRACK, "event": ""}, key)
    post("/v1/batch", {"batch": [{**TRACK, "messageId": "m-2", "event": ""}]}, key)
    post("/v1/track", {**TRACK, "messageId": "m-3", "timestamp": "9999-12-31T23:59:59Z", "anonymousId": "null"}, key)
    process()
    client = api("sources:read")
    first, second, third = (client.get(f"/api/v1/messages/m-{number}").json() for number in (1, 2, 3))
    assert (first["outcome"], first["reason"]) == ("rejected", "no_event_name")
    assert (second["outcome"], second["reason"]) == ("quarantined", "no_event_name")
    assert third["outcome"] == "accepted"
    assert set(third["warnings"]) == {"future_time", "blocked_identifier"}
    assert first["profile_id"] is None


def test_finds_a_message_by_its_id_in_every_source():
    for name in ("one", "two"):
        post("/v1/track", TRACK, make_source(name))
    process()
    client = api("sources:read")
    page = client.get("/api/v1/messages", {"message_id": "m-1"}).json()
    assert page.keys() == {"results", "next", "previous"}
    assert [row["source"] for row in page["results"]] == ["one", "two"]
    page = client.get("/api/v1/messages", {"message_id": "m-1", "source": "two"}).json()
    assert [row["source"] for row in page["results"]] == ["two"]
    assert client.get("/api/v1/messages", {"message_id": "other"}).json()["results"] == []


def test_asks_for_the_source_where_several_have_the_message():
    for name in ("one", "two"):
        post("/v1/track", TRACK, make_source(name))
    process()
    client = api("sources:read")
    conflict = client.get("/api/v1/messages/m-1")
    assert (conflict.status_code, conflict.json()["code"]) == (409, "message.ambiguous")
    assert client.get("/api/v1/messages/m-1", {"source": "two"}).json()["source"] == "two"
    missing = client.get("/api/v1/messages/m-1", {"source": "three"})
    assert (missing.status_code, missing.json()["code"]) == (404, "message.not_found")


@pytest.mark.parametrize("message_id", ["a/b", "a b", "ä", "%", '"quoted"', "a?b#c", "a\\b"])
def test_reads_ids_of_any_spelling(message_id):
    from urllib.parse import quote

    post("/v1/track", {**TRACK, "messageId": message_id}, make_source())
    client = api("sources:read")
    for outcome in ("pending", "accepted"):
        row = client.get(f"/api/v1/messages/{quote(message_id, safe='')}").json()
        assert (row["message_id"], row["outcome"]) == (message_id, outcome)
        process()


@pytest.mark.parametrize("query", [{}, {"message_id": ""}])
def test_needs_a_message_id(query):
    assert api("sources:read").get("/api/v1/messages", query).status_code == 400


def test_finds_nothing_under_an_id_that_cannot_be_stored():
    assert api("sources:read").get("/api/v1/messages/a%00b").status_code in {400, 404}


def test_counts_items_and_adds_up():
    key = make_source()
    good = [{**TRACK, "messageId": f"m-{number}"} for number in range(5)]
    post("/v1/batch", {"batch": [*good, good[0], {"type": "track"}]}, key)
    post("/v1/track", {**TRACK, "event": ""}, key)
    post("/v1/track", TRACK, "unknown")
    post("/v1/batch", b"nonsense", key)
    before = status()
    assert before["inbox_pending"] == 7
    assert counts()["pending"] == 7
    assert counts()["received"] == 8
    assert before["oldest_pending_seconds"] >= 0
    process()
    after = status()
    assert after["inbox_pending"] == 0
    assert after["unattributed"] == 2
    assert counts() == {
        "source": "shop",
        "received": 8,
        "pending": 0,
        "accepted": 5,
        "duplicate": 1,
        "rejected": 1,
        "quarantined": 1,
        "suppressed": 0,
        "held": 0,
    }
    for row in after["per_source"]:
        assert row["received"] == sum(value for name, value in row.items() if name not in {"source", "received"})


def test_shows_sources_that_received_nothing():
    make_source("quiet")
    assert counts("quiet")["received"] == 0


def test_counts_only_what_was_received_in_the_time_asked_for():
    post("/v1/track", TRACK, make_source())
    process()
    now = timezone.now()
    assert counts(since=(now - timedelta(hours=1)).isoformat())["received"] == 1
    assert counts(since=(now + timedelta(hours=1)).isoformat())["received"] == 0
    assert counts(until=(now - timedelta(hours=2)).isoformat())["received"] == 0
    assert api("sources:read").get("/api/v1/ingestion/status", {"since": "yesterday"}).status_code == 400


def test_adds_up_while_counts_move():
    key = make_source()
    post("/v1/track", TRACK, key)
    process()
    OutcomeCount.objects.create(
        source_id=OutcomeCount.objects.get().source_id, hour=timezone.now(), outcome=1, count=-1
    )
    assert counts()["accepted"] == 0
    assert counts()["received"] == 0


def test_lists_what_was_put_aside_newest_first():
    key = make_source()
    post("/v1/batch", {"batch": [{"type": "track", "userId": "dana-1", "messageId": "a"}]}, key)
    post("/v1/batch", {"batch": [{"type": "bake", "userId": "dana-1", "messageId": "b"}]}, key)
    process()
    client = api("sources:read", "personal_data:read")
    page = client.get("/api/v1/quarantine").json()
    assert [(row["message_id"], row["code"], row["source"]) for row in page["results"]] == [
        ("b", "bad_type", "shop"),
        ("a", "no_event_name", "shop"),
    ]
    assert page["results"][0]["payload"]["userId"] == "dana-1"
    assert page["results"][0]["detail"]
    first = client.get("/api/v1/quarantine", {"limit": 1}).json()
    assert [row["message_id"] for row in first["results"]] == ["b"]
    assert [row["message_id"] for row in client.get(first["next"]).json()["results"]] == ["a"]
    for query in ({"code": "bad_type"}, {"message_id": "b"}):
        assert [row["message_id"] for row in client.get("/api/v1/quarantine", query).json()["results"]] == ["b"]
    assert client.get("/api/v1/quarantine", {"source": "shop"}).json()["results"]
    assert client.get("/api/v1/quarantine", {"source": "other"}).status_code == 404


def test_masks_payloads_without_the_right_to_see_them():
    post("/v1/batch", {"batch": [{"type": "track", "userId": "dana-1", "messageId": "a"}]}, make_source())
    process()
    answer = api("sources:read").get("/api/v1/quarantine")
    assert "dana-1" not in answer.content.decode()


def test_notes_that_payloads_were_read():
    post("/v1/batch", {"batch": [{"type": "track", "userId": "dana-1", "messageId": "a"}]}, make_source())
    process()
    api("sources:read", "personal_data:read", name="reader").get("/api/v1/quarantine")
    flush_reads()
    assert AuditEntry.objects.filter(actor="key:reader", object="quarantine:list").exists()


def test_answers_strange_filters_without_a_fault_of_its_own():
    client = api("sources:read")
    for query in ({"code": "\0"}, {"message_id": "\0"}, {"cursor": "x"}, {"limit": "0"}, {"source": "\0"}):
        assert client.get("/api/v1/quarantine", query).status_code in {200, 400, 404}
    for query in ({"message_id": "\0"}, {"message_id": "m", "source": "\0"}, {"message_id": "x" * 5000}):
        assert client.get("/api/v1/messages", query).json()["results"] == []
    for since in ("0001-01-01", "9999-12-31T23:59:59-12:00", "\0", "2026-02-32"):
        assert client.get("/api/v1/ingestion/status", {"since": since}).status_code in {200, 400}


@pytest.mark.parametrize("path", ["messages?message_id=m-1", "messages/m-1", "quarantine", "ingestion/status"])
def test_needs_the_scope(path):
    assert api().get(f"/api/v1/{path}").status_code == 401
    assert api("profiles:read").get(f"/api/v1/{path}").status_code == 403


@pytest.mark.parametrize(("path", "ceiling"), [("quarantine", 6), ("ingestion/status", 10), ("sources", 6)])
def test_asks_the_database_as_often_for_many_rows_as_for_one(path, ceiling):
    client = api("sources:read")
    client.get(f"/api/v1/{path}")
    asked = []
    for number in (1, 5):
        for one in range(number):
            key = make_source(f"source-{number}-{one}")
            post("/v1/batch", {"batch": [{"messageId": f"{number}-{one}"}]}, key)
        process()
        with CaptureQueriesContext(connection) as queries:
            client.get(f"/api/v1/{path}")
        asked.append(len(queries))
    assert asked[0] == asked[1] <= ceiling
