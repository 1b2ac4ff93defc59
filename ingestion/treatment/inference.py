"""A first plan from what was observed: types, and what was never missing. No values get into it."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from ingestion.treatment.plans import PLANNED
from ingestion.treatment.shapes import safe_name

# Fewer messages say nothing about what is always there.
TELLING = 10
MAX_DEPTH = 5
# An object with more members than this is a table of values, not a shape.
MAX_MEMBERS = 100
KINDS: dict[type, str] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
    type(None): "null",
}


def infer_plan(messages: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return the definition of a plan that all these messages keep.

    Parameters
    ----------
    messages : iterable of dict
        As SDKs send them: type, event, properties, traits.
    """
    found: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for message in messages:
        kind = message.get("type")
        event = message.get("event") if kind == "track" else ""
        if kind not in PLANNED or not isinstance(event, str) or safe_name(event or "-") == "*":
            continue
        payload = message.get(PLANNED[kind])
        found[kind, event].append(payload if isinstance(payload, dict) else {})
    order = list(PLANNED)
    rules = [
        {
            "type": kind,
            **({"event": event} if kind == "track" else {}),
            "schema": _object(payloads, MAX_DEPTH),
        }
        for (kind, event), payloads in sorted(found.items(), key=lambda one: (order.index(one[0][0]), one[0][1]))
    ]
    return {"rules": rules}


def _object(values: Sequence[dict[str, Any]], depth: int) -> dict[str, Any]:
    members: dict[str, list[Any]] = defaultdict(list)
    for value in values:
        for name, inner in value.items():
            members[name].append(inner)
    schema: dict[str, Any] = {"type": "object"}
    if not members or len(members) > MAX_MEMBERS or depth == 0:
        return schema
    named = {name: inner for name, inner in members.items() if safe_name(name) == name}
    schema["properties"] = {name: _schema(inner, depth - 1) for name, inner in sorted(named.items())}
    required = sorted(name for name, inner in named.items() if len(inner) == len(values) >= TELLING)
    return {**schema, "required": required} if required else schema


def _schema(values: Sequence[Any], depth: int) -> dict[str, Any]:
    kinds = sorted({KINDS[type(value)] for value in values})
    if "number" in kinds and "integer" in kinds:
        kinds.remove("integer")
    schema: dict[str, Any] = {"type": kinds[0] if len(kinds) == 1 else kinds}
    if kinds == ["object"]:
        return _object(values, depth)
    if kinds == ["array"] and depth > 0:
        items = [item for value in values for item in value]
        if items:
            schema["items"] = _schema(items, depth - 1)
    return schema
