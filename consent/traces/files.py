"""Traces in files: everything under the data directory, logs included, but the database's own files."""

import gzip
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from consent.traces.needles import Needles

CHUNK = 1024 * 1024
# A directory with this file belongs to PostgreSQL: there the nightly rewrite removes what was deleted.
POSTGRESQL_MARK = "PG_VERSION"


def find_in_files(*, root: Path, needles: Needles, looked: dict[str, int]) -> list[str]:
    """Return the files that hold a trace, by name or content, relative to `root`.

    Files that vanish while they are read hold nothing any more; one that may not be read is reported as holding a
    trace, since nobody can say that it holds none.
    """
    found = []
    looked["files"] = 0
    for path in _files(root):
        looked["files"] += 1
        name = str(path.relative_to(root))
        try:
            if needles.found_in(name.encode()) or _holds(path, needles):
                found.append(name)
        except FileNotFoundError:
            continue
        except PermissionError:
            found.append(name)
    return sorted(found)


def _files(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        folders[:] = [inner for inner in folders if not (here / inner / POSTGRESQL_MARK).exists()]
        yield from (path for path in (here / name for name in names) if path.is_file() and not path.is_symlink())


def _holds(path: Path, needles: Needles) -> bool:
    with path.open("rb") as raw:
        start = raw.read(4)
        packed = start[:2] == b"\x1f\x8b"
        raw.seek(0)
        if start == b"PK\x03\x04" and zipfile.is_zipfile(raw):
            raw.seek(0)
            return _archive_holds(raw, needles)
        raw.seek(0)
        if not packed:
            return _stream_holds(raw, needles)
        try:
            with gzip.open(raw) as unpacked:
                return _stream_holds(unpacked, needles)
        except (EOFError, gzip.BadGzipFile, zlib.error):
            raw.seek(0)
            return _stream_holds(raw, needles)


def _archive_holds(raw: IO[bytes], needles: Needles) -> bool:
    """Search the members of a ZIP file, which a spreadsheet is, too."""
    with zipfile.ZipFile(raw) as archive:
        for member in archive.infolist():
            if needles.found_in(member.filename.encode()):
                return True
            try:
                with archive.open(member) as stream:
                    if _stream_holds(stream, needles):
                        return True
            except (RuntimeError, zipfile.BadZipFile, zlib.error, NotImplementedError):
                # Encrypted or damaged: nobody can say that it holds nothing.
                return True
    return False


def redact_logs(*, root: Path, names: Iterable[str], needles: Needles) -> int:
    """Write over the person's names in log files, in place; return in how many files.

    In place and at the same length, because the files stay open in the processes that write them.
    """
    count = 0
    for name in names:
        path = root / name
        if path.suffix != ".log" or not path.is_file():
            continue
        with path.open("r+b") as file:
            text = file.read()
            for expression in needles.bytes_expressions:
                for match in expression.finditer(text):
                    start, end = match.span(2)
                    file.seek(start)
                    file.write(b"x" * (end - start))
        count += 1
    return count


def _stream_holds(stream: "IO[bytes] | gzip.GzipFile | zipfile.ZipExtFile", needles: Needles) -> bool:
    """Search a stream piece by piece; the end of each piece is searched again with the next."""
    rest = b""
    while piece := stream.read(CHUNK):
        text = rest + piece
        if needles.found_in(text):
            return True
        rest = text[-needles.longest :] if needles.longest else b""
    return False
