"""The partitions of the archive, one for each day on which requests were processed: their names, bounds and SQL.

The day of processing and not that of receipt: what was held for consent is processed weeks after it came, and a batch
must always find its partition.
"""

from collections.abc import Iterator
from datetime import date, timedelta

DAYS_AHEAD = 14
PARENT = "ingestion_archive"
# What a clock that was set back writes: none in normal life.
OLDER = "ingestion_archive_older"


def archive_day(day: date) -> str:
    """Return the name of a day's partition."""
    return f"{PARENT}_d{day:%Y_%m_%d}"


def day_statements(day: date) -> Iterator[str]:
    """Give the SQL that makes and attaches the partition of one UTC day; the batches go on meanwhile."""
    name = archive_day(day)
    yield f"CREATE TABLE IF NOT EXISTS {name} (LIKE {PARENT} INCLUDING DEFAULTS INCLUDING STORAGE)"
    yield (
        f"ALTER TABLE {PARENT} ATTACH PARTITION {name} "
        f"FOR VALUES FROM ('{day.isoformat()} 00:00+00') TO ('{(day + timedelta(days=1)).isoformat()} 00:00+00')"
    )


def older_statements(before: date) -> Iterator[str]:
    """Give the SQL that makes and attaches the partition of everything before a UTC day."""
    yield f"CREATE TABLE IF NOT EXISTS {OLDER} (LIKE {PARENT} INCLUDING DEFAULTS INCLUDING STORAGE)"
    yield (
        f"ALTER TABLE {PARENT} ATTACH PARTITION {OLDER} FOR VALUES FROM (MINVALUE) TO ('{before.isoformat()} 00:00+00')"
    )
