"""Windows, durations and clocks: half-open, calendar days in the zone, months that end early."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from segments.language.durations import parse_duration
from segments.language.windows import read_window
from segments.language.zones import next_midnight, shift, steady_until, to_utc, transition_after

BERLIN = ZoneInfo("Europe/Berlin")
UTC_ZONE = ZoneInfo("UTC")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def back(now: str, duration: str, zone: ZoneInfo = UTC_ZONE) -> datetime:
    length = parse_duration(duration)
    assert length is not None
    return shift(at(now), length, zone, -1)


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "P1", "1D", "P-1D", "P1.5D", "PT1D", "P1DT", "p1d", "P1D ", "P0D", "P\u0661D"]
)
def test_refuses_what_is_not_a_duration(text: str) -> None:
    assert parse_duration(text) is None


def test_reads_all_units_of_a_duration() -> None:
    found = parse_duration("P1Y2M3W4DT5H6M7S")
    assert found is not None
    assert (found.months, found.days, found.exact) == (14, 25, timedelta(hours=5, minutes=6, seconds=7))


def test_moves_a_day_by_the_calendar_and_a_day_of_hours_exactly() -> None:
    # In Berlin the clock went from 02:00 to 03:00 on 2026-03-29: that day had 23 hours.
    assert back("2026-03-29T22:00", "P1D", BERLIN) == at("2026-03-28T23:00")
    assert back("2026-03-29T22:00", "PT24H", BERLIN) == at("2026-03-28T22:00")
    # On 2026-10-25 it went from 03:00 to 02:00: 25 hours.
    assert back("2026-10-25T23:00", "P1D", BERLIN) == at("2026-10-24T22:00")


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-03-31T12:00", "2026-02-28T12:00"),
        ("2024-03-31T12:00", "2024-02-29T12:00"),
        ("2026-05-31T00:00", "2026-04-30T00:00"),
    ],
)
def test_ends_a_month_at_its_last_day(now: str, expected: str) -> None:
    assert back(now, "P1M") == at(expected)


def test_reads_missing_and_doubled_clock_times_as_postgresql_does() -> None:
    # 02:30 did not exist: the offset before the change (+01:00). 02:30 existed twice: the offset after it (+01:00).
    assert to_utc(datetime.fromisoformat("2026-03-29T02:30"), BERLIN) == at("2026-03-29T01:30")
    assert to_utc(datetime.fromisoformat("2026-10-25T02:30"), BERLIN) == at("2026-10-25T01:30")


def test_finds_changes_of_the_clock() -> None:
    assert transition_after(at("2026-01-01T00:00"), BERLIN) == at("2026-03-29T01:00")
    assert transition_after(at("2026-03-29T01:00"), BERLIN) == at("2026-10-25T01:00")
    assert transition_after(at("2026-01-01T00:00"), ZoneInfo("Asia/Tokyo")) is None
    assert transition_after(at("2026-01-01T00:00"), UTC_ZONE) is None


def test_knows_when_a_window_changes_its_length() -> None:
    length = parse_duration("P30D")
    assert length is not None
    # Now reaches the change itself first; 30 days later the start of the window leaves the hour that did not exist.
    assert steady_until(at("2026-03-20T12:00"), length, BERLIN, -1) == at("2026-03-29T01:00")
    assert steady_until(at("2026-04-01T12:00"), length, BERLIN, -1) == at("2026-04-28T01:00")
    assert steady_until(at("2026-04-01T12:00"), length, UTC_ZONE, -1) is None


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo"])
@pytest.mark.parametrize("duration", ["P1D", "P2D", "P30D", "P7DT5H", "P1M"])
def test_a_window_keeps_its_length_until_it_says(zone: str, duration: str) -> None:
    tz, length = ZoneInfo(zone), parse_duration(duration)
    assert length is not None
    now = at("2026-03-20T00:17")
    while now < at("2026-05-05T00:00"):
        until = steady_until(now, length, tz, -1) or now + timedelta(days=3)
        assert until > now
        distance = now - shift(now, length, tz, -1)
        probe = now
        while probe < min(until, now + timedelta(days=3)):
            assert probe - shift(probe, length, tz, -1) == distance, (now, probe, until)
            probe += timedelta(minutes=29)
        now += timedelta(hours=19, minutes=7)


@pytest.mark.parametrize(
    ("window", "since", "until"),
    [
        ({"last": "P7D"}, "2026-03-07T15:30", "2026-03-14T15:30"),
        ({"last": "P7D", "align": "day"}, "2026-03-06T23:00", "2026-03-13T23:00"),
        ({"between": ["P30D", "P7D"]}, "2026-02-12T15:30", "2026-03-07T15:30"),
        ({"calendar": "today"}, "2026-03-13T23:00", "2026-03-14T15:30"),
        ({"calendar": "yesterday"}, "2026-03-12T23:00", "2026-03-13T23:00"),
        ({"calendar": "this_week"}, "2026-03-08T23:00", "2026-03-14T15:30"),
        ({"calendar": "last_week"}, "2026-03-01T23:00", "2026-03-08T23:00"),
        ({"calendar": "last_month"}, "2026-01-31T23:00", "2026-02-28T23:00"),
        ({"calendar": "this_quarter"}, "2025-12-31T23:00", "2026-03-14T15:30"),
        ({"calendar": "last_quarter"}, "2025-09-30T22:00", "2025-12-31T23:00"),
        ({"calendar": "last_year"}, "2024-12-31T23:00", "2025-12-31T23:00"),
        ({"from": "2026-03-01", "to": "2026-04-01"}, "2026-02-28T23:00", "2026-03-14T15:30"),
        ({"from": "2026-03-01T00:00:00Z", "to": "2026-03-02T00:00:00+02:00"}, "2026-03-01T00:00", "2026-03-01T22:00"),
    ],
)
def test_bounds_of_windows_in_berlin(window: Any, since: str, until: str) -> None:
    # Now is Saturday 2026-03-14 16:30 in Berlin (+01:00).
    assert read_window(window, "w").bounds(at("2026-03-14T15:30"), BERLIN) == (at(since), at(until))


def test_all_time_has_no_beginning_and_ends_now() -> None:
    now = at("2026-03-14T15:30")
    assert read_window({"all_time": True}, "w").bounds(now, BERLIN) == (None, now)


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ({"calendar": "today"}, "2026-03-14T23:00"),
        ({"calendar": "last_week"}, "2026-03-15T23:00"),
        ({"calendar": "this_month"}, "2026-03-31T22:00"),
        ({"last": "P7D", "align": "day"}, "2026-03-14T23:00"),
        ({"last": "P1M"}, "2026-03-14T23:00"),
    ],
)
def test_says_when_an_edge_jumps_for_everyone(window: Any, expected: str) -> None:
    assert read_window(window, "w").runs_at(at("2026-03-14T15:30"), BERLIN) == at(expected)


def test_moves_along_without_runs_where_the_clock_never_changes() -> None:
    assert read_window({"last": "P7D"}, "w").runs_at(at("2026-03-14T15:30"), UTC_ZONE) is None
    assert read_window({"last": "PT24H"}, "w").runs_at(at("2026-03-14T15:30"), BERLIN) is None


def test_next_midnight_is_local() -> None:
    assert next_midnight(at("2026-03-14T22:59"), BERLIN) == at("2026-03-14T23:00")
    assert next_midnight(at("2026-03-14T23:00"), BERLIN) == at("2026-03-15T23:00")
