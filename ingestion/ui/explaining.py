"""What normalisers and operations are, in a sentence and an example, for those who write definitions."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson

from ingestion.treatment.faults import Faults
from ingestion.treatment.normalisers import INVALID, NORMALISERS, make_normaliser

CODE = "cleaning.invalid"


@dataclass(frozen=True, slots=True)
class Explained:
    """One normaliser: its options, and an example that was computed by it."""

    name: str
    sentence: str
    options: list[str]
    given: Any
    example_options: str
    outcome: Any


# Name → what it does, and an example: options and a value.
SENTENCES: dict[str, tuple[str, dict[str, Any], Any]] = {
    "whitespace": ("Single spaces, none at the ends, composed characters.", {}, "  Dana   Dale "),
    "case": ("All small or all capital letters.", {"to": "upper"}, "eur"),
    "email": ("Small letters; tags and dots go only where you say so.", {"drop_plus_tag": True}, "Dana+x@Gmail.com"),
    "phone": ("The international form, E.164; region is for numbers without +.", {"region": "DE"}, "0151 12345678"),
    "date": ("ISO 8601; a numeric date needs its order.", {"order": "dmy", "only_date": True}, "14.03.2026"),
    "number": ("A number; thousands, currency signs and % go.", {"decimal": ","}, "1.299,90 €"),
    "boolean": ("True or false; you can add words.", {"true": ["ja"]}, "ja"),
    "country": ("ISO 3166-1: alpha_2, alpha_3 or the name.", {}, "Germany"),
    "currency": ("ISO 4217; a sign alone is ambiguous, so name it.", {"aliases": {"$": "USD"}}, "$"),
    "language": ("ISO 639-1, with the region if you keep it.", {"keep_region": True}, "de_de"),
    "name": ("Single spaces; capitals at word starts if all was in one case.", {}, "DANA DALE"),
    "address": ("As name, for streets and towns.", {}, "12  main street"),
    "unit": ("A number in one unit.", {"from": "cm", "to": "m"}, "180 cm"),
    "map": ("Your table of old values and new ones.", {"values": {"shoes": "Footwear"}}, "Shoes"),
    "transliterate": ("Latin letters in one case, for matching only; needs to.", {}, "Łukasz Müller"),
}
OPERATIONS = (
    ("rename", "moves a value to another place", {"op": "rename", "path": "properties.orderId", "to": "properties.id"}),
    ("drop", "removes values", {"op": "drop", "paths": ["properties.debug", "context.screen"]}),
    ("set", "puts a fixed value", {"op": "set", "path": "context.app.name", "value": "shop", "only_if_missing": True}),
    ("filter", "stops messages for which the condition holds", {"op": "filter", "when": {"event": "Heartbeat"}}),
    (
        "map",
        "replaces values by a table",
        {"op": "map", "path": "event", "values": {"order done": "Order Completed"}},
    ),
    (
        "split",
        "cuts a text into several places, or a list",
        {"op": "split", "path": "traits.name", "separator": " ", "to": ["traits.first_name", "traits.last_name"]},
    ),
    (
        "join",
        "puts values together as one text",
        {"op": "join", "paths": ["traits.first", "traits.last"], "separator": " ", "to": "traits.name"},
    ),
)


@cache
def explain_normalisers() -> list[Explained]:
    """Return every normaliser with an example that it computed just now."""
    explained = []
    for name, (options, _) in NORMALISERS.items():
        sentence, chosen, given = SENTENCES[name]
        normalise = make_normaliser(name, chosen, "", Faults(CODE))
        outcome = normalise(given) if normalise is not None else INVALID
        written = orjson.dumps(chosen).decode() if chosen else ""
        explained.append(Explained(name, sentence, list(options), given, written, outcome))
    return explained


def list_operations() -> list[tuple[str, str, str]]:
    """Return the operations of transformations: name, sentence, an example to copy."""
    return [(name, sentence, orjson.dumps(example).decode()) for name, sentence, example in OPERATIONS]
