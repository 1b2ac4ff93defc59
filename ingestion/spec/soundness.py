"""What no database row could hold, or no message may: depth, keys, numbers, surrogates, NUL.

The common case is decided on the compact JSON bytes with a handful of C-speed searches; only what looks odd there is
walked value by value.
"""

import math
from typing import Any

import orjson

from ingestion.spec.limits import (
    MAX_DEPTH,
    MAX_INTEGER,
    MAX_KEY_CHARACTERS,
    MAX_KEYS_PER_OBJECT,
    MIN_INTEGER,
)
from ingestion.spec.message import Faulty

REPLACEMENT = "\ufffd"

FAULT_MESSAGES = {
    "too_deep": f"The message is nested deeper than {MAX_DEPTH} levels.",
    "key_too_long": f"A key of the message is longer than {MAX_KEY_CHARACTERS} characters.",
    "too_many_keys": f"An object of the message has more than {MAX_KEYS_PER_OBJECT} keys.",
    "not_finite": "A number of the message is NaN, infinite, or too large for a double.",
    "integer_out_of_range": "A whole number of the message is outside -2^63 to 2^64-1.",
    "lone_surrogate": "A text of the message holds half of a surrogate pair.",
    "not_json": "A value of the message is none that JSON knows.",
}

# Every byte but the quote becomes "x": a run of 256 of them is the only way to hide a key of 256 characters.
_UNQUOTED = bytes(0x22 if byte == 0x22 else 0x78 for byte in range(256))
_LONG_RUN = b"x" * (MAX_KEY_CHARACTERS + 1)


def check_item(item: dict[str, Any], *, max_event_bytes: int, warnings: list[str]) -> dict[str, Any]:
    """Check an item's size and shape, and replace NUL.

    Parameters
    ----------
    item : dict
        As parsed from JSON: NaN is not looked for.
    max_event_bytes : int
        Limit of the item's compact UTF-8 JSON.
    warnings : list of str
        Extended by ``nul_replaced``.

    Returns
    -------
    dict
        The item, or a copy in which NUL is U+FFFD.

    Raises
    ------
    Faulty
        With the code of the fault.
    """
    try:
        compact = orjson.dumps(item)
    except TypeError:
        inspect(item, 1)
        raise faulty("not_json") from None
    if len(compact) > max_event_bytes:
        raise Faulty(
            "too_large",
            f"The message has {len(compact)} bytes as compact JSON; the limit of this source is {max_event_bytes}.",
        )
    # A backslash may hide a quote or a NUL.
    if (
        b"\\" in compact
        or compact.count(b"{") + compact.count(b"[") > MAX_DEPTH
        or _LONG_RUN in compact.translate(_UNQUOTED)
        or compact.count(b":") > MAX_KEYS_PER_OBJECT
    ):
        inspect(item, 1)
        if b"\\u0000" in compact:
            cleaned: dict[str, Any] = storable(item)
            if cleaned != item:
                warnings.append("nul_replaced")
            return cleaned
    return item


def inspect(value: Any, depth: int) -> None:  # noqa: PLR0912 - one branch per kind of value
    """Walk a value and raise its first fault.

    Parameters
    ----------
    value : object
        Any parsed value.
    depth : int
        Level of `value`: 1 for the message itself.

    Raises
    ------
    Faulty
        With the code of the fault.
    """
    kind = value.__class__
    if kind is dict:
        if depth > MAX_DEPTH:
            raise faulty("too_deep")
        if len(value) > MAX_KEYS_PER_OBJECT:
            raise faulty("too_many_keys")
        for key, member in value.items():
            if key.__class__ is not str:
                raise faulty("not_json")
            if len(key) > MAX_KEY_CHARACTERS:
                raise faulty("key_too_long")
            if not key.isascii():
                _inspect_text(key)
            if member.__class__ is not str or not member.isascii():
                inspect(member, depth + 1)
    elif kind is list:
        if depth > MAX_DEPTH:
            raise faulty("too_deep")
        for member in value:
            inspect(member, depth + 1)
    elif kind is str:
        _inspect_text(value)
    elif kind is float:
        if not math.isfinite(value):
            raise faulty("not_finite")
    elif kind is int:
        if not MIN_INTEGER <= value <= MAX_INTEGER:
            raise faulty("integer_out_of_range")
    elif value is not None and kind is not bool:
        raise faulty("not_json")


def _inspect_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise faulty("lone_surrogate") from None


def faulty(code: str) -> Faulty:
    """Return the fault with its standing message."""
    return Faulty(code, FAULT_MESSAGES[code])


def storable(value: Any, depth: int = 1) -> Any:
    """Return a copy that PostgreSQL can hold, whatever the value was; for what is kept of refused items.

    Parameters
    ----------
    value : object
        Any value.
    depth : int
        Level of `value`; what lies deeper than twice the limit becomes the text ``…``.

    Returns
    -------
    object
        NUL and surrogates as U+FFFD, numbers that no column holds as text.
    """
    kind = value.__class__
    if kind is str:
        return storable_text(value)
    if kind is dict or kind is list:
        if depth > 2 * MAX_DEPTH:
            return "…"
        if kind is dict:
            return {storable_text(str(key)): storable(member, depth + 1) for key, member in value.items()}
        return [storable(member, depth + 1) for member in value]
    if kind is float:
        return value if math.isfinite(value) else str(value)
    if kind is int:
        return value if MIN_INTEGER <= value <= MAX_INTEGER else hex(value)
    return value if value is None or kind is bool else storable_text(str(value))


def pack(value: Any) -> bytes:
    """Return compact JSON of a parsed value, of what can be stored of it where orjson refuses (say, 254 levels).

    Parameters
    ----------
    value : object
        As parsed.
    """
    try:
        return orjson.dumps(value)
    except TypeError:
        return orjson.dumps(storable(value))


def storable_text(text: str) -> str:
    """Return the text with NUL and lone surrogates as U+FFFD."""
    if "\0" in text:
        text = text.replace("\0", REPLACEMENT)
    if not text.isascii():
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
