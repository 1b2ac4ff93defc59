"""Rules for single fields: bounds, allowed values, and references to what another source has named."""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

Known = Callable[["Reference", str], bool]
"""Tells whether a value was seen where a reference points."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Where the values of a field come from: a field of another source's (or the same one's) events."""

    source_id: int
    type: str
    event: str
    field: str


@dataclass(frozen=True, slots=True)
class FieldRule:
    """What is asked of one field of one event.

    Attributes
    ----------
    type, event, field : str
        `event` is the name of a track, ``""`` for the other types; `field` a top-level member.
    is_required : bool
        It belongs to every such message: it counts for completeness however seldom it comes.
    minimum, maximum : float or None
        Bounds of numbers, both included. A text that is a number is held against them as well.
    allowed : frozenset of str
        The texts (or numbers, as text) that may come; empty: any.
    reference : Reference or None
        Its values must have been seen there.
    """

    type: str
    event: str
    field: str
    is_required: bool = False
    minimum: float | None = None
    maximum: float | None = None
    allowed: frozenset[str] = frozenset()
    reference: Reference | None = None

    @property
    def has_range(self) -> bool:
        """Tell whether values are held against bounds or a list."""
        return self.minimum is not None or self.maximum is not None or bool(self.allowed)


def as_text(value: Any) -> str | None:
    """Return a text or number as text, as rules compare it; None for what is neither."""
    if value.__class__ is str:
        return str(value).strip()
    if value.__class__ is int:
        return str(value)
    if value.__class__ is float:
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    return None


def keeps_range(rule: FieldRule, value: Any) -> bool:
    """Tell whether a value that is there lies within the bounds and among the allowed ones."""
    text = as_text(value)
    if text is None:
        # A list is judged by its members; true, false and objects are no values that a range speaks of.
        return bool(value) and value.__class__ is list and all(keeps_range(rule, one) for one in value)
    if rule.allowed and text not in rule.allowed:
        return False
    if rule.minimum is None and rule.maximum is None:
        return True
    try:
        number = float(text)
    except ValueError:
        return False
    if not math.isfinite(number):
        return False
    return (rule.minimum is None or number >= rule.minimum) and (rule.maximum is None or number <= rule.maximum)


def references_of(value: Any) -> Collection[str]:
    """Return the texts that a value refers to: itself, or the members of a list."""
    if value.__class__ is list:
        return [text for one in value if (text := as_text(one))]
    text = as_text(value)
    return [text] if text else []


def keeps_reference(reference: Reference, value: Any, known: Known) -> bool:
    """Tell whether everything that a value refers to is known."""
    return all(known(reference, text) for text in references_of(value))
