"""Segments to measure with: telling ones in turn, each a little different."""

from typing import Any

from tests.benchmarks.shop import CATEGORIES, COUNTRIES


def definitions(count: int) -> list[dict[str, Any]]:
    """Return `count` definitions over traits, counts, sums, absences and mixtures of them."""
    return [{"version": 1, "timezone": "UTC", "match": _match(place)} for place in range(count)]


def _match(place: int) -> dict[str, Any]:
    country, category = COUNTRIES[place % len(COUNTRIES)], CATEGORIES[place % len(CATEGORIES)]
    days = f"P{7 + place % 60}D"
    ordered = {"type": "event", "name": "Order Completed", "window": {"last": days}}
    seen = {"type": "event", "name": "Product Viewed", "window": {"last": days}}
    kinds: tuple[dict[str, Any], ...] = (
        {"type": "trait", "path": "country", "op": "eq", "value": country},
        {**ordered, "measure": {"fn": "count"}, "op": "gte", "value": 2 + place % 3},
        {**ordered, "measure": {"fn": "sum", "property": "revenue"}, "op": "gt", "value": 50 + place},
        {
            "type": "all",
            "of": [
                {**seen, "where": {"property": "category", "op": "eq", "value": category}},
                {"type": "not", "of": ordered},
            ],
        },
        {
            "type": "any",
            "of": [
                {"type": "trait", "path": "plan", "op": "in", "value": ["pro", "business"]},
                {**seen, "measure": {"fn": "count"}, "op": "gte", "value": 5},
            ],
        },
    )
    return kinds[place % len(kinds)]
