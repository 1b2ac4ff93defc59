"""Definitions to start from: audiences that most shops want, in terms of Segment's ecommerce events."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from segments.errors import InvalidDefinition
from segments.language.parse import parse


@dataclass(frozen=True, slots=True)
class Template:
    """A definition with its name, what it is good for, and the tags that it begins with."""

    key: str
    name: str
    purpose: str
    match: Mapping[str, Any]
    tags: tuple[str, ...] = ()

    @property
    def definition(self) -> dict[str, Any]:
        """The definition as JSON."""
        return {"version": 1, "timezone": "installation", "match": self.match}


def _event(name: str, **more: Any) -> dict[str, Any]:
    return {"type": "event", "name": name, **more}


def _last(duration: str) -> dict[str, Any]:
    return {"window": {"last": duration}}


TEMPLATES: tuple[Template, ...] = (
    Template(
        "cart-abandoners",
        "Cart abandoners",
        "Put something into the cart in the last 7 days, and did not order within a day.",
        {
            "type": "sequence",
            **_last("P7D"),
            "steps": [{"name": "Product Added"}, {"name": "Order Completed", "occurs": False, "within": "PT24H"}],
        },
        ("cart", "win back"),
    ),
    Template(
        "lapsed",
        "Lapsed customers",
        "Ordered at least twice in a year, but not in the last 90 days.",
        {
            "type": "all",
            "of": [
                _event("$order", **_last("P365D"), measure={"fn": "count"}, op="gte", value=2),
                {"type": "not", "of": _event("$order", **_last("P90D"), measure={"fn": "count"}, op="gte", value=1)},
            ],
        },
        ("win back",),
    ),
    Template(
        "vip",
        "VIP by RFM",
        "Ordered lately, often and for much: the upper two fifths in each.",
        {"type": "rfm", "r": [4, 5], "f": [4, 5], "m": [4, 5]},
        ("loyalty",),
    ),
    Template(
        "new-this-week",
        "New this week",
        "Ordered for the first time in the last 7 days.",
        {"type": "lifecycle", "name": "Order Completed", "state": "new", "period": "P7D"},
        ("welcome",),
    ),
    Template(
        "at-risk",
        "At risk",
        "Ordered in at least 3 of the last 6 months, but not in the last one.",
        {
            "type": "all",
            "of": [
                {
                    "type": "lifecycle",
                    "name": "Order Completed",
                    "state": "regular",
                    "period": "P30D",
                    "at_least": 3,
                    "of_last": 6,
                },
                {
                    "type": "not",
                    "of": _event("Order Completed", **_last("P30D"), measure={"fn": "count"}, op="gte", value=1),
                },
            ],
        },
        ("win back",),
    ),
    Template(
        "birthday-soon",
        "Birthday soon",
        "Has a birthday within the next 7 days, by the trait “birthday”.",
        {"type": "trait", "path": "birthday", "cast": "date", "op": "anniversary", "value": "P7D"},
        ("greeting",),
    ),
)


@cache
def list_templates() -> tuple[Template, ...]:
    """Return the templates in the order in which they are offered; of conditions that can be evaluated only."""
    return tuple(one for one in TEMPLATES if _is_readable(one))


def find_template(*, key: str) -> Template | None:
    """Return a template, or None."""
    return next((one for one in list_templates() if one.key == key), None)


def _is_readable(template: Template) -> bool:
    try:
        parse(template.definition)
    except InvalidDefinition:
        return False
    return True
