"""Silence, spikes, drops and shares, against a past."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.alerting.baseline import HOUR, History, hour_of
from ingestion.alerting.detect import (
    BAD,
    GOOD,
    SENSITIVITIES,
    UNCLEAR,
    Usual,
    judge_drop,
    judge_missing,
    judge_share,
    judge_silence,
    judge_spike,
    soften,
)

NORMAL = SENSITIVITIES["normal"]
# A Wednesday.
HERE = datetime(2026, 3, 18, 10, tzinfo=UTC)


def past(days=42, *, per_hour=lambda hour: 100, looks=None):
    first = hour_of(HERE) - timedelta(days=days)
    hours = [first + HOUR * n for n in range(days * 24)]
    return History({hour: per_hour(hour) for hour in hours}, first, UTC, dict.fromkeys(hours, looks) if looks else {})


def silence(minutes, *, history=None, at=HERE, stated=None, sensitivity=NORMAL):
    history = history or past()
    last = at - timedelta(minutes=minutes)
    return judge_silence(history, last_at=last, now=at, sensitivity=sensitivity, stated_minutes=stated)


@pytest.mark.parametrize(("minutes", "level"), [(10, GOOD), (59, GOOD), (60, BAD), (300, BAD)])
def test_a_whole_hour_without_messages_is_silence(minutes, level):
    assert silence(minutes).level == level


@pytest.mark.parametrize(("minutes", "level"), [(10, GOOD), (14, GOOD), (15, BAD)])
def test_a_steady_flow_that_stops_is_silence_within_minutes(minutes, level):
    assert silence(minutes, history=past(looks=(20, 20))).level == level


def test_one_batch_an_hour_is_no_silence_between_batches():
    # Always at five past: seen by one look in twenty.
    history = past(looks=(20, 1))
    assert silence(55, history=history).level == GOOD
    assert silence(115, history=history, at=HERE + timedelta(hours=1)).level == BAD


def test_a_night_without_messages_is_none_where_nights_have_none():
    history = past(per_hour=lambda hour: 200 if 8 <= hour.hour < 20 else 0, looks=(20, 20))
    five = HERE.replace(hour=5)
    assert silence(9 * 60, history=history, at=five).level == GOOD
    # Since eight last evening until ten past ten: the hours from eight to ten should have had 400.
    assert silence(14 * 60 + 10, history=history, at=HERE + timedelta(minutes=10)).level == BAD


def test_few_messages_are_not_missed():
    history = past(per_hour=lambda hour: 1)
    assert silence(9 * 60, history=history).level == GOOD
    assert silence(10 * 60, history=history).level == BAD


def test_what_somebody_stated_counts_alone():
    assert silence(31, history=History({}, None), stated=30).level == BAD
    assert silence(600, stated=1440).level == GOOD


def test_says_nothing_while_it_learns():
    assert silence(600, history=past(2)).level == UNCLEAR
    assert judge_silence(past(), last_at=None, now=HERE, sensitivity=NORMAL).level == UNCLEAR
    assert judge_spike(past(2), hour=HERE, count=10**6, sensitivity=NORMAL).level == UNCLEAR
    assert judge_drop(past(2), hour=HERE, count=1, sensitivity=NORMAL).level == UNCLEAR


def test_learns_by_the_day_before_two_weeks_are_over():
    found = judge_spike(past(5), hour=HERE, count=1000, sensitivity=NORMAL)
    assert (found.level, found.basis, found.expected) == (BAD, "day", 100)


@pytest.mark.parametrize(("count", "level"), [(100, GOOD), (170, GOOD), (240, GOOD), (260, BAD), (5000, BAD)])
def test_spike(count, level):
    assert judge_spike(past(), hour=HERE, count=count, sensitivity=NORMAL).level == level


@pytest.mark.parametrize(("count", "level"), [(100, GOOD), (60, GOOD), (41, GOOD), (40, BAD), (1, BAD), (0, GOOD)])
def test_drop_but_not_to_nothing(count, level):
    assert judge_drop(past(), hour=HERE, count=count, sensitivity=NORMAL).level == level


def test_small_numbers_neither_spike_nor_drop():
    history = past(per_hour=lambda hour: 3)
    assert judge_spike(history, hour=HERE, count=30, sensitivity=NORMAL).level == GOOD
    assert judge_drop(history, hour=HERE, count=1, sensitivity=NORMAL).level == GOOD


@pytest.mark.parametrize(
    ("part", "whole", "usual", "level"),
    [
        (49, 49, None, UNCLEAR),
        (25, 50, None, BAD),
        (24, 50, None, GOOD),
        (14, 100, Usual(0.0, 0.0, 100), GOOD),
        (60, 100, Usual(0.0, 0.0, 100), BAD),
        (60, 100, Usual(0.55, 0.02, 100), GOOD),
        (200, 1000, Usual(0.01, 0.005, 100), BAD),
        (140, 1000, Usual(0.01, 0.005, 100), GOOD),
        (900, 1000, Usual(0.5, 0.2, 100), GOOD),
    ],
)
def test_share(part, whole, usual, level):
    assert judge_share(part, whole, usual=usual, sensitivity=NORMAL).level == level


def test_a_field_that_is_often_missing_is_never_told():
    assert judge_missing(0, 1000, usual=Usual(0.4, 0.0, 100), sensitivity=NORMAL).level == UNCLEAR
    assert judge_missing(0, 1000, usual=Usual(0.01, 0.0, 3), sensitivity=NORMAL).level == UNCLEAR
    found = judge_missing(300, 1000, usual=Usual(0.01, 0.01, 100), sensitivity=NORMAL)
    assert (found.level, found.observed) == (BAD, 0.7)


COUNTS = st.integers(0, 10**6)
LEVELS = st.sampled_from(list(SENSITIVITIES.values()))


@given(COUNTS, COUNTS, st.integers(0, 10**5), LEVELS)
def test_more_is_never_less_of_a_spike(a, b, usual, sensitivity):
    history = past(21, per_hour=lambda hour: usual)
    low, high = (judge_spike(history, hour=HERE, count=n, sensitivity=sensitivity).level for n in sorted((a, b)))
    assert not (low == BAD and high == GOOD)


@given(st.integers(1, 4000), st.integers(1, 4000), st.integers(0, 1000), LEVELS)
def test_a_longer_gap_is_never_less_silent(a, b, usual, sensitivity):
    history = past(21, per_hour=lambda hour: usual, looks=(20, 20))
    short, long = (silence(n, history=history, sensitivity=sensitivity).level for n in sorted((a, b)))
    assert not (short == BAD and long == GOOD)


@given(st.integers(0, 500), st.integers(0, 500), st.floats(0, 1), st.floats(0, 0.3), LEVELS)
def test_what_opens_an_alert_also_keeps_it_open(part, more, share, spread, sensitivity):
    usual = Usual(share, spread, 50)
    if judge_share(part, part + more, usual=usual, sensitivity=sensitivity).level == BAD:
        assert judge_share(part, part + more, usual=usual, sensitivity=soften(sensitivity)).level == BAD


@given(COUNTS, st.integers(0, 10**5), LEVELS)
def test_nothing_is_a_spike_and_a_drop(count, usual, sensitivity):
    history = past(21, per_hour=lambda hour: usual)
    levels = {
        judge(history, hour=HERE, count=count, sensitivity=sensitivity).level for judge in (judge_spike, judge_drop)
    }
    assert levels != {BAD}
