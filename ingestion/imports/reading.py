"""Opening a file of any format as rows, and looking at its first ones."""

import itertools
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from typing import IO, Any

from ingestion.imports.cells import infer_type
from ingestion.imports.read_csv import read_csv
from ingestion.imports.read_json import read_json_lines
from ingestion.imports.shape import CSV, JSON_LINES, PARQUET, FileShape, unpacked
from ingestion.imports.table import Row

SAMPLE_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class Sample:
    """The first rows of a file.

    Attributes
    ----------
    rows : list of list
        Cells in the order of the columns, at most `SAMPLE_ROWS`; unreadable rows are left out.
    types : dict
        Column → type that its cells have.
    """

    rows: list[list[Any]]
    types: dict[str, str]


def open_rows(file: IO[bytes], shape: FileShape, *, start: int = 0) -> Generator[Row]:
    """Yield the rows of a file, faults included; to be closed before the file is.

    Parameters
    ----------
    file : binary file
        Seekable.
    start : int
        How many rows to pass over.

    Raises
    ------
    InvalidImport
        While reading, where the rest of the file is damaged.
    """
    stream = unpacked(file, compressed=shape.compressed)
    if shape.format == CSV:
        return read_csv(
            stream, encoding=shape.encoding, delimiter=shape.delimiter, width=len(shape.columns), start=start
        )
    if shape.format == JSON_LINES:
        return read_json_lines(stream, start=start)
    if shape.format == PARQUET:
        from ingestion.imports.read_parquet import read_parquet  # noqa: PLC0415 - see shape.py

        return read_parquet(stream, start=start)
    from ingestion.imports.read_xlsx import read_xlsx  # noqa: PLC0415 - see shape.py

    return read_xlsx(stream, width=len(shape.columns), start=start)


def read_sample(file: IO[bytes], shape: FileShape) -> Sample:
    """Read the first rows, and infer from them what the columns hold."""
    found: list[list[Any]] = []
    with closing(open_rows(file, shape)) as rows:
        for row in itertools.islice(rows, SAMPLE_ROWS):
            if isinstance(row, dict):
                found.append([row.get(column) for column in shape.columns])
            elif isinstance(row, list):
                found.append(row)
    types = {
        column: infer_type(column, [cells[place] for cells in found]) for place, column in enumerate(shape.columns)
    }
    return Sample(found, types)
