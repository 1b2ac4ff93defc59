"""Working through what waits, and keeping the counts small."""

import threading
import time
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import Sum

from cdp.core.registries import WorkStep, work_steps
from ingestion.models import InboxEntry, OutcomeCount
from ingestion.services import drain as draining
from ingestion.services.counting import compact_counts
from ingestion.tasks import process_inbox
from tests.ingestion.door import TRACK, make_source, outcomes, post

NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)


@pytest.mark.django_db
def test_processes_everything_that_waits():
    key = make_source()
    for number in range(3):
        post("/v1/track", {**TRACK, "messageId": f"m-{number}"}, key)
    call_command("drain")
    assert outcomes() == {"accepted": 3}
    assert InboxEntry.objects.count() == 0


@pytest.mark.django_db
def test_runs_every_step_until_none_has_work_left(monkeypatch):
    # The second step makes work for the first, once.
    waiting = {"first": 2, "second": 1}

    def run(name, follow=None):
        def step():
            done, waiting[name] = waiting[name], 0
            if done and follow:
                waiting[follow] += 1
            return done

        return WorkStep(name, lambda: waiting[name], step)

    monkeypatch.setattr(draining, "work_steps", [run("first"), run("second", follow="first")])
    draining.drain()
    assert waiting == {"first": 0, "second": 0}


@pytest.mark.usefixtures("committed")
def test_waits_for_rows_that_another_worker_holds():
    key = make_source()
    post("/v1/track", TRACK, key)
    held = threading.Event()
    released_at = []

    def hold():
        with transaction.atomic():
            list(InboxEntry.objects.select_for_update())
            held.set()
            time.sleep(0.5)
            released_at.append(time.monotonic())
        connection.close()

    other = threading.Thread(target=hold)
    other.start()
    held.wait()
    call_command("drain")
    assert time.monotonic() >= released_at[0]
    other.join()
    assert outcomes() == {"accepted": 1}


@pytest.mark.django_db
def test_is_called_by_the_task():
    post("/v1/track", TRACK, make_source())
    process_inbox()
    assert outcomes() == {"accepted": 1}


@pytest.mark.django_db
def test_ends_a_long_run_so_that_other_tasks_get_their_turn():
    with (
        patch.object(draining, "RUN_SECONDS", 0.0),
        patch.object(draining, "process_batch", side_effect=[5, 5, 0]) as batches,
    ):
        assert draining.process_inbox() == 5
    assert batches.call_count == 1


def test_registers_the_inbox_as_work():
    assert "inbox" in {step.name for step in work_steps}


@pytest.mark.django_db
def test_folds_the_counts_of_hours_that_have_ended():
    this_hour = NOW.replace(minute=0, second=0, microsecond=0)
    before = this_hour - timedelta(hours=1)
    rows = [(1, before, 1, 5), (1, before, 1, 7), (1, before, 2, 1), (None, before, 3, 1), (None, before, 3, 1)]
    rows += [(1, this_hour, 1, 1), (1, this_hour, 1, 1), (2, before, 6, 1), (2, before, 6, -1)]
    OutcomeCount.objects.bulk_create(
        OutcomeCount(source_id=source, hour=hour, outcome=outcome, count=count) for source, hour, outcome, count in rows
    )

    def sums():
        found = OutcomeCount.objects.values("source_id", "hour", "outcome").annotate(total=Sum("count"))
        return {(row["source_id"], row["hour"], row["outcome"]): row["total"] for row in found if row["total"]}

    expected = sums()
    compact_counts(NOW)
    assert sums() == expected
    # Of the hour before: source 1 accepted, source 1 duplicate, no source; held came to nothing. This hour stays.
    assert OutcomeCount.objects.filter(hour=before).count() == 3
    assert OutcomeCount.objects.filter(hour=this_hour).count() == 2
    compact_counts(NOW)
    assert sums() == expected
