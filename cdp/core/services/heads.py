"""Signed heads of the audit trail in files, outside the database that they vouch for."""

import json
import logging
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from django.conf import settings

from cdp.core.errors import CdpError

log = logging.getLogger("cdp.audit")

FOLDER = "audit"
LOG_NAME = "heads.log"
NEWEST_NAME = "head.json"
RESTORES_NAME = "restores.log"


class UnreadableHeads(CdpError):
    """A file of heads has been damaged."""

    code = "audit.unreadable_heads"
    status = 500


@dataclass(frozen=True, slots=True)
class Head:
    """A signed head: entry `seq` had this hash at that time. Bytes are hexadecimal."""

    seq: int
    hash: str
    created_at: str
    signature: str
    public_key: str


@dataclass(frozen=True, slots=True)
class Restore:
    """A signed note that a backup took the place of the trail: it ended at `from_seq`, now it ends at `to_seq`."""

    restored_at: str
    from_seq: int
    from_hash: str
    to_seq: int
    to_hash: str
    backup_made_at: str
    signature: str

    @property
    def signed(self) -> bytes:
        """What the signature covers."""
        return "\n".join(
            ["cdp audit restore", *(str(value) for name, value in asdict(self).items() if name != "signature")]
        ).encode()

    def explains(self, head: Head) -> bool:
        """Tell whether the restore is why the trail no longer reaches this head."""
        return head.seq > self.to_seq and head.created_at <= self.restored_at


def write_restore(restore: Restore) -> None:
    """Add a note to the log of restores; the newest head moves to the log of heads."""
    folder = settings.CDP_DATA_DIR / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    old = _read_newest(folder / NEWEST_NAME)
    if old is not None:
        _append(folder / LOG_NAME, old)
        (folder / NEWEST_NAME).unlink()
    _append(folder / RESTORES_NAME, restore)


def read_restores() -> list[Restore]:
    """Return the notes on restores, oldest first.

    Raises
    ------
    UnreadableHeads
        If a line is none.
    """
    path = settings.CDP_DATA_DIR / FOLDER / RESTORES_NAME
    try:
        return [Restore(**json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []
    except (ValueError, TypeError) as error:
        message = f"{path} holds a line that is no note on a restore."
        raise UnreadableHeads(message) from error


def signed_bytes(*, seq: int, hash_: str, created_at: str) -> bytes:
    """Return what a head's signature covers."""
    return f"cdp audit head\n{seq}\n{hash_}\n{created_at}\n".encode()


def write_head(head: Head, *, before: tuple[int, bytes], keep: bool) -> None:
    """Make `head` the newest one in the file, and with `keep` add it to the log of heads.

    Parameters
    ----------
    before : tuple of int and bytes
        The end of the chain before this sealing. If the file says otherwise the trail was cut or replaced meanwhile;
        then the old head moves to the log instead of being overwritten, so that a check still finds it.
    """
    folder = settings.CDP_DATA_DIR / FOLDER
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        newest = folder / NEWEST_NAME
        old = _read_newest(newest)
        if old is not None and (old.seq, old.hash) != (before[0], before[1].hex()) and old.seq != head.seq:
            log.error("the audit trail does not continue where it ended", extra={"seq": old.seq})
            _append(folder / LOG_NAME, old)
        if keep:
            _append(folder / LOG_NAME, head)
        fresh = folder / f"{NEWEST_NAME}.{os.getpid()}"
        fresh.write_text(json.dumps(asdict(head)) + "\n")
        fresh.replace(newest)
    except OSError as error:
        # The trail itself is committed; a full disk must not stop the sealer.
        log.warning("the head of the audit trail could not be written", extra={"fault": type(error).__name__})


def read_heads() -> Iterator[Head]:
    """Yield the heads of the log, then the newest one.

    Raises
    ------
    UnreadableHeads
        If a line is not a head.
    """
    folder = settings.CDP_DATA_DIR / FOLDER
    path = folder / LOG_NAME
    if path.exists():
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            yield _parse(line, where=f"{path}, line {number}")
    newest = folder / NEWEST_NAME
    if newest.exists():
        yield _parse(newest.read_text(), where=str(newest))


def _read_newest(path: Path) -> Head | None:
    try:
        return _parse(path.read_text(), where=str(path)) if path.exists() else None
    except UnreadableHeads:
        return None


def _parse(text: str, *, where: str) -> Head:
    try:
        return Head(**json.loads(text))
    except (ValueError, TypeError) as error:
        message = f"{where} is not a head of the audit trail."
        raise UnreadableHeads(message) from error


def _append(path: Path, head: Head | Restore) -> None:
    with path.open("a") as file:
        file.write(json.dumps(asdict(head)) + "\n")
        file.flush()
        os.fsync(file.fileno())
