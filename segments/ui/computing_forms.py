"""The form of a computed trait: fields ↔ definition. What the form cannot say is edited as JSON."""

import json
from collections.abc import Mapping
from typing import Any

from django.http import QueryDict

from cdp.core.errors import FieldError
from segments.errors import InvalidDefinition

KINDS = {
    "summary": "What somebody did",
    "weighted_score": "Weighted score",
    "rfm": "RFM scores and groups",
    "json": "As JSON",
}
FUNCTIONS = {
    "count": "how often",
    "sum": "total of a property",
    "average": "average of a property",
    "min": "smallest of a property",
    "max": "largest of a property",
    "first": "first value of a property",
    "last": "latest value of a property",
    "most_frequent": "most frequent value of a property",
    "distinct_list": "list of all values of a property",
    "days_since": "days since the latest",
}
FIELDS = ("kind", "key", "name", "fn", "event", "property", "days", "where", "where_value", "json")
SPARE_ROWS = 3
MOST_ROWS = 50
MOST_CHARACTERS = 20_000


def fill(kind: str, definition: Any) -> dict[str, Any]:
    """Return the fields for a definition; one that the form cannot say whole is shown as JSON."""
    given: dict[str, Any] = {**dict.fromkeys(FIELDS, ""), "kind": kind, "criteria": [], "thresholds": []}
    given["functions"] = FUNCTIONS
    if definition is None:
        given["fn"] = "count"
        return _with_spare(given)
    given["json"] = json.dumps(definition, indent=2, ensure_ascii=False)
    compute = definition["compute"]
    if kind == "summary":
        window = compute.get("window") or {}
        where = compute.get("where") or {}
        given.update(
            fn=compute["fn"],
            event=compute["name"] if isinstance(compute["name"], str) else "",
            property=compute.get("property", ""),
            days=str(window.get("last", "")).removeprefix("P").removesuffix("D"),
            where=where.get("property", ""),
            where_value=where.get("value", ""),
        )
    elif kind == "weighted_score":
        given["criteria"] = [
            {"segment": row["when"].get("key", ""), "weight": row["weight"]} for row in compute["criteria"]
        ]
        given["thresholds"] = compute.get("thresholds") or []
    if definition_of(given) != definition:
        given["kind"] = "json"
    return _with_spare(given)


def read_form(sent: QueryDict) -> dict[str, Any]:
    """Return the fields that were sent."""
    given: dict[str, Any] = {name: sent.get(name, "").replace("\0", "").strip()[:MOST_CHARACTERS] for name in FIELDS}
    if given["kind"] not in KINDS:
        given["kind"] = "summary"
    given["functions"] = FUNCTIONS
    given["criteria"] = _rows(sent, "segment", "weight")
    given["thresholds"] = [{"class": row["class"], "from": row["from"]} for row in _rows(sent, "class", "from")]
    return _with_spare(given)


def definition_of(given: Mapping[str, Any]) -> Any:
    """Return the definition that the fields say; the language checks it.

    Raises
    ------
    InvalidDefinition
        If the text is no JSON, or a number is none.
    """
    if given["kind"] == "json":
        try:
            return json.loads(given["json"])
        except ValueError as error:
            message = f"This is not JSON: {error}."
            raise InvalidDefinition([FieldError("json", "invalid_value", message)]) from error
    return {"version": 1, "timezone": "installation", "compute": _computation(given)}


def _computation(given: Mapping[str, Any]) -> dict[str, Any]:
    if given["kind"] == "rfm":
        return {"type": "rfm"}
    if given["kind"] == "weighted_score":
        criteria = [
            {"when": {"type": "segment", "key": row["segment"]}, "weight": _number(row["weight"], "weight")}
            for row in given["criteria"]
            if row["segment"]
        ]
        thresholds = [
            {"from": _number(row["from"], "from"), "class": row["class"]} for row in given["thresholds"] if row["class"]
        ]
        found: dict[str, Any] = {"type": "weighted_score", "criteria": criteria}
        return {**found, "thresholds": thresholds} if thresholds else found
    found = {"type": "summary", "fn": given["fn"], "name": given["event"]}
    if given["property"]:
        found["property"] = given["property"]
    if given["where"]:
        found["where"] = {"property": given["where"], "op": "eq", "value": given["where_value"]}
    if given["days"]:
        found["window"] = {"last": f"P{given['days']}D"}
    return found


def _number(text: Any, path: str) -> Any:
    if not isinstance(text, str):
        return text
    try:
        number = float(text.replace(",", "."))
    except ValueError as error:
        message = f"“{text}” is not a number."
        raise InvalidDefinition([FieldError(path, "wrong_type", message)]) from error
    return int(number) if number.is_integer() else number


def _rows(sent: QueryDict, first: str, second: str) -> list[dict[str, str]]:
    rows = []
    for number in range(MOST_ROWS):
        one, other = sent.get(f"{first}-{number}", "").strip(), sent.get(f"{second}-{number}", "").strip()
        if one or other:
            rows.append({first: one, second: other})
    return rows


def _with_spare(given: dict[str, Any]) -> dict[str, Any]:
    """Add empty rows to fill in; they are left out when the form is read."""
    given["criteria"] = [*given["criteria"], *[{"segment": "", "weight": ""}] * SPARE_ROWS]
    given["thresholds"] = [*given["thresholds"], *[{"class": "", "from": ""}] * SPARE_ROWS]
    return given
