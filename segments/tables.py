"""Reading a file of people: one column of a CSV or Excel table that names them."""

import csv
import io
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from segments.errors import BadTable

PROFILE_ID = "profile_id"
# The header is row 1.
FIRST_ROW = 2
MOST_BYTES = 20_000_000
MOST_UNPACKED_BYTES = 400_000_000
MOST_ROWS = 200_000
DELIMITERS = (",", ";", "\t", "|")
# What the reader of workbooks raises, by where a damaged one is damaged.
DAMAGED = (zipfile.BadZipFile, zlib.error, SyntaxError, OSError, ValueError, TypeError, LookupError, AttributeError)
ZIP = b"PK\x03\x04"


@dataclass(frozen=True, slots=True)
class Table:
    """The column of a file that names people, and what kind of name it holds.

    Attributes
    ----------
    type : str
        An identifier type, or `profile_id`.
    values : list of str
        One for each row after the header, empty for blank ones.
    """

    column: str
    type: str
    values: list[str]


def read_table(content: bytes, *, types: Sequence[str], column: str = "", type: str = "") -> Table:
    """Read a file of people.

    Parameters
    ----------
    content : bytes
        A CSV file (UTF-8, any of the usual delimiters) or an Excel workbook, of which the first sheet counts.
    types : sequence of str
        The identifier types that there are.
    column : str
        The header of the column; empty takes the first one that is called like a type.
    type : str
        What the column holds; empty: what it is called.

    Raises
    ------
    BadTable
        If it is no such file, is too large, or has no such column.
    """
    if len(content) > MOST_BYTES:
        raise BadTable(f"The file has more than {MOST_BYTES // 1_000_000} MB.")
    rows = _xlsx_rows(content) if content.startswith(ZIP) else _csv_rows(content)
    header = [name.strip().lower() for name in next(rows, [])]
    if not any(header):
        raise BadTable("The file has no header: its first row names the columns.")
    known = {PROFILE_ID, *types}
    if type and type not in known:
        raise BadTable(f"There is no identifier type “{type}”; there are: {', '.join(sorted(known))}.")
    wanted = column.strip().lower()
    place = next((n for n, name in enumerate(header) if (name == wanted if wanted else name in known)), None)
    if place is None:
        missing = f"There is no column “{column}”" if column else "No column is called like an identifier type"
        raise BadTable(f"{missing}; the file has: {', '.join(header)}. Name column and type.")
    held = type or header[place]
    if held not in known:
        raise BadTable(f"Say what “{header[place]}” holds: one of {', '.join(sorted(known))}.")
    values = []
    for row in rows:
        values.append(row[place].strip() if place < len(row) else "")
        if len(values) > MOST_ROWS:
            raise BadTable(f"The file has more than {MOST_ROWS} rows. Split it.")
    return Table(header[place], held, values)


def _csv_rows(content: bytes) -> Iterator[list[str]]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadTable("The file is neither an Excel workbook nor text in UTF-8.") from error
    if "\0" in text:
        raise BadTable("The file is neither an Excel workbook nor text in UTF-8.")
    first = text.split("\n", 1)[0]
    delimiter = max(DELIMITERS, key=first.count)
    try:
        yield from csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    except csv.Error as error:
        raise BadTable(f"The file is no CSV: {error}.") from error


def _xlsx_rows(content: bytes) -> Iterator[list[str]]:
    # Loaded only where such a file comes: it takes 20 MB of memory.
    from openpyxl import load_workbook  # noqa: PLC0415

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            if sum(part.file_size for part in packed.infolist()) > MOST_UNPACKED_BYTES:
                raise BadTable("The workbook is too large once unpacked.")
        book = load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        sheet: Any = book.worksheets[0]
    except DAMAGED as error:
        raise BadTable("The file is no Excel workbook that can be read.") from error
    for row in sheet.iter_rows(values_only=True):
        yield [_text(cell) for cell in row]


def _text(cell: Any) -> str:
    if cell is None:
        return ""
    # Excel keeps whole numbers as floats.
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)
