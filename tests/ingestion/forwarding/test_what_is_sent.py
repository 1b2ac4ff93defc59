"""What is sent on, as it came and in its order: a real server beside, real rows, the real worker's service."""

import json
from base64 import b64encode

import pytest

from ingestion.models import ForwardedCopy, InboxEntry
from ingestion.queries.write_keys import forget_write_keys
from tests.ingestion.door import make_source, post
from tests.ingestion.forwarding.line import TRACK, forward, forward_copies, ids, send, state

pytestmark = pytest.mark.django_db


def test_sends_each_request_on_as_it_came_with_the_other_systems_key(shop, other):
    single = b'{"type":"track", "event":"Seen","userId":"dana-1","messageId":"a","n":1.50}'
    several = b'{"batch":[{"type":"track","event":"Seen","userId":"dana-1","messageId":"b"}],"sentAt":"2026-03-14"}'
    assert post("/v1/t", single, shop).status_code == 200
    assert post("/v1/b", several, shop).status_code == 200
    assert forward_copies() == 2
    assert [(one.path, one.body) for one in other.received] == [("/v1/track", single), ("/v1/batch", several)]
    basic = "Basic " + b64encode(b"old-key:").decode()
    assert {one.headers["authorization"] for one in other.received} == {basic}
    assert ForwardedCopy.objects.count() == 0
    row = state()
    assert (row.sent_requests, row.sent_messages, row.last_status, row.failures) == (2, 2, 200, 0)


def test_copies_only_what_was_accepted_and_only_of_sources_that_forward(shop, other):
    quiet = make_source("quiet")
    assert post("/v1/track", {"type": "track", "userId": "x"}, shop).status_code == 400
    assert post("/v1/track", TRACK, quiet).status_code == 200
    assert (InboxEntry.objects.count(), ForwardedCopy.objects.count()) == (1, 0)


def test_copies_nothing_while_it_is_off_and_keeps_what_waits(shop, other):
    send(shop, "a")
    forward(other, enabled=False)
    forget_write_keys()
    send(shop, "b")
    assert forward_copies() == 0
    forward(other)
    assert forward_copies() == 1
    assert ids(other) == ["a"]


def test_keeps_the_sealed_key_to_itself(shop):
    assert b"old-key" not in bytes(state().write_key_sealed)


def test_sends_on_what_a_browser_sent_with_the_address_it_came_from(other):
    key = make_source("site", "browser")
    forward(other, "site")
    post("/v1/p", {"type": "page", "anonymousId": "a-1"}, key, REMOTE_ADDR="198.51.100.77", HTTP_USER_AGENT="Moz ☃")
    forward_copies()
    request = other.received[0]
    # A browser source keeps the network of the address only, unless it is told otherwise.
    assert json.loads(request.body)["context"]["ip"] == request.headers["x-forwarded-for"] == "198.51.100.0"
    assert request.path == "/v1/page"


def test_sends_large_requests_too(shop, other):
    items = [{**TRACK, "messageId": f"m-{number}", "properties": {"text": "x" * 1000}} for number in range(20)]
    assert post("/v1/batch", {"batch": items}, shop).status_code == 200
    forward_copies()
    assert len(ids(other)) == 20


def test_keeps_the_order_and_delivers_each_once(shop, other):
    names = [f"m-{number:03}" for number in range(12)]
    send(shop, *names)
    forward_copies()
    assert ids(other) == names


def test_sends_several_at_a_time_when_many_wait(shop, other):
    names = [f"m-{number:03}" for number in range(40)]
    send(shop, *names)
    assert forward_copies() == 40
    assert sorted(ids(other)) == names
    assert len({request.peer for request in other.received}) == 8


# --- who may not be sent ---------------------------------------------------------------------------------------------
