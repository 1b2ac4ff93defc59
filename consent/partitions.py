"""The partitions of the disclosure register, one for each month: their names, bounds and SQL."""

import re
from collections.abc import Iterator
from datetime import date

PARENT = "consent_disclosure"
# What a clock that was set back writes: none in normal life.
OLDER = "consent_disclosure_older"
MONTHS_AHEAD = 3
MONTH = re.compile(r"consent_disclosure_m(\d{4})_(\d{2})")


def add_months(day: date, months: int) -> date:
    """Return the first day of the month that lies `months` after that of `day`."""
    index = day.year * 12 + day.month - 1 + months
    return date(index // 12, index % 12 + 1, 1)


def month_partition(month: date) -> str:
    """Return the name of a month's partition."""
    return f"{PARENT}_m{month:%Y_%m}"


def month_of(name: str) -> date | None:
    """Return the month of a partition, None if it is of none."""
    match = MONTH.fullmatch(name)
    return date(int(match[1]), int(match[2]), 1) if match else None


def month_statements(month: date) -> Iterator[str]:
    """Give the SQL that makes and attaches the partition of one UTC month; recording goes on meanwhile."""
    bounds = f"FROM ('{month.isoformat()} 00:00+00') TO ('{add_months(month, 1).isoformat()} 00:00+00')"
    yield from _statements(month_partition(month), bounds)


def older_statements(before: date) -> Iterator[str]:
    """Give the SQL that makes and attaches the partition of everything before a UTC day."""
    yield from _statements(OLDER, f"FROM (MINVALUE) TO ('{before.isoformat()} 00:00+00')")


def _statements(name: str, bounds: str) -> Iterator[str]:
    yield f"CREATE TABLE IF NOT EXISTS {name} (LIKE {PARENT} INCLUDING DEFAULTS)"
    yield f"ALTER TABLE {PARENT} ATTACH PARTITION {name} FOR VALUES {bounds}"
