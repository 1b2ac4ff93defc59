"""The identity rules as one definition: read from JSON, checked, written, compared.

A definition is `{"types": [...]}`; each type has `type` (its key), `name`, `priority` (1 is strongest), `normaliser`,
`limit` (values on one profile; null: no limit), `window` (the limit counts what was gained within a day, week, month or
year; null: for ever), `sharing_limit` (by how many accounts or records one value may be asserted), `blocked_values`,
`blocked_patterns`, `source_kinds` (which kinds of sources may assert it; null: all) and `link_purpose` (a purpose that
must be granted before it links).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cdp.core.errors import FieldError
from cdp.core.patterns import PatternFault, parse_pattern
from profiles.identity.graph import TypeRule

# The code relies on these; their values come from fields of their own.
NEEDED = ("user_id", "anonymous_id", "record_id")
ASSERTING = frozenset({"user_id", "record_id"})
FIXED_NORMALISERS = {"email": "email", "phone": "phone"}
PLAIN = frozenset({*NEEDED, "ios.id", "android.id", "device_id"})
NORMALISERS = {
    "text": "outer space dropped",
    "lower": "outer space dropped, lower case",
    "digits": "digits only",
    "letters_digits": "letters and digits only, upper case",
    "email": "an e-mail address",
    "phone": "a telephone number (E.164)",
}
WINDOWS = {"day": 1, "week": 7, "month": 30, "year": 365}
SOURCE_KINDS = ("server", "browser", "mobile", "import")
KEY = re.compile(r"[a-z][a-z0-9_.]{0,63}")
PURPOSE = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
MOST_TYPES = 50
MOST_VALUES = 1_000
MOST_PATTERNS = 50
MOST_CHARACTERS = 512
MOST_NAME = 120
HIGHEST_PRIORITY = 100
HIGHEST_LIMIT = 1_000_000
FIELDS = frozenset(
    {
        "type", "name", "priority", "normaliser", "limit", "window", "sharing_limit", "blocked_values",
        "blocked_patterns", "source_kinds", "link_purpose",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TypeDefinition:
    """The rules of one identifier type; the module's text tells what each field means."""

    key: str
    name: str
    priority: int
    normaliser: str
    limit: int | None
    window: str | None
    sharing_limit: int | None
    blocked_values: tuple[str, ...]
    blocked_patterns: tuple[str, ...]
    source_kinds: tuple[str, ...] | None
    link_purpose: str | None

    def allows(self, source_kind: str) -> bool:
        """Tell whether a kind of source may assert values of this type."""
        return self.source_kinds is None or source_kind in self.source_kinds

    def resolving(self, type_id: int) -> TypeRule:
        """Return what the resolver needs of it."""
        return TypeRule(
            type_id,
            self.key,
            self.priority,
            self.limit,
            self.sharing_limit,
            None if self.window is None else WINDOWS[self.window],
            self.link_purpose or "",
            self.key in ASSERTING,
        )


RuleSet = dict[str, TypeDefinition]


class _Reader:
    def __init__(self) -> None:
        self.faults: list[FieldError] = []

    def fault(self, path: str, message: str) -> None:
        self.faults.append(FieldError(path, "rules.invalid", message))

    def whole(self, value: Any, path: str, *, low: int, high: int) -> int | None:
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        self.fault(path, f"Give a whole number from {low:,} to {high:,}.")
        return None

    def texts(self, value: Any, path: str, most: int) -> tuple[str, ...]:
        if not isinstance(value, list) or len(value) > most:
            self.fault(path, f"Give a list of at most {most:,} texts.")
            return ()
        found: dict[str, None] = {}
        for place, one in enumerate(value):
            if not isinstance(one, str) or not one.strip() or len(one) > MOST_CHARACTERS or "\0" in one:
                self.fault(f"{path}[{place}]", f"Give a text of 1 to {MOST_CHARACTERS} characters.")
            else:
                found[one] = None
        return tuple(found)

    def type(self, value: Any, path: str) -> TypeDefinition | None:  # noqa: PLR0912 - one fault after the other
        if not isinstance(value, Mapping):
            self.fault(path, "Give an object with type, priority and what else is to hold.")
            return None
        for name in sorted(map(str, value.keys() - FIELDS)):
            self.fault(f"{path}.{name[:64]}", f"There is no such rule. There are {', '.join(sorted(FIELDS))}.")
        key = value.get("type")
        if not isinstance(key, str) or not KEY.fullmatch(key):
            self.fault(f"{path}.type", "Give a key of small letters, digits, dots and underscores, a letter first.")
            return None
        name = value.get("name", key)
        if not isinstance(name, str) or not name.strip() or len(name) > MOST_NAME or "\0" in name:
            self.fault(f"{path}.name", f"Give a name of 1 to {MOST_NAME} characters.")
            name = key
        priority = self.whole(value.get("priority"), f"{path}.priority", low=1, high=HIGHEST_PRIORITY)
        limits: dict[str, int | None] = {"limit": None, "sharing_limit": None}
        for field in limits:
            if value.get(field) is not None:
                limits[field] = self.whole(value[field], f"{path}.{field}", low=1, high=HIGHEST_LIMIT)
        normaliser = value.get("normaliser") or FIXED_NORMALISERS.get(key, "text")
        if normaliser not in NORMALISERS:
            self.fault(f"{path}.normaliser", f"Use one of {', '.join(NORMALISERS)}.")
        elif key in FIXED_NORMALISERS and normaliser != FIXED_NORMALISERS[key]:
            self.fault(f"{path}.normaliser", f"The normaliser of {key} is {FIXED_NORMALISERS[key]}.")
        elif key in PLAIN and normaliser != "text":
            self.fault(f"{path}.normaliser", f"The normaliser of {key} is text: its values are compared as they come.")
        window = value.get("window") or None
        if window is not None and window not in WINDOWS:
            self.fault(f"{path}.window", f"Use one of {', '.join(WINDOWS)}, or null for ever.")
        elif window is not None and (limits["limit"] is None or key == "user_id"):
            self.fault(f"{path}.window", "A window needs a limit; that of user_id counts for ever.")
        if key in ASSERTING and limits["sharing_limit"] is not None:
            self.fault(f"{path}.sharing_limit", f"{key} is what asserts others; it has no sharing limit.")
        patterns = self.texts(value.get("blocked_patterns", []), f"{path}.blocked_patterns", MOST_PATTERNS)
        self.patterns(patterns, path)
        kinds = self.kinds(value.get("source_kinds"), key, path)
        purpose = value.get("link_purpose") or None
        if purpose is not None and (not isinstance(purpose, str) or not PURPOSE.fullmatch(purpose)):
            self.fault(f"{path}.link_purpose", "Give the key of a purpose, or null.")
        elif purpose is not None and key in ASSERTING:
            self.fault(f"{path}.link_purpose", f"{key} names the person; ask for a purpose on types that link to it.")
        values = self.texts(value.get("blocked_values", []), f"{path}.blocked_values", MOST_VALUES)
        return TypeDefinition(
            key=key,
            name=name.strip(),
            priority=priority or 1,
            normaliser=str(normaliser),
            limit=limits["limit"],
            window=window,
            sharing_limit=limits["sharing_limit"],
            blocked_values=values,
            blocked_patterns=patterns,
            source_kinds=kinds,
            link_purpose=purpose,
        )

    def patterns(self, patterns: tuple[str, ...], path: str) -> None:
        for place, pattern in enumerate(patterns):
            try:
                parse_pattern(pattern)
            except PatternFault as error:
                self.fault(f"{path}.blocked_patterns[{place}]", f"This pattern cannot be used: {error}.")

    def kinds(self, value: Any, key: str, path: str) -> tuple[str, ...] | None:
        if value is None:
            return None
        if key in NEEDED:
            self.fault(f"{path}.source_kinds", f"{key} may come from every source: give null.")
            return None
        if not isinstance(value, list) or any(kind not in SOURCE_KINDS for kind in value):
            self.fault(f"{path}.source_kinds", f"Give null for all, or a list out of {', '.join(SOURCE_KINDS)}.")
            return None
        return tuple(kind for kind in SOURCE_KINDS if kind in value)


def parse_rules(definition: Any) -> tuple[RuleSet, list[FieldError]]:
    """Read a definition.

    Returns
    -------
    (dict, list of FieldError)
        The types by key, strongest first, and every fault with its path; with faults the types are not to be used.
    """
    reader = _Reader()
    rows = definition.get("types") if isinstance(definition, Mapping) else None
    if not isinstance(rows, list) or not 1 <= len(rows) <= MOST_TYPES:
        reader.fault("types", f"Give 1 to {MOST_TYPES} identifier types.")
        return {}, reader.faults
    found: RuleSet = {}
    for place, row in enumerate(rows):
        one = reader.type(row, f"types[{place}]")
        if one is None:
            continue
        if one.key in found:
            reader.fault(f"types[{place}].type", f"{one.key} is there twice.")
        found[one.key] = one
    missing = [key for key in NEEDED if key not in found]
    if missing and not reader.faults:
        reader.fault("types", f"{', '.join(missing)} must be among the types.")
    return dict(sorted(found.items(), key=lambda item: (item[1].priority, item[0]))), reader.faults


def write_type(one: TypeDefinition) -> dict[str, Any]:
    """Return a type as JSON."""
    return {
        "type": one.key,
        "name": one.name,
        "priority": one.priority,
        "normaliser": one.normaliser,
        "limit": one.limit,
        "window": one.window,
        "sharing_limit": one.sharing_limit,
        "blocked_values": list(one.blocked_values),
        "blocked_patterns": list(one.blocked_patterns),
        "source_kinds": None if one.source_kinds is None else list(one.source_kinds),
        "link_purpose": one.link_purpose,
    }


def write_rules(rules: RuleSet) -> dict[str, Any]:
    """Return a definition as JSON."""
    return {"types": [write_type(one) for one in rules.values()]}


@dataclass(frozen=True, slots=True)
class RuleChange:
    """One field of one type that two definitions have differently; `field` is "" where the type is new or gone."""

    key: str
    field: str
    before: Any
    after: Any


def compare_rules(before: RuleSet, after: RuleSet) -> list[RuleChange]:
    """Return what differs between two definitions, in the order of the newer one's types."""
    changes: list[RuleChange] = []
    for key, new in after.items():
        old = before.get(key)
        if old is None:
            changes.append(RuleChange(key, "", None, write_type(new)))
            continue
        was, now = write_type(old), write_type(new)
        changes.extend(RuleChange(key, field, was[field], now[field]) for field in now if was[field] != now[field])
    changes.extend(RuleChange(key, "", write_type(old), None) for key, old in before.items() if key not in after)
    return changes
