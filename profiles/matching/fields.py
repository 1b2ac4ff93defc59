"""Which traits a model compares, how, and the normal form in which their values are compared."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

COMPARISONS = ("name", "text", "exact", "date", "email", "phone", "postcode", "number")

_NOT_WORD = re.compile(r"[^\w]+")
_DIGITS = re.compile(r"\d+")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
# What people and programs type to get past a form: it says nothing about who somebody is.
_NOTHING = frozenset({"", "null", "none", "nan", "na", "n a", "unknown", "undefined", "test", "not provided", "xxx"})
_NO_LOCAL = re.compile(r"(?:no|none|na|noemail|nomail|no[._-]?e?mail|no[._-]?reply|unknown|test|anonymous|xxx+)\d*")
# Fewer digits than these are an extension, not a number.
LEAST_PHONE, COMPARED_PHONE = 6, 9
DATE_DIGITS = 8
FIRST_YEAR, LAST_YEAR = 1850, 2100
MOST_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Field:
    """A trait and the comparison for it."""

    trait: str
    comparison: str


def fold(text: str) -> str:
    """Return the text in lower case, without accents and punctuation, words apart by one space."""
    text = text[:MOST_CHARACTERS]
    if not text.isascii():
        text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return _NOT_WORD.sub(" ", text.casefold().replace("'", "")).replace("_", " ").strip()


def _fold_name(text: str) -> str | None:
    found = fold(text)
    return None if found in _NOTHING else found


def _fold_exact(text: str) -> str | None:
    found = " ".join(text[:MOST_CHARACTERS].casefold().split())
    return None if found in _NOTHING else found


def _fold_date(text: str) -> str | None:
    """Return eight digits, year first; other digits as they are; None without any."""
    parts = _DIGITS.findall(text[:40])
    if not parts:
        return None
    if len(parts[0]) == DATE_DIGITS:
        return str(parts[0])
    if len(parts) >= 3:
        a, b, c = parts[:3]
        if len(a) == 4:
            return f"{a}{b:0>2}{c:0>2}"[:DATE_DIGITS]
        if len(c) == 4:
            # The day first, unless that cannot be.
            day, month = (b, a) if int(b) > 12 >= int(a) else (a, b)
            return f"{c}{month:0>2}{day:0>2}"[:DATE_DIGITS]
    return "".join(parts)[:DATE_DIGITS]


def _fold_email(text: str) -> str | None:
    found = text.strip().casefold()[:MOST_CHARACTERS]
    local, at, domain = found.partition("@")
    if not at or not local or not domain or _NO_LOCAL.fullmatch(local):
        return None
    return found


def _fold_phone(text: str) -> str | None:
    """Return the last nine digits: what is before them is a country's or a trunk's."""
    digits = "".join(_DIGITS.findall(text.partition("x")[0][:60]))
    kept = digits[-COMPARED_PHONE:]
    if len(digits) < LEAST_PHONE or len(set(kept[-6:])) == 1:
        return None
    return kept


def _fold_postcode(text: str) -> str | None:
    found = fold(text).replace(" ", "")
    return None if found in _NOTHING else found


def _fold_number(text: str) -> str | None:
    found = _NUMBER.search(text.replace(",", "").replace(" ", "")[:60])
    if found is None:
        return _fold_exact(text)
    number = found.group()
    return (number.rstrip("0").rstrip(".") if "." in number else number.lstrip("0")) or "0"


_NORMAL: dict[str, Callable[[str], str | None]] = {
    "name": _fold_name,
    "text": _fold_name,
    "exact": _fold_exact,
    "date": _fold_date,
    "email": _fold_email,
    "phone": _fold_phone,
    "postcode": _fold_postcode,
    "number": _fold_number,
}


def normalise(value: Any, comparison: str) -> str | None:
    """Return the form in which a value is compared; None where it says nothing."""
    if value is None:
        return None
    if isinstance(value, (list, tuple)):
        value = " ".join(map(str, value))
    elif isinstance(value, (dict, bool)):
        value = str(value)
    elif isinstance(value, float) and value.is_integer():
        value = int(value)
    return _NORMAL[comparison](str(value))


def read_day(text: str) -> int | None:
    """Return the ordinal of a normal date, None if there is no such day."""
    if len(text) != DATE_DIGITS or not text.isdigit():
        return None
    year, month, day = int(text[:4]), int(text[4:6]), int(text[6:])
    if not FIRST_YEAR <= year <= LAST_YEAR:
        return None
    try:
        return date(year, month, day).toordinal()
    except ValueError:
        return None
