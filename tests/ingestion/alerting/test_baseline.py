"""What is usual for an hour."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.alerting.baseline import DAY, HOUR, NONE, WEEK, History, find_baseline, hour_of, is_steady

# A Monday.
HERE = datetime(2026, 3, 16, 10, tzinfo=UTC)


def past(days, *, per_hour=lambda hour: 100, zone=UTC, looks=None):
    """Return the history of a source that began `days` ago."""
    first = HERE - timedelta(days=days)
    hours = [first + HOUR * n for n in range(days * 24)]
    counts = {hour: per_hour(hour) for hour in hours}
    return History(
        {hour: n for hour, n in counts.items() if n}, first, zone, dict.fromkeys(hours, looks) if looks else {}
    )


@pytest.mark.parametrize(
    ("days", "basis", "samples"),
    [(0, NONE, 0), (2, NONE, 0), (3, NONE, 0), (4, DAY, 3), (13, DAY, 12), (15, WEEK, 2), (50, WEEK, 6)],
)
def test_learns_by_the_day_and_then_by_the_week(days, basis, samples):
    found = find_baseline(past(days), HERE)
    assert (found.basis, found.samples) == (basis, samples)
    assert found.expected == (100 if samples else 0)


def test_knows_nothing_of_a_source_that_never_sent():
    assert find_baseline(History({}, None), HERE).basis == NONE


def test_tells_mondays_from_sundays():
    history = past(42, per_hour=lambda hour: 500 if hour.weekday() < 5 else 20)
    assert find_baseline(history, HERE).expected == 500
    assert find_baseline(history, HERE - timedelta(days=1)).expected == 20


def test_one_wild_week_changes_nothing():
    wild = HERE - timedelta(days=14)
    history = past(42, per_hour=lambda hour: 90_000 if wild - HOUR < hour < wild + HOUR else 100)
    assert find_baseline(history, HERE).expected == 100


def test_hours_without_messages_count_as_none():
    history = past(42, per_hour=lambda hour: 100 if hour.hour != 10 else 0)
    assert find_baseline(history, HERE).expected == 0


def test_follows_the_clock_on_the_wall_into_summer_time():
    berlin = ZoneInfo("Europe/Berlin")

    def opens_at_nine(hour):
        return 300 if 9 <= hour.astimezone(berlin).hour < 18 else 0

    # 29 March 2026, 2:00, is when the clocks go forward: 9 o'clock is 7:00 UTC from then on, 8:00 UTC before.
    after = datetime(2026, 3, 30, 7, tzinfo=UTC)
    first = after - timedelta(days=30)
    hours = [first + HOUR * n for n in range(30 * 24)]
    history = History({hour: opens_at_nine(hour) for hour in hours}, first, berlin)
    assert find_baseline(history, after).expected == 300
    assert find_baseline(history, after - HOUR).expected == 0


def test_steady_is_where_nearly_every_look_saw_something():
    assert is_steady(past(10, looks=(20, 20)), HERE)
    assert not is_steady(past(10, looks=(20, 2)), HERE)
    assert not is_steady(past(1, looks=(10, 10)), HERE)
    assert not is_steady(past(10), HERE)


@given(
    st.lists(st.integers(0, 10**7), min_size=1, max_size=60),
    st.integers(0, 59),
    st.sampled_from(["UTC", "Asia/Kolkata", "Australia/Lord_Howe"]),
)
def test_a_baseline_is_one_of_the_past_and_strays(counts, minute, zone):
    first = HERE - timedelta(days=len(counts))
    history = History({first + timedelta(days=n): count for n, count in enumerate(counts)}, first, ZoneInfo(zone))
    found = find_baseline(history, hour_of(HERE + timedelta(minutes=minute)))
    if found.basis != NONE:
        assert 0 <= found.expected <= max(counts)
        assert found.spread >= 1
