"""What the demo needs before and beside its messages: purposes, a notice, and segments worth looking at."""

from typing import Any

from ingestion.demo.send import Rest

PURPOSES: tuple[dict[str, Any], ...] = (
    {
        "key": "marketing",
        "name": "News and offers",
        "legal_basis": "consent",
        "channels": ["email", "sms", "push"],
        "consent_categories": ["marketing"],
    },
    {
        "key": "analytics",
        "name": "Measuring how the shop is used",
        "legal_basis": "consent",
        "channels": [],
        "consent_categories": ["analytics"],
    },
    {
        "key": "personalization",
        "name": "Offers picked for the person",
        "legal_basis": "consent",
        "channels": [],
        "consent_categories": ["personalization"],
    },
)
NOTICE = {
    "key": "demo-shop",
    "language": "en",
    "text": (
        "This text belongs to the demo data. The demo shop asks for three things, each by itself and each of them free "
        "to refuse: to send you news and offers; to measure how the shop is used; to pick offers for you from what you "
        "bought. You may withdraw at any time, as easily as you agreed."
    ),
}


def _ordered(window: str | None = None, **more: Any) -> dict[str, Any]:
    node = {"type": "event", "name": "Order Completed", **more}
    return node | {"window": {"last": window}} if window else node


def _definition(*nodes: dict[str, Any]) -> dict[str, Any]:
    match = nodes[0] if len(nodes) == 1 else {"type": "all", "of": list(nodes)}
    return {"version": 1, "timezone": "installation", "match": match}


_EMAIL_GRANTED = {"type": "consent", "purpose": "marketing", "channel": "email", "status": ["granted"]}
SEGMENTS: tuple[dict[str, Any], ...] = (
    {
        "key": "regulars-to-write-to",
        "name": "Regulars we may write to",
        "purpose": "marketing",
        "channel": "email",
        "definition": _definition(
            _ordered("P90D", measure={"fn": "count"}, op="gte", value=3),
            _ordered("P90D", measure={"fn": "sum", "property": "revenue"}, op="gt", value=500),
            {"type": "not", "of": {"type": "event", "name": "Order Refunded", "window": {"last": "P30D"}}},
            _EMAIL_GRANTED,
        ),
    },
    {
        "key": "loyal-families",
        "name": "Loyal families",
        "definition": _definition(
            {"type": "trait", "path": "household_comp", "op": "in", "value": ["1 Adult Kids", "2 Adults Kids"]},
            _ordered("P90D", measure={"fn": "count"}, op="gte", value=12),
        ),
    },
    {
        "key": "lapsed-60-days",
        "name": "Lapsed for 60 days",
        "definition": _definition(
            _ordered(measure={"fn": "count"}, op="gte", value=3), {"type": "not", "of": _ordered("P60D")}
        ),
    },
    {
        "key": "big-baskets-email",
        "name": "Big baskets, e-mail allowed",
        "purpose": "marketing",
        "channel": "email",
        "definition": _definition(
            _ordered(
                "P90D",
                where={"property": "revenue", "op": "gte", "value": 100},
                measure={"fn": "count"},
                op="gte",
                value=2,
            ),
            _EMAIL_GRANTED,
        ),
    },
    {
        "key": "cart-abandoners",
        "name": "Left a cart in the last two weeks",
        "definition": _definition(
            {
                "type": "sequence",
                "window": {"last": "P14D"},
                "steps": [
                    {"name": "Product Added", "occurs": True},
                    {"name": "Order Completed", "occurs": False, "within": "PT48H"},
                ],
            }
        ),
    },
    {
        "key": "coupon-users",
        "name": "Coupon users",
        "definition": _definition(
            {
                "type": "event",
                "name": "Coupon Applied",
                "window": {"last": "P365D"},
                "measure": {"fn": "count"},
                "op": "gte",
                "value": 5,
            }
        ),
    },
)


def prepare_purposes(rest: Rest) -> None:
    """Make the purposes and the notice that are missing; what is there stays as it is."""
    present = _keys(rest, "/api/v1/purposes")
    for purpose in PURPOSES:
        if purpose["key"] not in present:
            rest.post("/api/v1/purposes", purpose)
    if NOTICE["key"] not in _keys(rest, "/api/v1/notices"):
        rest.post("/api/v1/notices", NOTICE)


def prepare_segments(rest: Rest) -> None:
    """Make the segments that are missing, live; what is there stays as it is."""
    present = _keys(rest, "/api/v1/segments")
    for segment in SEGMENTS:
        if segment["key"] not in present:
            rest.post("/api/v1/segments", {**segment, "status": "live"})


def _keys(rest: Rest, path: str) -> set[str]:
    return {row["key"] for row in rest.get(f"{path}?limit=1000")["results"]}
