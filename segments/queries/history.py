"""How large a segment was, and why people came and went."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.core.cache import cache
from django.db import connection

from segments.models import MembershipChange, Segment

DAYS = 30
MOST_DAYS = 400
LARGE = 50_000
REMEMBERED_SECONDS = 300
BY_DAY = """
SELECT (at AT TIME ZONE %(zone)s)::date, count(*) FILTER (WHERE kind = 1), count(*) FILTER (WHERE kind = 2)
FROM segments_membershipchange WHERE segment_id = %(segment)s AND at >= %(since)s GROUP BY 1
"""


@dataclass(frozen=True, slots=True)
class Day:
    """One day of a segment: its size at the end, and who came and went."""

    date: date
    size: int
    entered: int
    left: int

    @property
    def label(self) -> str:
        """The day as a chart names it."""
        return self.date.strftime("%d %b")


def read_sizes(*, segment: Segment, zone: str, today: datetime, count: int = DAYS) -> list[Day]:
    """Return the last days of a segment, oldest first.

    Parameters
    ----------
    zone : str
        IANA name of the zone whose days are meant.
    today : datetime
        Local midnight of the present day.
    count : int
        How many days.

    Notes
    -----
    Sizes are counted back from the present one by the entries and exits of each day. Of segments with more than 50 000
    members, what was read in the last five minutes is given again.
    """
    remembered_as = f"segments.sizes.{segment.pk}.{count}"
    remembered: list[Day] | None = cache.get(remembered_as)
    if remembered is not None and segment.member_count > LARGE:
        return remembered
    since = today - timedelta(days=count - 1)
    with connection.cursor() as cursor:
        cursor.execute(BY_DAY, {"zone": zone, "segment": segment.pk, "since": since})
        moved = {day: (entered, left) for day, entered, left in cursor.fetchall()}
    size = max(segment.member_count, 0)
    days = []
    for back in range(count):
        day = (today - timedelta(days=back)).date()
        entered, left = moved.get(day, (0, 0))
        days.append(Day(day, max(size, 0), entered, left))
        size += left - entered
    days.reverse()
    cache.set(remembered_as, days, REMEMBERED_SECONDS)
    return days


def tell_reason(change: MembershipChange) -> str:
    """Return why somebody entered or left, in English."""
    return reason_in_words(change.reason)


def reason_in_words(reason: Mapping[str, Any]) -> str:
    """Return a reason of the membership history in English."""
    return REASONS.get(str(reason.get("kind", "")), "for another reason")


REASONS = {
    "event": "an event",
    "trait": "a trait changed",
    "identifier": "an identifier came or went",
    "consent": "a consent decision",
    "segment": "another segment changed",
    "list": "a list changed",
    "time": "time passed",
    "merge": "two profiles were joined",
    "split": "a profile was split",
    "created": "the profile is new",
    "definition": "the definition changed",
    "erased": "the person was erased",
}
