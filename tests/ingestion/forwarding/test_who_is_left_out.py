"""Of whom nothing is sent on, however long it waited."""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from consent.services.suppressions import suppress, suppress_hash
from ingestion.models import ForwardedCopy, Forwarding, InboxEntry
from profiles.models import Profile
from profiles.queries.people import name_identifier
from tests.consent.zora import EMAIL, SECRETS, erase, live, traces
from tests.ingestion.door import make_source, post, process
from tests.ingestion.forwarding.line import TRACK, due_again, forward, forward_copies, ids, send, state
from tests.world import api

pytestmark = pytest.mark.django_db


def test_leaves_suppressed_people_out_at_the_moment_of_sending(shop, other):
    items = [{**TRACK, "messageId": name, "userId": user} for name, user in (("a", "dana-1"), ("b", "eve-1"))]
    post("/v1/batch", {"batch": items}, shop)
    send(shop, "c", userId="eve-1")
    post("/v1/alias", {"type": "alias", "userId": "new-1", "previousId": "eve-1", "messageId": "d"}, shop)
    suppress(named=[name_identifier(type="user_id", value="eve-1")], reason="test", request_id=None, now=timezone.now())
    forward_copies()
    assert ids(other) == ["a"]
    row = state()
    assert (row.sent_messages, row.suppressed_messages) == (1, 3)
    assert ForwardedCopy.objects.count() == 0


def test_leaves_out_whom_only_a_hash_suppresses(shop, other):
    hashed = hashlib.sha256(b"eve@example.org").hexdigest()
    suppress_hash(type="email", form="sha256", hashed=hashed, reason="test", actor="system", now=timezone.now())
    send(shop, "a")
    post("/v1/identify", {"messageId": "b", "userId": "eve-1", "traits": {"email": " Eve@Example.org"}}, shop)
    forward_copies()
    assert ids(other) == ["a"]
    assert state().suppressed_messages == 1


def test_keeps_nothing_of_suppressed_people_while_the_line_is_paused(shop, other):
    suppress(named=[name_identifier(type="user_id", value="eve-1")], reason="test", request_id=None, now=timezone.now())
    Forwarding.objects.update(retry_at=timezone.now() + timedelta(hours=1), failures=3)
    items = [{**TRACK, "messageId": name, "userId": user} for name, user in (("a", "dana-1"), ("b", "eve-1"))]
    post("/v1/batch", {"batch": items, "context": {"x": 1}}, shop)
    send(shop, "c", userId="eve-1")
    assert forward_copies() == 0
    left = ForwardedCopy.objects.get()
    assert b"eve-1" not in bytes(left.body)
    assert (left.items, state().suppressed_messages) == (1, 2)
    due_again()
    forward_copies()
    assert ids(other) == ["a"]
    assert state().suppressed_messages == 2


def test_does_not_send_what_cannot_be_read(shop, other):
    post("/v1/batch", {"batch": [{**TRACK, "messageId": "a"}, {"type": "track", "event": "No one"}]}, shop)
    forward_copies()
    assert ids(other) == ["a"]
    assert state().unreadable_messages == 1


def test_does_not_send_what_is_about_restricted_people(shop, other):
    send(shop, "a")
    process()
    Profile.objects.update(restricted=True)
    send(shop, "b", userId="other-1")
    forward_copies()
    assert ids(other) == ["b"]
    assert state().refused_messages == 1


@pytest.fixture
def purpose():
    client = api("administrator")
    answer = client.post(
        "/api/v1/purposes", {"key": "sharing", "name": "Sharing", "legal_basis": "consent"}, format="json"
    )
    assert answer.status_code == 201, answer.json()
    return client


def grant(client, user):
    answer = client.post(
        "/api/v1/consents",
        {
            "identifier": {"type": "user_id", "value": user},
            "purpose": "sharing",
            "state": "granted",
            "source": "test",
            "actor": "subject",
            "occurred_at": datetime.now(UTC).isoformat(),
        },
        format="json",
    )
    assert answer.status_code == 201, answer.json()


def long_ago():
    ForwardedCopy.objects.update(received_at=timezone.now() - timedelta(minutes=1))


def test_sends_only_what_people_allow_where_a_purpose_is_named(other, purpose):
    key = make_source()
    forward(other, same_controller=False, purpose="sharing")
    send(key, "before", userId="dana-1")
    # Before it was processed nobody knows whose it is: it waits.
    long_ago()
    InboxEntry.objects.update(received_at=timezone.now() - timedelta(minutes=2))
    assert forward_copies() == 0
    process()
    grant(purpose, "dana-1")
    send(key, "granted", userId="dana-1")
    send(key, "unknown", userId="eve-1")
    process()
    assert forward_copies() == 3
    assert ids(other) == ["before", "granted"]
    assert state().refused_messages == 1


def test_sends_nothing_that_the_source_itself_may_not_store(other, purpose):
    key = make_source(required_purpose="sharing")
    forward(other)
    send(key, "held")
    process()
    forward_copies()
    assert other.received == []
    assert state().refused_messages == 1


def test_erasure_takes_a_persons_waiting_copies_out(other):
    key = make_source()
    forward(other)
    live(key, near="dana-1")
    assert ForwardedCopy.objects.count() == 1
    assert "ingestion_forwardedcopy" in {table for table, _ in traces(SECRETS)}
    assert erase(api("administrator"))["status"] == "completed"
    assert traces(SECRETS) == []


def test_erasure_leaves_the_messages_of_others_in_the_line(other):
    key = make_source()
    forward(other)
    live(key)
    kept = {**TRACK, "messageId": "kept", "userId": "somebody-9"}
    gone = {**TRACK, "messageId": "gone", "properties": {"mail": EMAIL.upper()}}
    post("/v1/batch", {"batch": [gone, kept]}, key)
    process()
    assert erase(api("administrator"))["status"] == "completed"
    forward_copies()
    assert ids(other) == ["kept"]


# --- when the other system does not answer well ----------------------------------------------------------------------
