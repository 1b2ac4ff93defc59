"""When a step applies: the message's type, its event, and comparisons of single values."""

from collections.abc import Callable
from typing import Any

from cdp.core.patterns import Matcher, PatternFault, parse_pattern
from ingestion.spec.message import MESSAGE_TYPES
from ingestion.treatment.faults import Faults, members
from ingestion.treatment.paths import Path, PathFault, parse_path, places

Message = dict[str, Any]
Condition = Callable[[Message, str], bool]
"""The item and its type → whether the step applies."""

MAX_LISTED = 1_000
MAX_COMPARED = 20
TYPES = ", ".join(sorted(MESSAGE_TYPES))
Test = Callable[[list[Any]], bool]


def same(left: Any, right: Any) -> bool:
    """Tell whether two JSON values are equal; 1 is 1.0 and not true."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(value, right[name]) for name, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def _texts(values: list[Any]) -> list[str]:
    return [value for value in values if isinstance(value, str)]


def _equals(wanted: Any) -> Test:
    return lambda values: any(same(value, wanted) for value in values)


def _among(wanted: list[Any]) -> Test:
    return lambda values: any(same(value, one) for value in values for one in wanted)


def _contains(wanted: str) -> Test:
    return lambda values: any(wanted in value for value in _texts(values))


def _starts(wanted: str) -> Test:
    return lambda values: any(value.startswith(wanted) for value in _texts(values))


def _matches(wanted: str) -> Test:
    matcher = Matcher(parse_pattern(wanted))
    return lambda values: any(matcher.matches(value) for value in _texts(values))


def _not(make: Callable[[Any], Test]) -> Callable[[Any], Test]:
    def negated(wanted: Any) -> Test:
        test = make(wanted)
        return lambda values: not test(values)

    return negated


def _exists(_: Any) -> Test:
    return lambda values: any(value is not None for value in values)


# Operator → kind of its value, None where it takes none.
OPERATORS: dict[str, tuple[type | None, Callable[[Any], Test]]] = {
    "eq": (object, _equals),
    "ne": (object, _not(_equals)),
    "in": (list, _among),
    "not_in": (list, _not(_among)),
    "contains": (str, _contains),
    "not_contains": (str, _not(_contains)),
    "starts_with": (str, _starts),
    "matches": (str, _matches),
    "exists": (None, _exists),
    "missing": (None, _not(_exists)),
}


def compile_condition(given: Any, path: str, faults: Faults) -> Condition | None:
    """Return the condition of a step, None where it always applies.

    Parameters
    ----------
    given : object
        ``{"type": TEXT or list, "event": TEXT or list, "if": [{"path", "op", "value"}]}``, each part optional; all of
        them must hold. None: always.
    path : str
        Where it stands in the definition.
    """
    if given is None:
        return None
    read = members(given, path, {"type": (str, list), "event": (str, list), "if": list}, faults)
    types = _names(read.get("type"), f"{path}.type", faults)
    events = _names(read.get("event"), f"{path}.event", faults)
    for name in types or ():
        if name not in MESSAGE_TYPES:
            faults.add(f"{path}.type", f"{name!r} is no type of message. Types: {TYPES}.")
    compared = read.get("if", [])
    if len(compared) > MAX_COMPARED:
        faults.add(f"{path}.if", f"At most {MAX_COMPARED} comparisons.")
    tests = [
        test
        for place, one in enumerate(compared[:MAX_COMPARED])
        if (test := _comparison(one, f"{path}.if[{place}]", faults)) is not None
    ]
    if types is None and events is None and not tests:
        return None

    def holds(message: Message, kind: str) -> bool:
        if types is not None and kind not in types:
            return False
        if events is not None:
            event = message.get("event")
            if event.__class__ is not str or event not in events:
                return False
        return all(test([container[key] for container, key in places(message, where)]) for where, test in tests)

    return holds


def _names(given: Any, path: str, faults: Faults) -> frozenset[str] | None:
    if given is None:
        return None
    several = [given] if isinstance(given, str) else given
    if not several or len(several) > MAX_LISTED or not all(isinstance(one, str) for one in several):
        faults.add(path, f"This must be a text, or a list of 1 to {MAX_LISTED} texts.")
        return frozenset()
    return frozenset(several)


def _comparison(given: Any, path: str, faults: Faults) -> tuple[Path, Test] | None:
    before = len(faults.found)
    read = members(given, path, {"path": str, "op": str, "value": object}, faults)
    where = read_path(read.get("path"), f"{path}.path", faults)
    operator = OPERATORS.get(read.get("op", ""))
    if operator is None:
        faults.add(f"{path}.op", f"There is no such operator. Operators: {', '.join(OPERATORS)}.")
    elif operator[0] is None and "value" in read:
        faults.add(f"{path}.value", f"{read['op']} takes no value.")
    elif operator[0] is not None and ("value" not in read or not isinstance(read["value"], operator[0])):
        kind = "a text" if operator[0] is str else "a list" if operator[0] is list else "a value"
        faults.add(f"{path}.value", f"{read['op']} needs {kind}.")
    elif isinstance(read.get("value"), list) and len(read["value"]) > MAX_LISTED:
        faults.add(f"{path}.value", f"At most {MAX_LISTED} values.")
    if operator is None or where is None or len(faults.found) > before:
        return None
    try:
        return where, operator[1](read.get("value"))
    except PatternFault as fault:
        faults.add(f"{path}.value", f"The pattern cannot be used: {fault}.")
        return None


def read_path(given: Any, path: str, faults: Faults) -> Path | None:
    """Return a path of a definition; None, and a fault, where it is none."""
    if not isinstance(given, str):
        faults.add(path, "A path is missing, such as properties.price.")
        return None
    try:
        return parse_path(given)
    except PathFault as fault:
        faults.add(path, str(fault))
        return None
