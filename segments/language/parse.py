"""JSON → a definition of frozen nodes. Nothing unknown is ever skipped."""

from collections.abc import Mapping
from typing import Any

from segments.errors import InvalidDefinition
from segments.language.families import FAMILIES, LEAF_READERS, NOT_YET
from segments.language.logic import All, AnyOf, Everyone, Not
from segments.language.nodes import Node, Reading
from segments.language.person import INSTALLATION_ZONE, PROFILE_ZONE, Segment
from segments.language.reading import Fault, either, fault, join, read_list, read_object, shown
from segments.language.zones import is_zone

VERSION = 1
MAX_LEAVES = 100
MAX_DEPTH = 10


def parse(definition: Any) -> Segment:
    """Read a definition in the language `segment/v1`.

    Parameters
    ----------
    definition : JSON value
        `{"version": 1, "timezone": …, "match": …}` as `json.loads` gives it.

    Returns
    -------
    Segment
        Its time zone and the root of its nodes.

    Raises
    ------
    InvalidDefinition
        With one entry per fault found: its path, a code and what is allowed there.
    """
    try:
        return _parse(definition)
    except Fault as found:
        raise InvalidDefinition(found.errors) from found


def _parse(definition: Any) -> Segment:
    data = read_object(definition, "", required=("version", "match"), optional=("timezone",))
    timezone = read_head(data)
    match = read_node(data["match"], Reading("match"))
    leaves = sum(1 for node in match.walk() if not node.children)
    if leaves > MAX_LEAVES:
        raise fault("match", "limit", f"has {leaves} conditions; at most {MAX_LEAVES} are allowed")
    return Segment(timezone, match)


def read_head(data: Mapping[str, Any]) -> str:
    """Check the version of a definition and return its time zone.

    Raises
    ------
    Fault
        If one of them is unknown.
    """
    if data["version"] != VERSION or isinstance(data["version"], bool):
        raise fault("version", "not_allowed", f"must be {VERSION}, not {shown(data['version'])}")
    timezone = data.get("timezone", INSTALLATION_ZONE)
    if timezone not in (INSTALLATION_ZONE, PROFILE_ZONE) and not (isinstance(timezone, str) and is_zone(timezone)):
        raise fault(
            "timezone",
            "not_allowed",
            f"{shown(timezone)} is not installation, profile, or a name such as Europe/Berlin",
        )
    return str(timezone)


def read_node(value: Any, reading: Reading) -> Node:
    """Read a node of any kind.

    Raises
    ------
    Fault
        If it breaks a rule of the language.
    """
    if reading.depth > MAX_DEPTH:
        raise fault(reading.path, "limit", f"conditions may be nested at most {MAX_DEPTH} levels deep")
    if not isinstance(value, dict):
        raise fault(reading.path, "wrong_type", f"must be a condition, not {shown(value)}")
    kind = value.get("type")
    if isinstance(kind, str) and kind in LEAF_READERS:
        return LEAF_READERS[kind](value, reading)
    if kind == "everyone":
        read_object(value, reading.path, required=("type",))
        return Everyone(reading.path)
    if isinstance(kind, str) and kind in {"all", "any", "not"}:
        return _read_group(kind, value, reading)
    at = join(reading.path, "type")
    if "type" not in value:
        raise fault(at, "missing_key", "type is missing")
    if isinstance(kind, str) and kind in NOT_YET:
        raise fault(at, "not_available", f"conditions of type {kind} are not available yet: they need {NOT_YET[kind]}")
    raise fault(at, "not_allowed", f"{shown(kind)} is not a type; allowed: {either(f.type for f in FAMILIES)}")


def _read_group(kind: str, value: dict[str, Any], reading: Reading) -> Node:
    data = read_object(value, reading.path, required=("type", "of"))
    if kind == "not":
        return Not(reading.path, read_node(data["of"], reading.below(".of")))
    children = read_list(
        data["of"],
        join(reading.path, "of"),
        lambda item, path: read_node(item, Reading(path, reading.depth + 1)),
        most=MAX_LEAVES,
    )
    return All(reading.path, children) if kind == "all" else AnyOf(reading.path, children)
