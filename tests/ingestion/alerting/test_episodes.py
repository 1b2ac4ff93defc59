"""Alerts over time."""

import itertools
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ingestion.alerting.detect import BAD, GOOD, UNCLEAR
from ingestion.alerting.episodes import FAST, HOURLY, OPEN, PENDING, RESOLVED, Subject, advance, find_cause

START = datetime(2026, 3, 18, 10, tzinfo=UTC)
LOOK = timedelta(minutes=5)


def run(levels, *, pace=FAST, every=LOOK, episode=None, start=START):
    """Look once for each level, and return the last episode and the changes."""
    changes = []
    for number, level in enumerate(levels):
        episode, change = advance(episode, level, now=start + every * number, pace=pace)
        if change:
            changes.append((number, change))
    return episode, changes


def test_opens_at_the_second_bad_look():
    episode, changes = run([GOOD, BAD, BAD])
    assert changes == [(2, "opened")]
    assert (episode.state, episode.since, episode.opened_at) == (OPEN, START + LOOK, START + 2 * LOOK)


def test_one_bad_look_is_forgotten():
    assert run([BAD, GOOD]) == (None, [])


def test_nothing_said_between_two_bad_looks_takes_nothing_back():
    assert run([BAD, UNCLEAR, BAD])[1] == [(2, "opened")]


def test_what_is_looked_at_once_an_hour_opens_at_once():
    assert run([BAD], pace=HOURLY, every=timedelta(hours=1))[1] == [(0, "opened")]


def test_stays_open_while_it_flaps_and_ends_once_calm():
    levels = [BAD, BAD, GOOD, BAD, GOOD, GOOD, BAD, GOOD, GOOD, GOOD, GOOD]
    # Calm from look 7 on: looks 8 and 9 are 5 and 10 minutes later, look 10 is 15.
    episode, changes = run(levels)
    assert changes == [(1, "opened"), (10, "ended")]
    assert episode.state == RESOLVED


def test_the_same_alert_goes_on_soon_after_its_end():
    ended, _ = run([BAD, BAD, GOOD, GOOD, GOOD, GOOD])
    again, changes = run([BAD], episode=ended, start=START + timedelta(hours=1))
    assert (again.state, again.opened_at, changes) == (OPEN, ended.opened_at, [(0, "reopened")])
    later, changes = run([BAD], episode=ended, start=START + timedelta(hours=5))
    assert (later.state, changes) == (PENDING, [])


def test_ends_when_nothing_can_be_said_for_a_day():
    _episode, changes = run([BAD, BAD] + [UNCLEAR] * 24, every=timedelta(hours=1), pace=HOURLY)
    assert changes == [(0, "opened"), (25, "ended")]
    assert run([BAD] + [UNCLEAR] * 288)[0] is None


@given(st.lists(st.sampled_from([BAD, GOOD, UNCLEAR]), max_size=80))
def test_every_opening_has_one_end_before_the_next(levels):
    episode, changes = run(levels)
    kinds = [change for _, change in changes]
    for before, after in itertools.pairwise(kinds):
        assert (before == "ended") == (after in {"opened", "reopened"})
    assert (episode is not None and episode.state == OPEN) == bool(kinds and kinds[-1] != "ended")


@given(st.lists(st.sampled_from([GOOD, UNCLEAR]), max_size=80))
def test_nothing_opens_without_something_bad(levels):
    assert run(levels) == (None, [])


def test_an_outage_explains_the_silence_of_each_source():
    outage = Subject("outage")
    silent = Subject("silence", 1)
    assert find_cause(silent, [outage, silent]) == outage
    assert find_cause(outage, [outage, silent]) is None
    assert find_cause(Subject("spike", 1), [outage]) is None


def test_a_silent_source_explains_its_silent_events():
    source, event = Subject("silence", 1), Subject("silence", 1, "track", "Order Completed")
    assert find_cause(event, [source, event]) == source
    assert find_cause(Subject("silence", 2, "track", "x"), [source]) is None
    assert find_cause(source, [event]) is None
    assert find_cause(Subject("missing", 1, "track", "x", "total"), [Subject("rejected", 1)]) is not None
