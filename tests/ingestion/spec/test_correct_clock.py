"""When a message occurred. The server's clock in these tests is 2026-11-22T12:00:00Z (`NOW`)."""

from datetime import UTC, datetime, timedelta

import pytest

from ingestion.spec.message import Message
from tests.ingestion.spec.reading import NOW, fault, message, read_all

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("times", "occurred_at", "original"),
    [
        # The device is one hour behind: it says 10:30 for what happened at 11:30.
        ({"timestamp": "2026-11-22T10:30:00Z", "sentAt": "2026-11-22T11:00:00Z"}, "11:30", "2026-11-22T10:30:00Z"),
        (
            {"originalTimestamp": "2026-11-22T10:30:00Z", "sentAt": "2026-11-22T11:00:00Z"},
            "11:30",
            "2026-11-22T10:30:00Z",
        ),
        # Both: the caller's own time is not corrected.
        (
            {
                "timestamp": "2026-11-22T09:00:00Z",
                "originalTimestamp": "2026-11-22T10:30:00Z",
                "sentAt": "2026-11-22T11:00:00Z",
            },
            "09:00",
            "2026-11-22T10:30:00Z",
        ),
        ({"timestamp": "2026-11-22T10:30:00Z"}, "10:30", "2026-11-22T10:30:00Z"),
        ({"originalTimestamp": "2026-11-22T10:30:00Z"}, "10:30", "2026-11-22T10:30:00Z"),
        ({"sentAt": "2026-11-22T11:00:00Z"}, "12:00", None),
        ({}, "12:00", None),
        ({"timestamp": "", "originalTimestamp": None, "sentAt": ""}, "12:00", None),
        # An offset, a fraction of any length, none at all, no zone.
        ({"timestamp": "2026-11-22T12:30:00+02:00"}, "10:30", "2026-11-22T12:30:00+02:00"),
        ({"timestamp": "2026-11-22T05:00:00.000-05:30"}, "10:30", "2026-11-22T05:00:00.000-05:30"),
        ({"timestamp": "2026-11-22T10:30:00.000000Z"}, "10:30", "2026-11-22T10:30:00.000000Z"),
        ({"timestamp": "2026-11-22T10:30:00"}, "10:30", "2026-11-22T10:30:00"),
        ({"timestamp": "2026-11-22 10:30:00"}, "10:30", "2026-11-22 10:30:00"),
        ({"timestamp": " 2026-11-22t10:30:00z "}, "10:30", " 2026-11-22t10:30:00z "),
        ({"timestamp": "20261122T103000Z"}, "10:30", "20261122T103000Z"),
        ({"timestamp": "2026-11-22"}, "00:00", "2026-11-22"),
    ],
)
def test_corrects_the_senders_clock(times, occurred_at, original):
    result = message(**times)
    assert result.occurred_at == datetime.fromisoformat(f"2026-11-22T{occurred_at}:00+00:00")
    assert result.original_timestamp == original
    assert result.warnings == []


def test_reads_microseconds():
    assert message(timestamp="2026-11-22T10:30:00.123456Z").occurred_at.microsecond == 123456
    assert message(timestamp="2026-11-22T10:30:00.1Z").occurred_at.microsecond == 100000


def test_prefers_the_items_own_sent_at_to_the_batchs():
    body = (
        b'{"sentAt": "2026-11-22T11:00:00Z", "batch": ['
        b'{"type":"track","event":"A","userId":"u","timestamp":"2026-11-22T10:00:00Z"},'
        b'{"type":"track","event":"A","userId":"u","timestamp":"2026-11-22T10:00:00Z","sentAt":"2026-11-22T10:00:00Z"},'
        b'{"type":"track","event":"A","userId":"u","timestamp":"2026-11-22T10:00:00Z","sentAt":"never"}]}'
    )
    by_batch, by_own, unreadable = read_all(body)
    assert (by_batch.occurred_at, by_batch.sent_at) == (NOW - HOUR, NOW - HOUR)
    assert (by_own.occurred_at, by_own.sent_at) == (NOW, NOW - 2 * HOUR)
    assert (unreadable.occurred_at, unreadable.warnings) == (NOW - HOUR, ["unusable_sent_at"])


def test_ignores_the_timestamp_of_the_batch():
    body = b'{"timestamp": "2020-01-01T00:00:00Z", "batch": [{"type":"track","event":"A","userId":"u"}]}'
    assert read_all(body)[0].occurred_at == NOW


def test_keeps_a_historical_time():
    result = message(timestamp="1999-05-01T00:00:00Z", sentAt="2026-11-22T12:00:00Z")
    assert result.occurred_at == datetime(1999, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("timestamp", "warnings"),
    [
        ("2026-11-22T12:05:00Z", []),
        ("2026-11-22T12:05:00.001Z", ["future_time"]),
        ("9999-12-31T23:59:59Z", ["future_time"]),
    ],
)
def test_counts_a_future_time_as_its_receipt(timestamp, warnings):
    result = message(timestamp=timestamp)
    assert result.occurred_at == NOW
    assert result.original_timestamp == timestamp
    assert result.warnings == warnings


def test_judges_the_future_after_the_correction():
    # The device is ten hours ahead; the event itself is an hour old.
    result = message(timestamp="2026-11-22T21:00:00Z", sentAt="2026-11-22T22:00:00Z")
    assert result.occurred_at == NOW - HOUR
    assert result.warnings == []


@pytest.mark.parametrize(
    "value",
    [
        "yesterday",
        "2026-02-32T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-11-22T25:00:00Z",
        "2026-11-22T10:30:00Zulu",
        1_795_000_000,
        1_795_000_000_000,
        "1795000000",
        "1712010111213",
        9223372036854775807,
        1.5,
        True,
        {},
        ["2026-11-22"],
        "x" * 3000,
        "-",
        "2026",
    ],
)
def test_takes_the_receipt_for_a_time_that_cannot_be_read(value):
    result = message(timestamp=value)
    assert result.occurred_at == NOW
    assert result.warnings == ["unparsable_time"]
    assert message(originalTimestamp=value).warnings == ["unparsable_time"]


@pytest.mark.parametrize(
    "value",
    [
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+05:00",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+00:01",
        "10000-01-01T00:00:00Z",
        "294277-01-01T00:00:00Z",
        "+294277-01-01T00:00:00Z",
        "-0001-01-01",
        "9999-12-31T23:59:59-00:01",
        "9" * 60 + "-01-01T00:00:00Z",
    ],
)
def test_refuses_a_year_outside_1970_to_9999(value):
    assert fault(timestamp=value) == "time_out_of_range"
    assert fault(originalTimestamp=value) == "time_out_of_range"


@pytest.mark.parametrize("value", ["never", 5, "1969-12-31T00:00:00Z", "294277-01-01T00:00:00Z"])
def test_treats_an_unusable_sent_at_as_missing(value):
    result = message(timestamp="2026-11-22T10:30:00Z", sentAt=value)
    assert result.sent_at is None
    assert result.occurred_at == NOW - 1.5 * HOUR
    assert result.warnings == ["unusable_sent_at"]


@pytest.mark.parametrize("sent_at", ["9999-12-31T00:00:00Z", "2100-01-01T00:00:00Z"])
def test_does_not_let_a_senders_clock_move_an_event_before_1970(sent_at):
    result = message(timestamp="1970-06-01T00:00:00Z", sentAt=sent_at)
    assert isinstance(result, Message)
    assert result.occurred_at == datetime(1970, 6, 1, tzinfo=UTC)
    assert result.warnings == ["unusable_sent_at"]


def test_uses_the_readable_one_of_two_times():
    result = message(timestamp="nonsense", originalTimestamp="2026-11-22T10:30:00Z", sentAt="2026-11-22T11:00:00Z")
    assert result.occurred_at == NOW - HOUR / 2
    assert result.warnings == ["unparsable_time"]
