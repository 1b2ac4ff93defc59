"""Comparison of a value with an operator: shared by traits and by properties of events (rules 2, 3, 15, 18).

A condition is true or false, never unknown. Each negative operator is the complement of its positive twin, so it is
true for a missing value. Where a path crosses an array, a positive operator asks for any element.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from cdp.core.patterns import Part
from segments.language.durations import Duration
from segments.language.reading import (
    read_duration,
    shown,
)

CASTS = ("string", "number", "boolean", "datetime", "date", "list")
NEGATIVE = {
    "ne": "eq",
    "not_in": "in",
    "not_contains": "contains",
    "none_of": "any_of",
    "missing": "exists",
    "empty": "filled",
}
OPERATORS = (
    *("eq", "ne", "in", "not_in", "gt", "gte", "lt", "lte", "between"),
    *("contains", "not_contains", "starts_with", "ends_with", "matches", "exists", "missing", "empty"),
    *("before", "after", "in_last", "in_next", "anniversary", "any_of", "all_of", "none_of"),
)
PRESENCE = ("exists", "missing", "empty")
RELATIVE = ("in_last", "in_next")
ORDERED = ("gt", "gte", "lt", "lte", "between")
TIMES = ("before", "after", *RELATIVE, "anniversary")
LISTS = ("in", "not_in", "any_of", "all_of", "none_of")
ON_ELEMENTS = ("any_of", "all_of", "none_of")
TEXTS = ("starts_with", "ends_with", "matches")
MAX_ITEMS = 10_000

WORDS = {
    "eq": "is",
    "ne": "is not",
    "in": "is one of",
    "not_in": "is none of",
    "gt": "is more than",
    "gte": "is at least",
    "lt": "is less than",
    "lte": "is at most",
    "between": "is between",
    "contains": "contains",
    "not_contains": "does not contain",
    "starts_with": "starts with",
    "ends_with": "ends with",
    "matches": "matches the pattern",
    "exists": "is known",
    "missing": "is not known",
    "empty": "is empty or not known",
    "before": "is before",
    "after": "is after",
    "in_last": "lies in the last",
    "in_next": "lies in the next",
    "anniversary": "has its anniversary",
    "any_of": "includes any of",
    "all_of": "includes all of",
    "none_of": "includes none of",
}


@dataclass(frozen=True, slots=True)
class Ago:
    """The instant that lies a duration before `now`."""

    duration: Duration


@dataclass(frozen=True, slots=True)
class Ref:
    """A value that is looked up: a trait of the person, or a property of an earlier step."""

    kind: str
    step: int
    path: tuple[str, ...]

    @property
    def text(self) -> str:
        """The reference as it was written."""
        return f"{'trait' if self.kind == 'trait' else f'step:{self.step}'}{':' if self.kind == 'trait' else '.'}" + (
            ".".join(self.path)
        )


Scalar = str | Decimal | bool | datetime | date
Operand = Any


@dataclass(frozen=True, slots=True)
class Condition:
    """An operator with its value.

    Attributes
    ----------
    operator : str
        The operator as written; `positive` is its positive twin.
    cast : str
        How values are read: one of `CASTS`, or `json` for presence.
    operands : tuple
        Scalars of the cast's Python type, ISO texts for times (their zone may be the profile's), `Ago`, or
        canonical JSON for lists.
    reference : Ref or None
        Where the operands come from, if they are looked up.
    duration : Duration or None
        Of in_last, in_next and anniversary.
    pattern : Part or None
        Of matches.
    raw : Any
        The value as written, for the sentence.
    """

    operator: str
    cast: str
    operands: tuple[Operand, ...] = ()
    reference: Ref | None = None
    duration: Duration | None = None
    pattern: Part | None = None
    raw: Any = None

    @property
    def positive(self) -> str:
        """The operator without its negation."""
        return NEGATIVE.get(self.operator, self.operator)

    @property
    def negative(self) -> bool:
        """Whether the condition is the complement of its positive twin."""
        return self.operator in NEGATIVE

    @property
    def agos(self) -> tuple[Duration, ...]:
        """Durations of the operands that move along with `now`."""
        return tuple(operand.duration for operand in self.operands if isinstance(operand, Ago))

    def words(self) -> str:
        """Return the condition in English, without its subject."""
        verb = WORDS[self.operator]
        if self.operator in PRESENCE:
            return verb
        if self.operator == "anniversary":
            return f"{verb} within {self.duration.words()}" if self.duration else f"{verb} today"
        if self.duration:
            return f"{verb} {self.duration.words()}"
        if self.reference:
            return f"{verb} the value of {self.reference.text}"
        shown_items = [item_words(item) for item in (self.raw if isinstance(self.raw, list) else [self.raw])]
        if self.operator == "between":
            return f"{verb} {shown_items[0]} and {shown_items[1]}"
        if len(shown_items) > 6:
            shown_items = [*shown_items[:5], f"{len(shown_items) - 5} more"]
        return f"{verb} {', '.join(shown_items)}"


def item_words(item: Any) -> str:
    """Show one operand in a sentence."""
    if isinstance(item, dict):
        return parse_words(item)
    if isinstance(item, str):
        return f"“{item}”"
    return shown(item)


def parse_words(item: Mapping[str, Any]) -> str:
    """Show `{"ago": …}` in a sentence."""
    return f"{read_duration(item.get('ago'), '').words()} ago"
