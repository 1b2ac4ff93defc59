"""Reading exchange rates, and what waits for one."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Min, QuerySet

from profiles.models import ExchangeRate, Order


@dataclass(frozen=True, slots=True)
class Unconverted:
    """Orders of a currency whose amount has no rate on or before their day; `currency` is "" for what is none."""

    currency: str
    orders: int
    first_at: datetime


def list_rates(*, currency: str = "") -> QuerySet[ExchangeRate]:
    """Return the rates, of one currency if asked; the caller orders them."""
    rows = ExchangeRate.objects.all()
    return rows.filter(currency=currency.upper()) if currency else rows


def find_unconverted() -> list[Unconverted]:
    """Return the currencies in which orders wait for a rate, those with most orders first."""
    rows = (
        Order.objects.filter(revenue__isnull=False, converted__isnull=True)
        .values("currency")
        .annotate(orders=Count("id"), first_at=Min("occurred_at"))
        .order_by("-orders", "currency")
    )
    return [Unconverted(**row) for row in rows]


def present_rate(rate: ExchangeRate) -> dict[str, Any]:
    """Return a rate as JSON."""
    return {
        "id": str(rate.pk),
        "currency": rate.currency,
        "date": rate.valid_on.isoformat(),
        "rate": format(rate.rate.normalize(), "f"),
        "created_at": rate.created_at,
    }
