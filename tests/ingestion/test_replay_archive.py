"""Accepted messages are replayed over a period: counted first, idempotent, and nobody who was erased comes back."""

import pytest
from django.db import connection

from cdp.core.services.jobs import run_jobs
from ingestion.models import Archived, Message, Replay
from ingestion.services import replays
from profiles.models import Activity, Event, Identifier, IdentifierType, Merge, Profile, Refusal
from tests.consent.zora import EMAIL, SECRETS, erase, live, traces
from tests.ingestion.door import event_count, make_source, outcomes
from tests.ingestion.test_archive import send, track
from tests.world import api

pytestmark = pytest.mark.django_db
RENAME = [
    {"op": "rename", "path": "traits.plan", "to": "traits.tier"},
    {"op": "map", "path": "event", "values": {"order done": "Order Completed"}},
]


def fill() -> None:
    key = make_source()
    traits = {"plan": "gold", "city": "Bonn"}
    send(
        key,
        {"type": "identify", "userId": "dana-1", "traits": traits, "messageId": "who"},
        track("order", event="order done", properties={"revenue": 5.10, "order_id": "o-1"}),
        {**track("nameless"), "messageId": ""},
    )
    send(key, track("unconcerned", "eve-1"))


def transform(*steps) -> None:
    saved = api("administrator").put("/api/v1/sources/shop/transformations", {"steps": list(steps)}, format="json")
    assert saved.status_code == 200, saved.json()


def make(**selection) -> str:
    made = api("sources:write").post("/api/v1/replays", {"kind": "archive", **selection}, format="json")
    assert made.status_code == 202, made.json()
    run_jobs()
    return f"/api/v1/replays/{made.json()['id']}"


def replay(**selection) -> dict:
    """Count and run a replay; what was counted is what comes of it."""
    client, address = api("sources:write"), make(**selection)
    counted = client.get(address).json()
    assert counted["status"] == "counted", counted
    client.post(f"{address}/run")
    run_jobs()
    done = client.get(address).json()
    assert (done["status"], done["done"], done["results"]) == ("done", done["total"], counted["expected"]), done
    return done["results"]


def snapshot() -> list:
    """Return what is stored, as text: events, profiles, activity, outcome rows, identifiers and edges."""
    found = []
    with connection.cursor() as cursor:
        for table in (
            "profiles_event", "profiles_profile", "profiles_activity", "ingestion_message", "profiles_identifier",
            "profiles_edge", "profiles_refusal", "ingestion_archive", "profiles_order",
        ):  # fmt: skip
            cursor.execute(f"SELECT t::text FROM {table} t ORDER BY 1")
            found.append((table, cursor.fetchall()))
    return found


def test_changes_nothing_where_no_rule_changed():
    fill()
    before = snapshot()
    assert replay() == {"unchanged": 4, "changed": 0, "kept": 0, "content": 0, "identity": 0, "merges": 0}
    assert snapshot() == before


def test_writes_anew_what_a_transformation_changes_and_only_once():
    fill()
    ids = dict(Event.objects.values_list("message_id", "id"))
    before = outcomes()
    transform(*RENAME)
    address = make()
    assert (event_count(), Event.objects.filter(name="order done").count()) == (4, 1)
    assert api("sources:read").get(address).json()["expected"]["changed"] == 2
    assert replay()["content"] == 2
    assert dict(Event.objects.values_list("message_id", "id")) == ids
    assert Event.objects.get(message_id="order").name == "Order Completed"
    profile = Profile.objects.get(pk=Event.objects.get(message_id="who").profile_id)
    assert profile.traits == {"tier": "gold", "city": "Bonn"}
    assert Activity.objects.get(pk=profile.pk).event_count == 3
    assert outcomes() == before
    written = snapshot()
    assert replay()["changed"] == 0
    assert snapshot() == written


def test_replays_a_changed_rule_of_identity():
    key = make_source()
    user = IdentifierType.objects.get(key="email")
    IdentifierType.objects.filter(pk=user.pk).update(value_limit=1)
    for place, email in enumerate(["one@x.example", "two@x.example"]):
        send(key, {"type": "identify", "userId": "u", "messageId": f"u{place}", "traits": {"email": email}})
    send(key, {"type": "identify", "anonymousId": "anon", "messageId": "a", "traits": {"email": "two@x.example"}})
    assert (Profile.objects.count(), Refusal.objects.count()) == (2, 1)
    assert replay()["changed"] <= 1
    assert Refusal.objects.count() == 1
    IdentifierType.objects.filter(pk=user.pk).update(value_limit=None)
    assert replay()["merges"] == 1
    assert (Profile.objects.count(), Merge.objects.count()) == (1, 1)
    assert {row.value for row in Identifier.objects.all()} == {"u", "anon", "one@x.example", "two@x.example"}
    assert set(Event.objects.values_list("profile_id", flat=True)) == {Profile.objects.get().pk}
    assert Activity.objects.get().event_count == 3
    assert replay()["changed"] == 0


def test_never_brings_back_an_erased_person():
    key = make_source()
    live(key)
    address = make()
    assert erase(api("administrator"))["status"] == "completed"
    before = snapshot()
    api("sources:write").post(f"{address}/run")
    run_jobs()
    assert traces(SECRETS) == []
    assert snapshot() == before


def test_leaves_alone_what_would_now_be_stopped():
    key = make_source()
    send(key, {"type": "identify", "userId": "u", "messageId": "m", "traits": {"email": EMAIL}}, track("other"))
    send(key, track("large", properties={"note": "x" * 2_000}))
    named = {"identifier": {"type": "user_id", "value": "u"}, "reason": "asked"}
    assert api("administrator").post("/api/v1/suppressions", named, format="json").status_code == 201
    save = api("administrator").patch("/api/v1/sources/shop", {"max_event_bytes": 1024}, format="json")
    assert save.status_code == 200
    before = snapshot()
    assert replay()["kept"] == 2
    assert snapshot() == before


def test_takes_a_source_and_a_period():
    fill()
    send(make_source("other"), track("elsewhere"))
    assert replay(source="other")["unchanged"] == 1
    at = Message.objects.order_by("id").first().received_at.isoformat()
    assert "unchanged" not in replay(until=at)
    assert replay(since=at)["unchanged"] == 5


def test_pauses_and_goes_on_where_it_was(monkeypatch):
    key = make_source()
    for number in range(5):
        send(key, track(f"m-{number}", event="order done"))
    transform(*RENAME)
    monkeypatch.setattr(replays, "STEP", 1)
    client, address = api("sources:write"), make()
    client.post(f"{address}/run")
    run_jobs(seconds=0)
    assert client.post(f"{address}/pause").json()["status"] == "paused"
    run_jobs()
    paused = client.get(address).json()
    assert (paused["status"], paused["done"], paused["results"]["changed"]) == ("paused", 1, 1)
    assert Event.objects.filter(name="Order Completed").count() == 1
    client.post(f"{address}/resume")
    run_jobs()
    assert client.get(address).json()["results"]["changed"] == 5
    assert Replay.objects.get().status == "done"


def test_leaves_a_message_that_cannot_be_handled_and_goes_on(monkeypatch):
    fill()
    transform(*RENAME)
    poisoned = Archived.objects.order_by("-first_id").first().first_id
    real = replays.replay_rows

    def fail(cursor, rows, **options):
        if any(row.first_id == poisoned for row in rows):
            raise ValueError("poison")
        return real(cursor, rows, **options)

    monkeypatch.setattr(replays, "replay_rows", fail)
    found = replay()
    assert (found["failed"], found["changed"]) == (1, 2)
