"""Several workers at once, and a segment that goes live beside a batch of messages."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from cdp.core import locks
from ingestion.services import process as processing
from segments.models import Membership, MembershipChange
from segments.services.definitions import NewSegment, create_segment
from segments.services.following import follow_changes
from tests.profiles.sending import process, put, source
from tests.segments.asking import ACTOR, definition, did, members

pytestmark = pytest.mark.usefixtures("committed")


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    """Run functions at the same moment, each on a connection of its own, and return what they return."""
    gate = threading.Barrier(len(acts))

    def run(act: Callable[[], Any]) -> Any:
        try:
            gate.wait()
            return act()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(acts)) as pool:
        return [future.result() for future in [pool.submit(run, act) for act in acts]]


def live(key: str, match: Any) -> None:
    new = NewSegment(key=key, name=key, definition=definition(match), status="live")
    create_segment(new=new, actor=ACTOR, clock=timezone.now)


def ordered(*users: str) -> list[dict[str, Any]]:
    return [{"type": "track", "userId": user, "event": "Order", "properties": {}} for user in users]


def test_several_workers_write_each_entry_once() -> None:
    live("buyers", did("Order"))
    users = [f"u{number}" for number in range(60)]
    put(ordered(*users), origin=source(), at=timezone.now())
    process(now=timezone.now())
    at_once(*[lambda: follow_changes(clock=timezone.now)] * 4)
    while follow_changes(clock=timezone.now):
        pass
    assert members("buyers") == set(users)
    assert MembershipChange.objects.count() == 60


def test_a_busy_worker_is_not_waited_for() -> None:
    live("buyers", did("Order"))
    put(ordered("ana"), origin=source(), at=timezone.now())
    process(now=timezone.now())
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            locks.take(cursor, locks.SEGMENTS)
            held.set()
            done.wait(10)

    def follow() -> int:
        held.wait(10)
        try:
            return follow_changes(clock=timezone.now)
        finally:
            done.set()

    assert at_once(hold, follow)[1] == 0
    assert follow_changes(clock=timezone.now) > 0
    assert members("buyers") == {"ana"}


def test_a_segment_that_goes_live_beside_a_batch_misses_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch has read what matters before the segment was saved, and commits after it was: it leaves no work."""
    read, saved = threading.Event(), threading.Event()
    interests = processing.read_interests

    def read_then_wait(cursor: Any) -> frozenset[str]:
        found = interests(cursor)
        read.set()
        # As long as the segment would need to look at everyone, if it did not wait for this batch.
        saved.wait(1.0)
        return found

    monkeypatch.setattr(processing, "read_interests", read_then_wait)
    put(ordered("ana"), origin=source(), at=timezone.now())

    def save() -> None:
        read.wait(10)
        live("buyers", did("Order"))
        saved.set()

    at_once(lambda: process(now=timezone.now()), save)
    time.sleep(0.01)
    follow_changes(clock=timezone.now)
    assert members("buyers") == {"ana"}
    assert Membership.objects.count() == 1
