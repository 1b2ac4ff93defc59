"""Writing what the gate handed out into files: sealed parts in the house, CSV and Parquet on the way out."""

import io
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson
import pyarrow
import pyarrow.parquet

from cdp.core.sealed_files import open_sealed, seal_file
from cdp.core.spreadsheets import csv_text

Row = tuple[int, list[Any]]
CSV_TYPE = "text/csv; charset=utf-8"
PARQUET_TYPE = "application/vnd.apache.parquet"
# The kinds of JSON values; `Kinds` maps the place of a column to those that were met in it.
Kinds = dict[str, list[str]]
INTEGERS = range(-(2**63), 2**63)


def seal_rows(rows: Iterable[Row]) -> str:
    """Write rows into a sealed file and return its name."""
    return seal_file(orjson.dumps([profile_id, values]) + b"\n" for profile_id, values in rows)[0]


def read_rows(stored: str) -> Iterator[Row]:
    """Yield the rows of a sealed file."""
    with open_sealed(stored) as file:
        for line in file:
            profile_id, values = orjson.loads(line)
            yield profile_id, values


def hold_any(stored: str, profile_ids: Collection[int]) -> bool:
    """Tell whether a sealed file has a row of one of these profiles."""
    return any(profile_id in profile_ids for profile_id, _ in read_rows(stored))


def seal_without(stored: str, profile_ids: Collection[int]) -> tuple[str, int]:
    """Write the rows of a sealed file again without those of some profiles; return the new name and how many stay."""
    kept = [row for row in read_rows(stored) if row[0] not in profile_ids]
    return (seal_rows(kept) if kept else ""), len(kept)


def note_kinds(kinds: Mapping[str, Sequence[str]], rows: Iterable[Row]) -> Kinds:
    """Return the kinds of values that were met so far, those of these rows included."""
    met = {place: set(found) for place, found in kinds.items()}
    for _, values in rows:
        for place, value in enumerate(values):
            if value is not None:
                met.setdefault(str(place), set()).add(_kind(value))
    return {place: sorted(found) for place, found in met.items()}


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer" if value in INTEGERS else "other"
    return {float: "number", str: "string"}.get(type(value), "other")


def write_csv(*, header: Sequence[str], batches: Iterable[Sequence[Row]]) -> Iterator[bytes]:
    """Yield a CSV file batch by batch; no cell runs as a formula in a spreadsheet."""
    yield csv_text([header]).encode()
    for batch in batches:
        yield csv_text(values for _, values in batch).encode()


def write_parquet(*, header: Sequence[str], kinds: Kinds, batches: Iterable[Sequence[Row]]) -> Iterator[bytes]:
    """Yield a Parquet file, one row group for each batch.

    A column of whole numbers, numbers or booleans has that type; any other is text, lists and objects as JSON.
    """
    types = [_type_of(kinds.get(str(place), ())) for place in range(len(header))]
    schema = pyarrow.schema([pyarrow.field(name, type) for name, type in zip(header, types, strict=True)])
    sink = _Sink()
    with pyarrow.parquet.ParquetWriter(sink, schema, compression="snappy") as writer:
        for batch in batches:
            if batch:
                columns = [
                    pyarrow.array([_stored(values[place], type) for _, values in batch], type=type)
                    for place, type in enumerate(types)
                ]
                writer.write_table(pyarrow.Table.from_arrays(columns, schema=schema))
            yield sink.take()
    yield sink.take()


def _type_of(kinds: Collection[str]) -> pyarrow.DataType:
    met = set(kinds)
    if met == {"integer"}:
        return pyarrow.int64()
    if met and met <= {"integer", "number"}:
        return pyarrow.float64()
    return pyarrow.bool_() if met == {"boolean"} else pyarrow.string()


def _stored(value: Any, type: pyarrow.DataType) -> Any:
    if value is None:
        return None
    if type == pyarrow.string():
        return value if isinstance(value, str) else orjson.dumps(value).decode()
    # What erasure or a correction left behind may no longer fit the type that the whole column had.
    return float(value) if type == pyarrow.float64() else value


class _Sink(io.RawIOBase):
    """Takes what the Parquet writer writes, and gives it away piece by piece."""

    def __init__(self) -> None:
        super().__init__()
        self._buffer = bytearray()
        self._written = 0

    def writable(self) -> bool:
        """Say that it can be written to."""
        return True

    def write(self, data: Any) -> int:
        """Take bytes."""
        piece = bytes(data)
        self._buffer += piece
        self._written += len(piece)
        return len(piece)

    def tell(self) -> int:
        """Return how much was written."""
        return self._written

    def take(self) -> bytes:
        """Return what came since the last time."""
        piece = bytes(self._buffer)
        self._buffer.clear()
        return piece
