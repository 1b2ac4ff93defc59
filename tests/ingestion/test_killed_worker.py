"""A message that kills its worker: found by halving, set aside after three attempts, with nothing held up behind it."""

import time
from datetime import UTC, datetime

import pytest
from django.db import connection

from ingestion.models import InboxEntry, Quarantined
from ingestion.services import process as processor
from ingestion.services.drain import process_inbox
from ingestion.services.marks import find_lost, mark
from tests.ingestion.door import TRACK, event_count, inbox, make_source, outcomes, post

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 5, 4, tzinfo=UTC)
DEADLY = b"deadly"


class Killed(BaseException):
    """What kill -9 looks like from inside: nothing is caught, nothing is cleaned up."""


@pytest.fixture(autouse=True)
def no_marks(settings, tmp_path):
    settings.CDP_DATA_DIR = tmp_path
    mark.leave()
    yield
    mark.leave()


@pytest.fixture
def kills(monkeypatch):
    """Kill whoever prepares a deadly request; return which batches were begun, by their size."""
    begun = []
    real = processor.prepare

    def prepare(requests, rules):
        begun.append(len(requests))
        if any(DEADLY in request.body for request in requests):
            raise Killed
        return real(requests, rules)

    monkeypatch.setattr(processor, "prepare", prepare)
    return begun


def run_workers(most: int) -> int:
    """Let one worker after the other come until one survives; return how many were killed."""
    for killed in range(most):
        try:
            process_inbox()
        except Killed:
            mark.leave()
            continue
        return killed
    raise AssertionError("Every worker was killed.")


def send_many(key, count):
    for number in range(count):
        assert post("/v1/track", {**TRACK, "messageId": f"good-{number}"}, key).status_code == 200
    assert post("/v1/track", {**TRACK, "event": "deadly", "messageId": "bad"}, key).status_code == 200
    assert post("/v1/track", {**TRACK, "messageId": "behind"}, key).status_code == 200


def test_sets_aside_a_message_that_kills_its_worker_and_keeps_the_others(kills):
    key = make_source()
    send_many(key, 120)
    # The batch of all, a tenth of it, a tenth of that, and three times alone.
    assert run_workers(10) == 5
    assert not inbox()
    assert event_count() == 121
    assert outcomes() == {"accepted": 121, "quarantined": 1}
    assert [(row.code, row.detail) for row in Quarantined.objects.all()] == [
        ("processing_failed", "The message could not be processed (its worker was killed).")
    ]
    assert DEADLY in bytes(Quarantined.objects.get().payload)


def test_divides_a_request_of_which_one_item_kills(kills):
    key = make_source()
    items = [{**TRACK, "messageId": f"m-{number}"} for number in range(5)]
    items[3]["event"] = "deadly"
    assert post("/v1/batch", {"batch": items}, key).status_code == 200
    run_workers(10)
    assert outcomes() == {"accepted": 4, "quarantined": 1}
    assert event_count() == 4


def test_counts_no_attempt_of_a_batch_whose_worker_was_stopped_by_somebody(kills):
    key = make_source()
    for number in range(3):
        post("/v1/track", {**TRACK, "messageId": f"good-{number}"}, key)
    mark.set([entry.pk for entry in InboxEntry.objects.all()])
    mark.leave()
    assert run_workers(1) == 0
    assert outcomes() == {"accepted": 3}
    assert kills == [1, 1, 1]


def test_leaves_alone_what_a_living_worker_is_busy_with():
    mark.set([1, 2])
    assert find_lost() == []
    mark.leave()
    assert find_lost() == [[1, 2]]
    assert find_lost() == []


@pytest.mark.parametrize("text", ["", "[", '{"a": 1}', "7", "[]"])
def test_takes_a_file_that_was_cut_off_for_nothing(text, tmp_path):
    folder = tmp_path / "run" / "processing"
    folder.mkdir(parents=True)
    (folder / "batch-x").write_text(text)
    assert find_lost() == []
    assert not list(folder.iterdir())


def test_lets_nothing_wait_behind_a_message_that_the_database_refuses(monkeypatch):
    with connection.cursor() as cursor:
        cursor.execute("""
            CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$;
            CREATE TRIGGER refuse BEFORE INSERT ON profiles_event FOR EACH ROW
            WHEN (NEW.name = 'deadly') EXECUTE FUNCTION refuse()
        """)
    # So long would each of the ten behind it wait for its turn.
    monkeypatch.setattr(processor, "PATIENCE_SECONDS", 30.0)
    key = make_source()
    post("/v1/track", {**TRACK, "event": "deadly", "messageId": "bad"}, key)
    for number in range(10):
        post("/v1/track", {**TRACK, "messageId": f"good-{number}"}, key)
    began_at = time.monotonic()
    process_inbox()
    assert time.monotonic() - began_at < 30
    assert outcomes() == {"accepted": 10, "quarantined": 1}
    assert not inbox()
