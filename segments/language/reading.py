"""Reading JSON strictly: every fault names its path, what was found and what is allowed."""

import json
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any, TypeVar

from cdp.core.errors import FieldError
from segments.language.durations import MAX_WINDOW_DAYS, Duration, parse_duration
from segments.language.fold import normal

MAX_TEXT = 2_000
T = TypeVar("T")


class Fault(Exception):
    """One or more faults found while reading."""

    def __init__(self, errors: list[FieldError]) -> None:
        super().__init__(errors[0].message)
        self.errors = errors


def fault(path: str, code: str, message: str) -> Fault:
    """Make a fault of one error."""
    return Fault([FieldError(path, code, message)])


def shown(value: Any) -> str:
    """Show a value in a message, cut to a readable length."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "…"


def join(path: str, key: str) -> str:
    """Extend a path by a key."""
    return f"{path}.{key}" if path else key


def either(words: Iterable[str]) -> str:
    """List allowed words."""
    return ", ".join(words)


def read_object(value: Any, path: str, *, required: Sequence[str] = (), optional: Sequence[str] = ()) -> dict[str, Any]:
    """Read an object that has all required keys and no unknown ones."""
    if not isinstance(value, dict):
        raise fault(path, "wrong_type", f"must be an object, not {shown(value)}")
    allowed = [*required, *optional]
    errors = [
        FieldError(join(path, str(key)), "unknown_key", f"unknown key {shown(key)}; allowed: {either(allowed)}")
        for key in value
        if key not in allowed
    ]
    errors += [FieldError(join(path, key), "missing_key", f"{key} is missing") for key in required if key not in value]
    if errors:
        raise Fault(errors)
    return value


def read_text(value: Any, path: str, *, empty: bool = False) -> str:
    """Read a string that every engine can hold, in normal form C."""
    if not isinstance(value, str):
        raise fault(path, "wrong_type", f"must be a string, not {shown(value)}")
    if not value and not empty:
        raise fault(path, "invalid_value", "must not be empty")
    if len(value) > MAX_TEXT:
        raise fault(path, "limit", f"must have at most {MAX_TEXT} characters")
    if "\0" in value or any(0xD800 <= ord(char) < 0xE000 for char in value):
        raise fault(path, "invalid_value", "must not hold NUL or half of a surrogate pair")
    return normal(value)


def read_choice(value: Any, path: str, allowed: Sequence[str]) -> str:
    """Read one of the allowed words."""
    if not isinstance(value, str) or value not in allowed:
        raise fault(path, "not_allowed", f"{shown(value)} is not allowed here; allowed: {either(allowed)}")
    return value


def read_number(value: Any, path: str) -> Decimal:
    """Read a JSON number of sensible size."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise fault(path, "wrong_type", f"must be a number, not {shown(value)}")
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not number.is_finite() or (number and not -60 <= number.adjusted() <= 60):
        raise fault(path, "invalid_value", "must be a number between 1e-60 and 1e60")
    return number


def read_whole(value: Any, path: str, *, least: int = 0, most: int = 1_000_000_000) -> int:
    """Read a whole number; a string of digits will do (rule 15)."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 10:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise fault(path, "wrong_type", f"must be a whole number, not {shown(value)}")
    if not least <= value <= most:
        raise fault(path, "invalid_value", f"must be from {least} to {most}, not {value}")
    return value


def read_duration(value: Any, path: str, *, limit: float | None = None) -> Duration:
    """Read an ISO 8601 duration, at most `limit` days long."""
    duration = parse_duration(value) if isinstance(value, str) else None
    if duration is None:
        raise fault(path, "invalid_duration", f"{shown(value)} is not an ISO 8601 duration such as P30D or PT24H")
    if limit is not None and duration.approximate_days > limit:
        raise fault(path, "limit", f"must be at most {limit:g} days, not {duration.words()}")
    return duration


def read_window_duration(value: Any, path: str) -> Duration:
    """Read a duration within the limit of windows (rule 14)."""
    return read_duration(value, path, limit=MAX_WINDOW_DAYS)


def read_list(value: Any, path: str, read: Callable[[Any, str], T], *, most: int) -> tuple[T, ...]:
    """Read a non-empty array; faults of all its items are reported together."""
    if not isinstance(value, list):
        raise fault(path, "wrong_type", f"must be an array, not {shown(value)}")
    if not value:
        raise fault(path, "invalid_value", "must have at least one item")
    if len(value) > most:
        raise fault(path, "limit", f"must have at most {most} items, not {len(value)}")
    items: list[T] = []
    errors: list[FieldError] = []
    for index, item in enumerate(value):
        try:
            items.append(read(item, f"{path}[{index}]"))
        except Fault as found:
            errors += found.errors
    if errors:
        raise Fault(errors)
    return tuple(items)


def read_path(value: Any, path: str) -> tuple[str, ...]:
    """Read a dotted path to a value."""
    parts = tuple(read_text(value, path).split("."))
    if not all(parts) or len(parts) > 10:
        raise fault(path, "invalid_value", "must be names joined by dots, at most 10, none of them empty")
    return parts
