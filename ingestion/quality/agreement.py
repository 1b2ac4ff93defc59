"""Whether two sources say the same of a person: values are compared in a form that ignores how they are written."""

import math
from typing import Any

from ingestion.treatment.normalisers import matching_form

# What looks like a telephone number: its digits count, and a plus sign is the same as two zeros.
_AROUND_DIGITS = str.maketrans("", "", " ()-./+")
FEWEST_DIGITS = 7
MAX_TEXT = 1_000


def is_comparable(value: Any) -> bool:
    """Tell whether a value can be compared with another: texts that say something, numbers, and true or false."""
    if value.__class__ is str:
        return bool(value.strip()) and len(value) <= MAX_TEXT
    return value.__class__ in {int, float, bool}


def form_of(value: Any) -> Any:
    """Return the form in which a comparable value is compared.

    Case, accents, outer and repeated spaces do not count, nor whether a number, or true and false, were sent as text;
    of telephone numbers only the digits do.
    """
    if value.__class__ is bool:
        return str(value).lower()
    if value.__class__ is not str:
        return _number(str(value)) or str(value)
    digits = value.strip().translate(_AROUND_DIGITS)
    if digits.isascii() and digits.isdecimal() and len(digits) >= FEWEST_DIGITS and "." not in value:
        return digits.removeprefix("00") if not value.strip().startswith("+") else digits
    return _number(value.strip()) or matching_form(value)


def _number(text: str) -> str | None:
    """Return a number's shortest form; None if the text is none, or has leading zeros that mean something."""
    sound = text.lstrip("-")
    if not sound or not sound.isascii() or not sound.replace(".", "", 1).isdecimal():
        return None
    if len(sound) > 1 and sound[0] == "0" and sound[1] != ".":
        return None
    value = float(text)
    if not math.isfinite(value):
        return None
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(value)


def agree(one: Any, other: Any) -> bool:
    """Tell whether two comparable values are the same, however they are written."""
    return bool(form_of(one) == form_of(other))
