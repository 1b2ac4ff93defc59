"""Keeping traits current: the most recent statement wins, by the time it was made, then by the time it was received.

Traits with a rule of their own follow `profiles.survivorship`. `trait_meta` maps a name to `[source_id, occurred,
received]` (epoch microseconds), and what else a rule needs. An unset trait (null) stays in it.
"""

import unicodedata
from datetime import UTC, datetime
from typing import Any

from profiles.survivorship.folding import UNDECIDED, Meta, State, Traits, apply, join, put
from profiles.survivorship.rules import DEFAULT, NO_RULES, Rules

__all__ = ["Meta", "Traits", "apply_ruled", "apply_traits", "from_micros", "merge_traits", "micros", "normal_form"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def micros(moment: datetime) -> int:
    """Return a moment as microseconds since 1970."""
    delta = moment - EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def from_micros(value: int) -> datetime:
    """Return the moment that `micros` made a number of."""
    return datetime.fromtimestamp(value / 1_000_000, UTC)


def normal_form(value: Any) -> Any:
    """Return a JSON value with all text in NFC, so that SQL, the reference evaluation and any PostgreSQL agree."""
    if isinstance(value, str):
        return value if value.isascii() else unicodedata.normalize("NFC", value)
    if isinstance(value, dict):
        return {normal_form(key): normal_form(item) for key, item in value.items()}
    if isinstance(value, list):
        return [normal_form(item) for item in value]
    return value


def apply_traits(traits: Traits, meta: Meta, stated: Traits, stamp: list[int]) -> list[str]:
    """Let one message's traits change a profile's, in place.

    Parameters
    ----------
    stamp : list of int
        Source id, when it was said, when it was received.

    Returns
    -------
    list of str
        The names whose value changed.
    """
    changed = []
    for name, value in stated.items():
        known = meta.get(name)
        if known is not None and (known[1], known[2]) > (stamp[1], stamp[2]):
            continue
        meta[name] = stamp
        if value is None:
            if traits.pop(name, None) is not None:
                changed.append(name)
        elif name not in traits or traits[name] != value or type(traits[name]) is not type(value):
            traits[name] = value
            changed.append(name)
    return changed


def apply_ruled(
    rules: Rules, traits: Traits, meta: Meta, stated: Traits, stamp: list[int], undecided: set[str]
) -> list[str]:
    """Do the same under rules; what only all statements can tell is left as it is and added to `undecided`."""
    changed = []
    ranks, by_trait = rules.ranks, rules.by_trait
    for name in stated:
        rule = by_trait.get(name)
        if rule is None and not ranks:
            # As in `apply_traits`: a call for each trait would cost more than the trait.
            known, value = meta.get(name), stated[name]
            if known is not None and (known[1], known[2]) > (stamp[1], stamp[2]):
                continue
            if put(traits, meta, name, (value, stamp)):
                changed.append(name)
            continue
        if name in undecided:
            continue
        rule = rule or DEFAULT
        result = apply(rule, ranks, traits, meta, stated, name, stamp)
        if result is None:
            undecided.add(name)
        elif result:
            changed.append(name)
    return changed


def merge_traits(sides: list[tuple[Traits, Meta]], rules: Rules = NO_RULES) -> tuple[Traits, Meta, set[str]]:
    """Return the traits of a merged profile, and the names of those that only all statements can tell."""
    traits: Traits = {}
    meta: Meta = {}
    undecided: set[str] = set()
    for side_traits, side_meta in sides:
        for name, stamp in side_meta.items():
            rule = rules.by_trait.get(name, DEFAULT)
            held: State = (traits.get(name), meta.get(name))
            found = join(rule, rules.ranks, held, (side_traits.get(name), stamp))
            if found is UNDECIDED:
                undecided.add(name)
            else:
                put(traits, meta, name, found)  # type: ignore[arg-type]  # what is not undecided is a state
    return traits, meta, undecided
