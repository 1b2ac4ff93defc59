"""Survivorship of traits: the most recent statement wins, by the time it was made, then by the time it was received.

`trait_meta` maps a name to `[source_id, occurred, received]` (epoch microseconds). An unset trait (null) stays in it.
"""

import unicodedata
from datetime import UTC, datetime
from typing import Any

Traits = dict[str, Any]
Meta = dict[str, list[int]]

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


def merge_traits(sides: list[tuple[Traits, Meta]]) -> tuple[Traits, Meta]:
    """Return the traits of a merged profile: for each name the most recent statement of any side."""
    traits: Traits = {}
    meta: Meta = {}
    for side_traits, side_meta in sides:
        for name, stamp in side_meta.items():
            known = meta.get(name)
            if known is not None and (known[1], known[2], known[0]) >= (stamp[1], stamp[2], stamp[0]):
                continue
            meta[name] = stamp
            if name in side_traits:
                traits[name] = side_traits[name]
            else:
                traits.pop(name, None)
    return traits, meta
