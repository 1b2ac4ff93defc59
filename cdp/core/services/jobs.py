"""Jobs: work in bounded steps whose progress a row owns.

A step holds a lease and a fencing number. Its effect and its progress commit together, and only if the number is still
the job's: a worker that was believed dead cannot write over its successor.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from cdp.core import registries
from cdp.core.connections import database_is_away
from cdp.core.errors import CdpError
from cdp.core.models import Job
from cdp.core.services.wakeups import wake

log = logging.getLogger("cdp.jobs")

TASK_NAME = "core.run_jobs"
LEASE_SECONDS = 120
MAX_ATTEMPTS = 5
BACKOFF_SECONDS = (1, 5, 30, 120)
RUN_SECONDS = 10.0
KEPT_DAYS = 30


class UnknownJobKind(CdpError):
    """No handler is registered for this kind of job."""

    code = "job.unknown_kind"
    status = 500


class LeaseLost(CdpError):
    """Another worker has taken the job over."""

    code = "job.lease_lost"
    status = 500


@dataclass(frozen=True, slots=True)
class _Claim:
    job_id: int
    fence: int


def enqueue(
    *, kind: str, arguments: Mapping[str, Any], run_at: datetime | None = None, now: datetime | None = None
) -> Job:
    """Write a job in the caller's transaction; it starts after the commit.

    Parameters
    ----------
    kind : str
        A key of `registries.job_handlers` or `registries.job_handlers_outside_transaction`.
    arguments : mapping
        JSON; ids only, no personal data.
    run_at : datetime or None
        Not before this time; None for at once.

    Raises
    ------
    UnknownJobKind
        If nothing handles this kind.
    """
    if not _has_handler(kind):
        message = f"No handler is registered for jobs of the kind {kind}."
        raise UnknownJobKind(message)
    at = now or timezone.now()
    job = Job.objects.create(kind=kind, arguments=dict(arguments), run_at=run_at or at, created_at=at)
    if run_at is None or run_at <= at:
        wake(TASK_NAME)
    return job


def run_jobs(*, seconds: float = RUN_SECONDS) -> int:
    """Run steps of due jobs until none is due or the time is up, and return how many steps were run.

    Several workers may run this at once. A job goes back into the line after each step, so a long one does not hold up
    the others.
    """
    ends = time.monotonic() + seconds
    steps = 0
    while (claim := _claim_job(now=timezone.now())) is not None:
        _run_step(claim)
        steps += 1
        if time.monotonic() >= ends:
            wake(TASK_NAME)
            break
    return steps


def count_due_jobs() -> int:
    """Return how many jobs are due or running."""
    now = timezone.now()
    return Job.objects.filter(Q(status=Job.Status.QUEUED, run_at__lte=now) | Q(status=Job.Status.RUNNING)).count()


def delete_finished_jobs(now: datetime) -> None:
    """Delete jobs that have been over for 30 days."""
    Job.objects.filter(finished_at__lt=now - timedelta(days=KEPT_DAYS)).delete()


def _has_handler(kind: str) -> bool:
    return kind in registries.job_handlers or kind in registries.job_handlers_outside_transaction


CLAIM = """
UPDATE core_job SET status = 'running', lease_until = %(until)s, fence = fence + 1, attempts = attempts + 1
WHERE id = (
    SELECT id FROM core_job
    WHERE (status = 'queued' AND run_at <= %(now)s) OR (status = 'running' AND lease_until < %(now)s)
    ORDER BY run_at, id
    FOR UPDATE SKIP LOCKED LIMIT 1
)
RETURNING id, fence, attempts
"""


def _claim_job(*, now: datetime) -> _Claim | None:
    """Take the next due job, committed before the step begins: a step that kills its worker has used an attempt."""
    while True:
        with connection.cursor() as cursor:
            cursor.execute(CLAIM, {"now": now, "until": now + timedelta(seconds=LEASE_SECONDS)})
            row = cursor.fetchone()
        if row is None:
            return None
        claim = _Claim(job_id=row[0], fence=row[1])
        if row[2] <= MAX_ATTEMPTS:
            return claim
        # Nobody wrote down why: the worker was killed each time.
        _give_up(claim, reason="the worker died in each attempt", now=now)


def _run_step(claim: _Claim) -> None:
    job = Job.objects.get(pk=claim.job_id)
    try:
        if job.kind in registries.job_handlers:
            with transaction.atomic():
                _hold(claim)
                done = registries.job_handlers[job.kind](job)
                _save_progress(claim, job, done=done, now=timezone.now())
        elif job.kind in registries.job_handlers_outside_transaction:
            done = registries.job_handlers_outside_transaction[job.kind](job)
            with transaction.atomic():
                _hold(claim)
                _save_progress(claim, job, done=done, now=timezone.now())
        else:
            message = f"No handler is registered for jobs of the kind {job.kind}."
            raise UnknownJobKind(message)
    except LeaseLost:
        log.warning("another worker has taken the job over", extra={"job": claim.job_id})
    except Exception as error:  # the one place: a poison job must not stop the line behind it
        log.exception("a step of a job failed", extra={"job": claim.job_id, "kind": job.kind})
        _note_failure(claim, job, error)


def _hold(claim: _Claim) -> None:
    """Lock the job's row for the step, or learn that it has a new owner."""
    if not Job.objects.select_for_update().filter(pk=claim.job_id, fence=claim.fence).exists():
        message = f"Job {claim.job_id} belongs to another worker now."
        raise LeaseLost(message)


def _save_progress(claim: _Claim, job: Job, *, done: bool, now: datetime) -> None:
    Job.objects.filter(pk=claim.job_id, fence=claim.fence).update(
        status=Job.Status.DONE if done else Job.Status.QUEUED,
        progress=job.progress,
        run_at=job.run_at if not done and job.run_at > now else now,
        attempts=0,
        error="",
        lease_until=None,
        finished_at=now if done else None,
    )


def _note_failure(claim: _Claim, job: Job, error: Exception) -> None:
    """Say why without the error's own words, which may quote data, and try again later."""
    reason = error.code if isinstance(error, CdpError) else type(error).__name__
    now = timezone.now()
    # A database that is away is no fault of the job.
    if job.attempts >= MAX_ATTEMPTS and not database_is_away(error):
        _give_up(claim, reason=reason, now=now)
        return
    pause = BACKOFF_SECONDS[min(job.attempts, len(BACKOFF_SECONDS)) - 1]
    attempts = job.attempts - 1 if database_is_away(error) else job.attempts
    Job.objects.filter(pk=claim.job_id, fence=claim.fence).update(
        status=Job.Status.QUEUED,
        run_at=now + timedelta(seconds=pause),
        attempts=attempts,
        error=reason,
        lease_until=None,
    )


def _give_up(claim: _Claim, *, reason: str, now: datetime) -> None:
    Job.objects.filter(pk=claim.job_id, fence=claim.fence).update(
        status=Job.Status.FAILED, error=reason, lease_until=None, finished_at=now
    )
    log.error("a job was given up", extra={"job": claim.job_id, "reason": reason})
