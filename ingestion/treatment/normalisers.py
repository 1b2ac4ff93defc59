"""Normal forms of single values: what a normaliser takes, its options, and how it is made.

A normaliser gives the normal form, or `INVALID` where the value is none of its kind. It is pure and idempotent: the
normal form of a normal form is itself.
"""

import math
import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import cache, lru_cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import phonenumbers
import pycountry
from anyascii import anyascii

from ingestion.spec.identifiers import normalise_email, normalise_phone
from ingestion.treatment.faults import Faults, members
from ingestion.treatment.transformations import as_text, fold

Normalise = Callable[[Any], Any]
Make = Callable[[dict[str, Any], str, Faults], Normalise]

MAX_TEXT = 10_000
MAX_TABLE = 5_000
MAX_REMEMBERED = 4_096


class _Invalid:
    def __repr__(self) -> str:
        return "INVALID"


INVALID = _Invalid()
"""The value has no normal form of this kind."""


def _text(value: Any) -> str:
    """Return a text or number as text without outer space; ``""`` for anything else and for what is too long."""
    text = as_text(value) if value.__class__ is not bool else ""
    return text.strip() if len(text) <= MAX_TEXT else ""


def _on_text(change: Callable[[str], Any]) -> Normalise:
    """Return a normaliser of texts; it remembers some, as codes and names of countries come again and again."""
    change = lru_cache(maxsize=MAX_REMEMBERED)(change)

    def normalise(value: Any) -> Any:
        text = _text(value)
        return change(text) if text else INVALID

    return normalise


def tidy(text: str) -> str:
    """Return a text in NFC with single spaces."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def matching_form(text: str) -> str:
    """Return a text as it is compared with others: Latin letters, one case, single spaces. Never shown to people."""
    return " ".join(str(anyascii(unicodedata.normalize("NFC", text))).casefold().split())


def _whitespace(_: dict[str, Any], __: str, ___: Faults) -> Normalise:
    return lambda value: tidy(value) if value.__class__ is str else INVALID


CASES: dict[str, Callable[[str], str]] = {"lower": str.lower, "upper": str.upper}


def _case(options: dict[str, Any], path: str, faults: Faults) -> Normalise:
    change = CASES.get(options.get("to", ""))
    if change is None:
        faults.add(f"{path}.to", "This is lower or upper.")
        return lambda value: value
    return lambda value: change(value) if value.__class__ is str else INVALID


_WORD = re.compile(r"[^\s\-'’.]+")  # noqa: RUF001 - people type both apostrophes


def _proper(text: str) -> str:
    """Return a name in mixed case, if it was shouted or whispered; one that mixes cases knows better."""
    text = tidy(text)
    if not (text.isupper() or text.islower()) or len(text) < 2:
        return text
    return _WORD.sub(lambda match: match[0][:1].upper() + match[0][1:].lower(), text)


def _name(_: dict[str, Any], __: str, ___: Faults) -> Normalise:
    return lambda value: _proper(value) if value.__class__ is str and value.strip() else INVALID


PROVIDERS = ("gmail.com", "googlemail.com")


def _email(options: dict[str, Any], path: str, faults: Faults) -> Normalise:
    providers = options.get("providers", list(PROVIDERS))
    if not all(isinstance(one, str) and "." in one for one in providers):
        faults.add(f"{path}.providers", "This is a list of domains.")
        return lambda value: value
    known = frozenset(one.lower() for one in providers)
    drops_tag, drops_dots = options.get("drop_plus_tag", False), options.get("drop_dots", False)

    def change(text: str) -> Any:
        address = normalise_email(text)
        if address is None:
            return INVALID
        name, _, domain = address.rpartition("@")
        if domain in known:
            if drops_tag and not name.startswith("+"):
                name = name.partition("+")[0]
            if drops_dots:
                name = name.replace(".", "") or name
        return f"{name}@{domain}"

    return _on_text(change)


def _phone(options: dict[str, Any], path: str, faults: Faults) -> Normalise:
    region = options.get("region")
    if region is not None and region not in phonenumbers.SUPPORTED_REGIONS:
        faults.add(f"{path}.region", "This is a country of two capital letters, such as DE.")

    def change(text: str) -> Any:
        number = normalise_phone(text, region)
        # What reads differently the second time is no number: normal forms stay as they are.
        return number if number is not None and normalise_phone(number, region) == number else INVALID

    return _on_text(change)


_MONTH_NAMES = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
MONTHS = {name: number for number, full in enumerate(_MONTH_NAMES, start=1) for name in (full, full[:3])}
_NUMERIC = re.compile(r"(\d{1,4})[./-](\d{1,2})[./-](\d{1,4})")
_DAY_MONTH = re.compile(r"(\d{1,2})\.?[ -]([A-Za-z]{3,9})\.?,?[ -](\d{4})")
_MONTH_DAY = re.compile(r"([A-Za-z]{3,9})\.? (\d{1,2}),? (\d{4})")
_ORDERS = {"dmy": (2, 1, 0), "mdy": (2, 0, 1), "ymd": (0, 1, 2)}
_MILLISECONDS_FROM = 100_000_000_000


def _date(options: dict[str, Any], path: str, faults: Faults) -> Normalise:
    order = options.get("order")
    if order is not None and order not in _ORDERS:
        faults.add(f"{path}.order", "This is dmy, mdy or ymd.")
        order = None
    zone_name = options.get("time_zone")
    if zone_name is not None and zone_name not in available_timezones():
        faults.add(f"{path}.time_zone", "This is a time zone such as Europe/Berlin.")
        zone_name = None
    zone = ZoneInfo(zone_name) if zone_name else None
    epoch, only_date = options.get("epoch", False), options.get("only_date", False)

    def normalise(value: Any) -> Any:
        if value.__class__ in (int, float):
            return _from_epoch(value, only_date) if epoch else INVALID
        text = _text(value)
        if not text:
            return INVALID
        if epoch and text.isdecimal() and text.isascii() and len(text) >= 9:
            return _from_epoch(int(text), only_date)
        try:
            if len(text) == 10:
                return date.fromisoformat(text).isoformat()
            if len(text) > 10 and text[4:5] == "-":
                return _moment(datetime.fromisoformat(text), zone, only_date)
        except (ValueError, OverflowError):
            pass
        return _written(text, order)

    return normalise


def _moment(moment: datetime, zone: ZoneInfo | None, only_date: bool) -> str:
    if only_date:
        return moment.date().isoformat()
    if moment.tzinfo is None:
        if zone is None:
            return moment.isoformat()
        moment = moment.replace(tzinfo=zone)
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _from_epoch(value: float, only_date: bool) -> Any:
    seconds = value / 1000 if abs(value) >= _MILLISECONDS_FROM else value
    try:
        return _moment(datetime.fromtimestamp(seconds, UTC), None, only_date)
    except (ValueError, OverflowError, OSError):
        return INVALID


def _written(text: str, order: str | None) -> Any:
    if (match := _NUMERIC.fullmatch(text)) is not None:
        parts = match.groups()
        places = _ORDERS["ymd"] if len(parts[0]) == 4 else _ORDERS[order] if order else None
        if places is None or len(parts[places[0]]) != 4:
            return INVALID
        year, month, day = (int(parts[place]) for place in places)
        return _calendar(year, month, day)
    if (match := _DAY_MONTH.fullmatch(text)) is not None:
        return _calendar(int(match[3]), MONTHS.get(match[2].lower(), 0), int(match[1]))
    if (match := _MONTH_DAY.fullmatch(text)) is not None:
        return _calendar(int(match[3]), MONTHS.get(match[1].lower(), 0), int(match[2]))
    return INVALID


def _calendar(year: int, month: int, day: int) -> Any:
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return INVALID


_DIGITS = re.compile(r"-?\d+(?:\.\d+)?")


_MARKS = dict.fromkeys(map(ord, " \u00a0\u202f'’€$£%"))  # noqa: RUF001 - people type both apostrophes


def read_number(text: str, decimal: str) -> float | int | None:
    """Return a written number; None if it is none. `decimal` is the sign before the fraction."""
    cleaned = text.translate(_MARKS)
    cleaned = cleaned.replace("," if decimal == "." else ".", "").replace(decimal, ".")
    if len(cleaned) > 30 or _DIGITS.fullmatch(cleaned) is None or not cleaned.isascii():
        return None
    number = float(cleaned)
    return int(number) if number.is_integer() and "." not in cleaned and abs(number) < 2**53 else number


def _number(options: dict[str, Any], path: str, faults: Faults) -> Normalise:
    decimal = options.get("decimal", ".")
    if decimal not in {".", ","}:
        faults.add(f"{path}.decimal", "This is . or , (the sign before the fraction).")

    def normalise(value: Any) -> Any:
        if value.__class__ in (int, float):
            return value
        number = read_number(_text(value), decimal)
        return INVALID if number is None else number

    return normalise


TRUE = ("true", "yes", "y", "on", "1", "t")
FALSE = ("false", "no", "n", "off", "0", "f")


def _boolean(options: dict[str, Any], path: str, faults: Faults) -> Normalise:
    words = {}
    for name, usual, meaning in (("true", TRUE, True), ("false", FALSE, False)):
        given = options.get(name, [])
        if not all(isinstance(one, str) for one in given):
            faults.add(f"{path}.{name}", "This is a list of words.")
            given = []
        words.update({fold(one): meaning for one in (*usual, *given)})

    def normalise(value: Any) -> Any:
        if value is True or value is False:
            return value
        if value.__class__ is float and value.is_integer():
            value = int(value)
        return words.get(fold(value), INVALID)

    return normalise


@cache
def _countries() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for country in pycountry.countries:
        names = (getattr(country, name, None) for name in ("name", "official_name", "common_name", "numeric"))
        for name in (country.alpha_2, country.alpha_3, *names):
            if name:
                found.setdefault(matching_form(name), country)
    return found


@cache
def _currencies() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for currency in pycountry.currencies:
        for name in (currency.alpha_3, getattr(currency, "numeric", None), currency.name):
            if name:
                found.setdefault(matching_form(name), currency)
    return found


@cache
def _languages() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for language in pycountry.languages:
        if hasattr(language, "alpha_2"):
            codes = (getattr(language, name, None) for name in ("alpha_2", "alpha_3", "bibliographic", "name"))
            for name in codes:
                if name:
                    found.setdefault(matching_form(name), language)
    return found


def _aliases(options: dict[str, Any], path: str, faults: Faults, known: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, code in options.get("aliases", {}).items():
        target = known.get(matching_form(code)) if isinstance(code, str) else None
        if target is None:
            faults.add(f"{path}.aliases.{name}", "There is no such code.")
        found[matching_form(name)] = target
    return found


def _country(options: dict[str, Any], path: str, faults: Faults) -> Normalise:
    form = options.get("form", "alpha_2")
    if form not in {"alpha_2", "alpha_3", "name"}:
        faults.add(f"{path}.form", "This is alpha_2, alpha_3 or name.")
    known = _countries()
    aliases = _aliases(options, path, faults, known)

    def change(text: str) -> Any:
        key = matching_form(text)
        found = aliases.get(key) or known.get(key)
        return getattr(found, form) if found is not None else INVALID

    return _on_text(change)


SIGNS = {"€": "EUR", "£": "GBP", "zł": "PLN", "₹": "INR", "₽": "RUB", "₺": "TRY", "₩": "KRW", "₪": "ILS"}


def _currency(options: dict[str, Any], path: str, faults: Faults) -> Normalise:
    known = _currencies()
    given = options.get("aliases", {})
    aliases = {name.strip(): code for name, code in {**SIGNS, **given}.items()}
    for name, code in given.items():
        if not isinstance(code, str) or code.upper() not in {one.alpha_3 for one in known.values()}:
            faults.add(f"{path}.aliases.{name}", "There is no such code.")

    def change(text: str) -> Any:
        if text in aliases:
            return aliases[text]
        found = known.get(matching_form(text))
        return found.alpha_3 if found is not None else INVALID

    return _on_text(change)


def _language(options: dict[str, Any], path: str, faults: Faults) -> Normalise:
    known = _languages()
    aliases = _aliases(options, path, faults, known)
    keeps_region = options.get("keep_region", False)

    def change(text: str) -> Any:
        key = matching_form(text)
        found = aliases.get(key) or known.get(key)
        if found is not None:
            return found.alpha_2
        language, _, region = text.replace("_", "-").partition("-")
        found = known.get(matching_form(language)) if 2 <= len(language) <= 3 else None
        if found is None:
            return INVALID
        region = region.rpartition("-")[2].upper()
        is_region = len(region) == 2 and pycountry.countries.get(alpha_2=region) is not None
        return f"{found.alpha_2}-{region}" if keeps_region and is_region else found.alpha_2

    return _on_text(change)


# Unit → dimension and how many base units it is.
UNITS: dict[str, tuple[str, float]] = {
    "mm": ("length", 0.001), "cm": ("length", 0.01), "m": ("length", 1.0), "km": ("length", 1000.0),
    "in": ("length", 0.0254), "ft": ("length", 0.3048), "yd": ("length", 0.9144), "mi": ("length", 1609.344),
    "mg": ("mass", 1e-6), "g": ("mass", 0.001), "kg": ("mass", 1.0), "t": ("mass", 1000.0),
    "oz": ("mass", 0.028349523125), "lb": ("mass", 0.45359237),
    "ml": ("volume", 0.001), "cl": ("volume", 0.01), "l": ("volume", 1.0),
    "ms": ("time", 0.001), "s": ("time", 1.0), "min": ("time", 60.0), "h": ("time", 3600.0), "d": ("time", 86400.0),
    "cent": ("money", 0.01), "unit": ("money", 1.0),
}  # fmt: skip
_QUANTITY = re.compile(r"(-?[\d.,\s]+)\s*([A-Za-z]*)")


def _unit(options: dict[str, Any], path: str, faults: Faults) -> Normalise:
    target, usual = options.get("to", ""), options.get("from", "")
    decimal, digits = options.get("decimal", "."), options.get("digits", 6)
    for name, unit in (("to", target), ("from", usual)):
        if unit not in UNITS:
            faults.add(f"{path}.{name}", f"This is one of {', '.join(UNITS)}.")
            return lambda value: value
    if UNITS[target][0] != UNITS[usual][0]:
        faults.add(f"{path}.to", f"{usual} cannot be turned into {target}.")
    if not 0 <= digits <= 12:
        faults.add(f"{path}.digits", "This is a number from 0 to 12.")
    dimension, size = UNITS[target]

    def normalise(value: Any) -> Any:
        unit = usual
        if value.__class__ in (int, float):
            number: float | int | None = value
        else:
            match = _QUANTITY.fullmatch(_text(value))
            number = read_number(match[1], decimal) if match else None
            unit = (match[2] or usual) if match else usual
        known = UNITS.get(unit) or UNITS.get(unit.lower())
        if number is None or known is None or known[0] != dimension:
            return INVALID
        result = round(number * known[1] / size, digits)
        if not math.isfinite(result):
            return INVALID
        return int(result) if float(result).is_integer() and abs(result) < 2**53 else result

    return normalise


def _map(options: dict[str, Any], path: str, faults: Faults) -> Normalise:
    table = options.get("values", {})
    if not 1 <= len(table) <= MAX_TABLE:
        faults.add(f"{path}.values", f"An object of 1 to {MAX_TABLE} old values and their new ones is missing.")
    known = {fold(old): new for old, new in table.items()}
    results = {fold(new): new for new in table.values() if isinstance(new, str)}
    strict = options.get("strict", False)

    def normalise(value: Any) -> Any:
        if value.__class__ in (dict, list):
            return INVALID
        key = fold(value)
        if key in known:
            return known[key]
        # What the table leads to is known too.
        return results.get(key, INVALID if strict else value)

    return normalise


def _transliterate(_: dict[str, Any], __: str, ___: Faults) -> Normalise:
    return _on_text(lambda text: matching_form(text) or INVALID)


# Name → its options and their kinds, and what makes it.
NORMALISERS: dict[str, tuple[dict[str, Any], Make]] = {
    "whitespace": ({}, _whitespace),
    "case": ({"to": str}, _case),
    "email": ({"drop_plus_tag": bool, "drop_dots": bool, "providers": list}, _email),
    "phone": ({"region": str}, _phone),
    "date": ({"order": str, "time_zone": str, "epoch": bool, "only_date": bool}, _date),
    "number": ({"decimal": str}, _number),
    "boolean": ({"true": list, "false": list}, _boolean),
    "country": ({"form": str, "aliases": dict}, _country),
    "currency": ({"aliases": dict}, _currency),
    "language": ({"keep_region": bool, "aliases": dict}, _language),
    "name": ({}, _name),
    "address": ({}, _name),
    "unit": ({"from": str, "to": str, "decimal": str, "digits": int}, _unit),
    "map": ({"values": dict, "strict": bool}, _map),
    "transliterate": ({}, _transliterate),
}


def make_normaliser(name: str, options: Any, path: str, faults: Faults) -> Normalise | None:
    """Return a normaliser; None, and a fault, if there is none of this name."""
    known = NORMALISERS.get(name)
    if known is None:
        faults.add(f"{path}.normaliser", f"There is no such normaliser. Normalisers: {', '.join(NORMALISERS)}.")
        return None
    return known[1](members(options, f"{path}.options", known[0], faults), f"{path}.options", faults)
