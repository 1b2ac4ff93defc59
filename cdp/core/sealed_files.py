"""Files that hold personal data for a while: sealed piece by piece, readable from any position, never in the clear.

A file is a row of pieces of 64 KB, each AES-256-GCM under a key of the file's own, with its place as nonce: pieces
cannot be exchanged, left out or moved to another file. The file's key comes from the installation's secret and from a
random salt at its beginning; so a sealed file holds nothing that a search for a person could find, and is worthless
without the secret.
"""

import io
import os
import uuid
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from cdp.core.errors import CdpError

PIECE = 64 * 1024
TAG = 16
SALT = 16
FORMAT = b"CDPF\x01"
HEAD = len(FORMAT) + SALT
LAST, NOT_LAST = b"\x01", b"\x00"


class DamagedFile(CdpError):
    """A sealed file is gone, was cut or changed, or was sealed under another secret."""

    code = "file.damaged"
    status = 500
    title = "The file cannot be read"

    def __init__(self) -> None:
        super().__init__("The stored file is missing or damaged, or was stored under another CDP_SECRET_KEY.")


def sealed_directory() -> Path:
    """Return the directory of sealed files, made if need be, for this user only."""
    directory: Path = settings.CDP_DATA_DIR / "files"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return directory


def _cipher(salt: bytes) -> AESGCM:
    secret: str = settings.SECRET_KEY
    return AESGCM(HKDF(algorithm=SHA256(), length=32, salt=salt, info=b"cdp:file").derive(secret.encode()))


class SealedWriter:
    """Writes one sealed file under a name of its own; what was not closed is no file.

    With a `path` it goes there, and its name is that path.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._target = path or sealed_directory() / uuid.uuid4().hex
        self.name = str(path) if path is not None else self._target.name
        self.size = 0
        self._path = self._target.with_name(f"{self._target.name}.part")
        salt = os.urandom(SALT)
        self._cipher = _cipher(salt)
        self._rest = bytearray()
        self._place = 0
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(descriptor, "wb")
        self._file.write(FORMAT + salt)

    def write(self, chunk: bytes) -> None:
        """Add bytes."""
        self.size += len(chunk)
        self._rest += chunk
        while len(self._rest) > PIECE:
            self._write_piece(bytes(self._rest[:PIECE]), NOT_LAST)
            del self._rest[:PIECE]

    def close(self) -> str:
        """Finish the file and return its name."""
        self._write_piece(bytes(self._rest), LAST)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._path.rename(self._target)
        return self.name

    def discard(self) -> None:
        """Leave nothing behind."""
        self._file.close()
        self._path.unlink(missing_ok=True)

    def _write_piece(self, piece: bytes, mark: bytes) -> None:
        self._file.write(self._cipher.encrypt(self._place.to_bytes(12, "big"), piece, mark))
        self._place += 1


class SealedReader(io.RawIOBase):
    """Reads a sealed file as if it were in the clear.

    Raises
    ------
    DamagedFile
        If it is missing, cut or changed.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        try:
            self._file = (sealed_directory() / name).open("rb")
        except OSError as error:
            raise DamagedFile from error
        head = self._file.read(HEAD)
        if len(head) < HEAD or not head.startswith(FORMAT):
            self._file.close()
            raise DamagedFile
        self._cipher = _cipher(head[len(FORMAT) :])
        body = self._file.seek(0, io.SEEK_END) - HEAD
        self._pieces = -(-body // (PIECE + TAG))
        self.size = body - self._pieces * TAG
        if self.size < 0 or not self._pieces:
            self._file.close()
            raise DamagedFile
        self._position = 0
        self._place = -1
        self._piece = b""

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it can be read from anywhere."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        self._position = max(base + offset, 0)
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read into a buffer, at most to the end of a piece."""
        if self._position >= self.size:
            return 0
        place, offset = divmod(self._position, PIECE)
        if place != self._place:
            self._load(place)
        part = self._piece[offset : offset + len(buffer)]
        buffer[: len(part)] = part
        self._position += len(part)
        return len(part)

    def close(self) -> None:
        """Close the file beneath."""
        self._file.close()
        super().close()

    def _load(self, place: int) -> None:
        self._file.seek(HEAD + place * (PIECE + TAG))
        mark = LAST if place == self._pieces - 1 else NOT_LAST
        try:
            self._piece = self._cipher.decrypt(place.to_bytes(12, "big"), self._file.read(PIECE + TAG), mark)
        except InvalidTag as error:
            raise DamagedFile from error
        self._place = place


def seal_file(chunks: Iterable[bytes]) -> tuple[str, int]:
    """Write a sealed file; return its name and how many bytes it holds."""
    writer = SealedWriter()
    with ExitStack() as unfinished:
        unfinished.callback(writer.discard)
        for chunk in chunks:
            writer.write(chunk)
        name = writer.close()
        unfinished.pop_all()
    return name, writer.size


def open_sealed(name: str) -> io.BufferedReader:
    """Open a sealed file for reading and seeking: by its name, or by its absolute path."""
    return io.BufferedReader(SealedReader(name), PIECE)


def delete_sealed(name: str) -> None:
    """Delete a sealed file; one that is gone already is fine."""
    if name:
        (sealed_directory() / name).unlink(missing_ok=True)
