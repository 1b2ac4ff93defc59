"""Rows of the first sheet of an Excel workbook, streamed. No formula is computed: its stored result is read."""

import io
import zipfile
from collections.abc import Generator
from typing import IO, Any

import openpyxl
from openpyxl.utils.exceptions import InvalidFileException

from ingestion.errors import InvalidImport

# The texts of a workbook are one list that has to be held in memory while it is read.
MAX_TEXT_BYTES = 256 * 1024 * 1024
MAX_SHEET_BYTES = 4 * 1024 * 1024 * 1024
MAX_PARTS = 5_000
MAX_RATIO = 200
BROKEN = (zipfile.BadZipFile, InvalidFileException, KeyError, ValueError, TypeError, AttributeError, EOFError, OSError)
BROKEN_XML = (SyntaxError,)


def read_first_row(file: IO[bytes]) -> tuple[str, ...]:
    """Return the names of the columns.

    Raises
    ------
    InvalidImport
        If the file is no workbook, damaged, or made to exhaust memory.
    """
    for row in _rows(file):
        names = ["" if cell is None else str(cell).strip() for cell in row]
        if any(names):
            while names and not names[-1]:
                names.pop()
            return tuple(names)
    return ()


def read_xlsx(file: IO[bytes], *, width: int, start: int = 0) -> Generator[list[Any]]:
    """Yield the rows after the header; empty rows are none.

    Parameters
    ----------
    width : int
        How many columns there are; what stands right of them belongs to none.
    start : int
        How many rows to pass over.
    """
    rows = _rows(file)
    for row in rows:
        if any(cell is not None and str(cell).strip() for cell in row):
            break
    passed = 0
    for row in rows:
        cells = list(row[:width])
        if all(cell is None or cell == "" for cell in cells):
            continue
        passed += 1
        if passed > start:
            yield [*cells, *([None] * (width - len(cells)))]


def _rows(file: IO[bytes]) -> Generator[tuple[Any, ...]]:
    file.seek(0, io.SEEK_SET)
    try:
        _check_parts(file)
        book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
        sheet = next((one for one in book.worksheets if one.sheet_state == "visible"), None)
        if sheet is None:
            return
        # What the file says about its own size may be wrong.
        sheet.reset_dimensions()
        yield from sheet.iter_rows(values_only=True)
    except (*BROKEN, *BROKEN_XML) as error:
        message = "The Excel file is damaged, or is no workbook. Save it again as .xlsx."
        raise InvalidImport(message) from error


def _check_parts(file: IO[bytes]) -> None:
    with zipfile.ZipFile(file) as archive:
        parts = archive.infolist()
        if not any(part.filename == "xl/workbook.xml" for part in parts):
            message = "The file is a zip archive, but no Excel workbook. Unpack it, and import the table inside."
            raise InvalidImport(message)
        texts = sum(part.file_size for part in parts if "worksheets/" not in part.filename)
        sheets = max((part.file_size for part in parts if "worksheets/" in part.filename), default=0)
        packed = sum(part.compress_size for part in parts)
        whole = sum(part.file_size for part in parts)
        bomb = whole > max(packed * MAX_RATIO, MAX_TEXT_BYTES)
        if len(parts) > MAX_PARTS or texts > MAX_TEXT_BYTES or sheets > MAX_SHEET_BYTES or bomb:
            message = "The Excel file unpacks to more than can be read safely. Save the sheet as CSV, and import that."
            raise InvalidImport(message)
