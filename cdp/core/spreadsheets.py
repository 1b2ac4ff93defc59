"""CSV that spreadsheets open without running anything."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import orjson

PART = 64 * 1024
DANGEROUS = frozenset("=+-@\t\r\0")


def safe_cell(value: Any) -> str:
    """Return a JSON value as the text of a cell that no spreadsheet runs as a formula (OWASP ASVS 1.2.10)."""
    if not isinstance(value, str):
        return "" if value is None else orjson.dumps(value).decode()
    return f"'{value}" if value[:1] in DANGEROUS else value


def csv_lines(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Yield CSV in parts of some 64 KB: the header, then the rows."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow([safe_cell(name) for name in header])
    for row in rows:
        writer.writerow([safe_cell(value) for value in row])
        if buffer.tell() > PART:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def csv_text(rows: Iterable[Sequence[Any]]) -> str:
    """Return rows as CSV, without a header: for files that are written batch by batch."""
    buffer = io.StringIO()
    csv.writer(buffer).writerows([safe_cell(value) for value in row] for row in rows)
    return buffer.getvalue()
