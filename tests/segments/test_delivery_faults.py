"""What goes wrong at receivers: nothing is lost, nobody else waits, and nothing is followed that was not checked."""

import socket
import ssl
import struct
import time
from datetime import timedelta

import pytest
from django.utils import timezone

from segments.sending.retrying import asked_pause, pause
from segments.sending_models import Delivery, DeliveryRecord, Destination
from segments.services.sending import posting
from segments.services.sending.claiming import LEASE, claim_window, queue_marks
from segments.services.sending.settling import delete_old_records
from tests.core.test_outgoing import make_authority, serve_as
from tests.listening import LOCAL, OtherServer, RawServer
from tests.segments.audience import audience, profile
from tests.segments.delivering import deliver, destination, due_now, officer, told

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _open_to_this_machine(settings):
    settings.CDP_OUTGOING_ALLOW = LOCAL


@pytest.fixture
def other():
    with OtherServer() as server:
        yield server


def state() -> dict:
    return officer().get("/api/v1/destinations/crm").json()


def recovers(other: OtherServer, people: int) -> None:
    """Once the receiver is well again, everybody is told of once more, and nothing is left."""
    other.reply = lambda _: (200, {}, b"{}")
    before = len(other.received)
    due_now()
    deliver()
    due_now()
    deliver()
    assert len(other.received) - before == people
    assert not Delivery.objects.exists()
    assert state()["state"] == "active"


def test_500_lets_the_one_wait_and_the_others_go(other):
    audience(["ana", "ben", "cleo"])
    destination(other)
    bad = str(profile("ben").uuid)
    other.reply = lambda request: (500 if bad in request.body.decode() else 200, {}, b"oops")
    deliver()
    waiting = Delivery.objects.get()
    assert (waiting.state, waiting.attempts, waiting.reason) == ("waiting", 1, "http 500")
    # Half a second to a second: one second with jitter.
    assert timedelta(0) < waiting.due_at - timezone.now() <= timedelta(seconds=1)
    assert (state()["state"], state()["activated"]) == ("active", 3)
    for _ in range(7):
        due_now()
        deliver()
    assert (Delivery.objects.get().state, Delivery.objects.get().attempts) == ("dead", 8)
    assert DeliveryRecord.objects.filter(outcome="dead").count() == 1


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_respected(other, status):
    audience(["ana", "ben"])
    destination(other)
    other.reply = lambda _: (status, {"Retry-After": "120"}, b"")
    deliver()
    seconds = (Destination.objects.get().retry_at - timezone.now()).total_seconds()
    assert 100 < seconds <= 120
    asked = len(other.received)
    deliver()
    assert (len(other.received), state()["state"]) == (asked, "resting")
    recovers(other, 2)


def test_one_try_tells_whether_it_is_there_again_and_pauses_grow(other):
    audience([f"user-{number}" for number in range(20)])
    destination(other)
    other.reply = lambda _: (502, {}, b"")
    deliver()
    for failures in (2, 3, 4):
        asked = len(other.received)
        Destination.objects.update(retry_at=None)
        Delivery.objects.update(due_at=timezone.now())
        deliver()
        found = Destination.objects.get()
        # One asked, and the pause is half to the whole of 1, 2, 4, 8 seconds.
        assert (len(other.received) - asked, found.failures) == (1, failures)
        assert (found.retry_at - timezone.now()).total_seconds() > 2 ** (failures - 1) / 2 - 1
    recovers(other, 20)


def test_whoever_hangs_holds_up_nobody_else(other, monkeypatch):
    monkeypatch.setattr(posting, "TIMEOUT_SECONDS", 2.0)
    audience([f"user-{number}" for number in range(12)])
    with RawServer(lambda connection: time.sleep(5)) as hanging:
        destination(other)
        destination(other, key="hangs", request={"url": hanging.url})
        started = time.monotonic()
        arrived = []
        other.reply = lambda _: (arrived.append(time.monotonic() - started), (200, {}, b"{}"))[1]
        deliver()
        assert len(arrived) == 12
    # All were told of before the first of the hanging requests was given up.
    assert max(arrived) < 2.0
    hangs = Destination.objects.get(key="hangs")
    assert (hangs.last_reason, hangs.failures) == ("timeout", 1)
    assert Delivery.objects.filter(destination=hangs).count() == 12


def reset(connection: socket.socket) -> None:
    connection.recv(1000)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def endless(connection: socket.socket) -> None:
    connection.recv(1000)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10485760\r\n\r\n")
    for _ in range(160):
        connection.sendall(b"x" * 65536)


@pytest.mark.parametrize(
    ("talk", "reason"),
    [
        (reset, "protocol"),
        (lambda connection: connection.sendall(b"I am no web server\r\n\r\n"), "protocol"),
        (lambda connection: connection.close(), "protocol"),
    ],
)
def test_broken_connections_rest_the_line(other, talk, reason):
    audience(["ana"])
    with RawServer(talk) as broken:
        destination(other, request={"url": broken.url})
        deliver()
        found = Destination.objects.get()
        assert (found.last_reason, found.failures, Delivery.objects.get().state) == (reason, 1, "waiting")
        assert found.retry_at > timezone.now()


def test_of_a_reply_of_10_mb_no_more_than_its_beginning_is_read(other):
    audience(["ana"])
    with RawServer(endless) as talkative:
        destination(other, request={"url": talkative.url})
        started = time.monotonic()
        deliver()
        assert time.monotonic() - started < 5
    assert (DeliveryRecord.objects.get().outcome, Delivery.objects.count()) == ("sent", 0)


def test_a_redirect_to_the_metadata_of_a_cloud_is_not_followed(other):
    audience(["ana"])
    destination(other)
    other.reply = lambda _: (307, {"Location": "http://169.254.169.254/latest/meta-data/"}, b"")
    deliver()
    assert len(other.received) == 1
    assert (Destination.objects.get().last_reason, state()["state"]) == ("redirect", "resting")
    recovers(other, 1)


def test_a_certificate_that_nobody_vouches_for_gets_nothing(tmp_path):
    audience(["ana"])
    context, _ = serve_as(tmp_path, make_authority(), "localhost")
    assert isinstance(context, ssl.SSLContext)
    with OtherServer(certificate=context, host="localhost") as strange:
        destination(strange, request={"url": strange.url})
        deliver()
        assert strange.received == []
    assert (Destination.objects.get().last_reason, Delivery.objects.get().state) == ("tls", "waiting")


def test_an_address_that_became_private_is_refused_at_the_delivery(other, settings):
    audience(["ana"])
    destination(other)
    settings.CDP_OUTGOING_ALLOW = []
    deliver()
    assert other.received == []
    assert Destination.objects.get().last_reason == "not allowed"


def test_410_disables_and_nothing_is_sent_from_then_on(other):
    audience(["ana"])
    destination(other)
    other.reply = lambda _: (410, {}, b"")
    deliver()
    shown = state()
    assert (shown["enabled"], shown["state"]) == (False, "disabled")
    assert "410" in shown["disabled_reason"]
    due_now()
    deliver()
    assert len(other.received) == 1
    other.reply = lambda _: (200, {}, b"{}")
    officer().patch("/api/v1/destinations/crm", {"enabled": True}, format="json")
    due_now()
    deliver()
    assert len(other.received) == 2


def test_what_cannot_be_delivered_for_days_is_given_up(other):
    audience(["ana"])
    destination(other)
    other.reply = lambda _: (503, {}, b"")
    deliver()
    Delivery.objects.update(queued_at=timezone.now() - timedelta(hours=73))
    due_now()
    deliver()
    assert (Delivery.objects.get().state, Delivery.objects.get().reason) == ("dead", "expired")


def test_what_was_under_way_when_the_worker_died_is_sent_again_under_the_same_id(other):
    audience(["ana"])
    destination(other)
    found, now = Destination.objects.get(), timezone.now()
    queue_marks(destination=found, now=now)
    (claimed,) = claim_window(destination=found, size=8, now=now).claimed
    # The worker is gone. Within the lease nobody takes it.
    assert deliver() == 0
    Delivery.objects.update(due_at=timezone.now() - LEASE)
    deliver()
    assert [request.headers["webhook-id"] for request in other.received] == [claimed.parcel.message_id]
    assert not Delivery.objects.exists()


def test_a_judgement_that_is_too_old_is_asked_again(other, monkeypatch):
    audience(["ana", "ben"])
    destination(other)
    real, waits = posting.write_request, iter([0.9])

    def slow(*given):
        time.sleep(next(waits, 0))
        return real(*given)

    monkeypatch.setattr(posting, "write_request", slow)
    deliver()
    # The one that took too long was put back, judged again and sent.
    assert len(told(other)) == 2
    assert not Delivery.objects.exists()


def test_the_log_is_deleted_after_its_time(other):
    audience(["ana"])
    destination(other)
    deliver()
    delete_old_records(timezone.now() + timedelta(days=29))
    assert DeliveryRecord.objects.count() == 1
    delete_old_records(timezone.now() + timedelta(days=31))
    assert DeliveryRecord.objects.count() == 0


def test_pauses_double_and_are_uneven():
    assert {0.5 <= pause(1) <= 1.0 for _ in range(50)} == {True}
    assert {150 <= pause(60) <= 300 for _ in range(50)} == {True}
    assert len({pause(5) for _ in range(20)}) > 10


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7), ("99999999", 3600), ("soon", 0), ("", 0), ("Sun, 06 Nov 1994 08:49:37 GMT", 0), ("-5", 0)],
)
def test_reads_retry_after(value, seconds):
    assert asked_pause(value, timezone.now()) == seconds
