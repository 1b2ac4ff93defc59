"""Keeping house: partitions ahead of time, history behind its time dropped."""

import re
from datetime import UTC, date, datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from profiles.partitions import DAYS_AHEAD, MONTHS_AHEAD, Partition, add_months, change_days, event_months

EVENT_MONTH = re.compile(r"profiles_event_m(\d{4})_(\d{2})")
CHANGE_PARTITION = re.compile(r"profiles_change_d(\d{4})_(\d{2})_(\d{2})")
PARTITIONS = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass"


def prepare_partitions() -> None:
    """Make the partitions of the coming months and days."""
    keep_partitions(timezone.now())


def keep_partitions(now: datetime) -> None:
    """Make what will be needed, drop changes older than `CDP_CHANGE_DAYS`."""
    today = now.astimezone(UTC).date()
    present = _present("profiles_event") | _present("profiles_change")
    # From the newest one on: an installation that was off for months gets the months between, too.
    found = [match.groups() for name in present if (match := EVENT_MONTH.fullmatch(name))]
    months = [date(int(year), int(month), 1) for year, month in found]
    wanted = event_months(max(months, default=today), add_months(today, MONTHS_AHEAD))
    wanted += change_days(today - timedelta(days=1), today + timedelta(days=DAYS_AHEAD))
    for part in wanted:
        if part.name not in present:
            _attach(part)
    for name in present:
        match = CHANGE_PARTITION.fullmatch(name)
        if match and date(*map(int, match.groups())) < today - timedelta(days=settings.CDP_CHANGE_DAYS):
            with connection.cursor() as cursor:
                cursor.execute(f"DROP TABLE {name}")


def _present(parent: str) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(PARTITIONS, [parent])
        return {row[0] for row in cursor.fetchall()}


def _attach(part: Partition) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        for statement in part.statements():
            cursor.execute(statement)
