"""Jobs: bounded steps, leases, attempts."""

import threading
from datetime import timedelta

import pytest
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from cdp.core import registries
from cdp.core.errors import CdpError
from cdp.core.models import AuditEntry, Job
from cdp.core.services import audit, jobs
from tests.two_connections import server_closed

pytestmark = pytest.mark.django_db


@pytest.fixture
def handle(monkeypatch):
    """Register handlers for one test."""

    def register(kind, handler, *, outside=False):
        table = registries.job_handlers_outside_transaction if outside else registries.job_handlers
        monkeypatch.setitem(table, kind, handler)

    return register


def count_to_three(job) -> bool:
    job.progress["n"] = job.progress.get("n", 0) + 1
    audit.record(actor="system", action="counted", object=f"job:{job.pk}", detail=dict(job.progress))
    return job.progress["n"] == 3


def due(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(run_at=timezone.now())


def test_runs_steps_until_the_handler_says_done(handle):
    handle("count", count_to_three)
    job = jobs.enqueue(kind="count", arguments={"a": 1})
    assert jobs.count_due_jobs() == 1
    assert jobs.run_jobs() == 3
    job.refresh_from_db()
    assert (job.status, job.progress, job.attempts) == ("done", {"n": 3}, 0)
    assert job.finished_at is not None
    assert jobs.count_due_jobs() == 0
    assert jobs.run_jobs() == 0


def test_does_not_start_before_its_time(handle):
    handle("count", count_to_three)
    jobs.enqueue(kind="count", arguments={}, run_at=timezone.now() + timedelta(minutes=1))
    assert (jobs.count_due_jobs(), jobs.run_jobs()) == (0, 0)


def test_takes_turns_between_jobs(handle):
    order = []

    def step(job) -> bool:
        order.append(job.arguments["name"])
        return order.count(job.arguments["name"]) == 2

    handle("turn", step)
    for name in ("a", "b"):
        jobs.enqueue(kind="turn", arguments={"name": name})
    jobs.run_jobs()
    assert order == ["a", "b", "a", "b"]


def test_refuses_a_kind_that_nothing_handles():
    with pytest.raises(jobs.UnknownJobKind):
        jobs.enqueue(kind="nothing", arguments={})


def test_undoes_a_step_that_fails_and_tries_again_later(handle):
    def fail_once(job) -> bool:
        count_to_three(job)
        if job.attempts == 1:
            raise KeyError("ada@customer.example")
        return True

    handle("flaky", fail_once)
    job = jobs.enqueue(kind="flaky", arguments={})
    assert jobs.run_jobs() == 1
    job.refresh_from_db()
    assert (job.status, job.progress, job.error) == ("queued", {}, "KeyError")
    assert job.run_at > timezone.now()
    assert not AuditEntry.objects.filter(action="counted").exists()
    due(job)
    jobs.run_jobs()
    job.refresh_from_db()
    assert (job.status, job.error) == ("done", "")


def test_gives_up_after_five_attempts_with_a_reason_without_personal_data(handle):
    def fail(_job) -> bool:
        raise ValueError("ada@customer.example")

    handle("poison", fail)
    handle("count", count_to_three)
    poison = jobs.enqueue(kind="poison", arguments={})
    good = jobs.enqueue(kind="count", arguments={})
    for _ in range(5):
        due(poison)
        jobs.run_jobs()
    poison.refresh_from_db()
    good.refresh_from_db()
    assert (poison.status, poison.error, poison.attempts) == ("failed", "ValueError", 5)
    assert good.status == "done"
    assert jobs.run_jobs() == 0


def test_names_the_code_of_an_error_of_the_family(handle):
    def fail(_job) -> bool:
        raise CdpError("Something.")

    handle("coded", fail)
    job = jobs.enqueue(kind="coded", arguments={})
    jobs.run_jobs()
    job.refresh_from_db()
    assert job.error == "error"


@pytest.mark.parametrize("error", [OperationalError, server_closed])
def test_a_database_that_is_away_uses_up_no_attempt(handle, error):
    def fail(_job) -> bool:
        raise error()

    handle("waiting", fail)
    job = jobs.enqueue(kind="waiting", arguments={})
    for _ in range(8):
        due(job)
        jobs.run_jobs()
    job.refresh_from_db()
    assert (job.status, job.attempts) == ("queued", 0)


def test_takes_over_a_job_whose_worker_died(handle):
    handle("count", count_to_three)
    job = jobs.enqueue(kind="count", arguments={})
    now = timezone.now()
    Job.objects.filter(pk=job.pk).update(status="running", attempts=1, fence=1, lease_until=now + timedelta(seconds=1))
    assert jobs.run_jobs() == 0
    Job.objects.filter(pk=job.pk).update(lease_until=now - timedelta(seconds=1))
    assert jobs.run_jobs() == 3
    job.refresh_from_db()
    assert (job.status, job.progress) == ("done", {"n": 3})


def test_gives_up_a_job_that_kills_each_of_its_workers(handle):
    handle("count", count_to_three)
    job = jobs.enqueue(kind="count", arguments={})
    Job.objects.filter(pk=job.pk).update(
        status="running", attempts=5, lease_until=timezone.now() - timedelta(seconds=1)
    )
    assert jobs.run_jobs() == 0
    job.refresh_from_db()
    assert (job.status, job.error) == ("failed", "the worker died in each attempt")


def test_a_worker_believed_dead_writes_nothing_over_its_successor(handle):
    def lose_the_lease(job) -> bool:
        Job.objects.filter(pk=job.pk).update(fence=99, progress={"successor": True})
        job.progress["stale"] = True
        return True

    handle("slow", lose_the_lease, outside=True)
    job = jobs.enqueue(kind="slow", arguments={})
    jobs.run_jobs()
    job.refresh_from_db()
    assert (job.status, job.progress) == ("running", {"successor": True})


@pytest.mark.django_db(transaction=True)
def test_handlers_outside_run_without_a_transaction(handle):
    seen = []

    def look(_job) -> bool:
        seen.append(connection.in_atomic_block)
        return True

    handle("network", look, outside=True)
    handle("inside", look)
    jobs.enqueue(kind="network", arguments={})
    jobs.enqueue(kind="inside", arguments={})
    jobs.run_jobs()
    assert seen == [False, True]


@pytest.mark.django_db(transaction=True)
def test_two_workers_never_run_the_same_step(handle):
    handle("count", count_to_three)
    with transaction.atomic():
        for _ in range(10):
            jobs.enqueue(kind="count", arguments={})

    def work() -> None:
        jobs.run_jobs()
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # 10 jobs of 3 steps; a step that ran twice would have counted twice.
    assert AuditEntry.objects.filter(action="counted").count() == 30
    assert set(Job.objects.values_list("status", flat=True)) == {"done"}


def test_deletes_finished_jobs_after_thirty_days(handle):
    handle("count", count_to_three)
    now = timezone.now()
    old, young, failed = (jobs.enqueue(kind="count", arguments={}) for _ in range(3))
    Job.objects.filter(pk=old.pk).update(status="done", finished_at=now - timedelta(days=30, seconds=1))
    Job.objects.filter(pk=young.pk).update(status="done", finished_at=now - timedelta(days=29))
    jobs.delete_finished_jobs(now)
    assert set(Job.objects.values_list("pk", flat=True)) == {young.pk, failed.pk}
