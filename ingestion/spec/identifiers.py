"""What becomes an identifier, in which normal form, and which values never do."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from cdp.core.patterns import Matcher
from ingestion.spec.limits import MAX_ID_CHARACTERS
from ingestion.spec.message import Faulty, Identifier
from ingestion.spec.soundness import storable_text
from profiles.identity.blocked import fold_blocked, is_blocked, matcher_of

DEFAULT_BLOCKED = (
    "",
    "0",
    "-1",
    "null",
    "none",
    "nil",
    "nan",
    "undefined",
    "anonymous",
    "true",
    "false",
    "[object object]",
)
"""What programs send where an id is missing. "0" also blocks any run of zeros and dashes, such as a zeroed UUID."""

_PLAIN_EMAIL = re.compile(
    r"[a-z0-9_+'&-]+(?:\.[a-z0-9_+'&-]+)*@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"
)
_DIGITS = frozenset("0123456789")
_DEVICE_TYPES = {"ios": "ios.id", "android": "android.id"}
IMPORT_ONLY_TYPES = frozenset({"record_id"})


@dataclass(frozen=True, slots=True)
class IdentifierRules:
    """The configured identifier types.

    Attributes
    ----------
    priorities : mapping
        Type key → priority; 1 is strongest. Types not in it never become identifiers.
    blocked : mapping
        Type key → blocked values, each folded by `fold_blocked`.
    phone_region : str or None
        Region of numbers without ``+``; None: those are no identifiers.
    normalisers : mapping
        Type key → name of the normaliser, for types that have another than their own.
    patterns : mapping
        Type key → patterns of values that never become identifiers, tried on the normal form; some types only.
    """

    priorities: Mapping[str, int]
    blocked: Mapping[str, frozenset[str]]
    phone_region: str | None = None
    normalisers: Mapping[str, str] = field(default_factory=dict)
    patterns: Mapping[str, tuple[Matcher, ...]] = field(default_factory=dict)

    @classmethod
    def build(
        cls,
        types: Iterable[tuple[str, int, Iterable[str]]],
        *,
        phone_region: str | None = None,
        normalisers: Mapping[str, str] | None = None,
        patterns: Mapping[str, Iterable[str]] | None = None,
    ) -> "IdentifierRules":
        """Build from rows of (type key, priority, blocked values)."""
        rows = list(types)
        return cls(
            priorities={key: priority for key, priority, _ in rows},
            blocked={key: frozenset(fold_blocked(value) for value in blocked) for key, _, blocked in rows},
            phone_region=phone_region,
            normalisers=normalisers or {},
            patterns={key: tuple(map(matcher_of, texts)) for key, texts in (patterns or {}).items()},
        )


def read_id(value: object, name: str, warnings: list[str]) -> str:
    """Return an id as text, ``""`` where absent.

    Parameters
    ----------
    value : object
        Text or number; null and ``""`` are absent; true and false become words (blocked by default).
    name : str
        The field, for the fault's message.
    warnings : list of str
        Extended by ``invalid_identifier`` for an object or a list.

    Raises
    ------
    Faulty
        ``id_too_long``.
    """
    if value is None or value == "":
        return ""
    if isinstance(value, str):
        text = value
    elif value is True or value is False:
        text = "true" if value else "false"
    elif value.__class__ is int or value.__class__ is float:
        text = str(value)
    else:
        warnings.append("invalid_identifier")
        return ""
    if len(text) > MAX_ID_CHARACTERS:
        raise Faulty("id_too_long", f"{name} is longer than {MAX_ID_CHARACTERS} characters.")
    return text


def normalise_email(value: str) -> str | None:
    """Return an e-mail address in lower case and NFC, None if it is none.

    Parameters
    ----------
    value : str
        As given; outer space is dropped. An internationalised domain in its ASCII form becomes Unicode.
    """
    text = value.strip().lower()
    if text.isascii() and "xn--" not in text:
        if len(text) <= 254 and _PLAIN_EMAIL.fullmatch(text) and text.index("@") <= 64:
            return text
        if len(text) > 254 or "@" not in text:
            return None
    elif len(text) > 254:
        return None
    return _normalise_odd_email(text)


@lru_cache(maxsize=20_000)
def _normalise_odd_email(text: str) -> str | None:
    """Judge what the pattern of plain addresses does not know."""
    try:
        # The test environment only lifts the ban on reserved names: example.test is as good as any here.
        address = validate_email(text, check_deliverability=False, test_environment=True, strict=True)
    except EmailNotValidError:
        return None
    return unicodedata.normalize("NFC", address.normalized.lower())


@lru_cache(maxsize=100_000)
def normalise_phone(value: str, region: str | None) -> str | None:
    """Return a telephone number in E.164, None if it is none.

    Parameters
    ----------
    value : str
        As given. A number with an extension names a switchboard, not a person: None.
    region : str or None
        Region of numbers without ``+``, e.g. ``DE``.
    """
    try:
        number = phonenumbers.parse(value, region)
    except phonenumbers.NumberParseException:
        return None
    if number.extension or not phonenumbers.is_possible_number(number):
        return None
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def normalise(type_key: str, value: str, phone_region: str | None, normaliser: str = "") -> str | None:
    """Return the normal form of a value of a type, None if the value is none of that type.

    Parameters
    ----------
    type_key : str
        ``email`` and ``phone`` have forms of their own; everything else is trimmed and NFC.
    value : str
        As given.
    phone_region : str or None
        Region of numbers without ``+``.
    normaliser : str
        The type's normaliser (``profiles.identity.rules.NORMALISERS``); ``""`` for its own.
    """
    form = normaliser or type_key
    if form == "email":
        return normalise_email(value)
    if form == "phone":
        return normalise_phone(value, phone_region)
    text = value.strip()
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    if form == "lower":
        text = unicodedata.normalize("NFC", text.lower())
    elif form == "digits":
        text = "".join(char for char in text if char in _DIGITS)
    elif form == "letters_digits":
        text = "".join(char for char in text.upper() if char.isalnum())
    return text or None


def is_refused(type_key: str, normal: str, rules: IdentifierRules) -> bool:
    """Tell whether a value in its normal form is kept out by a blocked pattern of its type."""
    return any(matcher.matches(normal) for matcher in rules.patterns.get(type_key, ()))


def add_identifier(
    found: list[Identifier], type_key: str, value: str, rules: IdentifierRules, warnings: list[str]
) -> None:
    """Append a value to `found` if it is an identifier, else say why not in `warnings`."""
    blocked = rules.blocked.get(type_key)
    if blocked is None:
        return
    if is_blocked(value, blocked):
        warnings.append("blocked_identifier")
        return
    normal = normalise(type_key, value, rules.phone_region, rules.normalisers.get(type_key, ""))
    if normal is not None and type_key in rules.patterns and is_refused(type_key, normal, rules):
        warnings.append("blocked_identifier")
        return
    if normal is None:
        warnings.append(f"invalid_{type_key}" if type_key in ("email", "phone") else "invalid_identifier")
        return
    for known in found:
        if known[0] == type_key and known[1] == normal:
            return
    found.append((type_key, normal, value))


def add_contact(
    found: list[Identifier], type_key: str, value: object, rules: IdentifierRules, warnings: list[str]
) -> None:
    """Append the e-mail or telephone number of an identify; numbers are read as text."""
    if value is None or value == "":
        return
    if value.__class__ is int:
        value = str(value)
    if isinstance(value, str):
        add_identifier(found, type_key, value, rules, warnings)
    else:
        warnings.append(f"invalid_{type_key}")


def add_context_identifiers(
    found: list[Identifier], context: dict[str, Any], rules: IdentifierRules, warnings: list[str]
) -> None:
    """Append the device's id and the external ids of a context.

    Raises
    ------
    Faulty
        ``id_too_long``.
    """
    device = context.get("device")
    if device.__class__ is dict:
        value = read_id(device.get("id"), "context.device.id", warnings)
        if value:
            kind = device.get("type")
            kind = kind.lower() if kind.__class__ is str else ""
            add_identifier(found, _DEVICE_TYPES.get(kind, "device_id"), value, rules, warnings)
    external = context.get("externalIds")
    if external.__class__ is not list:
        return
    for entry in external:
        if entry.__class__ is not dict or entry.get("collection", "users") != "users":
            continue
        type_key = entry.get("type")
        value = read_id(entry.get("id"), "context.externalIds.id", warnings)
        if not value:
            continue
        if type_key.__class__ is not str or type_key not in rules.priorities or type_key in IMPORT_ONLY_TYPES:
            warnings.append("unknown_identifier_type")
            continue
        add_identifier(found, type_key, value, rules, warnings)


def typed_identifier(type_key: object, value: object, rules: IdentifierRules) -> Identifier:
    """Read one typed id of a link call.

    Raises
    ------
    Faulty
        ``invalid_link``: not a configured type with a usable value.
    """
    if not isinstance(type_key, str) or type_key not in rules.priorities or type_key in IMPORT_ONLY_TYPES:
        raise Faulty("invalid_link", "Each entry of mergeProperties needs a configured identifier type.")
    found: list[Identifier] = []
    text = storable_text(read_id(value, "A value of mergeProperties", []))
    if text:
        add_identifier(found, type_key, text, rules, [])
    if not found:
        raise Faulty("invalid_link", "Each entry of mergeProperties needs a value that can be an identifier.")
    return found[0]
