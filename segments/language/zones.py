"""Local time: what PostgreSQL's `AT TIME ZONE` does, in Python, and when a shift by days changes its length.

A local time that does not exist (spring) is read with the offset before the change, one that exists twice (autumn)
with the offset after it: in both cases the smaller offset. That is PostgreSQL's rule, so SQL and Python agree.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from segments.language.durations import Duration

TICK = timedelta(microseconds=1)
DAY = timedelta(days=1)
HORIZON_DAYS = 400


@lru_cache(maxsize=1)
def zone_names() -> tuple[str, ...]:
    """Return the IANA names that definitions and profiles may use, sorted."""
    return tuple(sorted(name for name in available_timezones() if "/" in name or name in {"UTC", "GMT"}))


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """Return the zone of an IANA name that is known to exist."""
    return ZoneInfo(name)


def is_zone(name: str) -> bool:
    """Tell whether the name is one of `zone_names`."""
    return name in _names()


@lru_cache(maxsize=1)
def _names() -> frozenset[str]:
    return frozenset(zone_names())


def offset(instant: datetime, tz: ZoneInfo) -> timedelta:
    """Return the zone's offset from UTC at an instant."""
    return instant.astimezone(tz).utcoffset() or timedelta()


def to_utc(local: datetime, tz: ZoneInfo) -> datetime:
    """Return the instant of a naive local time, by PostgreSQL's rule for times that are missing or doubled."""
    first = local.replace(tzinfo=tz, fold=0).utcoffset() or timedelta()
    second = local.replace(tzinfo=tz, fold=1).utcoffset() or timedelta()
    return local.replace(tzinfo=UTC) - min(first, second)


def to_local(instant: datetime, tz: ZoneInfo) -> datetime:
    """Return the naive local time of an instant."""
    return instant.astimezone(tz).replace(tzinfo=None)


def midnight_of(day: date, tz: ZoneInfo) -> datetime:
    """Return the instant at which a date begins in the zone."""
    return to_utc(datetime.combine(day, time()), tz)


def next_midnight(instant: datetime, tz: ZoneInfo) -> datetime:
    """Return the first local midnight after the instant."""
    day = to_local(instant, tz).date()
    for ahead in range(3):
        start = midnight_of(day + ahead * DAY, tz)
        if start > instant:
            return start
    raise AssertionError("three days hold a midnight")


def add_months(local: datetime, months: int) -> datetime:
    """Move by calendar months; a day that the month lacks becomes its last (rule 4)."""
    total = local.year * 12 + local.month - 1 + months
    year, month = divmod(total, 12)
    for day in (local.day, 30, 29, 28):
        if day <= local.day:
            try:
                return local.replace(year=year, month=month + 1, day=day)
            except ValueError:
                continue
    raise AssertionError("each month has 28 days")


def shift(instant: datetime, duration: Duration, tz: ZoneInfo, sign: int) -> datetime:
    """Return the instant moved by a duration: months and days by the local calendar, then exact time.

    Parameters
    ----------
    sign : int
        1 for later, -1 for earlier.
    """
    moved = instant
    if duration.has_calendar:
        local = add_months(to_local(instant, tz), sign * duration.months) + sign * duration.days * DAY
        moved = to_utc(local, tz)
    return moved + sign * duration.exact


@lru_cache(maxsize=8192)
def _transition(tz: ZoneInfo, day: date) -> datetime | None:
    """Return the first change of offset after the start of a UTC day, within `HORIZON_DAYS`.

    No zone has changed its clock twice within a week, so weekly steps find every change.
    """
    start = datetime.combine(day, time(), UTC)
    before = offset(start, tz)
    for ahead in range(7, HORIZON_DAYS, 7):
        end = start + ahead * DAY
        if offset(end, tz) != before:
            low, high = end - 7 * DAY, end
            while high - low > timedelta(seconds=1):
                middle = low + (high - low) // 2
                middle = middle.replace(microsecond=0)
                if middle <= low:
                    break
                low, high = (middle, high) if offset(middle, tz) == before else (low, middle)
            return high
    return None


def transition_after(instant: datetime, tz: ZoneInfo) -> datetime | None:
    """Return the first change of the zone's offset after the instant, or None if a year brings none."""
    if tz.key in {"UTC", "GMT"}:
        return None
    found = _transition(tz, instant.date().replace(day=1))
    while found is not None and found <= instant:
        found = _transition(tz, found.date() + DAY)
    return found


def steady_until(now: datetime, duration: Duration, tz: ZoneInfo, sign: int) -> datetime | None:
    """Return when `shift(t, duration) - t` may change its length, or None if it never does.

    Until then a window that begins `duration` before t moves along with t at a constant distance, so the moment at
    which a stored instant crosses its edge is a simple sum.
    """
    if not duration.has_calendar or (tz.key in {"UTC", "GMT"} and not duration.months):
        return None
    if duration.months:
        return next_midnight(now, tz)
    breaks = [transition_after(now, tz)]
    edge = shift(now, duration, tz, sign) - 2 * DAY
    for _ in range(3):
        change = transition_after(edge, tz)
        if change is None:
            break
        # The clock time at which the new offset begins is where a local time is read differently; t shows that
        # clock time moved back by the duration, with either offset.
        wall = (to_local(change, tz) - sign * duration.days * DAY).replace(tzinfo=UTC)
        breaks += [wall - offset(wall - DAY, tz), wall - offset(wall + DAY, tz)]
        edge = change
    later = [moment for moment in breaks if moment is not None and moment > now]
    return min(later) if later else None
