"""Finding destinations, how they go, and their log."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from django.db.models import Count, QuerySet, Sum

from segments.sending.errors import NoSuchDestination
from segments.sending_models import Activated, Delivery, DeliveryCount, DeliveryRecord, Destination

COUNTED_DAYS = 30


@dataclass(slots=True)
class Going:
    """How a destination goes: what waits now, and what came of deliveries in the last 30 days.

    `skipped` counts by reason who was not sent; `outcomes` by kind and outcome.
    """

    waiting: int = 0
    sending: int = 0
    dead: int = 0
    activated: int = 0
    sent: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    outcomes: dict[str, int] = field(default_factory=dict)


def list_destinations() -> QuerySet[Destination]:
    """Return all destinations; the caller orders them."""
    return Destination.objects.select_related("segment")


def find_destination(*, key: str) -> Destination | None:
    """Return a destination, or None."""
    return Destination.objects.select_related("segment").filter(key=key).first()


def get_destination(*, key: str) -> Destination:
    """Return a destination.

    Raises
    ------
    NoSuchDestination
        If none has this key.
    """
    found = find_destination(key=key)
    if found is None:
        raise NoSuchDestination(key)
    return found


def read_going(*, destinations: Sequence[Destination], today: date) -> dict[int, Going]:
    """Return how destinations go, in three statements for any number of them."""
    ids = [one.pk for one in destinations]
    found = {pk: Going() for pk in ids}
    states = Delivery.objects.filter(destination_id__in=ids).values_list("destination_id", "state")
    for pk, state, count in states.annotate(count=Count("pk")).order_by("destination_id", "state"):
        setattr(found[pk], state, count)
    active = Activated.objects.filter(destination_id__in=ids).values_list("destination_id")
    for pk, count in active.annotate(count=Count("pk")).order_by("destination_id"):
        found[pk].activated = count
    counted = DeliveryCount.objects.filter(destination_id__in=ids, day__gt=today - timedelta(days=COUNTED_DAYS))
    names = ("destination_id", "kind", "outcome", "reason")
    for pk, kind, outcome, reason, count in counted.values_list(*names).annotate(Sum("count")).order_by(*names):
        going = found[pk]
        if outcome == DeliveryRecord.Outcome.SKIPPED:
            going.skipped[reason] = going.skipped.get(reason, 0) + count
            continue
        going.sent += count if outcome == DeliveryRecord.Outcome.SENT else 0
        name = f"{kind} {outcome}"
        going.outcomes[name] = going.outcomes.get(name, 0) + count
    return found


def list_records(
    *, destination: Destination, outcome: str = "", kind: str = "", reason: str = ""
) -> QuerySet[DeliveryRecord]:
    """Return the log of a destination; the caller orders it."""
    rows = DeliveryRecord.objects.filter(destination=destination)
    for name, value in (("outcome", outcome), ("kind", kind), ("reason", reason)):
        if value:
            rows = rows.filter(**{name: value})
    return rows


def read_state(destination: Destination, *, now: datetime) -> str:
    """Return ``active``, ``resting`` (after failures), ``paused`` (by hand) or ``disabled`` (by the receiver)."""
    if not destination.enabled:
        return "disabled" if destination.disabled_reason else "paused"
    return "resting" if destination.retry_at is not None and destination.retry_at > now else "active"
