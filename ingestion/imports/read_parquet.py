"""Rows of a Parquet file, a batch at a time."""

import io
from collections.abc import Generator
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from ingestion.errors import InvalidImport

BATCH = 2_000
# Reading holds a row group's pages: one that unpacks to more than this is refused, whatever its size on disk.
MAX_GROUP_BYTES = 1024 * 1024 * 1024


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
            columns = [_values(column) for column in batch.columns]
            for row in zip(*columns, strict=True):
                passed += 1
                if passed > start:
                    yield list(row)
    except (pa.ArrowException, OSError) as error:
        message = "The Parquet file is damaged."
        raise InvalidImport(message) from error


def _values(column: Any) -> list[Any]:
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        # Python's datetime has no nanoseconds.
        column = column.cast(pa.timestamp("us", tz=column.type.tz), safe=False)
    values: list[Any] = column.to_pylist()
    return values


def _open(file: IO[bytes]) -> Any:
    file.seek(0, io.SEEK_SET)
    try:
        parquet = pq.ParquetFile(file, memory_map=False, pre_buffer=False, buffer_size=64 * 1024)
        sizes = [parquet.metadata.row_group(place).total_byte_size for place in range(parquet.num_row_groups)]
    except (pa.ArrowException, OSError, ValueError) as error:
        message = "The file begins like Parquet, but cannot be read: it is damaged or cut off."
        raise InvalidImport(message) from error
    if max(sizes, default=0) > MAX_GROUP_BYTES:
        message = "A row group of the Parquet file is larger than 1 GB. Write it with smaller row groups."
        raise InvalidImport(message)
    return parquet
