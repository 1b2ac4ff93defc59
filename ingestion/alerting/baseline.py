"""What is usual for an hour: the median of the same hour of the week, and how far counts stray from it.

References
----------
Rousseeuw and Croux, Alternatives to the Median Absolute Deviation, 1993 (1.4826 makes the MAD of normal values their
standard deviation).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from statistics import median

HOUR = timedelta(hours=1)
WEEKS = 6
DAYS = 13
# A median of two weeks is the least that is called weekly; before, the same hour of at least three days.
FEWEST_WEEKS = 2
FEWEST_DAYS = 3
SURE_WEEKS = 4
MAD_TO_DEVIATION = 1.4826
# Counts stray by this part of themselves even where the few weeks at hand happen to agree.
STRAY_SURE, STRAY_WEEK, STRAY_DAY = 0.15, 0.25, 0.35
# A flow is steady in an hour if nearly every look in this hour of the last days saw something new.
STEADY_SHARE = 0.95
STEADY_LOOKS = 20

NONE, DAY, WEEK = "none", "day", "week"


@dataclass(frozen=True, slots=True)
class Baseline:
    """What is usual.

    Attributes
    ----------
    basis : str
        ``week``: the same hour of the week; ``day``: the same hour of the day, as there are less than two weeks;
        ``none``: still learning.
    expected : float
        Messages an hour.
    spread : float
        One robust standard deviation, above 0 unless the basis is none.
    samples : int
        How many hours it stands on.
    """

    basis: str
    expected: float = 0.0
    spread: float = 0.0
    samples: int = 0


LEARNING = Baseline(NONE)


@dataclass(frozen=True, slots=True)
class History:
    """The past of a source or of one of its events, by hours in UTC.

    Attributes
    ----------
    counts : mapping
        Start of an hour → messages received; an hour without an entry had none.
    first : datetime or None
        Start of the first hour with messages; None: there were none ever.
    zone : tzinfo
        Where people live whose days and weeks the pattern follows.
    looks : mapping
        Start of an hour → how often it was looked at, and how often something new had come.
    """

    counts: Mapping[datetime, float]
    first: datetime | None
    zone: tzinfo = UTC
    looks: Mapping[datetime, tuple[int, int]] = field(default_factory=dict)


def hour_of(moment: datetime) -> datetime:
    """Return the start of the hour in UTC."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def find_baseline(history: History, hour: datetime) -> Baseline:
    """Return what is usual for an hour, from the hours before it.

    Notes
    -----
    The first hour with messages began somewhere within, so it does not count. Hours are compared by the clock on the
    wall: when summer time begins the pattern moves with the people.
    """
    if history.first is None:
        return LEARNING
    known_from = history.first + HOUR
    weeks = [history.counts.get(past, 0) for past in _past(history, hour, days=7, times=WEEKS) if past >= known_from]
    if len(weeks) >= FEWEST_WEEKS:
        return _baseline(WEEK, weeks, STRAY_SURE if len(weeks) >= SURE_WEEKS else STRAY_WEEK)
    days = [history.counts.get(past, 0) for past in _past(history, hour, days=1, times=DAYS) if past >= known_from]
    if len(days) >= FEWEST_DAYS:
        return _baseline(DAY, days, STRAY_DAY)
    return LEARNING


def is_steady(history: History, hour: datetime) -> bool:
    """Tell whether in this hour of the day something new comes at nearly every look."""
    looks = seen = 0
    for past in _past(history, hour, days=1, times=DAYS):
        if history.counts.get(past, 0):
            some, new = history.looks.get(past, (0, 0))
            looks, seen = looks + some, seen + new
    return looks >= STEADY_LOOKS and seen >= STEADY_SHARE * looks


def _baseline(basis: str, values: Sequence[float], stray: float) -> Baseline:
    middle = median(values)
    deviation = MAD_TO_DEVIATION * median(abs(value - middle) for value in values)
    # Counts of independent messages stray by their square root at least (Poisson).
    return Baseline(basis, middle, max(deviation, stray * middle, max(middle, 1.0) ** 0.5), len(values))


def _past(history: History, hour: datetime, *, days: int, times: int) -> list[datetime]:
    wall = hour.astimezone(history.zone).replace(tzinfo=None)
    return [hour_of((wall - timedelta(days=days * back)).replace(tzinfo=history.zone)) for back in range(1, times + 1)]
