"""Backups: everything that the database holds at one moment, and the stored files, in one sealed file.

Four things are in no backup, because a backup would undo what they are for: the keys (who finds a backup must not be
able to read it), the keys of persons (`registries.kept_apart`; destroying one must count for old backups, too), the
ledger of erasures (a restore must still know who was erased since), and the signed heads of the audit trail (a cut
trail must still be noticed).
"""

import hmac
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from cdp.core import registries
from cdp.core.backup_file import END, FILE, MANIFEST, TABLE, BackupWriter
from cdp.core.digests import derived_key
from cdp.core.errors import CdpError
from cdp.core.queries.relations import list_migrations, list_partitions, list_tables, read_sequences
from cdp.core.sealed_files import sealed_directory
from cdp.core.services.audit import record

FORMAT = 1
SUFFIX = ".cdpbackup"
PIECE = 1 << 20


class CannotWriteBackup(CdpError):
    """The backup cannot be written there."""

    code = "backup.cannot_write"
    status = 500


@dataclass(frozen=True, slots=True)
class Made:
    """A finished backup."""

    path: Path
    rows: int
    files: int
    bytes: int
    seconds: float
    expires_at: datetime
    deleted: tuple[Path, ...]


def write_backup(*, path: Path, now: datetime) -> Made:
    """Write a backup of this moment while the product goes on.

    Parameters
    ----------
    path : Path
        A file that does not exist yet; or a directory, in which it gets a name by the time, and from which backups that
        are past their time are deleted.

    Raises
    ------
    CannotWriteBackup
        If the file exists or cannot be written.

    Notes
    -----
    One read-only transaction sees everything as of one moment (REPEATABLE READ). Messages that are accepted meanwhile
    are in the next backup.
    """
    began_at = time.monotonic()
    target = path / f"cdp-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}{SUFFIX}" if path.is_dir() else path
    if target.exists():
        message = f"{target} exists. Name a file that does not, or a directory."
        raise CannotWriteBackup(message)
    expires_at = now + timedelta(days=settings.CDP_BACKUP_DAYS)
    try:
        writer = BackupWriter(target)
    except OSError as error:
        message = f"{target} cannot be written ({error.strerror})."
        raise CannotWriteBackup(message) from error
    with ExitStack() as unfinished:
        unfinished.callback(writer.discard)
        rows = _write_database(writer, now=now, expires_at=expires_at)
        files = _write_files(writer)
        writer.begin(END, rows=rows, files=files)
        writer.finish()
        writer.close()
        unfinished.pop_all()
    for keep, _ in registries.kept_apart.values():
        keep()
    deleted = delete_expired(folder=path, but=target, now=now) if path.is_dir() else ()
    record(
        actor="system",
        action="backup.written",
        object=f"backup:{target.name}",
        detail={"rows": sum(rows.values()), "files": files, "expires_at": expires_at.isoformat()},
        now=now,
    )
    seconds = time.monotonic() - began_at
    return Made(target, sum(rows.values()), files, target.stat().st_size, seconds, expires_at, deleted)


def delete_expired(*, folder: Path, but: Path, now: datetime) -> tuple[Path, ...]:
    """Delete the backups in a directory, but one, that are older than `CDP_BACKUP_DAYS`; return which."""
    oldest = (now - timedelta(days=settings.CDP_BACKUP_DAYS)).timestamp()
    found = (one for one in folder.glob(f"*{SUFFIX}") if one.is_file() and one != but)
    old = tuple(sorted(one for one in found if one.stat().st_mtime < oldest))
    for one in old:
        one.unlink(missing_ok=True)
    return old


def key_check() -> str:
    """Return what tells whether two installations have the same `CDP_SUPPRESSION_KEY`, without telling the key."""
    return hmac.digest(derived_key("backup"), b"cdp backup", "sha256").hex()


def _write_database(writer: BackupWriter, *, now: datetime, expires_at: datetime) -> dict[str, int]:
    rows: dict[str, int] = {}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        tables = list_tables()
        manifest: dict[str, Any] = {
            "format": FORMAT,
            "made_at": now.isoformat(),
            "expires_at": expires_at.isoformat(),
            "key_check": key_check(),
            "migrations": list_migrations(),
            "partitions": [[part.parent, part.name, part.bounds] for part in list_partitions()],
            "sequences": read_sequences(),
            "facts": _facts(),
        }
        writer.begin(MANIFEST, **manifest)
        writer.finish()
        for table in tables:
            if table.name in registries.kept_apart:
                continue
            writer.begin(TABLE, name=table.name, columns=table.columns)
            # A SELECT and not the table itself: a partitioned one can be copied in no other way.
            cursor.cursor.copy_expert(
                f"COPY (SELECT {table.listed} FROM {table.quoted}) TO STDOUT (FORMAT binary)", writer, PIECE
            )
            rows[table.name] = cursor.rowcount
            writer.finish()
    return rows


def _facts() -> Mapping[str, Any]:
    facts: dict[str, Any] = {}
    for give in registries.backup_facts:
        facts.update(give())
    return facts


def _write_files(writer: BackupWriter) -> int:
    """Add the sealed files. They are sealed already; one that is being written is no file yet."""
    count = 0
    folder = sealed_directory()
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.is_symlink() or path.suffix == ".part":
            continue
        try:
            source = path.open("rb")
        except FileNotFoundError:
            continue
        with source:
            writer.begin(FILE, name=str(path.relative_to(folder)))
            while piece := source.read(PIECE):
                writer.write(piece)
            writer.finish()
        count += 1
    return count
