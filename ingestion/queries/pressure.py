"""How full the inbox and the disk are, and whether more may come in."""

import shutil
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import connection

MEGABYTE = 1024 * 1024
# Up to this many requests are added up; of more a sample is, because nobody needs the last digit of a million.
EXACT_REQUESTS = 5_000
SAMPLES = 2_000

EXTENT = "SELECT min(id), max(id) FROM ingestion_inbox"
SUM = "SELECT coalesce(sum(items), 0) FROM ingestion_inbox WHERE id BETWEEN %s AND %s"
SAMPLE = "SELECT coalesce(sum(items), 0) FROM ingestion_inbox WHERE id = ANY(%s)"


@dataclass(frozen=True, slots=True)
class Pressure:
    """What is used of what there is.

    Attributes
    ----------
    items : int
        Messages in the inbox; about so many when there are many requests.
    free_bytes : int
        Of the disk that holds the data directory.
    """

    items: int
    item_limit: int
    free_bytes: int
    free_floor: int

    @property
    def inbox_is_full(self) -> bool:
        """Tell whether senders have to wait for the workers."""
        return self.items >= self.item_limit

    @property
    def disk_is_full(self) -> bool:
        """Tell whether senders have to wait for somebody to make room."""
        return self.free_bytes < self.free_floor

    def describe(self) -> str:
        """Say what is wrong and what to do about it; ``""`` if nothing is."""
        if self.disk_is_full:
            return (
                f"the disk of the data directory has {self.free_bytes // MEGABYTE:,} MB free, less than the "
                f"{self.free_floor // MEGABYTE:,} MB that CDP_FREE_DISK_MB keeps: messages are refused with 503. "
                "Make room there."
            )
        if self.inbox_is_full:
            return (
                f"the inbox holds {self.items:,} messages and CDP_INBOX_LIMIT is {self.item_limit:,}: new ones are "
                "refused with 429 until the workers have caught up."
            )
        return ""


def read_pressure() -> Pressure:
    """Return how full inbox and disk are now, in a time that does not grow with the inbox."""
    return Pressure(
        items=_count_items(),
        item_limit=settings.CDP_INBOX_LIMIT,
        free_bytes=shutil.disk_usage(settings.CDP_DATA_DIR).free,
        free_floor=settings.CDP_FREE_DISK_MB * MEGABYTE,
    )


def judge_pressure() -> tuple[str, str, bool]:
    """Return what `/readyz` says of the inbox."""
    said = read_pressure().describe()
    return "inbox", said or "ok", not said


def gauge_pressure() -> list[tuple[str, str, float]]:
    """Return what `/metrics` says of the inbox and the disk."""
    now = read_pressure()
    return [
        ("cdp_inbox_items", "Messages in the inbox, about.", now.items),
        ("cdp_inbox_limit", "Messages that may wait in the inbox.", now.item_limit),
        ("cdp_free_disk_bytes", "Free space on the disk of the data directory.", now.free_bytes),
        ("cdp_free_disk_floor_bytes", "Free space that is kept.", now.free_floor),
        ("cdp_refuses_messages", "1: messages are refused with 429 or 503.", float(bool(now.describe()))),
    ]


def _count_items() -> int:
    with connection.cursor() as cursor:
        cursor.execute(EXTENT)
        first, last = cursor.fetchone()
        if first is None:
            return 0
        requests = last - first + 1
        if requests <= EXACT_REQUESTS:
            return _sum(cursor, SUM, [first, last])
        # Evenly spread: what was processed out of turn, or never used, is missed in the sample as in the whole.
        ids = [first + requests * number // SAMPLES for number in range(SAMPLES)]
        return _sum(cursor, SAMPLE, [ids]) * requests // SAMPLES


def _sum(cursor: Any, statement: str, parameters: list[Any]) -> int:
    cursor.execute(statement, parameters)
    return int(cursor.fetchone()[0])
