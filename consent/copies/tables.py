"""Rows of JSON as tables, without losing a member: nested objects become columns, lists stay JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

ROW_VALUE = "value"
# An event with thousands of properties must not make a table that nothing opens; JSON has them all.
MOST_COLUMNS = 1000
REST = "other"
DEPTH = 3


def as_tables(exported: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    """Return the tables of what one store exported: a list of objects is a table, anything else a row of its own."""
    return {
        name: [_as_row(one) for one in (rows if isinstance(rows, list) else [rows])] for name, rows in exported.items()
    }


def flatten(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[Any]]]:
    """Return a table's header and its cells.

    Returns
    -------
    (list of str, list of list)
        Columns in the order in which they first occur, members of objects as ``outer.inner``; more than
        `MOST_COLUMNS` share one last column of JSON.
    """
    flat = [_members(row, DEPTH) for row in rows]
    header = list(dict.fromkeys(name for row in flat for name in row))
    if len(header) <= MOST_COLUMNS:
        return header, [[row.get(name) for name in header] for row in flat]
    kept = header[: MOST_COLUMNS - 1]
    known = set(kept)
    cells = [
        [*(row.get(name) for name in kept), {name: value for name, value in row.items() if name not in known} or None]
        for row in flat
    ]
    return [*kept, REST], cells


def _as_row(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {ROW_VALUE: value}


def _members(value: Mapping[str, Any], depth: int, prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, inner in value.items():
        path = f"{prefix}{name}"
        if isinstance(inner, dict) and inner and depth > 1:
            found.update(_members(inner, depth - 1, f"{path}."))
        else:
            found[path] = inner
    return found
