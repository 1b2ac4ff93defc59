"""A model's definition as JSON: which sources and traits, which comparison for each, and how sure joining must be."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cdp.core.errors import FieldError
from profiles.matching.fields import COMPARISONS, Field

MODES = ("deduplicate", "link")
DEFAULT_PRECISION = 0.995
LEAST_PRECISION, MOST_PRECISION = 0.5, 0.9999
MOST_FIELDS, MOST_SOURCES = 30, 50
MOST_NAME = 120
_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What is to be matched, and how.

    Attributes
    ----------
    sources : tuple of str
        Records of these sources; () for every profile.
    mode : str
        ``deduplicate``, or ``link``: only records of different sources are one person, and no two of one source.
    auto_link_precision : float
        What the lower bound of precision must reach for pairs to be joined unseen.
    """

    key: str
    name: str
    sources: tuple[str, ...]
    fields: tuple[Field, ...]
    mode: str
    auto_link_precision: float


def read_spec(given: Any) -> tuple[ModelSpec | None, list[FieldError]]:
    """Read a definition; None with its faults where it has any."""
    faults: list[FieldError] = []

    def fault(path: str, code: str, message: str) -> None:
        faults.append(FieldError(path, f"matching.{code}", message))

    if not isinstance(given, Mapping):
        return None, [FieldError("", "matching.no_object", "A model is a JSON object.")]
    known = {"key", "name", "sources", "fields", "mode", "auto_link_precision"}
    for name in sorted(set(given) - known):
        fault(name, "unknown_field", f"A model has no {name}; it has {', '.join(sorted(known))}.")
    key = given.get("key")
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        fault("key", "bad_key", "The key is 1 to 64 letters, digits, hyphens or underscores.")
    name = given.get("name", key)
    if not isinstance(name, str) or not 0 < len(name) <= MOST_NAME:
        fault("name", "bad_name", f"The name is a text of up to {MOST_NAME} characters.")
    sources = given.get("sources", [])
    if not isinstance(sources, list) or len(sources) > MOST_SOURCES or not all(isinstance(one, str) for one in sources):
        fault("sources", "bad_sources", "Sources is a list of source keys; an empty one stands for all profiles.")
        sources = []
    mode = given.get("mode", "deduplicate")
    if mode not in MODES:
        fault("mode", "bad_mode", f"The mode is one of {', '.join(MODES)}.")
    elif mode == "link" and len(set(sources)) < 2:
        fault("sources", "too_few_sources", "Linking takes two sources or more.")
    precision = given.get("auto_link_precision", DEFAULT_PRECISION)
    if (
        isinstance(precision, bool)
        or not isinstance(precision, (int, float))
        or not (LEAST_PRECISION <= precision <= MOST_PRECISION)
    ):
        fault("auto_link_precision", "bad_precision", f"It lies between {LEAST_PRECISION} and {MOST_PRECISION}.")
        precision = DEFAULT_PRECISION
    fields = _read_fields(given.get("fields"), fault)
    if faults:
        return None, faults
    return ModelSpec(str(key), str(name), tuple(dict.fromkeys(sources)), fields, str(mode), float(precision)), []


def _read_fields(given: Any, fault: Any) -> tuple[Field, ...]:
    if not isinstance(given, list) or not 0 < len(given) <= MOST_FIELDS:
        fault("fields", "no_fields", f"Fields is a list of 1 to {MOST_FIELDS} traits, each with its comparison.")
        return ()
    fields: list[Field] = []
    for number, one in enumerate(given):
        path = f"fields[{number}]"
        trait = one.get("trait") if isinstance(one, Mapping) else None
        if not isinstance(trait, str) or not 0 < len(trait) <= 200 or trait.startswith("~") or "\0" in trait:
            fault(f"{path}.trait", "bad_trait", "Name a trait.")
            continue
        if any(field.trait == trait for field in fields):
            fault(f"{path}.trait", "trait_twice", "Each trait is compared once.")
        comparison = one.get("comparison")
        if comparison not in COMPARISONS:
            fault(f"{path}.comparison", "bad_comparison", f"The comparison is one of {', '.join(COMPARISONS)}.")
            continue
        fields.append(Field(trait, comparison))
    return tuple(fields)


def write_spec(spec: ModelSpec) -> dict[str, Any]:
    """Return the definition as JSON."""
    return {
        "key": spec.key,
        "name": spec.name,
        "sources": list(spec.sources),
        "fields": [{"trait": field.trait, "comparison": field.comparison} for field in spec.fields],
        "mode": spec.mode,
        "auto_link_precision": spec.auto_link_precision,
    }
