"""Rows of JSON Lines: one object a line."""

import codecs
from collections.abc import Generator
from typing import IO, Any

import orjson

from ingestion.errors import NotJson
from ingestion.imports.table import Unreadable
from ingestion.spec.lenient import read_value
from ingestion.spec.message import BadItem

MAX_LINE = 4 * 1024 * 1024


def read_json_lines(file: IO[bytes], *, start: int = 0) -> Generator[dict[str, Any] | Unreadable]:
    """Yield the objects; blank lines are none.

    Parameters
    ----------
    start : int
        How many to pass over.
    """
    passed = 0
    first = True
    while line := file.readline(MAX_LINE):
        if first:
            line, first = line.removeprefix(codecs.BOM_UTF8), False
        cut = len(line) >= MAX_LINE and not line.endswith(b"\n")
        rest = line
        while cut and rest and not rest.endswith(b"\n"):
            rest = file.readline(MAX_LINE)
        if not cut and not line.strip():
            continue
        passed += 1
        if passed <= start:
            continue
        yield Unreadable("row_too_long", f"The line has more than {MAX_LINE} bytes.") if cut else _read(line)


def _read(line: bytes) -> dict[str, Any] | Unreadable:
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:
        try:
            found = read_value(line.decode().strip())
        except (NotJson, UnicodeDecodeError):
            return Unreadable("not_json", "The line is no JSON object.")
    if isinstance(found, BadItem):
        return Unreadable(found.code, found.message)
    return found if isinstance(found, dict) else Unreadable("not_an_object", "The line is no JSON object.")
