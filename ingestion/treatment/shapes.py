"""What values look like without what they say: letters become a, capitals A, digits 9."""

from functools import lru_cache
from typing import Any

MAX_SHAPE = 40
# What a name of the code looks like; other names may be values that somebody used as a key.
MAX_NAME = 100
MAX_DIGITS = 6


def shape_of(value: Any) -> Any:
    """Return a JSON value whose texts and numbers show their form only.

    Parameters
    ----------
    value : object
        Any JSON value. Names of members stay, as far as they are names; true, false and null stay.
    """
    if isinstance(value, dict):
        return {safe_name(name): shape_of(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape_of(inner) for inner in value]
    if isinstance(value, str):
        return _shape(value)
    if isinstance(value, bool) or value is None:
        return value
    return _shape(str(value))


def _shape(text: str) -> str:
    shape = "".join(map(_form, text[:MAX_SHAPE]))
    return shape + "…" if len(text) > MAX_SHAPE else shape


def _form(char: str) -> str:
    if char.isdecimal():
        return "9"
    if char.isalpha():
        return "A" if char.isupper() else "a"
    return char if char.isascii() and char.isprintable() else "?"


@lru_cache(maxsize=20_000)
def safe_name(name: str) -> str:
    """Return a name of an event or property as it may be kept in counts; ``*`` for what looks like a value."""
    if not name or len(name) > MAX_NAME or "@" in name or not name.isprintable():
        return "*"
    return "*" if sum(map(str.isdecimal, name)) >= MAX_DIGITS else name
