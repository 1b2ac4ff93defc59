"""What a JSON value means to the language: paths, casts and their text. SQL twins: `functions.py`.

Rules 2, 3, 15 and 18 of the contract. A value that cannot be cast counts as missing (`None`).
"""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from segments.language.fold import normal
from segments.language.zones import midnight_of, to_utc

# A number in text is read only where it looks like JSON and is short: longer ones would overflow in one engine only.
NUMBER_PATTERN = r"^-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?$"

# ISO 8601, years 1000 to 8999, every day checked against its month and leap year, so that no engine raises on it.
DATE_PATTERN = (
    r"([1-8][0-9]{3}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)"
    r"|02-(0[1-9]|1[0-9]|2[0-8]))"
    r"|([1-8][0-9](0[48]|[2468][048]|[13579][26])|([2468][048]|[1357][26])00)-02-29)"
)
TIME_PATTERN = r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,9})?)?"
ZONE_PATTERN = r"(Z|[+-](0[0-9]|1[0-4])(:?[0-5][0-9])?)"
INSTANT_PATTERN = f"^{DATE_PATTERN}([T ]{TIME_PATTERN}{ZONE_PATTERN}?)?$"

_NUMBER = re.compile(NUMBER_PATTERN)
_INSTANT = re.compile(INSTANT_PATTERN)
_FRACTION = re.compile(r"([.][0-9]{6})[0-9]+")


def candidates(value: Any, path: tuple[str, ...]) -> Iterator[Any]:
    """Yield what lies at the path; a step into an array goes into each of its elements (one level, as in SQL).

    JSON null is never yielded: it counts as missing.
    """
    found = [value]
    for key in path:
        stepped = []
        for item in found:
            inner = item if isinstance(item, list) else [item]
            stepped += [element[key] for element in inner if isinstance(element, dict) and key in element]
        found = stepped
    return (item for item in found if item is not None)


def elements(value: Any) -> list[Any]:
    """Return the elements of an array, or the single value as one element."""
    return value if isinstance(value, list) else [value]


def number_of(value: Any) -> Decimal | None:
    """Cast to a number: JSON numbers and strings that look like one."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return Decimal(value)
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, Decimal):
        return value
    if isinstance(value, str) and _NUMBER.match(value) and not value.endswith("\n"):
        return Decimal(value)
    return None


def number_text(number: Decimal) -> str:
    """Return the shortest plain decimal text of a number."""
    if number == 0:
        return "0"
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def text_of(value: Any) -> str | None:
    """Cast to text: strings in normal form C; numbers and booleans by their JSON text."""
    if isinstance(value, str):
        return normal(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    number = number_of(value)
    return None if number is None else number_text(number)


def boolean_of(value: Any) -> bool | None:
    """Cast to a boolean: true, false and the strings "true" and "false"."""
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value) if isinstance(value, str) else None


def parse_instant(text: str, zone: ZoneInfo) -> datetime | None:
    """Read an ISO 8601 text; without its own zone it is local time in `zone`. Fractions end at the microsecond.

    Returns
    -------
    datetime or None
        An aware instant in UTC, or None if the text is not one.
    """
    if not _INSTANT.match(text) or text.endswith("\n"):
        return None
    moment = datetime.fromisoformat(_FRACTION.sub(r"\1", text))
    if moment.tzinfo is None:
        return to_utc(moment, zone)
    return (moment - (moment.utcoffset() or timedelta())).replace(tzinfo=UTC)


def instant_of(value: Any, zone: ZoneInfo) -> datetime | None:
    """Cast to an instant in UTC."""
    return parse_instant(value, zone) if isinstance(value, str) else None


def date_of(value: Any, zone: ZoneInfo) -> date | None:
    """Cast to a calendar date in the zone."""
    instant = instant_of(value, zone)
    return None if instant is None else instant.astimezone(zone).date()


def start_of_date(day: date, zone: ZoneInfo) -> datetime:
    """Return the instant at which the date begins in the zone."""
    return midnight_of(day, zone)


def canonical(value: Any) -> Any:
    """Return a form in which equal JSON values are equal: numbers by value, strings in normal form C."""
    if isinstance(value, str):
        return ("s", normal(value))
    if isinstance(value, bool) or value is None:
        return ("c", value)
    if isinstance(value, list):
        return ("a", tuple(canonical(item) for item in value))
    if isinstance(value, dict):
        return ("o", tuple(sorted((normal(key), canonical(item)) for key, item in value.items())))
    return ("n", number_of(value))
