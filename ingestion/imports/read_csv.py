"""Rows of a CSV file, however broken: each row is read or has a fault, and memory stays bounded."""

import csv
import io
from collections.abc import Generator, Iterator
from typing import IO

from ingestion.errors import InvalidImport
from ingestion.imports.table import Unreadable

# A line longer than this is no row of a table; what is between two quotes may have several lines.
MAX_LINE = 1024 * 1024
BAD_ROW = "The row is no CSV, or a cell has more than 131072 characters."


class _Lines:
    """The lines of a text, none longer than the limit: what is longer is left out, and noted."""

    def __init__(self, text: IO[str]) -> None:
        self._text = text
        self.too_long = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._text.readline(MAX_LINE)
        if not line:
            raise StopIteration
        if len(line) >= MAX_LINE and not line.endswith("\n"):
            self.too_long = True
            while line and not line.endswith("\n"):
                line = self._text.readline(MAX_LINE)
            return "\n"
        return line


def read_header(text: IO[str], delimiter: str) -> tuple[str, ...]:
    """Return the names of the columns: the first row that is not empty.

    Raises
    ------
    InvalidImport
        If it cannot be read.
    """
    try:
        for row in csv.reader(_Lines(text), delimiter=delimiter):
            if any(cell.strip() for cell in row):
                return tuple(cell.strip().lstrip("\ufeff") for cell in row)
    except csv.Error as error:
        message = "The first row cannot be read. Is this a CSV file?"
        raise InvalidImport(message) from error
    return ()


def read_csv(
    file: IO[bytes], *, encoding: str, delimiter: str, width: int, start: int = 0
) -> Generator[list[str] | Unreadable]:
    """Yield the rows after the header; blank lines are none.

    Parameters
    ----------
    width : int
        How many cells a row has to have.
    start : int
        How many rows to pass over.
    """
    # Bytes that the encoding does not know become lone surrogates, which the row's check finds.
    text = io.TextIOWrapper(file, encoding=encoding, errors="surrogateescape", newline="")
    try:
        yield from _rows(_Lines(text), delimiter, width, start)
    finally:
        # Without this the file would be closed with the text around it.
        text.detach()


def _rows(lines: _Lines, delimiter: str, width: int, start: int) -> Generator[list[str] | Unreadable]:
    reader = csv.reader(lines, delimiter=delimiter)
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                break
    except csv.Error:
        pass
    passed = 0
    while True:
        try:
            row = next(reader)
        except StopIteration:
            break
        except csv.Error:
            fault: Unreadable | None = Unreadable("bad_row", BAD_ROW)
        else:
            fault = None
            if lines.too_long:
                lines.too_long = False
                fault = Unreadable("row_too_long", f"The row has a line of more than {MAX_LINE} characters.")
            elif not row or (len(row) == 1 and not row[0].strip() and width > 1):
                continue
            elif len(row) != width:
                fault = Unreadable(
                    "wrong_cells", f"The row has {len(row)} cells, the header {width}. Is a quote or delimiter missing?"
                )
        passed += 1
        if passed > start:
            yield row if fault is None else fault
