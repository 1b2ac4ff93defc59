"""What a file is: format, compression, encoding, delimiter, columns."""

import codecs
import csv
import gzip
import io
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import IO, Any

import charset_normalizer
import orjson

from ingestion.errors import InvalidImport
from ingestion.imports.mapping import MAX_COLUMNS
from ingestion.imports.read_csv import MAX_LINE, read_header
from ingestion.spec.limits import MAX_KEY_CHARACTERS
from ingestion.spec.message import MESSAGE_TYPES

CSV, JSON_LINES, XLSX, PARQUET = "csv", "jsonl", "xlsx", "parquet"
SAMPLE = 1024 * 1024
SAMPLE_LINES = 200
DELIMITERS = ",;\t|"
GZIP_MAGIC = b"\x1f\x8b"
PARQUET_MAGIC = b"PAR1"
ZIP_MAGIC = b"PK\x03\x04"
# Gzip packs at most about 1 : 1030; honest tables are far below this.
MAX_RATIO = 200
FREE_BYTES = 256 * 1024 * 1024
BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
# What charset-normalizer may choose from: encodings in which tables are really written.
CANDIDATES = ["cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1257", "iso8859_15", "shift_jis", "gb18030", "big5"]


@dataclass(frozen=True, slots=True)
class FileShape:
    """How to read a file.

    Attributes
    ----------
    format : str
        ``csv``, ``jsonl``, ``xlsx`` or ``parquet``.
    compressed : bool
        Packed with gzip.
    encoding, delimiter : str
        Of a CSV; ``""`` for others.
    columns : tuple of str
        In order; of JSON Lines those of the first lines.
    messages : bool
        The lines are messages as Segment archives them.
    """

    format: str
    compressed: bool = False
    encoding: str = ""
    delimiter: str = ""
    columns: tuple[str, ...] = ()
    messages: bool = False


class Unpacked(io.RawIOBase):
    """A gzip stream that stops when it unpacks to far more than it holds."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        super().__init__()
        self._packed = gzip.GzipFile(fileobj=file, mode="rb")
        self._left = max(size * MAX_RATIO, FREE_BYTES)

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Unpack into a buffer."""
        try:
            part = self._packed.read(len(buffer))
        except (OSError, EOFError, ValueError) as error:
            message = "The file is packed with gzip, but damaged or cut off."
            raise InvalidImport(message) from error
        self._left -= len(part)
        if self._left < 0:
            message = "The file unpacks to far more than a table of its size could hold."
            raise InvalidImport(message)
        buffer[: len(part)] = part
        return len(part)


def unpacked(file: IO[bytes], *, compressed: bool) -> IO[bytes]:
    """Return the file, unpacked while it is read if it is packed."""
    file.seek(0, io.SEEK_END)
    size = file.tell()
    file.seek(0)
    return io.BufferedReader(Unpacked(file, size), 64 * 1024) if compressed else file


def detect_shape(file: IO[bytes], *, delimiter: str = "", encoding: str = "") -> FileShape:
    """Find out how to read a file, by its content alone.

    Parameters
    ----------
    file : binary file
        Seekable.
    delimiter, encoding : str
        As the sender says, of a CSV; ``""``: found out.

    Raises
    ------
    InvalidImport
        If it is empty, damaged, or nothing that can be read.
    """
    file.seek(0)
    start = file.read(8)
    # Loaded where such a file comes: they bring pyarrow and openpyxl, which no other process needs in its memory.
    if start.startswith(PARQUET_MAGIC):
        from ingestion.imports.read_parquet import read_schema  # noqa: PLC0415

        return _checked(FileShape(PARQUET, columns=read_schema(file)))
    if start.startswith(ZIP_MAGIC):
        from ingestion.imports.read_xlsx import read_first_row  # noqa: PLC0415

        return _checked(FileShape(XLSX, columns=read_first_row(file)))
    compressed = start.startswith(GZIP_MAGIC)
    sample = unpacked(file, compressed=compressed).read(SAMPLE)
    if not sample.strip():
        message = "The file is empty."
        raise InvalidImport(message)
    if sample.startswith(GZIP_MAGIC) or sample.startswith(ZIP_MAGIC):
        message = "The file is packed twice. Unpack it once."
        raise InvalidImport(message)
    found = _json_shape(sample) if not delimiter else None
    if found is not None:
        return replace(_checked(found), compressed=compressed)
    encoding = _check_encoding(encoding) if encoding else _encoding_of(sample)
    text = _decode(sample, encoding)
    delimiter = _check_delimiter(delimiter) if delimiter else _delimiter_of(text)
    columns = read_header(io.StringIO(text, newline=""), delimiter)
    return _checked(FileShape(CSV, compressed, encoding, delimiter, columns))


def _checked(shape: FileShape) -> FileShape:
    if not shape.columns:
        message = "The file has no columns: its first row must name them."
        raise InvalidImport(message)
    if len(shape.columns) > MAX_COLUMNS:
        message = f"The file has {len(shape.columns)} columns; the limit is {MAX_COLUMNS}."
        raise InvalidImport(message)
    names = [name or f"column_{place}" for place, name in enumerate(shape.columns, 1)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        message = f"Two columns have the same name: {', '.join(twice[:5])[:200]}. Rename one of them."
        raise InvalidImport(message)
    if any(len(name) > MAX_KEY_CHARACTERS for name in names):
        message = f"The name of a column is longer than {MAX_KEY_CHARACTERS} characters. Is the first row the header?"
        raise InvalidImport(message)
    if any("\0" in name for name in names):
        message = "The name of a column holds the NUL character. Is this a text file?"
        raise InvalidImport(message)
    return replace(shape, columns=tuple(names))


def _json_shape(sample: bytes) -> FileShape | None:
    """Return the shape of JSON Lines, None if the first line is no JSON object."""
    first = sample.removeprefix(codecs.BOM_UTF8).lstrip()
    if not first.startswith(b"{"):
        if first.startswith(b"[") and b"{" in first[:64]:
            message = "The file is one JSON list. Write one object on each line (JSON Lines), without the list around."
            raise InvalidImport(message)
        return None
    lines = first.splitlines()
    rows = [row for line in lines[:SAMPLE_LINES] if isinstance(row := _loads(line), dict)]
    if not rows:
        message = "The file begins like JSON, but its first lines are no JSON objects, one on each line."
        raise InvalidImport(message)
    columns = dict.fromkeys(name for row in rows for name in row)
    messages = all(_is_message(row) for row in rows)
    return FileShape(JSON_LINES, columns=tuple(columns), messages=messages)


def _loads(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None


def _is_message(row: dict[str, Any]) -> bool:
    names_somebody = "userId" in row or "anonymousId" in row
    return row.get("type") in MESSAGE_TYPES and names_somebody


def _check_encoding(encoding: str) -> str:
    try:
        return codecs.lookup(encoding).name
    except LookupError:
        message = "The encoding is not known. Common ones: utf-8, cp1252, iso-8859-1, utf-16."
        raise InvalidImport(message) from None


def _check_delimiter(delimiter: str) -> str:
    delimiter = {"\\t": "\t", "tab": "\t", "TAB": "\t"}.get(delimiter, delimiter)
    if len(delimiter) != 1 or delimiter in '"\r\n\0':
        message = "The delimiter is one character, for example , or ; or tab."
        raise InvalidImport(message)
    return delimiter


def _encoding_of(sample: bytes) -> str:
    for mark, name in BOMS.items():
        if sample.startswith(mark):
            return name
    try:
        # The sample may end within a character.
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        pass
    else:
        return "utf-8"
    lines = sample[: 256 * 1024].rpartition(b"\n")[0] or sample
    best = charset_normalizer.from_bytes(lines, cp_isolation=CANDIDATES).best()
    return best.encoding if best is not None else "cp1252"


def _decode(sample: bytes, encoding: str) -> str:
    return codecs.getincrementaldecoder(encoding)(errors="surrogateescape").decode(sample)


def _delimiter_of(text: str) -> str:
    """Return the delimiter by which the first rows have the most columns, the same number in nearly all of them."""
    lines = text.splitlines(keepends=True)[: SAMPLE_LINES // 2]
    whole = lines if len(text) < SAMPLE else lines[:-1] or lines
    best, most = ",", 1.0
    for candidate in DELIMITERS:
        widths = _widths(whole, candidate)
        if not widths or widths[0] < 2:
            continue
        agreeing = sum(width == widths[0] for width in widths) / len(widths)
        if widths[0] * agreeing**2 > most:
            best, most = candidate, widths[0] * agreeing**2
    return best


def _widths(lines: Iterable[str], delimiter: str) -> list[int]:
    try:
        return [len(row) for row in csv.reader((line[:MAX_LINE] for line in lines), delimiter=delimiter) if row]
    except csv.Error:
        return []
