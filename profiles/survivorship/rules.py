"""The rules: one for each trait that is not to follow the most recent statement."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cdp.core.errors import FieldError

MOST_RECENT = "most_recent"
SOURCE_PRIORITY = "source_priority"
VERIFIED_FIRST = "verified_first"
SET_ONCE = "set_once"
EARLIEST = "earliest"
LATEST_VALUE = "latest_value"
EARLIEST_VALUE = "earliest_value"
LONGEST = "longest"
MOST_FREQUENT = "most_frequent"

# Rules that compare values with each other: what is stored encrypted cannot be.
COMPARING = frozenset({LATEST_VALUE, EARLIEST_VALUE, LONGEST, MOST_FREQUENT})
# What each rule says, for pages and for the answer to a wrong name.
KINDS: dict[str, str] = {
    MOST_RECENT: "what was said last",
    SOURCE_PRIORITY: "what the strongest source says; of one source, what it said last",
    VERIFIED_FIRST: "what was verified; of several, what was said last",
    SET_ONCE: "what was said first, and it stays",
    EARLIEST: "what was said first since it was last unset",
    LATEST_VALUE: "the greatest number or the latest date",
    EARLIEST_VALUE: "the smallest number or the earliest date",
    LONGEST: "the longest value; of several, the one said last",
    MOST_FREQUENT: "the value said most often; of several, the one said last",
}
# Under these an unset is a statement that wins or loses as any other.
STANDING = frozenset({MOST_RECENT, SOURCE_PRIORITY, VERIFIED_FIRST})
# Under these an unset takes away all that had been said before it.
FLOORED = frozenset({EARLIEST, LATEST_VALUE, EARLIEST_VALUE, LONGEST, MOST_FREQUENT})
# Under these the first of two statements made at the same moment stays.
FIRST_STAYS = frozenset({SET_ONCE, EARLIEST})
USES_SOURCES = frozenset({SOURCE_PRIORITY, VERIFIED_FIRST})

MOST_TRAITS = 500
MOST_SOURCES = 200
LONGEST_NAME = 255
CODE = "trait_rules.invalid"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as the processor needs it.

    `ranks` (source priority) gives source ids their strength, larger is stronger, absent is 0. Under verified first a
    statement is verified if it says so by the trait `verified_by` beside it, or if its source is one of
    `verified_sources`.
    """

    kind: str
    ranks: Mapping[int, int] = field(default_factory=dict)
    verified_by: str = ""
    verified_sources: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules in force. `ranks` decides between sources that spoke at the same moment."""

    version: int = 0
    ranks: Mapping[int, int] = field(default_factory=dict)
    by_trait: Mapping[str, Rule] = field(default_factory=dict)

    @property
    def is_active(self) -> bool:
        """Tell whether anything differs from the default."""
        return bool(self.by_trait or self.ranks)


NO_RULES = Rules()
DEFAULT = Rule(MOST_RECENT)


def rank(sources: list[str], ids: Mapping[str, int]) -> dict[int, int]:
    """Return the strength of sources that are listed strongest first; those that are gone are left out."""
    return {ids[key]: len(sources) - place for place, key in enumerate(sources) if key in ids}


def compile_rules(definition: Mapping[str, Any], *, version: int, source_ids: Mapping[str, int]) -> Rules:
    """Return a definition that `read_definition` passed as rules.

    Parameters
    ----------
    source_ids : mapping
        Keys of sources → their ids.
    """
    order = definition.get("sources", [])
    by_trait = {}
    for name, given in definition.get("traits", {}).items():
        kind, sources = given["rule"], given.get("sources", [])
        if kind == SOURCE_PRIORITY:
            by_trait[name] = Rule(kind, ranks=rank(sources or order, source_ids))
        elif kind == VERIFIED_FIRST:
            trusted = frozenset(source_ids[key] for key in sources if key in source_ids)
            by_trait[name] = Rule(kind, verified_by=given.get("verified_by", ""), verified_sources=trusted)
        elif kind != MOST_RECENT:
            by_trait[name] = Rule(kind)
    return Rules(version, rank(order, source_ids), by_trait)


def read_definition(given: Any, *, known_sources: frozenset[str]) -> tuple[dict[str, Any], list[FieldError]]:
    """Read what people wrote.

    Parameters
    ----------
    given : JSON
        ``{"sources": [KEY, …], "traits": {NAME: {"rule": KIND, "sources"?, "verified_by"?}}}``; a rule may also be its
        kind alone. Sources stand strongest first.

    Returns
    -------
    (dict, list of FieldError)
        The definition in its one form, and what is wrong with it. Nothing of a wrong one is usable.
    """
    if not isinstance(given, Mapping):
        return {}, [_fault("", 'Give {"sources": [], "traits": {"NAME": {"rule": "longest"}}}.')]
    faults = [
        _fault(str(key)[:LONGEST_NAME], "Only sources and traits can stand here.")
        for key in given
        if key not in {"sources", "traits"}
    ]
    order = _read_sources(given.get("sources", []), "sources", known_sources, faults)
    traits = given.get("traits", {})
    if not isinstance(traits, Mapping):
        return {}, [*faults, _fault("traits", 'traits must be an object: {"NAME": {"rule": "longest"}}.')]
    if len(traits) > MOST_TRAITS:
        return {}, [*faults, _fault("traits", f"At most {MOST_TRAITS} traits can have a rule of their own.")]
    read: dict[str, dict[str, Any]] = {}
    for name, value in traits.items():
        normal = unicodedata.normalize("NFC", str(name)).strip()
        path = f"traits.{normal[:LONGEST_NAME]}"
        if not normal or len(normal) > LONGEST_NAME or normal.startswith("$"):
            faults.append(_fault(path, f"A trait's name has 1 to {LONGEST_NAME} characters and begins without a $."))
        elif normal in read:
            faults.append(_fault(path, "This trait has two rules."))
        else:
            read[normal] = _read_rule(value, path, bool(order), known_sources, faults)
    return {"sources": order, "traits": {name: read[name] for name in sorted(read)}}, faults


def _read_rule(
    value: Any, path: str, has_order: bool, known_sources: frozenset[str], faults: list[FieldError]
) -> dict[str, Any]:
    if isinstance(value, str):
        value = {"rule": value}
    if not isinstance(value, Mapping):
        faults.append(_fault(path, 'Give {"rule": "longest"}.'))
        return {}
    kind = value.get("rule")
    if not isinstance(kind, str) or kind not in KINDS:
        faults.append(_fault(f"{path}.rule", f"The rule must be one of {', '.join(KINDS)}."))
        return {}
    allowed = {"rule", *(("sources",) if kind in USES_SOURCES else ()), *_companion(kind)}
    faults.extend(
        _fault(f"{path}.{str(key)[:LONGEST_NAME]}", f"The rule {kind} takes {', '.join(sorted(allowed))} only.")
        for key in value
        if key not in allowed
    )
    found: dict[str, Any] = {"rule": kind}
    sources = _read_sources(value.get("sources", []), f"{path}.sources", known_sources, faults)
    if sources:
        found["sources"] = sources
    if kind == SOURCE_PRIORITY and not sources and not has_order:
        faults.append(_fault(f"{path}.sources", "Name the sources, strongest first, here or for all traits."))
    companion = value.get("verified_by", "")
    if not isinstance(companion, str) or len(companion) > LONGEST_NAME:
        faults.append(_fault(f"{path}.verified_by", "verified_by must be the name of a trait, e.g. email_verified."))
    elif companion.strip():
        found["verified_by"] = unicodedata.normalize("NFC", companion.strip())
    if kind == VERIFIED_FIRST and not sources and "verified_by" not in found:
        faults.append(
            _fault(path, "Say how a value is verified: verified_by (a trait that is true beside it), or sources.")
        )
    return found


def _companion(kind: str) -> tuple[str, ...]:
    return ("verified_by",) if kind == VERIFIED_FIRST else ()


def _read_sources(value: Any, path: str, known: frozenset[str], faults: list[FieldError]) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value) or len(value) > MOST_SOURCES:
        faults.append(_fault(path, f"sources must be a list of at most {MOST_SOURCES} keys of sources."))
        return []
    unknown = [one for one in value if one not in known]
    if unknown:
        faults.append(_fault(path, f"There is no source {unknown[0][:LONGEST_NAME]!r}."))
    if len(set(value)) < len(value):
        faults.append(_fault(path, "A source is named twice."))
    return list(value)


def _fault(path: str, message: str) -> FieldError:
    return FieldError(path, CODE, message)
