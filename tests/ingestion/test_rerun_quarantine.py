"""Quarantined messages are processed again, one by one and in bulk, and the counts move with them."""

from datetime import UTC, datetime

import pytest

from cdp.core.services.jobs import run_jobs
from ingestion.models import Archived, Message, Quarantined
from ingestion.queries.write_keys import forget_write_keys
from ingestion.services.quarantine import rerun_one
from profiles.models import Event
from tests.ingestion.door import TRACK, event_count, make_source, outcomes, post, process, rows
from tests.ingestion.test_archive import send, track
from tests.world import api

pytestmark = pytest.mark.django_db
LARGE = {"note": "x" * 2_000}


@pytest.fixture
def shop():
    """A source whose limit of 1 KB puts large messages aside."""
    return make_source(max_event_bytes=1024)


def widen() -> None:
    changed = api("administrator").patch("/api/v1/sources/shop", {"max_event_bytes": 32 * 1024}, format="json")
    assert changed.status_code == 200
    forget_write_keys()


def aside(message_id: str = "large", **fields):
    return track(message_id, properties=LARGE, **fields)


def retry(row: Quarantined):
    return api("sources:write").post(f"/api/v1/quarantine/{row.pk}/retry")


def test_processes_one_as_if_it_had_never_stopped(shop):
    send(shop, aside(timestamp="2026-01-01T10:00:00Z"), track("good"), sentAt="2026-01-01T10:00:05Z", context={"a": 1})
    send(shop, aside(timestamp="2026-01-01T10:00:00Z"))
    assert outcomes() == {"accepted": 1, "quarantined": 1, "duplicate": 1}
    received_at = Message.objects.get(reason="too_large").received_at
    widen()
    answer = retry(Quarantined.objects.get())
    assert (answer.status_code, answer.json()["outcome"]) == (200, "accepted")
    assert outcomes() == {"accepted": 2, "quarantined": 0, "duplicate": 1}
    assert sorted(rows()) == [("accepted", "", 1), ("accepted", "", 2)]
    event = Event.objects.get(message_id="large")
    assert event.received_at == received_at
    # Five seconds before the sender's clock at sending, by the clock of the server.
    assert (event.received_at - event.occurred_at).total_seconds() == pytest.approx(5, abs=0.001)
    assert event.context["a"] == 1
    assert (Quarantined.objects.count(), Archived.objects.count()) == (0, 2)


def test_keeps_what_still_has_a_fault_with_the_fault_of_now(shop):
    send(shop, {"type": "track", "userId": "u", "messageId": "m", "properties": LARGE})
    widen()
    answer = retry(Quarantined.objects.get())
    assert (answer.json()["outcome"], answer.json()["reason"]) == ("quarantined", "no_event_name")
    assert (outcomes(), rows()) == ({"quarantined": 1}, [("quarantined", "no_event_name", 1)])
    assert Quarantined.objects.get().code == "no_event_name"


def test_gives_a_message_without_an_id_no_second_one(shop):
    send(shop, {**aside(), "messageId": ""})
    given = Quarantined.objects.get().message_id
    widen()
    assert rerun_one(row_id=Quarantined.objects.get().pk, now=datetime.now(UTC)) == {"accepted": 1}
    assert Event.objects.get().message_id == given


def test_does_nothing_to_what_was_sent_again_meanwhile(shop):
    send(shop, aside())
    row = Quarantined.objects.get()
    send(shop, track("large"))
    assert outcomes() == {"quarantined": 1, "accepted": 1}
    widen()
    assert rerun_one(row_id=row.pk, now=datetime.now(UTC)) == {}
    assert retry(row).status_code == 404
    assert event_count() == 1


def test_counts_first_then_runs_in_bulk(shop):
    for number in range(7):
        send(shop, aside(f"m-{number}"), {"type": "track", "userId": "u", "messageId": f"f-{number}"})
    widen()
    client = api("sources:write")
    made = client.post("/api/v1/replays", {"kind": "quarantine", "source": "shop"}, format="json")
    assert (made.status_code, made.json()["status"], made.json()["total"]) == (202, "counting", 14)
    address = f"/api/v1/replays/{made.json()['id']}"
    run_jobs()
    counted = client.get(address).json()
    assert (counted["status"], counted["expected"]) == ("counted", {"accepted": 7, "quarantined": 7})
    assert outcomes() == {"quarantined": 14}
    assert client.post(f"{address}/run").json()["status"] == "running"
    run_jobs()
    done = client.get(address).json()
    assert (done["status"], done["done"], done["results"]) == ("done", 14, {"accepted": 7, "quarantined": 7})
    assert outcomes() == {"accepted": 7, "quarantined": 7}
    assert client.post(f"{address}/run").status_code == 409


def test_narrows_to_a_fault(shop):
    send(shop, aside(), {"type": "track", "userId": "u", "messageId": "f"})
    made = api("sources:write").post("/api/v1/replays", {"kind": "quarantine", "code": "too_large"}, format="json")
    assert made.json()["total"] == 1


def test_processes_a_message_that_could_not_be_processed(shop, monkeypatch):
    from ingestion.services import process as module

    def fail(*args, **kwargs):
        raise ValueError("poison")

    with monkeypatch.context() as patched:
        patched.setattr(module, "prepare", fail)
        assert post("/v1/track", {**TRACK, "type": ""}, shop).status_code == 200
        process()
    assert rows() == [("quarantined", "processing_failed", 1)]
    assert rerun_one(row_id=Quarantined.objects.get().pk, now=datetime.now(UTC)) == {"accepted": 1}
    assert (outcomes(), event_count()) == ({"quarantined": 0, "accepted": 1}, 1)


def test_needs_the_right_to_write_sources(shop):
    send(shop, aside())
    assert api("sources:read").post(f"/api/v1/quarantine/{Quarantined.objects.get().pk}/retry").status_code == 403
    assert api("sources:read").post("/api/v1/replays", {"kind": "quarantine"}, format="json").status_code == 403
    assert api("sources:write").post("/api/v1/replays", {"kind": "dreams"}, format="json").status_code == 400
    assert api("sources:read").get("/api/v1/replays/99").status_code == 404
