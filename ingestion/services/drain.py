"""Working through what waits: the inbox by the worker, everything by `drain`."""

import time
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import Sum
from django.utils import timezone

from cdp.core import locks
from cdp.core.registries import work_steps
from ingestion.models import InboxEntry
from ingestion.services.process import BATCH_ITEMS, process_batch, process_lost

# A task ends after this long, so that the worker takes its other tasks in between; a sweep or wake-up follows.
RUN_SECONDS = 20.0
PAUSE_SECONDS = 0.05
# A batch of ten messages costs as much as one of five hundred. So what trickles in is gathered this long: short beside
# the second in which a message is to be seen.
GATHER_SECONDS = 0.25
GATHERED_ITEMS = BATCH_ITEMS // 3
# A second worker at the same trickle would only make smaller batches of it. It helps where as much as this waits,
# what the first is busy with included, or where nobody comes to it for so long.
BACKLOG_ITEMS = BATCH_ITEMS
BACKLOG_SECONDS = 2.0
WAITING = """
SELECT coalesce(sum(items), 0)::int, coalesce(extract(epoch FROM now() - min(received_at)), 0)::float
FROM (SELECT items, received_at FROM ingestion_inbox ORDER BY id LIMIT %s) AS oldest
"""


class Waiting(NamedTuple):
    """The oldest of what waits: how many items, at most about `BACKLOG_ITEMS`, and since how many seconds."""

    items: int
    seconds: float


def process_inbox() -> int:
    """Process requests until none waits or a while has passed.

    Returns
    -------
    int
        How many messages were processed.
    """
    deadline = time.monotonic() + RUN_SECONDS
    done = 0
    with connection.cursor() as cursor, locks.hold(cursor, locks.PROCESSING, wait=False) as is_first:
        process_lost(now=timezone.now())
        while is_first or _has_backlog(cursor):
            began_at = time.monotonic()
            items = process_batch(now=timezone.now())
            done += items
            if not items or time.monotonic() > deadline:
                break
            while items < GATHERED_ITEMS and time.monotonic() < began_at + GATHER_SECONDS:
                time.sleep(PAUSE_SECONDS)
                items = _waiting(cursor).items
    return done


def _has_backlog(cursor: Any) -> bool:
    waiting = _waiting(cursor)
    return waiting.items >= BACKLOG_ITEMS or waiting.seconds >= BACKLOG_SECONDS


def _waiting(cursor: Any) -> Waiting:
    cursor.execute(WAITING, [BACKLOG_ITEMS])
    return Waiting(*cursor.fetchone())


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
