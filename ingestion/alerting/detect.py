"""Whether an hour is unusual: silence, spikes, drops, and shares of rejected messages or missing fields."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from ingestion.alerting.baseline import HOUR, NONE, History, find_baseline, hour_of, is_steady

BAD, GOOD, UNCLEAR = "bad", "good", "unclear"
OUTAGE, SILENCE, SPIKE, DROP, REJECTED, MISSING = "outage", "silence", "spike", "drop", "rejected", "missing"
KINDS = (OUTAGE, SILENCE, SPIKE, DROP, REJECTED, MISSING)

# An open alert ends only where what was unusual falls below this part of what opened it.
SOFTER = 0.6
# A steady flow that stops is told after this time, any other one after a whole hour of the clock without messages.
QUIET_MINUTES = 15
LONGEST_GAP = timedelta(hours=48)
# Without a past, only a share as large as this is called bad.
CLEARLY_BAD = 0.5
# A field is normally there if it usually stands in this share of the messages.
NORMALLY_THERE = 0.8
FEWEST_HOURS = 12


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """How unusual something has to be.

    Attributes
    ----------
    deviations : float
        Robust standard deviations from what is usual.
    times : float
        How many times as many messages (spike), or one out of how many (drop).
    least : int
        By how many messages at least; of shares: among how many.
    silent : float
        How many messages should have come in the silence.
    share : float
        By how much a share is larger than usual.
    """

    deviations: float
    times: float
    least: int
    silent: float
    share: float


SENSITIVITIES = {
    "low": Sensitivity(deviations=8.0, times=4.0, least=200, silent=20.0, share=0.3),
    "normal": Sensitivity(deviations=5.0, times=2.5, least=50, silent=10.0, share=0.15),
    "high": Sensitivity(deviations=3.5, times=1.7, least=20, silent=5.0, share=0.07),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found at one look.

    Attributes
    ----------
    level : str
        ``bad``, ``good``, or ``unclear``: too little is known or came to say.
    observed, expected : float
        Messages, or shares from 0 to 1.
    basis : str
        As in `Baseline`; ``stated`` where somebody said how often messages come.
    """

    level: str
    observed: float = 0.0
    expected: float = 0.0
    basis: str = NONE


NOTHING_KNOWN = Verdict(UNCLEAR)


@dataclass(frozen=True, slots=True)
class Usual:
    """The usual share, its robust standard deviation, and on how many hours with enough messages it stands."""

    share: float
    spread: float
    hours: int


def soften(sensitivity: Sensitivity) -> Sensitivity:
    """Return what keeps an alert open that is open."""
    return Sensitivity(
        deviations=sensitivity.deviations * SOFTER,
        times=1 + (sensitivity.times - 1) * SOFTER,
        least=int(sensitivity.least * SOFTER),
        silent=sensitivity.silent * SOFTER,
        share=sensitivity.share * SOFTER,
    )


def judge_silence(
    history: History,
    *,
    last_at: datetime | None,
    now: datetime,
    sensitivity: Sensitivity,
    stated_minutes: int | None = None,
) -> Verdict:
    """Tell whether messages have stopped.

    Parameters
    ----------
    last_at : datetime or None
        When the last message was received; None: never.
    stated_minutes : int or None
        Somebody said that messages come at least this often: then nothing else counts.

    Notes
    -----
    Hourly counts do not tell whether messages come evenly or as one batch an hour. So the hours of a gap count only as
    far as they are over; of a flow that was seen to be steady in these hours of the day, minutes count.
    """
    if last_at is None:
        return NOTHING_KNOWN
    gap = now - last_at
    if stated_minutes is not None:
        level = BAD if gap > timedelta(minutes=stated_minutes) else GOOD
        return Verdict(level, gap / timedelta(minutes=1), stated_minutes, "stated")
    expected, basis, steady = 0.0, "", True
    begin = max(last_at, now - LONGEST_GAP)
    hour = hour_of(begin)
    flowing = 0.0
    while hour < now:
        usual = find_baseline(history, hour)
        if usual.basis == NONE:
            return NOTHING_KNOWN
        basis = usual.basis
        steady = steady and is_steady(history, hour)
        part = (min(hour + HOUR, now) - max(hour, begin)) / HOUR
        flowing += usual.expected * part
        if hour >= begin and hour + HOUR <= now:
            expected += usual.expected
        hour += HOUR
    if steady and gap >= timedelta(minutes=QUIET_MINUTES):
        expected = max(expected, flowing)
    return Verdict(BAD if expected >= sensitivity.silent else GOOD, 0.0, expected, basis)


def judge_spike(history: History, *, hour: datetime, count: float, sensitivity: Sensitivity) -> Verdict:
    """Tell whether far more came in an hour than usual; the hour may be going on still."""
    usual = find_baseline(history, hour)
    if usual.basis == NONE:
        return Verdict(UNCLEAR, count)
    more = count - usual.expected
    bad = (
        more >= sensitivity.least
        and more >= sensitivity.deviations * usual.spread
        and count >= sensitivity.times * usual.expected
    )
    return Verdict(BAD if bad else GOOD, count, usual.expected, usual.basis)


def judge_drop(history: History, *, hour: datetime, count: float, sensitivity: Sensitivity) -> Verdict:
    """Tell whether far less came in an hour that is over than usual; that nothing came is silence, not a drop."""
    usual = find_baseline(history, hour)
    if usual.basis == NONE:
        return Verdict(UNCLEAR, count)
    less = usual.expected - count
    bad = (
        count > 0
        and less >= sensitivity.least
        # A count falls to nothing at most, so half as many deviations tell as much as those upwards.
        and less >= sensitivity.deviations / 2 * usual.spread
        and count * sensitivity.times <= usual.expected
    )
    return Verdict(BAD if bad else GOOD, count, usual.expected, usual.basis)


def judge_share(part: int, whole: int, *, usual: Usual | None, sensitivity: Sensitivity) -> Verdict:
    """Tell whether a share of messages is larger than usual.

    Parameters
    ----------
    part, whole : int
        Messages with the fault, and all that were looked at.
    usual : Usual or None
        None, or one of too few hours: then only half of the messages or more is bad.
    """
    if whole < max(sensitivity.least, 1):
        return NOTHING_KNOWN
    share = part / whole
    if usual is None or usual.hours < FEWEST_HOURS:
        return Verdict(BAD if share >= CLEARLY_BAD else GOOD, share, 0.0, NONE)
    # The share of n messages strays by this much (binomial), with a floor for shares that were always 0.
    chance = (max(usual.share * (1 - usual.share), 0.01) / whole) ** 0.5
    more = share - usual.share
    bad = more >= sensitivity.share and more >= sensitivity.deviations * max(chance, usual.spread)
    return Verdict(BAD if bad else GOOD, share, usual.share, "hours")


def judge_missing(present: int, looked: int, *, usual: Usual | None, sensitivity: Sensitivity) -> Verdict:
    """Tell whether a field that is normally there is missing, null or empty in more messages than usual.

    Parameters
    ----------
    usual : Usual or None
        Of the share that lacks it. A field that is often missing is never told.
    """
    if usual is None or usual.hours < FEWEST_HOURS or usual.share > 1 - NORMALLY_THERE:
        return NOTHING_KNOWN
    return judge_share(looked - present, looked, usual=usual, sensitivity=sensitivity)
