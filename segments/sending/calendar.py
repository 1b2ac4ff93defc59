"""When a schedule is due: by the calendar of its own time zone; pure."""

import calendar
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

DAY, WEEK, MONTH = "day", "week", "month"


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Every day, week (from Monday, 0) or month, at a time of the day.

    A day that a month does not have is its last one. A time that the change to summer time leaves out is taken as one
    hour later; one that comes twice is taken the first time.
    """

    every: str
    at: time
    zone: str
    weekday: int = 0
    day: int = 1


def next_after(rhythm: Rhythm, moment: datetime) -> datetime:
    """Return the first time after a moment at which the schedule is due, in UTC."""
    zone = ZoneInfo(rhythm.zone)
    today = moment.astimezone(zone).date()
    for days in range(63):
        on = today + timedelta(days=days)
        if _falls_on(rhythm, on):
            due = datetime.combine(on, rhythm.at, tzinfo=zone).astimezone(UTC)
            if due > moment:
                return due
    raise AssertionError(rhythm)


def _falls_on(rhythm: Rhythm, on: date) -> bool:
    if rhythm.every == WEEK:
        return on.weekday() == rhythm.weekday
    if rhythm.every == MONTH:
        return on.day == min(rhythm.day, calendar.monthrange(on.year, on.month)[1])
    return True
