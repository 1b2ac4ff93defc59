"""Working through what waits: the inbox by the worker, everything by `drain`."""

import time

from django.db.models import Sum
from django.utils import timezone

from cdp.core.registries import work_steps
from cdp.core.services.wakeups import wake_now
from ingestion.models import InboxEntry
from ingestion.services.process import process_batch

# A task ends after this long, so that the worker takes its other tasks in between; a sweep or wake-up follows.
RUN_SECONDS = 20.0
PAUSE_SECONDS = 0.05
# By name: this app does not know who follows changes of profiles.
FOLLOWERS = "segments.follow_changes"


def process_inbox() -> int:
    """Process requests until none waits or a while has passed.

    Returns
    -------
    int
        How many requests were processed.
    """
    deadline = time.monotonic() + RUN_SECONDS
    done = 0
    while processed := process_batch(now=timezone.now()):
        done += processed
        # Committed: whoever follows need not wait for its next sweep.
        wake_now(FOLLOWERS)
        if time.monotonic() > deadline:
            break
    return done


def count_inbox() -> int:
    """Return how many items wait in the inbox, those that a worker is busy with included."""
    return InboxEntry.objects.aggregate(total=Sum("items"))["total"] or 0


def drain() -> None:
    """Run every kind of waiting work until nothing waits.

    Notes
    -----
    Rows that another worker holds still count as waiting until it has committed, so this waits for them too.
    """
    while True:
        done = 0
        for step in work_steps:
            while ran := step.run():
                done += ran
        if done:
            continue
        if not any(step.count_pending() for step in work_steps):
            return
        time.sleep(PAUSE_SECONDS)
