"""A definition that changes while everyone is looked at, and processes killed half way through: both end right."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection, transaction

from cdp.core import locks
from profiles.models import Work
from segments.models import Membership, MembershipChange, Segment, SegmentVersion
from segments.services import following
from segments.services.following import follow_changes
from tests.profiles.sending import NOW
from tests.segments.asking import DAY, SECOND, catch_up, did, identify, members, profile_of, redefine, segment, track
from tests.segments.asking import trait as trait_is
from tests.two_connections import other_connection

pytestmark = pytest.mark.usefixtures("committed")
PLANS = {"pro": {"ana", "cy"}, "free": {"ben"}}
EVERYONE = {"ana", "ben", "cy"}
PATIENCE = 20
State = tuple[set[str], set[str], int]
ENTER = "INSERT INTO segments_membership (segment_id, profile_id, since) VALUES (%s, %s, now())"
# Of this database: other tests wait in theirs at the same time.
WAITING = """
SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE NOT l.granted AND a.datname = current_database()
"""


@pytest.fixture
def followed(committed: None) -> None:
    """Give a segment, one that refers to it, one that refers to its complement, and three people."""
    identify("ana", plan="pro")
    identify("ben", plan="free")
    identify("cy", plan="pro")
    segment("some", trait_is("plan", "eq", "pro"))
    segment("outer", {"type": "segment", "key": "some"})
    segment("others", {"type": "segment", "key": "some", "op": "not_in"})


def in_child(act: Callable[[], Any], *, at: int = 0) -> int:
    """Run something in a process that kills itself before its statement number `at`; return how many it sent."""
    connection.close()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        sent = 0

        def count_or_die(execute, sql, params, many, context):  # type: ignore[no-untyped-def]
            nonlocal sent
            sent += 1
            if sent == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return execute(sql, params, many, context)

        with connection.execute_wrapper(count_or_die):
            act()
        os.write(writing, str(sent).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    return int(told or 0)


def wait_until_free() -> None:
    """Wait until the database has noticed that whoever looked at everyone is dead."""
    with transaction.atomic(), connection.cursor() as cursor:
        locks.take(cursor, locks.SEGMENTS)


def replay(key: str) -> set[int]:
    """Return who is in by the history, in which everybody comes and goes by turns."""
    inside: set[int] = set()
    for row in MembershipChange.objects.filter(segment__key=key).order_by("id"):
        entered = row.kind == MembershipChange.Kind.ENTERED
        assert entered is (row.profile_id not in inside), f"{key}: {row} twice"
        inside ^= {row.profile_id}
    return inside


def check(expected: set[str], everyone: set[str] = EVERYONE) -> None:
    """Check membership, counts, history and versions of all three segments."""
    assert (members("some"), members("outer"), members("others")) == (expected, expected, everyone - expected)
    for row in Segment.objects.all():
        ids = set(Membership.objects.filter(segment=row).values_list("profile_id", flat=True))
        assert (row.live_version, row.member_count, replay(row.key)) == (row.version, len(ids), ids), row.key


def plan_of(version: int) -> str:
    stored = SegmentVersion.objects.get(segment__key="some", version=version).definition
    plan: str = stored["match"]["value"]
    return plan


@contextmanager
def held_back(key: str, user: str) -> Iterator[None]:
    """Hold back whoever lets somebody enter: the same row is written, but not committed, by another session."""
    row, person = Segment.objects.get(key=key), profile_of(user)
    with other_connection() as other:
        other.execute("BEGIN")
        other.execute(ENTER, [row.pk, person])
        yield
        other.execute("ROLLBACK")


def wait_for_waiting(many: int) -> None:
    """Wait until so many sessions wait for a lock."""
    with other_connection() as other:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            other.execute(WAITING)
            if other.fetchone()[0] >= many:
                return
            time.sleep(0.01)
    raise AssertionError(f"Nobody waits after {PATIENCE} s.")


def start(act: Callable[[], Any]) -> threading.Thread:
    def run() -> None:
        try:
            act()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.usefixtures("followed")
def test_saving_may_be_killed_before_any_of_its_statements() -> None:
    states = set()
    at = total = 0
    while at <= total:
        before = Segment.objects.get(key="some")
        plan = "free" if plan_of(before.version) == "pro" else "pro"
        sent = in_child(partial(redefine, "some", trait_is("plan", "eq", plan)), at=at)
        total = total or sent
        wait_until_free()
        left = Segment.objects.get(key="some")
        states.add((left.version > before.version, left.live_version == left.version))
        catch_up(NOW + SECOND)
        check(PLANS[plan_of(left.version)])
        at += 1
    # Nothing was saved; it was saved and waits for the worker; it was whole. Never computed by what was not saved.
    assert states == {(False, True), (True, False), (True, True)}


@pytest.mark.usefixtures("followed")
def test_a_worker_may_be_killed_before_any_of_its_statements() -> None:
    segment("today", did("Order") | {"window": {"calendar": "today"}})
    track("ana", "Order")
    catch_up(NOW + SECOND)
    assert members("today") == {"ana"}
    # The next day everyone is looked at in this one, and Ben's new plan moves him in the others.
    identify("ben", NOW + DAY, plan="pro")
    tomorrow = NOW + DAY + SECOND
    before: State = ({"ana", "cy"}, {"ana"}, 1)
    after: State = (EVERYONE, set(), 0)
    states = [before]
    while in_child(lambda: follow_changes(clock=lambda: tomorrow), at=len(states)) == 0:
        wait_until_free()
        states.append((members("some"), members("today"), Work.objects.count()))
    # All of it or nothing, and what was done stays done: the last statements only ask whether there is more.
    assert states == [before] * states.count(before) + [after] * states.count(after)
    assert states.count(before) > 10
    check(EVERYONE)


@pytest.mark.usefixtures("followed")
def test_a_process_killed_in_the_middle_of_everyone_leaves_nothing_of_it() -> None:
    version = Segment.objects.get(key="some").version
    with held_back("some", "ben"):
        connection.close()
        child = os.fork()
        if child == 0:
            redefine("some", trait_is("plan", "eq", "free"))
            os._exit(0)
        wait_for_waiting(1)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    wait_until_free()
    left = Segment.objects.get(key="some")
    assert (left.version, left.live_version, members("some")) == (version + 1, version, {"ana", "cy"})
    catch_up(NOW + SECOND)
    check({"ben"})


@pytest.mark.usefixtures("followed")
def test_a_definition_that_changes_while_everyone_is_looked_at_wins() -> None:
    with held_back("some", "ben"):
        first = start(lambda: redefine("some", trait_is("plan", "eq", "free"), now=NOW + SECOND))
        wait_for_waiting(1)
        second = start(lambda: redefine("some", trait_is("plan", "exists"), now=NOW + 2 * SECOND))
        # Messages are taken meanwhile: what they change is followed afterwards.
        identify("dana", NOW + SECOND, plan="free")
        wait_for_waiting(2)
    first.join(PATIENCE)
    second.join(PATIENCE)
    assert not first.is_alive()
    assert not second.is_alive()
    assert Segment.objects.get(key="some").version == 3
    catch_up(NOW + timedelta(seconds=5))
    check({*EVERYONE, "dana"}, {*EVERYONE, "dana"})


def test_what_takes_long_is_computed_in_several_passes_between_which_changes_are_followed(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    # One pass a call.
    monkeypatch.setattr(following, "RUN_SECONDS", -1)
    identify("ana", plan="pro")
    for number in range(4):
        segment(f"s{number}", trait_is("plan", "eq", "pro"))
    # Two of three seconds are more than a pass may take.
    Segment.objects.update(live_version=None, compute_seconds=3.0)
    left = []
    for number in range(4):
        identify(f"user-{number}", NOW, plan="pro")
        follow_changes(clock=lambda: NOW + SECOND)
        left.append((Segment.objects.filter(live_version=None).count(), Work.objects.count(), len(members("s0"))))
    # What is computed already follows who comes, in the same pass.
    assert left == [(3, 0, 2), (2, 0, 3), (1, 0, 4), (0, 0, 5)]
    catch_up(NOW + DAY)
    assert {len(members(f"s{number}")) for number in range(4)} == {5}
