"""Imports as jobs: one step each, resumed by whichever worker is free."""

from datetime import timedelta

from django.utils import timezone

from cdp.core.models import Job
from ingestion.services.import_rows import run_import
from ingestion.services.import_undo import undo_chunk

# While another process is at it: how long until this job looks again.
PAUSE = timedelta(seconds=2)


def import_step(job: Job) -> bool:
    """Bring rows in for some seconds; True once the import is over."""
    before = timezone.now()
    done = run_import(import_id=job.arguments["import"], clock=timezone.now)
    if not done and timezone.now() - before < PAUSE / 2:
        job.run_at = timezone.now() + PAUSE
    return done


def undo_step(job: Job) -> bool:
    """Take the rows of one chunk back, in the transaction of the step; True once all are."""
    after = undo_chunk(import_id=job.arguments["import"], after=job.progress.get("row", 0), now=timezone.now())
    if after is None:
        return True
    job.progress = {"row": after}
    return False
