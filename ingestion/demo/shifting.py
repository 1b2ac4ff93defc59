"""Move the data's year so that its last day is yesterday."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta


@dataclass(frozen=True, slots=True)
class Shift:
    """A move by whole days. The data's local wall-clock time is taken as UTC, for it names no zone."""

    days: int

    def iso(self, at: datetime) -> str:
        """Return the moved time as ISO 8601 UTC with milliseconds."""
        return (at + timedelta(days=self.days)).isoformat(timespec="milliseconds") + "Z"

    def iso_date(self, at: datetime) -> str:
        """Return the moved day as ISO 8601."""
        return (at + timedelta(days=self.days)).date().isoformat()


def shift_to_yesterday(*, last_day: date, today: date) -> Shift:
    """Return the move that brings `last_day` to the day before `today` (both in UTC)."""
    return Shift((today - timedelta(days=1) - last_day).days)
