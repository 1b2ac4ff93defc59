"""What of a request is sent to another system, byte for byte where possible."""

import json
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.services.forward_bodies import Sending, path_of, readable, without_items, write_body
from ingestion.spec.times import correct_clock

AT = datetime(2026, 3, 14, 15, 0, tzinfo=UTC)


def sending(*, waited: float = 0, ip: str = "") -> Sending:
    return Sending("other-key", AT, AT + timedelta(seconds=waited), ip)


def batch(*items, **shared) -> bytes:
    return json.dumps({"batch": list(items), **shared}).encode()


def test_sends_a_request_as_it_came():
    body = b'{ "batch":[{"type":"track", "event":"A","n":1.50}] ,"sentAt":"x"}'
    assert write_body(body, "batch", keep=[True], sending=sending()) is body


def test_leaves_out_the_items_that_may_not_go():
    body = batch({"messageId": "a"}, {"messageId": "b"}, {"messageId": "c"}, context={"x": 1})
    found = write_body(body, "batch", keep=[True, False, True], sending=sending())
    assert json.loads(found) == {"batch": [{"messageId": "a"}, {"messageId": "c"}], "context": {"x": 1}}
    assert write_body(body, "batch", keep=[False] * 3, sending=sending()) is None
    assert write_body(b'{"event":"A"}', "track", keep=[False], sending=sending()) is None


def test_puts_the_other_systems_key_in_place_of_this_ones():
    body = batch({"messageId": "a", "writeKey": "ours"}, writeKey="ours")
    found = json.loads(write_body(body, "batch", keep=[True], sending=sending()))
    assert (found["writeKey"], found["batch"][0]["writeKey"]) == ("other-key", "other-key")


def test_keeps_numbers_that_no_double_holds():
    body = batch({"n": 12345678901234567890123}, {"m": "\ud800"}, {"x": 1})
    found = json.loads(write_body(body, "batch", keep=[True, True, False], sending=sending()))
    assert found["batch"] == [{"n": 12345678901234567890123}, {"m": "\ud800"}]


def test_says_whose_address_it_was_unless_the_message_does():
    body = batch({"a": 1}, {"context": {"ip": "198.51.100.1"}}, {"context": {"page": {}}})
    found = json.loads(write_body(body, "batch", keep=[True] * 3, sending=sending(ip="198.51.100.0")))
    assert [item["context"]["ip"] for item in found["batch"]] == ["198.51.100.0", "198.51.100.1", "198.51.100.0"]


times = st.integers(0, 82_800).map(lambda second: datetime(2026, 3, 13, 15, tzinfo=UTC) + timedelta(seconds=second))
stamps = st.one_of(st.none(), times.map(lambda moment: moment.isoformat()))


@given(timestamp=stamps, own=stamps, shared=stamps, waited=st.floats(3, 200_000), single=st.booleans())
def test_a_receiver_finds_the_time_that_this_system_found(timestamp, own, shared, waited, single):
    """However long a request waits, and whatever the sender's clock says."""
    item = {"type": "track", "event": "A", "userId": "u"}
    item |= {name: value for name, value in (("timestamp", timestamp), ("sentAt", own)) if value is not None}
    if single:
        body, endpoint = orjson.dumps(item), "track"
    else:
        body, endpoint = batch(item, **({"sentAt": shared} if shared else {})), "batch"
    sent = write_body(body, endpoint, keep=[True], sending=sending(waited=waited))

    def read(raw: bytes, received_at: datetime) -> datetime:
        found = readable(raw, endpoint)
        return correct_clock(found.items[0], batch_sent_at=found.sent_at, received_at=received_at, warnings=[])[0]

    # Nothing happens after its receipt; of what claims to, the other system knows a later receipt.
    here, there = read(body, AT), min(AT, read(sent, AT + timedelta(seconds=waited)))
    assert abs(here - there) < timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("endpoint", "path"), [("b", "batch"), ("batch", "batch"), ("import", "import"), ("t", "track")]
)
def test_uses_the_paths_that_every_receiver_knows(endpoint, path):
    assert path_of(endpoint) == path


def test_takes_out_the_items_that_mention_somebody():
    body = batch({"id": 1, "to": "dana@x"}, {"id": 2}, {"id": 3, "deep": [{"a": "dana@x"}]})
    left = without_items(body, "batch", lambda raw: b"dana@x" in raw)
    assert json.loads(left) == {"batch": [{"id": 2}]}


@pytest.mark.parametrize(
    ("body", "endpoint"),
    [
        (batch({"id": 1}, context={"to": "dana@x"}), "batch"),
        (batch({"to": "dana@x"}), "batch"),
        (b'{"to":"dana@x"}', "track"),
        (b'{"batch":[{"to":"dana@x"},', "batch"),
    ],
)
def test_leaves_nothing_where_what_is_left_would_mention_them_too(body, endpoint):
    assert without_items(body, endpoint, lambda raw: b"dana@x" in raw) is None
