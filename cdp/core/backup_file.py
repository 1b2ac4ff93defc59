"""The form of a backup: one sealed file (`cdp.core.sealed_files`) that holds named members, one after the other.

A member is a line of JSON that describes it, then its bytes in pieces, each with its length before it; a length of 0
ends it. The first member is ``manifest``, the last ``end``. Who lacks the installation's secret reads nothing of it,
and a changed or cut file is found before anything is touched.
"""

import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cdp.core.errors import CdpError
from cdp.core.sealed_files import DamagedFile, SealedWriter, open_sealed

MANIFEST, TABLE, FILE, END = "manifest", "table", "file", "end"
LENGTH = 4
LARGEST = 1 << 20
LONGEST_LINE = 1 << 26


class NotABackup(CdpError):
    """The file is no backup of this installation, or is damaged."""

    code = "backup.unreadable"
    status = 500

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} is not a backup that this installation can read: it is damaged or cut off, or was made under "
            "another CDP_SECRET_KEY. Nothing was changed."
        )


class BackupWriter:
    """Writes the members of a backup."""

    def __init__(self, path: Path) -> None:
        self._sealed = SealedWriter(path)

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._sealed.size

    def begin(self, kind: str, **described: Any) -> None:
        """Begin a member."""
        self._sealed.write(json.dumps({"kind": kind, **described}).encode() + b"\n")

    def write(self, piece: bytes | memoryview) -> int:
        """Add bytes to the member (as `copy_expert` wants it)."""
        raw = bytes(piece)
        for place in range(0, len(raw), LARGEST):
            part = raw[place : place + LARGEST]
            self._sealed.write(len(part).to_bytes(LENGTH, "big") + part)
        return len(raw)

    def finish(self) -> None:
        """End the member."""
        self._sealed.write(bytes(LENGTH))

    def close(self) -> None:
        """End the backup; only now it stands under its name."""
        self._sealed.close()

    def discard(self) -> None:
        """Leave nothing behind."""
        self._sealed.discard()


class Member(io.RawIOBase):
    """One member while it is read; it must be read to its end before the next one."""

    def __init__(self, described: Mapping[str, Any], source: io.BufferedReader) -> None:
        super().__init__()
        self.described = described
        self._source = source
        self._left = 0
        self._over = False

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read the next bytes."""
        if self._left == 0 and not self._over:
            self._left = int.from_bytes(_exactly(self._source, LENGTH), "big")
            self._over = self._left == 0
        if self._over:
            return 0
        part = self._source.read(min(len(buffer), self._left))
        if not part:
            raise DamagedFile
        buffer[: len(part)] = part
        self._left -= len(part)
        return len(part)

    def skip(self) -> None:
        """Read what is left of it."""
        buffer = memoryview(bytearray(LARGEST))
        while self.readinto(buffer):
            pass


def read_members(path: Path) -> Iterator[Member]:
    """Yield the members of a backup in order.

    Raises
    ------
    NotABackup
        As soon as the file turns out to be damaged, to end too early, or not to be one.
    """
    try:
        with open_sealed(str(path.resolve())) as source:
            kind = ""
            while kind != END:
                line = source.readline(LONGEST_LINE)
                described = json.loads(line)
                if not kind and described.get("kind") != MANIFEST:
                    raise NotABackup(path)
                kind = described["kind"]
                member = Member(described, source)
                yield member
                member.skip()
    except (DamagedFile, ValueError, KeyError) as error:
        raise NotABackup(path) from error


def _exactly(source: io.BufferedReader, count: int) -> bytes:
    raw = source.read(count)
    if len(raw) < count:
        raise DamagedFile
    return raw
