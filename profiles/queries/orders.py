"""Reading the order view and what is counted over it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from cdp.core.access import Principal, show
from cdp.core.copying import int_array
from profiles.models import Order

# Where a trait came from that no source sent.
COMPUTED = "computed"
COMPUTED_TRAITS = ("orders_count", "orders_revenue", "orders_unconverted", "first_order_at", "last_order_at")
SUMMARIES = """
SELECT profile_id, count(*), coalesce(sum(converted), 0),
       count(*) FILTER (WHERE revenue IS NOT NULL AND converted IS NULL), min(occurred_at), max(occurred_at)
FROM profiles_order WHERE profile_id = ANY(%s::bigint[]) GROUP BY profile_id
"""


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
    with connection.cursor() as cursor:
        cursor.execute(SUMMARIES, [int_array(profile_ids)])
        return {profile_id: OrderSummary(*rest) for profile_id, *rest in cursor.fetchall()}


def present_computed_traits(summary: OrderSummary | None, *, principal: Principal) -> dict[str, Any]:
    """Return what is counted over a profile's orders in the form of traits; nothing without orders."""
    if summary is None:
        return {}
    counted = (
        summary.count,
        float(summary.revenue),
        summary.unconverted,
        summary.first_at.isoformat(),
        summary.last_at.isoformat(),
    )
    values = dict(zip(COMPUTED_TRAITS, counted, strict=True))
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
