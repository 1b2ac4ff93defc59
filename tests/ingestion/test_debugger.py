"""The debugger: the last messages as they arrive, one of them step by step, personal data masked by role."""

import subprocess

import orjson
import pytest

from ingestion.models import Message
from tests.ingestion.door import make_source, outcomes, post, process
from tests.ingestion.test_archive import send, track
from tests.world import api, signed_in

pytestmark = pytest.mark.django_db
EMAIL = "dana@customer.example"


def fill() -> str:
    key = make_source()
    send(
        key,
        {"type": "identify", "userId": "dana-1", "traits": {"email": f" {EMAIL.upper()}"}, "messageId": "who"},
        track("eur", properties={"currency": "EUR", "note": "it's"}, timestamp="2026-01-01T10:00:00Z"),
        track("usd", event="Seen", properties={"currency": "USD"}),
        {"type": "track", "userId": "dana-1", "messageId": "nameless", "properties": {"currency": "EUR"}},
    )
    send(make_source("other"), track("elsewhere"))
    return key


def latest(**given):
    answer = api("sources:read").get("/api/v1/sources/shop/messages", given)
    assert answer.status_code == 200, answer.json()
    return [row["message_id"] for row in answer.json()["results"]]


def follow(message_id: str, *scopes: str) -> dict:
    rows = api("sources:read").get("/api/v1/sources/shop/messages").json()["results"]
    row_id = next(row["id"] for row in rows if row["message_id"] == message_id)
    answer = api("sources:read", *scopes).get(f"/api/v1/sources/shop/messages/{row_id}")
    assert answer.status_code == 200
    return answer.json()


def step(strip: dict, key: str) -> dict:
    return next(one for one in strip["steps"] if one["key"] == key)


def test_lists_the_last_messages_newest_first():
    fill()
    assert latest() == ["nameless", "usd", "eur", "who"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"outcome": "quarantined"}, ["nameless"]),
        ({"outcome": "accepted", "limit": 1}, ["usd"]),
        ({"event": "Seen"}, ["usd"]),
        ({"property": "currency"}, ["nameless", "usd", "eur"]),
        ({"property": "currency:EUR"}, ["eur"]),
        ({"property": "email"}, ["who"]),
        ({"event": "Seen", "property": "currency:EUR"}, []),
        ({"outcome": "pending"}, []),
    ],
)
def test_narrows(given, expected):
    fill()
    assert latest(**given) == expected


@pytest.mark.parametrize("given", [{"outcome": "lost"}, {"property": "to:ada@b.example"}, {"property": "p:+491511234"}])
def test_refuses_filters_that_do_not_exist_or_could_name_a_person(given):
    make_source()
    assert api("sources:read").get("/api/v1/sources/shop/messages", given).status_code == 400


def test_says_what_waits():
    key = make_source()
    post("/v1/batch", {"batch": [track("a"), track("b")]}, key)
    page = signed_in("ivo").get("/sources/shop/debugger").content.decode()
    assert "wait for the processor" in page
    process()
    assert "wait for the processor" not in signed_in("ivo").get("/sources/shop/debugger").content.decode()


def test_answers_the_rows_again_only_when_they_differ():
    key = make_source()
    send(key, track("a"))
    browser = signed_in("ivo")
    first = browser.get("/sources/shop/debugger/rows")
    poll = first.content.decode().split('hx-get="')[1].split('"')[0].replace("&amp;", "&")
    assert browser.get(poll).status_code == 204
    send(key, track("a"))  # a copy, which has no row of its own
    assert browser.get(poll).status_code == 200
    assert "every 1s" not in browser.get("/sources/shop/debugger?paused=1").content.decode()


def test_follows_a_message_step_by_step():
    fill()
    strip = follow("who", "personal_data:read")
    assert [one["key"] for one in strip["steps"]] == [
        "raw", "transformations", "plan", "read", "consent", "identity", "segments",
    ]  # fmt: skip
    assert step(strip, "raw")["value"]["traits"] == {"email": f" {EMAIL.upper()}"}
    assert {"name": "Identifier email", "value": EMAIL} in step(strip, "read")["facts"]
    assert [one["state"] for one in strip["steps"]] == [
        "passed", "skipped", "skipped", "passed", "passed", "passed", "passed",
    ]  # fmt: skip
    changed = {one["path"]: one for one in step(follow("eur", "personal_data:read"), "read")["differences"]}
    assert changed["timestamp"]["before"] == "2026-01-01T10:00:00Z"


def test_says_where_a_message_stopped():
    fill()
    stopped = step(follow("nameless"), "read")
    assert (stopped["state"], stopped["facts"]) == ("stopped", [{"name": "Fault", "value": "no_event_name"}])


def test_shows_what_a_transformation_changed():
    make_source()
    rename = {"op": "rename", "path": "properties.currency", "to": "properties.cur"}
    saved = api("administrator").put("/api/v1/sources/shop/transformations", {"steps": [rename]}, format="json")
    assert saved.status_code == 200, saved.json()
    fill()
    strip = follow("eur", "personal_data:read")
    changes = {(one["path"], one["kind"]) for one in step(strip, "transformations")["differences"]}
    assert changes == {("properties.currency", "removed"), ("properties.cur", "added")}
    assert step(strip, "raw")["value"]["properties"]["currency"] == "EUR"


def test_masks_by_role_and_notes_who_saw():
    fill()
    from cdp.core.models import AuditEntry

    masked = orjson.dumps(follow("who")).decode()
    assert EMAIL not in masked
    assert EMAIL.upper() not in masked
    assert AuditEntry.objects.filter(action="personal_data.read").count() == 0
    follow("who", "personal_data:read")
    assert AuditEntry.objects.filter(action="personal_data.read", object__startswith="message:").count() == 1
    row = Message.objects.get(pk=follow("who")["id"])
    assert EMAIL.upper() not in signed_in("ana").get(f"/messages/{row.pk}").content.decode()
    assert EMAIL.upper() in signed_in("ada").get(f"/messages/{row.pk}").content.decode()


def test_writes_a_command_that_sends_the_message_again(tmp_path):
    key = fill()
    curl = follow("eur", "personal_data:read")["curl"]
    assert key not in curl
    # The shell reads it as it is meant: a stand-in for curl keeps what it would send.
    (tmp_path / "curl").write_text(f"#!/bin/sh\nprintf '%s' \"$3\" > {tmp_path}/user\ncat > {tmp_path}/body\n")
    (tmp_path / "curl").chmod(0o755)
    subprocess.run(["sh", "-c", curl], check=True, env={"PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert (tmp_path / "user").read_text() == "WRITE_KEY:"
    body = orjson.loads((tmp_path / "body").read_bytes())
    assert body["batch"][0]["properties"] == {"currency": "EUR", "note": "it's"}
    before = outcomes()
    send_again = post("/v1/batch", body, key)
    assert send_again.status_code == 200
    process()
    assert outcomes() == {**before, "duplicate": 1}


def test_needs_the_right_to_read_sources():
    fill()
    assert api("profiles:read").get("/api/v1/sources/shop/messages").status_code == 403
    assert api("sources:read").get("/api/v1/sources/nowhere/messages").status_code == 404
    row = Message.objects.order_by("-id").first()
    assert api("sources:read").get(f"/api/v1/sources/shop/messages/{row.pk}").status_code == 404
