"""Reading the order view and what is counted over it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Count, Max, Min, Q, QuerySet, Sum

from cdp.core.access import Principal, show
from profiles.models import Order

# Where a trait came from that no source sent.
COMPUTED = "computed"


@dataclass(frozen=True, slots=True)
class OrderSummary:
    """The orders of one profile.

    Attributes
    ----------
    count : int
        How many; cancelled and refunded ones count.
    revenue : Decimal
        The sum of what is left of them, in the installation's currency.
    unconverted : int
        How many have an amount for which there is no exchange rate; they are missing from `revenue`.
    """

    count: int
    revenue: Decimal
    unconverted: int
    first_at: datetime
    last_at: datetime


def list_orders(*, profile_ids: Sequence[int]) -> QuerySet[Order]:
    """Return the orders of profiles; the caller orders them."""
    return Order.objects.filter(profile_id__in=profile_ids)


def read_order_summaries(*, profile_ids: Sequence[int]) -> dict[int, OrderSummary]:
    """Return what is counted over the orders of profiles; those without any are left out (one statement)."""
    rows = (
        Order.objects.filter(profile_id__in=profile_ids)
        .values("profile_id")
        .annotate(
            number=Count("id"),
            sum=Sum("converted"),
            missing=Count("id", filter=Q(revenue__isnull=False, converted__isnull=True)),
            first=Min("occurred_at"),
            last=Max("occurred_at"),
        )
    )
    return {
        row["profile_id"]: OrderSummary(
            row["number"], row["sum"] or Decimal(0), row["missing"], row["first"], row["last"]
        )
        for row in rows
    }


def present_computed_traits(summary: OrderSummary | None, *, principal: Principal) -> dict[str, Any]:
    """Return what is counted over a profile's orders in the form of traits; nothing without orders."""
    if summary is None:
        return {}
    values = {
        "orders_count": summary.count,
        "orders_revenue": float(summary.revenue),
        "orders_unconverted": summary.unconverted,
        "first_order_at": summary.first_at.isoformat(),
        "last_order_at": summary.last_at.isoformat(),
    }
    at = summary.last_at
    return {
        name: {"value": show(principal, value), "source": COMPUTED, "occurred_at": at, "received_at": at}
        for name, value in values.items()
    }


def present_order(order: Order, *, sources: Mapping[int, str]) -> dict[str, Any]:
    """Return one order as JSON."""
    return {
        "order_id": order.order_id,
        "source": sources.get(order.source_id, ""),
        "occurred_at": order.occurred_at,
        "properties": order.properties,
    }
