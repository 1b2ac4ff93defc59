"""Rows of a Parquet file, a batch at a time."""

import io
from collections.abc import Generator
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ingestion.errors import InvalidImport

BATCH = 2_000
# Reading holds a row group's pages: one that unpacks to more than this is refused, whatever its size on disk.
MAX_GROUP_BYTES = 1024 * 1024 * 1024
# A value that repeats is stored once, so that a file of some kilobytes could unpack to any size. Texts are read as they
# are stored, none may be longer than this, and rows are unpacked for as much memory as this at a time.
MAX_VALUE_BYTES = 1024 * 1024
UNPACKED_BYTES = 64 * 1024 * 1024
# What is stored as bytes and is no text.
NO_TEXTS = {"DECIMAL", "FLOAT16", "INTERVAL"}


def read_schema(file: IO[bytes]) -> tuple[str, ...]:
    """Return the names of the columns.

    Raises
    ------
    InvalidImport
        If the file is damaged or made to exhaust memory.
    """
    return tuple(_open(file).schema_arrow.names)


def read_parquet(file: IO[bytes], *, start: int = 0) -> Generator[list[Any]]:
    """Yield the rows.

    Parameters
    ----------
    start : int
        How many to pass over; row groups before them are not read.
    """
    parquet = _open(file)
    groups: list[int] = []
    for place in range(parquet.num_row_groups):
        rows = parquet.metadata.row_group(place).num_rows
        if not groups and rows <= start:
            start -= rows
        else:
            groups.append(place)
    passed = 0
    try:
        for batch in parquet.iter_batches(batch_size=BATCH, row_groups=groups, use_threads=False):
            if passed + batch.num_rows <= start:
                passed += batch.num_rows
                continue
            for part in _parts(batch):
                columns = [_values(column) for column in part.columns]
                for row in zip(*columns, strict=True):
                    passed += 1
                    if passed > start:
                        yield list(row)
    except (pa.ArrowException, OSError) as error:
        message = "The Parquet file is damaged."
        raise InvalidImport(message) from error


def _parts(batch: Any) -> Generator[Any]:
    """Yield a batch in parts that unpack to a bounded size."""
    whole = sum(_unpacked_bytes(column) for column in batch.columns)
    rows = min(batch.num_rows, max(1, batch.num_rows * UNPACKED_BYTES // max(whole, 1)))
    for place in range(0, batch.num_rows, rows or 1):
        yield batch.slice(place, rows)


def _unpacked_bytes(column: Any) -> int:
    """Return how much a column takes at most once every value stands by itself."""
    if pa.types.is_dictionary(column.type):
        longest: int = pc.max(pc.binary_length(column.dictionary)).as_py() or 0
        if longest > MAX_VALUE_BYTES:
            message = f"A value of the Parquet file is longer than {MAX_VALUE_BYTES:,} bytes."
            raise InvalidImport(message)
        return longest * len(column)
    if pa.types.is_struct(column.type):
        return sum(_unpacked_bytes(part) for part in column.flatten())
    if pa.types.is_map(column.type):
        return _unpacked_bytes(column.keys) + _unpacked_bytes(column.items)
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        return _unpacked_bytes(column.flatten())
    size: int = column.nbytes
    return size


def _values(column: Any) -> list[Any]:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        # Python's datetime has no nanoseconds.
        column = column.cast(pa.timestamp("us", tz=column.type.tz), safe=False)
    values: list[Any] = column.to_pylist()
    return values


def _open(file: IO[bytes]) -> Any:
    file.seek(0, io.SEEK_SET)
    try:
        texts = _text_columns(pq.read_metadata(file))
        file.seek(0, io.SEEK_SET)
        parquet = pq.ParquetFile(file, memory_map=False, pre_buffer=False, buffer_size=64 * 1024, read_dictionary=texts)
        sizes = [parquet.metadata.row_group(place).total_byte_size for place in range(parquet.num_row_groups)]
    except (pa.ArrowException, OSError, ValueError) as error:
        message = "The file begins like Parquet, but cannot be read: it is damaged or cut off."
        raise InvalidImport(message) from error
    if max(sizes, default=0) > MAX_GROUP_BYTES:
        message = "A row group of the Parquet file is larger than 1 GB. Write it with smaller row groups."
        raise InvalidImport(message)
    return parquet


def _text_columns(metadata: Any) -> list[str]:
    columns = (metadata.schema.column(place) for place in range(metadata.num_columns))
    return [
        column.path
        for column in columns
        if column.physical_type == "BYTE_ARRAY" and column.logical_type.type not in NO_TEXTS
    ]
