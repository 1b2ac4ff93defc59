"""What came in: outcomes by the hour, what waits, what was put aside."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Count, Min, QuerySet, Sum
from django.utils import timezone

from cdp.core.digests import message_digest
from ingestion.models import InboxEntry, Message, Outcome, OutcomeCount, Quarantined, Source

COLOURS = {
    Outcome.ACCEPTED: "--color-green-600",
    Outcome.DUPLICATE: "--color-base-400",
    Outcome.REJECTED: "--color-red-600",
    Outcome.QUARANTINED: "--color-orange-500",
    Outcome.SUPPRESSED: "--color-primary-500",
    Outcome.HELD: "--color-blue-500",
}
# Outcomes are looked for among this many of the newest messages: most have no index, and pages must stay quick.
NEWEST = 200_000
NEWEST_ASIDE = 5_000


@dataclass(frozen=True, slots=True)
class Traffic:
    """Messages by hour of receipt and outcome, ready for a chart, and the sums for those who read numbers."""

    chart: dict[str, Any]
    totals: list[tuple[str, int, str]]
    hours: int

    @property
    def is_quiet(self) -> bool:
        """Tell whether nothing came in."""
        return not any(count for _, count, _ in self.totals)


@dataclass(frozen=True, slots=True)
class Waiting:
    """What the inbox holds: requests, the messages in them, and since when the oldest waits."""

    requests: int
    messages: int
    oldest_at: datetime | None


def read_waiting() -> Waiting:
    """Return what waits for the processor (one statement)."""
    row = InboxEntry.objects.aggregate(requests=Count("id"), messages=Sum("items"), oldest_at=Min("received_at"))
    return Waiting(row["requests"], row["messages"] or 0, row["oldest_at"])


def list_waiting() -> QuerySet[InboxEntry]:
    """Return the requests that wait, without their bodies; the caller orders them."""
    return InboxEntry.objects.defer("body")


def count_outcomes_by_hour(*, since: datetime, source_id: int | None = None) -> dict[tuple[datetime, int], int]:
    """Return how many messages had each outcome in each hour of receipt, from `since` on.

    Parameters
    ----------
    source_id : int, optional
        Only this source's; None means all, requests without a source included.
    """
    rows = OutcomeCount.objects.filter(hour__gte=since)
    if source_id is not None:
        rows = rows.filter(source_id=source_id)
    found = rows.values("hour", "outcome").annotate(total=Sum("count")).order_by("hour", "outcome")
    return {(row["hour"], row["outcome"]): row["total"] for row in found}


def count_outcomes_by_source() -> dict[int | None, dict[str, int]]:
    """Return the outcome counts of each source since the beginning; None is what came without a usable source."""
    totals: dict[int | None, dict[str, int]] = defaultdict(lambda: {outcome.label: 0 for outcome in Outcome})
    rows = OutcomeCount.objects.values("source_id", "outcome").annotate(total=Sum("count")).order_by("source_id")
    for row in rows:
        totals[row["source_id"]][Outcome(row["outcome"]).label] = row["total"]
    return dict(totals)


def list_messages(*, source_id: int | None = None, outcome: int | None = None) -> QuerySet[Message]:
    """Return outcome rows; the caller orders them (by id is by time of processing).

    Narrowed, they are looked for among the newest 200 000.
    """
    rows = Message.objects.all()
    if source_id is None and outcome is None:
        return rows
    newest = rows.order_by("-id").values_list("id", flat=True).first() or 0
    rows = rows.filter(id__gt=newest - NEWEST)
    if source_id is not None:
        rows = rows.filter(source_id=source_id)
    if outcome is not None:
        rows = rows.filter(outcome=outcome)
    return rows


def find_messages(*, message_id: str) -> list[Message]:
    """Return the outcome rows of a message id, one for each source that sent it."""
    sources = list(Source.objects.values_list("id", flat=True))
    digest = message_digest(message_id)
    return list(Message.objects.filter(source_id__in=sources, message_hash=digest).order_by("id"))


@dataclass(frozen=True, slots=True)
class EventOf:
    """The event that an accepted message became, and whose it is now."""

    profile_uuid: str
    name: str
    message_id: str


def find_event_of(*, message: Message) -> EventOf | None:
    """Return the event of a message; None if it made none, or the person was erased."""
    if message.occurred_at is None:
        return None
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.uuid::text, e.name, e.message_id FROM profiles_event e "
            "JOIN profiles_profile p ON p.id = e.profile_id OR p.id IN "
            "(SELECT a.profile_id FROM profiles_absorbedid a WHERE a.dropped_id = e.profile_id) "
            "WHERE e.id = %s AND e.occurred_at = %s",
            [message.pk, message.occurred_at],
        )
        row = cursor.fetchone()
    return EventOf(*row) if row is not None else None


def list_quarantined() -> QuerySet[Quarantined]:
    """Return what was put aside, without the payloads; the caller orders it."""
    return Quarantined.objects.defer("payload", "lookups")


def find_codes() -> list[str]:
    """Return the faults among the newest of what was put aside."""
    newest = Quarantined.objects.order_by("-row_id").values_list("code", flat=True)[:NEWEST_ASIDE]
    return sorted(set(newest))


def list_sources() -> QuerySet[Source]:
    """Return all sources; the caller orders them."""
    return Source.objects.all()


def read_traffic(*, hours: int, now: datetime, source_id: int | None = None) -> Traffic:
    """Return the outcomes of the last `hours` hours, the current one included."""
    last = now.replace(minute=0, second=0, microsecond=0)
    marks = [last - timedelta(hours=back) for back in range(hours - 1, -1, -1)]
    counts = count_outcomes_by_hour(since=marks[0], source_id=source_id)
    series: list[dict[str, Any]] = [
        {
            "label": outcome.label,
            "values": [counts.get((mark, outcome.value), 0) for mark in marks],
            "colour": COLOURS[outcome],
        }
        for outcome in Outcome
    ]
    labels = [timezone.localtime(mark).strftime("%a %H:%M") for mark in marks]
    return Traffic(
        chart={"type": "bar", "stacked": True, "labels": labels, "series": series},
        totals=[(one["label"], sum(one["values"]), one["colour"]) for one in series],
        hours=hours,
    )
