"""Reading what strict JSON refuses only because of NaN, Infinity, lone surrogates, huge numbers or depth.

The text is cut at its brackets, commas and colons without recursion; each part is then read by itself, so that one bad
item does not spoil the others.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import orjson

from ingestion.errors import NotJson
from ingestion.spec.limits import MAX_DEPTH, MAX_INTEGER, MIN_INTEGER
from ingestion.spec.message import BadItem, Faulty
from ingestion.spec.soundness import FAULT_MESSAGES, inspect, storable

_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|["\[\]{},:]', re.S)
# Far over the limit of a message, far under the recursion limit of the parsers.
_PARSABLE_DEPTH = 200
_MAX_DIGITS = 20


def split_values(text: str) -> Iterator[str]:
    """Yield the elements of a list as text.

    Parameters
    ----------
    text : str
        Starts with ``[``.

    Raises
    ------
    NotJson
        Brackets or quotes do not close, or something follows the list.
    """
    for _, start, end in _children(text):
        yield text[start:end].strip()


def split_members(text: str) -> Iterator[tuple[str, str]]:
    """Yield the keys and values of an object, the values as text.

    Parameters
    ----------
    text : str
        Starts with ``{``.

    Raises
    ------
    NotJson
        Brackets or quotes do not close, a key is none, or something follows the object.
    """
    for colon, start, end in _children(text):
        if colon < 0:
            raise _not_json()
        try:
            key = json.loads(text[start:colon])
        except (ValueError, RecursionError):
            raise _not_json() from None
        if not isinstance(key, str):
            raise _not_json()
        yield key, text[colon + 1 : end].strip()


def _children(text: str) -> Iterator[tuple[int, int, int]]:
    """Yield (position of the first colon or -1, start, end) of each child of the outermost container."""
    depth = 0
    start = 1
    colon = -1
    children = 0
    for match in _TOKEN.finditer(text):
        position = match.start()
        character = text[position]
        if character == '"':
            if match.end() - position == 1:
                raise _not_json()
        elif character in "[{":
            depth += 1
        elif character in "]}":
            depth -= 1
            if depth == 0:
                if text[match.end() :].strip() or (character == "]") is not (text[0] == "["):
                    raise _not_json()
                if text[start:position].strip():
                    yield colon, start, position
                elif children:
                    raise _not_json()
                return
        elif depth == 1:
            if character == ",":
                yield colon, start, position
                children += 1
                start = match.end()
                colon = -1
            elif colon < 0:
                colon = position
    raise _not_json()


def read_value(text: str) -> Any:
    """Read one value.

    Parameters
    ----------
    text : str
        JSON, perhaps with NaN, Infinity, huge numbers, lone surrogates or any depth.

    Returns
    -------
    object
        The value, or a `BadItem` if it has one of these faults.

    Raises
    ------
    NotJson
        The text is not JSON even then.
    """
    depth = _depth(text)
    if depth > _PARSABLE_DEPTH:
        return BadItem("too_deep", FAULT_MESSAGES["too_deep"], _shallow(text))
    faults: list[str] = []

    def read_integer(digits: str) -> int | str:
        if len(digits.lstrip("-")) <= _MAX_DIGITS:
            number = int(digits)
            if MIN_INTEGER <= number <= MAX_INTEGER:
                return number
        faults.append("integer_out_of_range")
        return digits

    def read_float(digits: str) -> float | str:
        number = float(digits)
        if math.isfinite(number):
            return number
        faults.append("not_finite")
        return digits

    def read_constant(name: str) -> str:
        faults.append("not_finite")
        return name

    try:
        value = json.loads(text, parse_int=read_integer, parse_float=read_float, parse_constant=read_constant)
    except (ValueError, RecursionError):
        raise _not_json() from None
    if not faults:
        try:
            orjson.dumps(value)
        except TypeError:
            faults.append(_fault_of(value))
    if depth > MAX_DEPTH:
        faults.insert(0, "too_deep")
    if faults:
        return BadItem(faults[0], FAULT_MESSAGES[faults[0]], storable(value) if isinstance(value, dict) else {})
    return value


def _fault_of(value: Any) -> str:
    try:
        inspect(value, 1 - _PARSABLE_DEPTH)
    except Faulty as fault:
        return fault.code
    return "lone_surrogate"


def _depth(text: str) -> int:
    """Return how deep the containers are nested; what is beyond parsing is not counted to its end."""
    depth = deepest = 0
    for match in _TOKEN.finditer(text):
        character = text[match.start()]
        if character in "[{":
            depth += 1
            if depth > deepest:
                deepest = depth
                if deepest > _PARSABLE_DEPTH:
                    return deepest
        elif character in "]}":
            depth -= 1
    return deepest


def _shallow(text: str) -> dict[str, Any]:
    """Return the members of an object that are not deep themselves."""
    shallow: dict[str, Any] = {}
    if text[:1] == "{":
        for key, part in split_members(text):
            if part[:1] in "[{" and _depth(part) > MAX_DEPTH:
                shallow[key] = "…"
                continue
            value = read_value(part)
            shallow[key] = "…" if isinstance(value, BadItem) else value
    else:
        list(split_values(text))
    kept: dict[str, Any] = storable(shallow)
    return kept


def _not_json() -> NotJson:
    return NotJson("The body is not valid JSON.")
