"""Cells: what a value says as text, number, truth, time or list, and which of these a column holds."""

import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import orjson

from ingestion.spec.limits import MAX_INTEGER, MIN_INTEGER
from ingestion.spec.message import Faulty

MIN_YEAR = 1970
# Exact in a double and in JSON everywhere; longer digits are names of things, not amounts.
MAX_DIGITS = 15
# What looks like a number in columns of these names is a code: 02134, 4911, 1001.
CODES = frozenset({
    "account", "card", "code", "ean", "fax", "gtin", "iban", "id", "ids", "isbn", "key", "mobile", "phone", "plz",
    "postal", "postcode", "sku", "ssn", "tel", "telephone", "uuid", "vat", "version", "zip", "zipcode",
})  # fmt: skip
LAST_WORDS = frozenset({"no", "nr", "number", "num"})
TRUE, FALSE = frozenset({"true", "yes", "y", "t", "1"}), frozenset({"false", "no", "n", "f", "0"})

_PLAIN_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")
_ANY_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9:.,]+ ?(Z|z|[+-][0-9:]+)?)?( UTC)?")
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


def text_of(value: Any) -> str:
    """Return a cell as text; None as ``""``.

    Raises
    ------
    Faulty
        ``bad_value``: an object or a list has no text.
    """
    if value.__class__ is str:
        return str(value)
    if value is None:
        return ""
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 10**MAX_DIGITS else repr(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    raise Faulty("bad_value", "An object or a list cannot be an identifier or a key.")


def plain(value: Any) -> Any:
    """Return a cell of a typed file as JSON holds it: no NaN, times in ISO 8601, bytes as text where they are some."""
    if value is None or value.__class__ in (str, bool):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int):
        return value if MIN_INTEGER <= value <= MAX_INTEGER else str(value)
    if isinstance(value, Decimal):
        whole = value == value.to_integral_value()
        return int(value) if whole and abs(value) < 10**MAX_DIGITS else float(value) if not whole else str(value)
    if isinstance(value, datetime):
        moment = value if value.tzinfo is None else value.astimezone(UTC)
        text = moment.isoformat(timespec="microseconds" if moment.microsecond else "seconds")
        return text if value.tzinfo is None else text.removesuffix("+00:00") + "Z"
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return str(value)


def number_of(text: str) -> int | float | None:
    """Return the number that a text is, None if it is none."""
    text = text.strip()
    if not _ANY_NUMBER.fullmatch(text):
        return None
    if text.lstrip("+-").isdigit():
        whole = int(text) if len(text) <= 20 else MAX_INTEGER + 1
        return whole if MIN_INTEGER <= whole <= MAX_INTEGER else None
    found = float(text)
    return found if math.isfinite(found) else None


def read_moment(value: Any) -> datetime:
    """Return the moment that a cell names; without a zone it is UTC.

    Parameters
    ----------
    value : object
        ISO 8601 text, a date or datetime, or seconds, milliseconds or microseconds since 1970.

    Raises
    ------
    Faulty
        ``bad_time``; ``time_out_of_range`` outside 1970 to 9999.
    """
    try:
        found = _moment(value)
    except (ValueError, OverflowError, OSError):
        found = None
    if found is None:
        raise Faulty("bad_time", "The time is none that can be read: write it as 2026-03-14T15:09:26Z.")
    moment = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    if moment.year < MIN_YEAR:
        raise Faulty("time_out_of_range", "The time is outside the years 1970 to 9999.")
    return moment


def _moment(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        text = value.strip()
        number = number_of(text) if len(text) >= 9 else None
        if number is None:
            return datetime.fromisoformat(text.upper().removesuffix(" UTC"))
        value = number
    if isinstance(value, int | float):
        # 10^11 seconds are beyond the year 5000, 10^11 milliseconds in 1973.
        scale = 1 if abs(value) < 1e11 else 1e3 if abs(value) < 1e14 else 1e6
        return datetime.fromtimestamp(value / scale, UTC)
    return None


def infer_type(name: str, values: Sequence[Any]) -> str:
    """Return the type that all values of a column have, ``text`` where in doubt.

    Parameters
    ----------
    name : str
        Of the column: what is called a code or an id stays text.
    values : sequence
        Cells of the first rows.
    """
    given = [value for value in values if value is not None and value != ""]
    if not given:
        return "text"
    texts = [value for value in given if isinstance(value, str)]
    if len(texts) < len(given):
        return _native_type(given) if not texts else "json"
    if all(text.lower() in ("true", "false") for text in texts):
        return "boolean"
    if not _is_code(name) and all(_PLAIN_NUMBER.fullmatch(text) and len(text) <= MAX_DIGITS for text in texts):
        return "number"
    if all(_DATE.fullmatch(text) for text in texts):
        return "time"
    return "text"


def _native_type(values: list[Any]) -> str:
    if all(isinstance(value, bool) for value in values):
        return "boolean"
    if all(isinstance(value, int | float | Decimal) and not isinstance(value, bool) for value in values):
        return "number"
    if all(isinstance(value, date) for value in values):
        return "time"
    return "list" if all(isinstance(value, list) for value in values) else "json"


def _is_code(name: str) -> bool:
    words = [word.lower() for word in _WORDS.findall(name)]
    return bool(CODES.intersection(words)) or (bool(words) and words[-1] in LAST_WORDS)


def lenient(kind: str) -> Callable[[Any], Any] | None:
    """Return how a cell of an inferred type is read: what does not fit stays as it is. None: as it is."""
    if kind == "number":
        return _number_or_text
    if kind == "boolean":
        return _boolean_or_text
    return None


def _number_or_text(value: Any) -> Any:
    if value.__class__ is str and _PLAIN_NUMBER.fullmatch(value) and len(value) <= MAX_DIGITS:
        return float(value) if "." in value else int(value)
    return plain(value)


def _boolean_or_text(value: Any) -> Any:
    if value.__class__ is str and (folded := value.lower()) in ("true", "false"):
        return folded == "true"
    return plain(value)


def strict(kind: str, separator: str) -> Callable[[Any], Any]:
    """Return how a cell of a chosen type is read.

    The function raises ``Faulty`` with ``bad_value`` or ``bad_time`` where the value is of another type.
    """

    def read_number(value: Any) -> Any:
        found = number_of(value) if isinstance(value, str) else plain(value)
        return _need(found if isinstance(found, int | float) and not isinstance(found, bool) else None, kind)

    def read_boolean(value: Any) -> Any:
        folded = text_of(value).strip().lower()
        return _need(True if folded in TRUE else False if folded in FALSE else None, kind)

    def read_time(value: Any) -> Any:
        return plain(value if isinstance(value, date) and not isinstance(value, datetime) else read_moment(value))

    def read_list(value: Any) -> Any:
        if isinstance(value, list):
            return plain(value)
        parts = text_of(value).split(separator)
        return [part.strip() for part in parts if part.strip()]

    def read_json(value: Any) -> Any:
        if not isinstance(value, str):
            return plain(value)
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            raise Faulty("bad_value", "A value is no JSON.") from None

    return {
        "text": lambda value: text_of(plain(value)),
        "number": read_number,
        "boolean": read_boolean,
        "time": read_time,
        "list": read_list,
        "json": read_json,
    }[kind]


def _need(value: Any, kind: str) -> Any:
    if value is None:
        raise Faulty("bad_value", f"A value is no {kind}.")
    return value
