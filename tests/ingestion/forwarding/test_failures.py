"""The other system is away, refuses, or asks to wait: nothing is lost, and what cannot be sent is put aside."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from ingestion.collecting.copying import count_uncopied
from ingestion.models import ForwardedCopy, Forwarding, InboxEntry
from ingestion.queries.write_keys import forget_write_keys
from ingestion.services import forward_copies as forwarding
from ingestion.services.forwarding import (
    discard_copies,
    expire_copies,
    measure_copies,
    replay_copies,
)
from tests.ingestion.forwarding.line import due_again, forward, forward_copies, ids, send, state
from tests.listening import OtherServer

pytestmark = pytest.mark.django_db


def test_accepting_goes_on_while_the_other_system_is_away_and_everything_arrives_in_order_afterwards(shop):
    with OtherServer() as gone:
        forward(gone)
    send(shop, "a", "b", "c")
    forward_copies()
    row = state()
    assert (row.failures, row.last_status, row.last_reason) == (1, None, "connect")
    assert row.retry_at > timezone.now()
    # Nobody is asked during the pause.
    assert forward_copies() == 0
    send(shop, "d")
    due_again()
    with OtherServer(port=gone.port) as back:
        forward_copies()
    assert ids(back) == ["a", "b", "c", "d"]
    assert (state().failures, state().retry_at) == (0, None)


def test_pauses_longer_with_each_failure(shop):
    with OtherServer() as gone:
        forward(gone)
    send(shop, "a")
    pauses = []
    for _ in range(4):
        forward_copies()
        pauses.append((state().retry_at - state().last_at).total_seconds())
        due_again()
    # Between half and the whole of 1, 2, 4, 8 seconds.
    assert all(longest / 2 <= pause <= longest for pause, longest in zip(pauses, (1, 2, 4, 8), strict=True))


@pytest.mark.parametrize("status", [401, 403, 404, 302, 429, 502, 503, 408])
def test_stops_the_line_and_loses_nothing(shop, other, status):
    other.reply = lambda request: (status, {"Location": "/elsewhere"}, b"")
    send(shop, "a", "b")
    forward_copies()
    assert len(other.received) == 1
    assert ForwardedCopy.objects.filter(dead_at=None).count() == 2
    assert (state().last_status, state().failures) == (status, 1)


@pytest.mark.parametrize(
    ("value", "at_least", "at_most"),
    [
        ("120", 119, 121),
        (timedelta(hours=30), 3599, 3601),  # as a date
        ("999999999999", 3599, 3601),
        ("soon", 0, 2),
        ("-5", 0, 2),
    ],
)
def test_waits_as_long_as_it_is_asked_to_but_an_hour_at_most(shop, other, value, at_least, at_most):
    if isinstance(value, timedelta):
        value = (datetime.now(UTC) + value).strftime("%a, %d %b %Y %H:%M:%S GMT")
    other.reply = lambda request: (429, {"Retry-After": value}, b"")
    send(shop, "a")
    forward_copies()
    assert at_least <= (state().retry_at - state().last_at).total_seconds() <= at_most


def test_gives_a_request_up_that_is_refused_for_good_and_replays_it(shop, other):
    other.reply = lambda request: (400 if b'"b"' in request.body else 200, {}, b"")
    send(shop, "a", "b", "c")
    forward_copies()
    assert ids(other) == ["a", "b", "c"]
    dead = ForwardedCopy.objects.get()
    assert (dead.reason, state().failures) == ("http 400", 0)
    other.reply = lambda request: (200, {}, b"")
    assert replay_copies(key="shop", actor="user:1", now=timezone.now()) == 1
    forward_copies()
    assert ids(other)[3:] == ["b"]
    assert ForwardedCopy.objects.count() == 0


def test_goes_round_a_request_that_the_other_system_fails_at(shop, other):
    other.reply = lambda request: (500 if b'"a"' in request.body else 200, {}, b"")
    send(shop, "a", "b", "c")
    forward_copies()
    assert ids(other) == ["a"]
    # The pause of the line ends before that of the request.
    assert ForwardedCopy.objects.order_by("pk")[0].retry_at > state().retry_at
    for _ in range(forwarding.OWN_FAULT_ATTEMPTS):
        Forwarding.objects.update(retry_at=None)
        forward_copies()
    assert sorted(set(ids(other))) == ["a", "b", "c"]
    # After some more attempts it keeps its own pauses, and the line goes on without it.
    later = timezone.now() + timedelta(minutes=5)
    assert ForwardedCopy.objects.update(attempts=forwarding.OWN_FAULT_ATTEMPTS, retry_at=later) == 1
    Forwarding.objects.update(retry_at=None)
    send(shop, "d", "e")
    before = len(other.received)
    forward_copies()
    assert ids(other)[before:] == ["d", "e"]


def test_gives_up_what_waited_too_long_and_deletes_it_a_week_later(shop, other, settings):
    send(shop, "a")
    past = timezone.now() - timedelta(hours=settings.CDP_FORWARD_HOURS, minutes=1)
    ForwardedCopy.objects.update(received_at=past, queued_at=past)
    forward_copies()
    assert (ids(other), ForwardedCopy.objects.get().reason) == ([], "expired")
    replay_copies(key="shop", actor="user:1", now=timezone.now())
    forward_copies()
    assert ids(other) == ["a"]
    send(shop, "b")
    ForwardedCopy.objects.update(dead_at=timezone.now() - timedelta(days=8), reason="expired")
    expire_copies(timezone.now())
    assert ForwardedCopy.objects.count() == 0


def test_deletes_what_was_given_up(shop):
    send(shop, "a", "b")
    first = ForwardedCopy.objects.order_by("pk").values_list("pk")[:1]
    ForwardedCopy.objects.filter(pk__in=first).update(dead_at=timezone.now(), reason="expired")
    assert discard_copies(key="shop", actor="user:1", now=timezone.now()) == 1
    assert ForwardedCopy.objects.count() == 1


def test_accepts_without_a_copy_and_says_so_when_too_many_wait(shop, settings):
    settings.CDP_FORWARD_MAX_MB = 1
    send(shop, "a")
    ForwardedCopy.objects.update(size=2_000_000)
    measure_copies()
    forget_write_keys()
    send(shop, "b", "c")
    count_uncopied()
    assert InboxEntry.objects.count() == 3
    assert ForwardedCopy.objects.count() == 1
    row = state()
    assert (row.is_full, row.uncopied_requests) == (True, 2)
    ForwardedCopy.objects.all().delete()
    measure_copies()
    forget_write_keys()
    send(shop, "d")
    assert ForwardedCopy.objects.count() == 1


def test_judges_again_what_was_not_sent_at_once(shop, other, monkeypatch):
    monkeypatch.setattr(forwarding, "JUDGED_SECONDS", -1.0)
    send(shop, "a")
    assert forward_copies() == 0
    assert other.received == []


def test_does_not_reach_what_the_installation_does_not_allow(shop, other, settings):
    send(shop, "a")
    settings.CDP_OUTGOING_ALLOW = []
    forward_copies()
    assert other.received == []
    assert (state().last_reason, ForwardedCopy.objects.count()) == ("not allowed", 1)


# --- REST and page ---------------------------------------------------------------------------------------------------
