"""The officer's queue: requests with their clocks, and how many came and were answered in time."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, F, Q, QuerySet
from django.db.models.functions import Coalesce, TruncWeek

from consent import life
from consent.deadlines import URGENT_DAYS
from consent.models import PrivacyRequest

WEEKS = 12
OPEN, LATE, WAITING, ALL = "open", "late", "waiting", "all"
VIEWS = (OPEN, LATE, WAITING, ALL)


@dataclass(frozen=True, slots=True)
class Clock:
    """How much of a request's period has passed; `days_left` is negative once it is late."""

    last_at: datetime
    days_left: int
    percent: int
    level: str


@dataclass(frozen=True, slots=True)
class Week:
    """What came in within a week, and what was answered, in time and late."""

    begins: datetime
    received: int
    in_time: int
    late: int


def list_queue(*, view: str, now: datetime, type: str = "") -> QuerySet[PrivacyRequest]:
    """Return the requests of a view, each with `last_at`, the end of its period; the caller orders them."""
    rows = PrivacyRequest.objects.annotate(last_at=Coalesce("extended_to", "due_at"))
    if view != ALL:
        rows = rows.exclude(status__in=life.OVER)
    if view == LATE:
        rows = rows.filter(last_at__lt=now).exclude(status=life.AWAITING_IDENTITY)
    if view == WAITING:
        rows = rows.filter(status__in=[life.RECEIVED, life.AWAITING_IDENTITY])
    return rows.filter(type=type) if type else rows


def find_next(*, besides: PrivacyRequest, now: datetime) -> PrivacyRequest | None:
    """Return the open request that is due first, another than this one."""
    rows = list_queue(view=OPEN, now=now).exclude(pk=besides.pk)
    found: PrivacyRequest | None = rows.order_by(Coalesce("extended_to", "due_at"), "id").first()
    return found


def read_clock(request: PrivacyRequest, *, now: datetime) -> Clock:
    """Return how far the period of a request has run; of one that is over, as it was then."""
    last_at = request.extended_to or request.due_at
    at = request.completed_at or now
    if request.identity_asked_at is not None and request.completed_at is None:
        at = request.identity_asked_at
    whole = max((last_at - request.received_at).total_seconds(), 1.0)
    passed = (at - request.received_at).total_seconds()
    days_left = (last_at - at) // timedelta(days=1)
    level = "bad" if at > last_at else "warn" if days_left < URGENT_DAYS else "good"
    return Clock(last_at, days_left, max(0, min(100, round(100 * passed / whole))), level)


def count_weeks(*, now: datetime) -> list[Week]:
    """Return the last twelve weeks, oldest first."""
    begins = (now - timedelta(weeks=WEEKS - 1, days=now.weekday())).replace(hour=0, minute=0, second=0, microsecond=0)
    received = (
        PrivacyRequest.objects.filter(received_at__gte=begins)
        .annotate(week=TruncWeek("received_at"))
        .values_list("week")
        .annotate(count=Count("id"))
    )
    answered = (
        PrivacyRequest.objects.filter(completed_at__gte=begins)
        .annotate(week=TruncWeek("completed_at"), last_at=Coalesce("extended_to", "due_at"))
        .values_list("week")
        .annotate(in_time=Count("id", filter=Q(completed_at__lte=F("last_at"))), all=Count("id"))
    )
    came = {week.date(): count for week, count in received}
    went = {week.date(): (in_time, count - in_time) for week, in_time, count in answered}
    weeks = [begins + timedelta(weeks=number) for number in range(WEEKS)]
    return [Week(week, came.get(week.date(), 0), *went.get(week.date(), (0, 0))) for week in weeks]


def chart_weeks(weeks: list[Week]) -> dict[str, object]:
    """Return the weeks as a chart."""
    return {
        "type": "bar",
        "labels": [week.begins.strftime("%-d %b") for week in weeks],
        "series": [
            {"label": "Received", "values": [week.received for week in weeks], "colour": "--act"},
            {"label": "Answered in time", "values": [week.in_time for week in weeks], "colour": "--good"},
            {"label": "Answered late", "values": [week.late for week in weeks], "colour": "--bad"},
        ],
    }
