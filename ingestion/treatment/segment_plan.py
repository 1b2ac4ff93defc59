"""Tracking plans in Segment's JSON: the rules of its Public API, and the older document that Typewriter keeps.

Segment's schemas are draft 7 over the whole message; ours are draft 2020-12 over the properties or the traits.
"""

from typing import Any

from ingestion.treatment.faults import Faults
from ingestion.treatment.plans import CODE, COMMON, PLANNED

DRAFT_7 = "http://json-schema.org/draft-07/schema#"
DRAFT_2020 = "https://json-schema.org/draft/2020-12/schema"
NEWER = {
    "prefixItems",
    "dependentRequired",
    "dependentSchemas",
    "unevaluatedProperties",
    "unevaluatedItems",
    "minContains",
}
PARTS = ("properties", "traits", "context")
OLD_TYPES = {**{kind: kind for kind in PLANNED if kind != "track"}, "global": COMMON}


def import_plan(document: Any) -> dict[str, Any]:
    """Return Segment's plan as a definition for `compile_plan`; policies are not in it.

    Parameters
    ----------
    document : object
        ``{"rules": [{"type", "key", "version", "jsonSchema"}]}`` (also under ``data``), or
        ``{"rules": {"events": [{"name", "description", "version", "rules"}], "identify": …, "group": …, …}}``.

    Raises
    ------
    InvalidTreatment
        Naming what cannot be taken over; nothing is left out in silence.
    """
    faults = Faults(CODE)
    content = document.get("data", document) if isinstance(document, dict) else None
    if isinstance(content, dict) and isinstance(content.get("tracking_plan"), dict):
        content = content["tracking_plan"]
    listed = content.get("rules") if isinstance(content, dict) else None
    rules: list[dict[str, Any]] = []
    if isinstance(listed, list):
        rules = [_rule(one, f"rules[{place}]", faults) for place, one in enumerate(listed)]
    elif isinstance(listed, dict):
        rules = _old_rules(listed, faults)
    else:
        faults.add("rules", "Segment's tracking plan has its rules under `rules`; there are none.")
    faults.end()
    name = content.get("display_name") or content.get("name") if isinstance(content, dict) else None
    plan: dict[str, Any] = {"name": name} if isinstance(name, str) and name else {}
    return {**plan, "rules": [rule for rule in rules if rule]}


def _rule(given: Any, path: str, faults: Faults) -> dict[str, Any]:
    kind = str(given.get("type", "")).lower() if isinstance(given, dict) else ""
    if kind not in PLANNED and kind != COMMON:
        faults.add(f"{path}.type", "This is none of TRACK, IDENTIFY, GROUP, PAGE, SCREEN and COMMON.")
        return {}
    rule: dict[str, Any] = {"type": kind}
    if kind == "track":
        rule["event"] = given.get("key")
        if not isinstance(rule["event"], str) or not rule["event"].strip():
            faults.add(f"{path}.key", "The event has no name.")
    return _with_schemas(rule, given, given.get("jsonSchema"), f"{path}.jsonSchema", faults)


def _old_rules(given: dict[str, Any], faults: Faults) -> list[dict[str, Any]]:
    rules = []
    events = given.get("events", [])
    if not isinstance(events, list):
        faults.add("rules.events", "This must be a list.")
        events = []
    for place, one in enumerate(events):
        path = f"rules.events[{place}]"
        if not isinstance(one, dict) or not isinstance(one.get("name"), str) or not one["name"].strip():
            faults.add(f"{path}.name", "The event has no name.")
            continue
        rules.append(_with_schemas({"type": "track", "event": one["name"]}, one, one.get("rules"), path, faults))
    for name, kind in OLD_TYPES.items():
        if given.get(name):
            rules.append(_with_schemas({"type": kind}, {}, given[name], f"rules.{name}", faults))
    return rules


def _with_schemas(  # noqa: PLR0912 - one straight pass over what the schema may hold
    rule: dict[str, Any], given: dict[str, Any], schema: Any, path: str, faults: Faults
) -> dict[str, Any]:
    """Divide the schema of a whole message into those of its parts."""
    for name, kind in (("description", str), ("labels", dict), ("version", int)):
        if isinstance(given.get(name), kind) and given[name]:
            rule[name] = given[name]
    if schema is None:
        return rule
    if not isinstance(schema, dict):
        faults.add(path, "A schema is an object.")
        return rule
    if isinstance(schema.get("description"), str) and "description" not in rule:
        rule["description"] = schema["description"]
    if isinstance(schema.get("labels"), dict) and "labels" not in rule:
        rule["labels"] = schema["labels"]
    known = {"$schema", "$id", "id", "type", "title", "description", "labels", "properties", "required", "definitions"}
    for name in sorted(schema.keys() - known):
        faults.add(f"{path}.{name}", "Only the schemas of properties, traits and context can be taken over.")
    definitions = schema.get("definitions")
    parts = schema.get("properties", {})
    if not isinstance(parts, dict):
        faults.add(f"{path}.properties", "This must be an object.")
        return rule
    payload = PLANNED.get(rule["type"], "properties")
    for name, part in parts.items():
        if part in ({}, True):
            continue
        target = "schema" if name == payload else "context" if name == "context" else None
        if target is None:
            faults.add(f"{path}.properties.{name}", f"A {rule['type']} rule can check {payload} and context only.")
            continue
        taken = _modern(part)
        if isinstance(definitions, dict) and isinstance(taken, dict):
            taken = {**taken, "definitions": _modern_members(definitions)}
        rule[target] = taken
    if payload not in parts and rule["type"] != COMMON and isinstance(schema.get("required"), list):
        for name in schema["required"]:
            if name not in PARTS:
                faults.add(f"{path}.required", f"{name} cannot be required here.")
    return rule


def _modern_members(given: dict[str, Any]) -> dict[str, Any]:
    return {name: _modern(inner) for name, inner in given.items()}


def _modern(schema: Any) -> Any:
    """Return a draft 7 schema as one of draft 2020-12."""
    if not isinstance(schema, dict):
        return schema
    made: dict[str, Any] = {}
    for name, value in schema.items():
        if name == "$schema":
            continue
        if name in {"properties", "patternProperties", "definitions", "$defs"} and isinstance(value, dict):
            made[name] = _modern_members(value)
        elif name == "items" and isinstance(value, list):
            made["prefixItems"] = [_modern(inner) for inner in value]
        elif name == "additionalItems":
            if isinstance(schema.get("items"), list):
                made["items"] = _modern(value)
        elif name == "dependencies" and isinstance(value, dict):
            lists = {key: needed for key, needed in value.items() if isinstance(needed, list)}
            others = {key: _modern(inner) for key, inner in value.items() if not isinstance(inner, list)}
            made |= {"dependentRequired": lists} if lists else {}
            made |= {"dependentSchemas": others} if others else {}
        elif name in {"allOf", "anyOf", "oneOf"} and isinstance(value, list):
            made[name] = [_modern(inner) for inner in value]
        elif name in {"items", "not", "if", "then", "else", "contains", "additionalProperties", "propertyNames"}:
            made[name] = _modern(value)
        else:
            made[name] = value
    return made


def export_plan(definition: dict[str, Any]) -> dict[str, Any]:
    """Return a plan in the shape of Segment's Public API (the body of "replace rules" and the answer of "list rules").

    Policies and the allow-list are not part of that shape: Segment keeps them with the source.
    """
    rules = []
    for rule in definition.get("rules", []):
        payload = PLANNED.get(rule["type"], "properties")
        parts: dict[str, Any] = {key: {} for key in PARTS} | {payload: rule.get("schema", {})}
        parts["context"] = rule.get("context", {})
        newer = _uses(parts, NEWER)
        schema = {"$schema": DRAFT_2020 if newer else DRAFT_7, "type": "object", "properties": parts}
        schema |= {name: rule[name] for name in ("description", "labels") if rule.get(name)}
        named = {"key": rule["event"]} if rule["type"] == "track" else {}
        version = rule.get("version", 1)
        rules.append({"type": rule["type"].upper(), **named, "version": version, "jsonSchema": schema})
    return {**({"name": definition["name"]} if definition.get("name") else {}), "type": "LIVE", "rules": rules}


def _uses(value: Any, names: set[str]) -> bool:
    if isinstance(value, dict):
        return bool(names & value.keys()) or any(_uses(inner, names) for inner in value.values())
    return isinstance(value, list) and any(_uses(inner, names) for inner in value)
