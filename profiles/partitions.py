"""The partitions of events (by occurrence) and of profile changes (by day): their names, bounds and SQL.

Events: by month for the last 36 months, by year back to 2000, one older. All are made at migration; later ones three
months ahead, daily, by `CREATE` then `ATTACH` outside of any batch. There is no default partition: it would have to be
scanned by each `ATTACH`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

MONTHS_BACK = 36
MONTHS_AHEAD = 3
DAYS_AHEAD = 14
FIRST_YEAR = 2000


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition: rows with `start <= time < end` (UTC dates; None = unbounded)."""

    parent: str
    name: str
    start: date | None
    end: date

    def statements(self) -> Iterator[str]:
        """Give the SQL that makes the table and attaches it; each statement may be run again."""
        lower = f"'{self.start.isoformat()} 00:00+00'" if self.start else "MINVALUE"
        yield f"CREATE TABLE IF NOT EXISTS {self.name} (LIKE {self.parent} INCLUDING DEFAULTS)"
        yield (
            f"ALTER TABLE {self.parent} ATTACH PARTITION {self.name} "
            f"FOR VALUES FROM ({lower}) TO ('{self.end.isoformat()} 00:00+00')"
        )


def add_months(day: date, months: int) -> date:
    """Return the first day of the month that lies `months` after that of `day`."""
    index = day.year * 12 + day.month - 1 + months
    return date(index // 12, index % 12 + 1, 1)


def event_partitions(today: date) -> list[Partition]:
    """Return the partitions that an installation made today needs, oldest first."""
    parent = "profiles_event"
    first_month = add_months(today, -MONTHS_BACK)
    parts = [Partition(parent, f"{parent}_older", None, date(FIRST_YEAR, 1, 1))]
    for year in range(FIRST_YEAR, first_month.year):
        parts.append(Partition(parent, f"{parent}_y{year}", date(year, 1, 1), date(year + 1, 1, 1)))
    if first_month.month > 1:
        name = f"{parent}_y{first_month.year}"
        parts.append(Partition(parent, name, date(first_month.year, 1, 1), first_month))
    parts.extend(event_months(first_month, add_months(today, MONTHS_AHEAD)))
    return parts


def event_months(first: date, last: date) -> list[Partition]:
    """Return the monthly partitions from the month of `first` to that of `last`, both included."""
    parts = []
    month = add_months(first, 0)
    while month <= last:
        following = add_months(month, 1)
        parts.append(Partition("profiles_event", f"profiles_event_m{month:%Y_%m}", month, following))
        month = following
    return parts


def older_changes(today: date) -> Partition:
    """Return the partition of changes from before the installation: none in normal life, some if a clock goes back."""
    return Partition("profiles_change", "profiles_change_older", None, today - timedelta(days=1))


def change_days(first: date, last: date) -> list[Partition]:
    """Return the daily partitions of changes from `first` to `last`, both included."""
    days = (last - first).days + 1
    return [
        Partition("profiles_change", f"profiles_change_d{day:%Y_%m_%d}", day, day + timedelta(days=1))
        for day in (first + timedelta(days=offset) for offset in range(days))
    ]
