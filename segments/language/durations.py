"""Lengths of time in ISO 8601, with calendar parts (months, days) kept apart from exact time."""

import re
from dataclasses import dataclass
from datetime import timedelta

MAX_WINDOW_DAYS = 730
MAX_DAYS = 36_525

_DURATION = re.compile(
    r"P(?!$)(?:(\d{1,6})Y)?(?:(\d{1,6})M)?(?:(\d{1,6})W)?(?:(\d{1,6})D)?"
    r"(?:T(?=\d)(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9})S)?)?"
)


@dataclass(frozen=True, slots=True)
class Duration:
    """A duration: calendar months and days, then exact time."""

    months: int
    days: int
    exact: timedelta
    text: str

    @property
    def approximate_days(self) -> float:
        """Length in days with months of 365/12 days: what limits are checked against."""
        return self.months * 365 / 12 + self.days + self.exact / timedelta(days=1)

    @property
    def has_calendar(self) -> bool:
        """Whether its length depends on the calendar of a time zone."""
        return bool(self.months or self.days)

    def times(self, count: int) -> "Duration":
        """Return the duration repeated."""
        return Duration(self.months * count, self.days * count, self.exact * count, f"{count}*{self.text}")

    def words(self) -> str:
        """Return it in English, e.g. `30 days`."""
        years, months = divmod(self.months, 12)
        seconds = int(self.exact.total_seconds())
        parts = [(years, "year"), (months, "month"), (self.days, "day")]
        parts += [(seconds // 3600, "hour"), (seconds % 3600 // 60, "minute"), (seconds % 60, "second")]
        return " ".join(f"{number} {unit}{'' if number == 1 else 's'}" for number, unit in parts if number)


def parse_duration(text: str) -> Duration | None:
    """Read an ISO 8601 duration of whole numbers (`P30D`, `P1M`, `PT24H`, `P1DT12H`).

    Returns
    -------
    Duration or None
        None if the text is not one, if it is empty, or longer than a hundred years.
    """
    found = _DURATION.fullmatch(text) if text.isascii() else None
    if not found:
        return None
    years, months, weeks, days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    exact_days = (hours * 3600 + minutes * 60 + seconds) / 86_400
    if (years * 12 + months) / 12 * 365.25 + weeks * 7 + days + exact_days > MAX_DAYS:
        return None
    duration = Duration(
        years * 12 + months,
        weeks * 7 + days,
        timedelta(hours=hours, minutes=minutes, seconds=seconds),
        text,
    )
    return duration if duration.approximate_days > 0 else None
