"""Wake-ups: few, late at worst, and never in anybody's way."""

import time
from itertools import pairwise

import pytest
from django.db import transaction
from kombu.exceptions import OperationalError

from cdp.core.services import wakeups


@pytest.fixture
def sent(monkeypatch):
    """Record what goes to the broker, with a sender of the test's own."""
    names: list[tuple[str, float]] = []

    def send_task(name, **_options):
        names.append((name, time.monotonic()))

    monkeypatch.setattr(wakeups.app, "send_task", send_task)
    wakeups._start_over()
    yield names
    wakeups._start_over()


def settle(seconds: float = 0.2) -> None:
    time.sleep(seconds)


def test_sends_at_most_one_each_50_ms(sent):
    ends = time.monotonic() + 0.3
    calls = 0
    while time.monotonic() < ends:
        wakeups.wake_now("a.task")
        calls += 1
    settle()
    assert calls > 100
    # 0.3 s / 0.05 s, the first at once and one after the last call.
    assert 2 <= len(sent) <= 8
    gaps = [later[1] - earlier[1] for earlier, later in pairwise(sent)]
    assert min(gaps) >= 0.045


def test_sends_each_name(sent):
    wakeups.wake_now("a.task")
    wakeups.wake_now("b.task")
    settle()
    assert {name for name, _ in sent} == {"a.task", "b.task"}


def test_sends_what_was_asked_for_during_the_pause(sent):
    wakeups.wake_now("a.task")
    settle(0.02)
    wakeups.wake_now("a.task")
    settle()
    assert len(sent) == 2


@pytest.mark.django_db(transaction=True)
def test_waits_for_the_commit(sent):
    with transaction.atomic():
        wakeups.wake("a.task")
        settle(0.1)
        assert sent == []
    settle()
    assert len(sent) == 1


@pytest.mark.django_db(transaction=True)
def test_sends_nothing_for_a_transaction_that_is_undone(sent):
    with transaction.atomic():
        wakeups.wake("a.task")
        transaction.set_rollback(True)
    settle(0.1)
    assert sent == []


@pytest.mark.parametrize("fault", [OperationalError(), ConnectionRefusedError()])
def test_a_dead_broker_is_asked_once_and_then_left_alone(monkeypatch, sent, fault):
    asked = []

    def refuse(name, **_options):
        asked.append(name)
        raise fault

    monkeypatch.setattr(wakeups.app, "send_task", refuse)
    for _ in range(10):
        wakeups.wake_now("a.task")
        settle(0.02)
    settle(0.1)
    assert len(asked) == 1


def test_a_slow_broker_slows_nobody_down(monkeypatch, sent):
    monkeypatch.setattr(wakeups.app, "send_task", lambda *_a, **_k: time.sleep(0.3))
    wakeups.wake_now("a.task")
    settle(0.05)
    began = time.perf_counter()
    for _ in range(1000):
        wakeups.wake_now("a.task")
    assert time.perf_counter() - began < 0.1
    settle(0.5)
