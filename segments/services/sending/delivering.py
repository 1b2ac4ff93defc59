"""Delivering: every destination has a window of its own under way, so that one that hangs holds up nobody else.

A session lock per destination lets one process at a time send to it. The loop claims a window, gives it to some
threads, and writes down what came of it when all of it is back. After a crash rows that were under way count as lost
after their lease and are sent again under the same message id: at most one window of duplicates, and none is lost.
"""

import logging
import random
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event
from typing import Any

from django.db import connection
from django.db.models import Q
from django.utils import timezone

from cdp.core import locks
from cdp.core.outgoing import Line
from segments.sending import retrying
from segments.sending.retrying import Outcome
from segments.sending_models import Delivery, DeliveryMark, Destination
from segments.services.sending.claiming import Claimed, claim_window, queue_marks
from segments.services.sending.posting import Recipe, post
from segments.services.sending.recipes import read_recipe
from segments.services.sending.settling import write_down

log = logging.getLogger("cdp.deliveries")

# A task ends after this long, so that the worker can end when it is told to; a sweep follows.
RUN_SECONDS = 5.0
LINES = 8
WAIT_SECONDS = 0.05
Result = tuple[Claimed, Outcome]


@dataclass(slots=True)
class _Run:
    """One destination while it is worked on: its lock, its lines, and the window that is under way."""

    destination_id: int
    held: ExitStack
    lines: list[Line] = field(default_factory=list)
    threads: ThreadPoolExecutor | None = None
    under_way: list[Future[list[Result]]] = field(default_factory=list)
    destination: Destination | None = None
    done: int = 0
    idle: bool = False

    def close(self) -> None:
        """Let others send to the destination."""
        if self.threads is not None:
            self.threads.shutdown()
        for line in self.lines:
            line.close()
        self.held.close()


def send_deliveries(*, seconds: float = RUN_SECONDS) -> int:
    """Send what waits, to every destination that does not rest; return how many deliveries were dealt with."""
    ends = time.monotonic() + seconds
    due = Destination.objects.filter(Q(retry_at=None) | Q(retry_at__lte=timezone.now()), enabled=True)
    ids = list(due.values_list("pk", flat=True))
    # Several workers do not all begin with the same.
    random.shuffle(ids)
    done = 0
    with connection.cursor() as cursor, ExitStack() as everything:
        runs = [run for pk in ids if (run := _begin(cursor, pk, everything)) is not None]
        while runs:
            for run in list(runs):
                _advance(run, ends)
                if run.idle:
                    done += run.done
                    run.close()
                    runs.remove(run)
            under_way = [future for run in runs for future in run.under_way]
            if under_way:
                wait(under_way, timeout=WAIT_SECONDS, return_when=FIRST_COMPLETED)
    return done


def _begin(cursor: Any, destination_id: int, everything: ExitStack) -> _Run | None:
    held = ExitStack()
    if not held.enter_context(locks.hold(cursor, locks.DELIVERING + destination_id, wait=False)):
        held.close()
        return None
    run = _Run(destination_id, held)
    everything.callback(run.close)
    return run


def _advance(run: _Run, ends: float) -> None:
    """Write down a window that is back, and begin the next one; idle when there is none."""
    if run.under_way:
        if not all(future.done() for future in run.under_way):
            return
        results = [result for future in run.under_way for result in future.result()]
        run.under_way = []
        assert run.destination is not None
        write_down(destination=run.destination, results=results, now=timezone.now())
        run.done += len(results)
    if time.monotonic() >= ends or not _start(run):
        run.idle = True


def _start(run: _Run) -> bool:
    """Claim a window and give it to the threads; False if there is nothing to do now."""
    now = timezone.now()
    run.destination = (
        Destination.objects.select_related("segment")
        .filter(Q(retry_at=None) | Q(retry_at__lte=now), pk=run.destination_id, enabled=True)
        .first()
    )
    if run.destination is None:
        return False
    queued = queue_marks(destination=run.destination, now=now)
    # One is enough to learn whether the receiver is there again.
    size = 1 if run.destination.failures else run.destination.window
    window = claim_window(destination=run.destination, size=size, now=now)
    run.done += window.settled
    if not window.claimed:
        return bool(queued or window.settled)
    if run.threads is None:
        run.threads = ThreadPoolExecutor(max_workers=LINES, thread_name_prefix="deliver")
        run.lines = [Line() for _ in range(LINES)]
    recipe, stopped = read_recipe(run.destination), Event()
    # Each thread has a connection of its own, and every eighth request.
    requests = in_requests(window.claimed, most=run.destination.people_per_request)
    parts = [requests[place::LINES] for place in range(min(LINES, len(requests)))]
    run.under_way = [
        run.threads.submit(_send_part, recipe, part, line, stopped)
        for part, line in zip(parts, run.lines, strict=False)
    ]
    return True


def in_requests(claimed: Sequence[Claimed], *, most: int) -> list[list[Claimed]]:
    """Return deliveries as they are sent: at most so many of one kind and reason together.

    What was tried before goes by itself: it may be what the receiver could not bear.
    """
    together: dict[tuple[str, str], list[Claimed]] = {}
    alone = []
    for one in claimed:
        if one.row.attempts or most == 1:
            alone.append([one])
        else:
            together.setdefault((one.parcel.kind, one.parcel.reason), []).append(one)
    full = [some[place : place + most] for some in together.values() for place in range(0, len(some), most)]
    return [*alone, *full]


def _send_part(recipe: Recipe, part: Sequence[list[Claimed]], line: Line, stopped: Event) -> list[Result]:
    """Send some requests one after the other; touches no database, because it runs in threads."""
    results = []
    for some in part:
        parcels = [one.parcel for one in some]
        outcome = Outcome(retrying.NOT_TRIED) if stopped.is_set() else post(recipe, parcels, line)
        if outcome.state in {retrying.LINE_FAILED, retrying.GONE}:
            stopped.set()
        results += [(one, outcome) for one in some]
    return results


def count_due_deliveries(now: datetime) -> int:
    """Return how many marks and deliveries wait whose destination does not rest."""
    ready = Q(destination__enabled=True) & (Q(destination__retry_at=None) | Q(destination__retry_at__lte=now))
    waiting = Delivery.objects.filter(ready, due_at__lte=now).exclude(state=Delivery.State.DEAD).count()
    return waiting + DeliveryMark.objects.filter(ready).count()
