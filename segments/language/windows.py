"""Windows of time: half-open stretches before `now` (rule 4)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from segments.language.durations import Duration
from segments.language.reading import fault, read_choice, read_object, read_window_duration, shown
from segments.language.values import parse_instant
from segments.language.zones import (
    DAY,
    add_months,
    midnight_of,
    next_midnight,
    shift,
    steady_until,
    to_local,
)

CALENDARS = (
    "today",
    "yesterday",
    "this_week",
    "last_week",
    "this_month",
    "last_month",
    "this_quarter",
    "last_quarter",
    "this_year",
    "last_year",
)


@dataclass(frozen=True, slots=True)
class Window:
    """A window; exactly one of its kinds is set. All times lie before `now`.

    Attributes
    ----------
    longer, shorter : Duration or None
        `last` has only `longer`; `between` has both.
    start, end : str
        ISO texts of `from` and `to`, empty if open.
    calendar : str
        A name of `CALENDARS`, or empty.
    aligned : bool
        Whether edges lie on local midnights.
    """

    longer: Duration | None = None
    shorter: Duration | None = None
    start: str = ""
    end: str = ""
    calendar: str = ""
    aligned: bool = False

    @property
    def moves(self) -> bool:
        """Whether its edges move along with `now`, so that single instants cross them."""
        return self.longer is not None and not self.aligned

    @property
    def open_ended(self) -> bool:
        """Whether it reaches up to `now` itself, so that time alone only takes instants out of it."""
        return self.shorter is None and not self.aligned and not self.end and not self.calendar.startswith("last")

    def bounds(self, now: datetime, tz: ZoneInfo) -> tuple[datetime | None, datetime]:
        """Return the first instant inside (None: since ever) and the first after it, never later than `now`."""
        if self.longer is not None:
            anchor = midnight_of(to_local(now, tz).date(), tz) if self.aligned else now
            since = shift(anchor, self.longer, tz, -1)
            until = anchor if self.shorter is None else shift(anchor, self.shorter, tz, -1)
            if self.aligned:
                since, until = _floor(since, tz), _floor(until, tz)
            return since, until
        if self.calendar:
            first, after = _period(self.calendar, to_local(now, tz).date())
            return midnight_of(first, tz), min(midnight_of(after, tz), now)
        begin = parse_instant(self.start, tz) if self.start else None
        finish = parse_instant(self.end, tz) if self.end else None
        if self.aligned:
            begin, finish = begin and _floor(begin, tz), finish and _floor(finish, tz)
        return begin, min(finish or now, now)

    def distances(self, now: datetime, tz: ZoneInfo) -> tuple[timedelta, timedelta]:
        """Return how far before `now` the two edges of a moving window lie."""
        since, until = self.bounds(now, tz)
        return now - (since or now), now - until

    def runs_at(self, now: datetime, tz: ZoneInfo) -> datetime | None:
        """Return when everyone has to be looked at again because an edge jumps, or None if none does."""
        if self.calendar in {"today", "yesterday"}:
            return next_midnight(now, tz)
        if self.calendar:
            unit = self.calendar.split("_")[1]
            return midnight_of(_period(f"this_{unit}", to_local(now, tz).date())[1], tz)
        if self.longer is not None and self.aligned:
            return next_midnight(now, tz)
        return earliest(steady_until(now, part, tz, -1) for part in (self.longer, self.shorter) if part is not None)

    def words(self) -> str:
        """Return it in English, e.g. `in the last 30 days`."""
        aligned = " (whole days)" if self.aligned else ""
        if self.longer is not None and self.shorter is not None:
            return f"between {self.longer.words()} and {self.shorter.words()} ago{aligned}"
        if self.longer is not None:
            return f"in the last {self.longer.words()}{aligned}"
        if self.calendar:
            return self.calendar.replace("_", " ")
        if self.start and self.end:
            return f"from {self.start} to {self.end}"
        if self.start:
            return f"since {self.start}"
        return f"before {self.end}" if self.end else "ever"


def earliest(moments: Any) -> datetime | None:
    """Return the earliest of moments of which some may be None."""
    known = [moment for moment in moments if moment is not None]
    return min(known) if known else None


ALL_TIME = Window()


def _floor(instant: datetime, tz: ZoneInfo) -> datetime:
    return midnight_of(to_local(instant, tz).date(), tz)


def _period(name: str, today: date) -> tuple[date, date]:
    """Return the first day of a named period and the first day after it."""
    starts: dict[str, Callable[[], date]] = {
        "week": lambda: today - today.weekday() * DAY,
        "month": lambda: today.replace(day=1),
        "quarter": lambda: today.replace(month=(today.month - 1) // 3 * 3 + 1, day=1),
        "year": lambda: today.replace(month=1, day=1),
    }
    months = {"month": 1, "quarter": 3, "year": 12}
    if name in {"today", "yesterday"}:
        first = today if name == "today" else today - DAY
        return first, first + DAY
    which, unit = name.split("_")
    first = starts[unit]()
    steps = (0, 1) if which == "this" else (-1, 0)

    def move(step: int) -> date:
        if unit == "week":
            return first + step * 7 * DAY
        return add_months(datetime(first.year, first.month, 1), step * months[unit]).date()  # noqa: DTZ001

    return move(steps[0]), move(steps[1])


def read_window(value: Any, path: str) -> Window:
    """Read a window: exactly one of last, between, from/to, calendar, all_time; and optionally align."""
    keys = ("last", "between", "from", "to", "calendar", "all_time", "align")
    data = read_object(value, path, optional=keys)
    kinds = sorted({"from" if key == "to" else key for key in data if key != "align"})
    if len(kinds) != 1:
        raise fault(path, "invalid_window", "needs exactly one of last, between, from and/or to, calendar, all_time")
    aligned = read_choice(data.get("align", "instant"), f"{path}.align", ("instant", "day")) == "day"
    if "last" in data:
        return Window(longer=read_window_duration(data["last"], f"{path}.last"), aligned=aligned)
    if "between" in data:
        return _read_between(data["between"], f"{path}.between", aligned=aligned)
    if "calendar" in data:
        return Window(calendar=read_choice(data["calendar"], f"{path}.calendar", CALENDARS))
    if "all_time" in data:
        if data["all_time"] is not True:
            raise fault(f"{path}.all_time", "not_allowed", f"must be true, not {shown(data['all_time'])}")
        return ALL_TIME
    return _read_from_to(data, path, aligned=aligned)


def _read_between(value: Any, path: str, *, aligned: bool) -> Window:
    if not isinstance(value, list) or len(value) != 2:
        raise fault(path, "wrong_type", f"must be two durations, the longer first, not {shown(value)}")
    longer = read_window_duration(value[0], f"{path}[0]")
    shorter = read_window_duration(value[1], f"{path}[1]")
    if longer.approximate_days <= shorter.approximate_days:
        raise fault(path, "invalid_window", f"the longer duration comes first, not {shown(value)}")
    return Window(longer=longer, shorter=shorter, aligned=aligned)


def _read_from_to(data: dict[str, Any], path: str, *, aligned: bool) -> Window:
    utc = ZoneInfo("UTC")
    moments: dict[str, datetime] = {}
    for key in ("from", "to"):
        if key in data:
            moment = parse_instant(data[key], utc) if isinstance(data[key], str) else None
            if moment is None:
                raise fault(
                    f"{path}.{key}", "invalid_time", f"{shown(data[key])} is not an ISO 8601 time such as 2026-01-31"
                )
            moments[key] = moment
    if len(moments) == 2 and moments["from"] >= moments["to"]:
        raise fault(path, "invalid_window", "from must be earlier than to")
    return Window(start=data.get("from", ""), end=data.get("to", ""), aligned=aligned)
