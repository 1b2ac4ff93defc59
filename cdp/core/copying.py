"""Moving rows into PostgreSQL by the thousand: COPY text, and array literals built in one piece.

The driver adapts a list element by element, which costs more than PostgreSQL's own work on it; these build one literal.
"""

import io
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import orjson

NULL = "\\N"

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def escape(text: str) -> str:
    """Escape a value for COPY's text format."""
    return text if text.isprintable() and "\\" not in text else text.translate(_ESCAPES)


def escape_json(text: str) -> str:
    """Escape JSON for COPY's text format: of its special characters JSON can hold only the backslash."""
    return text.replace("\\", "\\\\") if "\\" in text else text


def copy_rows(cursor: Any, table: str, columns: str, lines: list[str]) -> None:
    """COPY lines (tab-separated, escaped, each ending in a newline) into a table; nothing happens without lines."""
    if lines:
        # Django turns the driver's errors into its own for `execute`, but not for COPY.
        with cursor.db.wrap_database_errors:
            cursor.copy_expert(f"COPY {table} ({columns}) FROM STDIN", io.StringIO("".join(lines)))


def bytea_array(values: Iterable[bytes]) -> str:
    """Return the literal of a `bytea[]`."""
    return "{" + ",".join([f'"\\\\x{value.hex()}"' for value in values]) + "}"


def int_array(values: Iterable[int]) -> str:
    """Return the literal of a `bigint[]`."""
    return "{" + ",".join(map(str, values)) + "}"


def text_array(values: Iterable[str]) -> str:
    """Return the literal of a `text[]`."""
    return "{" + ",".join(['"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in values]) + "}"


def stamp(moment: datetime | None) -> str:
    """Return a moment for COPY."""
    # Half the cost of `isoformat`, and this is called for each message.
    return NULL if moment is None else orjson.dumps(moment)[1:-1].decode()
