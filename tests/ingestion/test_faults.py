"""The fault table, row by row: 400 and a rejected row alone, quarantined in a batch whose good items are kept."""

import json

import pytest

from ingestion.models import Quarantined
from tests.ingestion.door import TRACK, event_count, inbox, make_source, outcomes, post, process, rows

pytestmark = pytest.mark.django_db

GOOD = json.dumps({**TRACK, "messageId": "good"})
BASE = '"type": "track", "event": "A", "userId": "u", "messageId": "bad"'


def nested(levels: int) -> str:
    return '{"a":' * levels + "1" + "}" * levels


def many(count: int) -> str:
    return json.dumps({str(number): 1 for number in range(count)})


FAULTS = {
    "event over 32 KB": (f'{{{BASE}, "properties": {{"x": "{"x" * 33_000}"}}}}', "too_large"),
    "text of 300 000 characters": (f'{{{BASE}, "properties": {{"x": "{"x" * 300_000}"}}}}', "too_large"),
    "depth over 32": (f'{{{BASE}, "properties": {nested(32)}}}', "too_deep"),
    "depth 1 000": (f'{{{BASE}, "properties": {nested(1_000)}}}', "too_deep"),
    "depth 100 000": (f'{{{BASE}, "properties": {nested(100_000)}}}', "too_deep"),
    "key over 255": (f'{{{BASE}, "properties": {{"{"k" * 256}": 1}}}}', "key_too_long"),
    "over 300 traits": (
        f'{{"type": "identify", "userId": "u", "messageId": "bad", "traits": {many(301)}}}',
        "too_many_traits",
    ),
    "over 1 000 keys": (f'{{{BASE}, "properties": {many(1_001)}}}', "too_many_keys"),
    "NaN": (f'{{{BASE}, "properties": {{"x": NaN}}}}', "not_finite"),
    "Infinity": (f'{{{BASE}, "properties": {{"x": -Infinity}}}}', "not_finite"),
    "1e400": (f'{{{BASE}, "properties": {{"x": 1e400}}}}', "not_finite"),
    "huge integer": (f'{{{BASE}, "properties": {{"x": 18446744073709551616}}}}', "integer_out_of_range"),
    "huge numeric userId": (
        '{"type": "track", "event": "A", "userId": 123456789012345678901234567890, "messageId": "bad"}',
        "integer_out_of_range",
    ),
    "lone surrogate": (f'{{{BASE}, "properties": {{"x": "\\ud800"}}}}', "lone_surrogate"),
    "id over 512": (f'{{"type": "track", "event": "A", "userId": "{"u" * 513}", "messageId": "bad"}}', "id_too_long"),
    "message id over 100": (
        f'{{"type": "track", "event": "A", "userId": "u", "messageId": "{"m" * 101}"}}',
        "message_id_too_long",
    ),
    "no identifier": ('{"type": "track", "event": "A", "messageId": "bad"}', "no_identifier"),
    "only blocked ids": (
        '{"type": "track", "event": "A", "userId": "null", "anonymousId": "0", "messageId": "bad"}',
        "no_identifier",
    ),
    "bad type": ('{"type": "bake", "event": "A", "userId": "u", "messageId": "bad"}', "bad_type"),
    "no event name": ('{"type": "track", "userId": "u", "messageId": "bad"}', "no_event_name"),
    "empty groupId": ('{"type": "group", "groupId": "", "userId": "u", "messageId": "bad"}', "no_group_id"),
    "alias without previousId": ('{"type": "alias", "userId": "u", "messageId": "bad"}', "no_previous_id"),
    "year 0": (f'{{{BASE}, "timestamp": "0000-01-01T00:00:00Z"}}', "time_out_of_range"),
    "year 294277": (f'{{{BASE}, "timestamp": "294277-01-01T00:00:00Z"}}', "time_out_of_range"),
}

each_fault = pytest.mark.parametrize(("item", "code"), FAULTS.values(), ids=FAULTS)


@each_fault
def test_answers_400_with_the_reason_and_leaves_a_rejected_row(item, code):
    response = post("/v1/track", item.encode(), make_source())
    assert response.status_code == 400
    assert response.json()["code"] == code
    assert response.json()["message"]
    assert inbox() == []
    assert rows() == [("rejected", code, 1)]
    assert outcomes() == {"rejected": 1}


@each_fault
def test_quarantines_the_bad_item_of_a_batch_and_keeps_the_good_ones(item, code):
    body = f'{{"batch": [{GOOD}, {item}, {GOOD.replace("good", "good-2")}]}}'
    response = post("/v1/batch", body.encode(), make_source())
    assert response.status_code == 200
    assert response.json() == {"success": True}
    process()
    assert rows() == [("accepted", "", 1), ("quarantined", code, 1), ("accepted", "", 1)]
    assert outcomes() == {"accepted": 2, "quarantined": 1}
    kept = Quarantined.objects.get()
    assert kept.code == code
    assert kept.detail
    assert event_count() == 2


def test_quarantines_an_item_that_is_no_object():
    post("/v1/batch", f'{{"batch": [1, null, "x", [], {GOOD}]}}'.encode(), make_source())
    process()
    assert outcomes() == {"accepted": 1, "quarantined": 4}


@pytest.mark.parametrize("path", ["/v1/track", "/v1/batch"])
def test_replaces_nul_and_warns(path):
    message = {**TRACK, "properties": {"note": "a\0b"}}
    post(path, message if path == "/v1/track" else {"batch": [message]}, make_source())
    process()
    from ingestion.models import Message
    from profiles.models import Event

    assert Message.objects.get().warnings == ["nul_replaced"]
    assert Event.objects.get().properties == {"note": "a\ufffdb"}


@pytest.mark.parametrize("value", ["yesterday", 1_795_000_000_000, "2026-02-32T00:00:00Z"])
def test_takes_the_receipt_for_an_unparsable_time_and_warns(value):
    post("/v1/track", {**TRACK, "timestamp": value}, make_source())
    process()
    from ingestion.models import Message
    from profiles.models import Event

    assert Message.objects.get().warnings == ["unparsable_time"]
    event = Event.objects.get()
    assert event.occurred_at == event.received_at
    assert event.original_timestamp == str(value)


def test_obeys_the_sources_own_event_limit():
    message = {**TRACK, "properties": {"x": "x" * 40_000}}
    assert post("/v1/track", message, make_source("large", max_event_bytes=256 * 1024)).status_code == 200
    assert post("/v1/track", message, make_source("usual")).status_code == 400


def test_counts_a_refused_copy_as_a_duplicate():
    key = make_source()
    assert post("/v1/track", TRACK, key).status_code == 200
    process()
    assert post("/v1/track", {**TRACK, "event": ""}, key).status_code == 400
    assert rows() == [("accepted", "", 2)]
    assert outcomes() == {"accepted": 1, "duplicate": 1}


def test_lets_a_good_message_follow_a_refused_one_with_the_same_id():
    key = make_source()
    assert post("/v1/track", {**TRACK, "event": ""}, key).status_code == 400
    assert post("/v1/track", TRACK, key).status_code == 200
    process()
    assert rows() == [("accepted", "", 2)]
    assert event_count() == 1


def test_stores_one_of_many_copies():
    key = make_source()
    for _ in range(2):
        assert post("/v1/batch", {"batch": [TRACK, TRACK]}, key).json() == {"success": True}
        process()
    assert rows() == [("accepted", "", 4)]
    assert outcomes() == {"accepted": 1, "duplicate": 3}
    assert event_count() == 1


def test_stores_the_same_body_twice_under_two_message_ids_or_none():
    key = make_source()
    without = {name: value for name, value in TRACK.items() if name != "messageId"}
    for message in ({**TRACK, "messageId": "a"}, {**TRACK, "messageId": "b"}, without, without):
        post("/v1/track", message, key)
    process()
    assert event_count() == 4


def test_deduplicates_per_source():
    for name in ("one", "two"):
        post("/v1/track", TRACK, make_source(name))
    process()
    assert outcomes() == {"accepted": 2}
