"""Normal forms and SHA-256 digests, as ad platforms compare them with their own.

A value that has no normal form gives no digest: the digest of a badly written value matches nobody, and is still
personal data.
"""

import hashlib
import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

NOT_DIGITS = re.compile(r"\D")
SPACES = re.compile(r"\s+")
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
DIGEST = re.compile(r"[0-9a-f]{64}")
GENDERS = {"f": "f", "female": "f", "woman": "f", "m": "m", "male": "m", "man": "m"}
# E.164 has at most 15 digits; fewer than 7 is no number with a country code.
PHONE_DIGITS = range(7, 16)


def sha256(text: str) -> str:
    """Return the digest in lower-case hexadecimal, as all platforms want it."""
    return hashlib.sha256(text.encode()).hexdigest()


def as_text(value: Any) -> str:
    """Return a JSON value as text without spaces around it; ``""`` for what is no single value."""
    if isinstance(value, bool) or value is None or isinstance(value, dict | list):
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return unicodedata.normalize("NFC", str(value)).strip()


def email(value: Any) -> str:
    """Return an address without spaces, in lower case."""
    text = SPACES.sub("", as_text(value)).lower()
    return text if EMAIL.fullmatch(text) else ""


def e164(value: Any) -> str:
    """Return a phone number with plus and country code; ``""`` without a plus: the country would be a guess."""
    text = as_text(value)
    digits = NOT_DIGITS.sub("", text)
    return f"+{digits}" if text.startswith("+") and len(digits) in PHONE_DIGITS and digits[0] != "0" else ""


def phone_digits(value: Any) -> str:
    """Return a phone number as digits that begin with the country code."""
    return e164(value).removeprefix("+")


def name(value: Any) -> str:
    """Return a name in lower case, single spaces within."""
    return SPACES.sub(" ", as_text(value)).lower()


def bare_name(value: Any) -> str:
    """Return a name in lower case, without punctuation and spaces around it; letters of any script stay."""
    kept = (char for char in name(value) if unicodedata.category(char)[0] not in "PS")
    return SPACES.sub(" ", "".join(kept)).strip()


def city(value: Any) -> str:
    """Return a city in lower case, letters only."""
    return bare_name(value).replace(" ", "")


def state(value: Any) -> str:
    """Return a state's two letters where they are given, else its name like a city's."""
    return city(value)


def postcode(value: Any) -> str:
    """Return a postcode as written, without spaces around it."""
    return SPACES.sub(" ", as_text(value))


def bare_postcode(value: Any) -> str:
    """Return a postcode in lower case without spaces and dashes; of a ZIP+4 the first five digits."""
    text = SPACES.sub("", as_text(value)).lower()
    return text[:5] if re.fullmatch(r"\d{5}-?\d{4}", text) else text.replace("-", "")


def country(value: Any) -> str:
    """Return a country's two letters in capitals; ``""`` for a name in full."""
    text = as_text(value).upper()
    return text if re.fullmatch(r"[A-Z]{2}", text) else ""


def bare_country(value: Any) -> str:
    """Return a country's two letters in lower case."""
    return country(value).lower()


def birth_date(value: Any) -> str:
    """Return a date as YYYYMMDD."""
    try:
        return date.fromisoformat(as_text(value)[:10]).strftime("%Y%m%d")
    except ValueError:
        return ""


def gender(value: Any) -> str:
    """Return ``f`` or ``m``, else nothing."""
    return GENDERS.get(as_text(value).lower(), "")


def advertising_id(value: Any) -> str:
    """Return a mobile advertising id in lower case, hyphens kept."""
    return as_text(value).lower()


def hashed(normalise: Callable[[Any], str]) -> Callable[[Any], str]:
    """Return the function that gives the digest of a normal form; of a value that has none, nothing."""

    def digest(value: Any) -> str:
        # Somebody may keep digests in a trait already; hashing one again would match nobody.
        given = as_text(value).lower()
        if DIGEST.fullmatch(given):
            return given
        normal = normalise(value)
        return sha256(normal) if normal else ""

    return digest


# What a column may be turned into, by the name that REST and pages use. All that begins with `hash_` is a digest.
TRANSFORMS: Mapping[str, Callable[[Any], str]] = {
    "text": as_text,
    "email": email,
    "phone": e164,
    "phone_digits": phone_digits,
    "name": name,
    "bare_name": bare_name,
    "city": city,
    "postcode": postcode,
    "bare_postcode": bare_postcode,
    "country": country,
    "bare_country": bare_country,
    "birth_date": birth_date,
    "gender": gender,
    "advertising_id": advertising_id,
    "hash_text": hashed(as_text),
    "hash_email": hashed(email),
    "hash_phone": hashed(e164),
    "hash_phone_digits": hashed(phone_digits),
    "hash_name": hashed(name),
    "hash_bare_name": hashed(bare_name),
    "hash_city": hashed(city),
    "hash_state": hashed(state),
    "hash_bare_postcode": hashed(bare_postcode),
    "hash_bare_country": hashed(bare_country),
    "hash_birth_date": hashed(birth_date),
    "hash_gender": hashed(gender),
}


def is_digest(transform: str) -> bool:
    """Tell whether what a transform gives is a digest, so that it may be shown to who sees values masked."""
    return transform.startswith("hash_")
