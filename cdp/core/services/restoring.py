"""Reading a backup in again, and what must be done before anybody is let at it.

The database is exchanged in one transaction: a restore that fails leaves what was there. From its beginning until the
erasures since the backup have been done again, a file keeps web and workers from starting.

References
----------
GDPR Art. 17: an erasure holds against a backup, too.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.db import connection, transaction
from django.db.migrations.loader import MigrationLoader

from cdp.core import registries
from cdp.core.backup_file import FILE, MANIFEST, TABLE, Member, NotABackup, read_members
from cdp.core.errors import Conflict
from cdp.core.queries.relations import count_other_sessions, list_migrations, list_partitions, list_tables
from cdp.core.sealed_files import sealed_directory
from cdp.core.services.audit import record
from cdp.core.services.backing_up import FORMAT, key_check
from cdp.core.services.sealing import START, end_of_chain, note_restore, seal_audit
from cdp.core.services.starting import begin_restore, check_start, end_restore

PIECE = 1 << 20
Say = Callable[[str], None]


class CannotRestore(Conflict):
    """Something speaks against reading this backup in; nothing was changed."""

    code = "backup.cannot_restore"


@dataclass(frozen=True, slots=True)
class Restored:
    """A finished restore."""

    made_at: str
    rows: int
    files: int
    done: tuple[str, ...]
    seconds: float


def restore_backup(*, path: Path, even_expired: bool, now: datetime, say: Say) -> Restored:
    """Put a backup in the place of what the database holds, then erase again whoever was erased since.

    Parameters
    ----------
    path : Path
        What `write_backup` made, with this installation's keys.
    even_expired : bool
        Whether a backup past its time may be read in; the audit trail says so.
    say : callable
        Told how far it is.

    Raises
    ------
    NotABackup
        If the file is damaged; nothing was changed.
    CannotRestore
        If the product runs, the backup is past its time, of a newer release, or made under another
        ``CDP_SUPPRESSION_KEY``.
    """
    began_at = time.monotonic()
    others = count_other_sessions()
    if others:
        message = f"{others} processes of the product are connected to the database. Stop the product first."
        raise CannotRestore(message)
    say("Reading the backup through, before anything is touched")
    manifest = _check(path, even_expired=even_expired, now=now)
    if list_migrations():
        seal_audit(wait=True)
        before = end_of_chain()
    else:
        before = (0, START)
    begin_restore()
    _prepare_tables(manifest, say=say)
    say("Reading it in")
    rows, files = _read_in(path, manifest)
    say("Bringing tables to this release")
    call_command("migrate", verbosity=0, interactive=False)
    after = end_of_chain()
    note_restore(before=before, after=after, backup_made_at=manifest["made_at"], now=now)
    record(
        actor="system",
        action="backup.restored",
        object=f"backup:{path.name}",
        detail={
            "made_at": manifest["made_at"],
            "entries_before": before[0],
            "entries_after": after[0],
            "even_expired": even_expired,
        },
        now=now,
    )
    for prepare in registries.preparations:
        prepare()
    say("Doing the erasures since then again")
    done = check_start(act=True)
    seal_audit(wait=True)
    end_restore()
    return Restored(manifest["made_at"], rows, files, tuple(done), time.monotonic() - began_at)


def _check(path: Path, *, even_expired: bool, now: datetime) -> Mapping[str, Any]:
    """Read all of it once: a damaged end must not be found when half of the tables are new."""
    manifest: Mapping[str, Any] = {}
    for member in read_members(path):
        if member.described["kind"] == MANIFEST:
            manifest = member.described
            if manifest.get("format") != FORMAT:
                raise NotABackup(path)
            if manifest["key_check"] != key_check():
                message = (
                    "This backup was made under another CDP_SUPPRESSION_KEY. Put that key back: without it nobody "
                    "could be found by an identifier, and no suppression would hold."
                )
                raise CannotRestore(message)
            if datetime.fromisoformat(manifest["expires_at"]) < now and not even_expired:
                message = (
                    f"This backup was to be deleted by {manifest['expires_at'][:10]} (CDP_BACKUP_DAYS). With --expired "
                    "it is read in all the same."
                )
                raise CannotRestore(message)
            _check_migrations(manifest)
            for check in registries.restore_checks:
                check(manifest["facts"])
    return manifest


def _check_migrations(manifest: Mapping[str, Any]) -> None:
    known = MigrationLoader(None, ignore_no_migrations=True).disk_migrations
    unknown = [f"{app}.{name}" for app, name in manifest["migrations"] if (app, name) not in known]
    if unknown:
        message = f"This backup is of a newer release: its {unknown[0]} is not known here. Restore it with that one."
        raise CannotRestore(message)


def _prepare_tables(manifest: Mapping[str, Any], *, say: Say) -> None:
    """Give the database the tables that it had when the backup was made, if it has others."""
    wanted = [list(one) for one in manifest["migrations"]]
    if sorted(wanted) == list_migrations():
        return
    say("Making the tables of the backup's release")
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_schema()")
        schema = cursor.fetchone()[0]
        cursor.execute(f'DROP SCHEMA "{schema}" CASCADE')
        cursor.execute(f'CREATE SCHEMA "{schema}"')
    connection.close()
    for app, name in _last_of_each(wanted):
        call_command("migrate", app, name, verbosity=0, interactive=False)


def _last_of_each(wanted: list[list[str]]) -> list[tuple[str, str]]:
    """Return the migrations that no other wanted one of their app builds on."""
    loader = MigrationLoader(None, ignore_no_migrations=True)
    names = {(app, name) for app, name in wanted}
    built_on = {parent for one in names for parent in loader.disk_migrations[one].dependencies if parent[0] == one[0]}
    return sorted(names - built_on)


def _read_in(path: Path, manifest: Mapping[str, Any]) -> tuple[int, int]:
    rows = files = 0
    names: set[str] = set()
    for table in {table.name for table in list_tables()} & registries.kept_apart.keys():
        registries.kept_apart[table][0]()
    with transaction.atomic(), connection.cursor() as cursor:
        _empty(cursor, manifest)
        for member in read_members(path):
            kind = member.described["kind"]
            if kind == TABLE:
                rows += _read_table(cursor, member)
            elif kind == FILE:
                _read_file(member)
                names.add(member.described["name"])
                files += 1
        for _, bring_back in registries.kept_apart.values():
            bring_back()
        for sequence, value in manifest["sequences"].items():
            cursor.execute("SELECT setval(%s::regclass, %s)", [f'"{sequence}"', value])
    _drop_other_files(names)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return rows, files


def _empty(cursor: Any, manifest: Mapping[str, Any]) -> None:
    """Empty all tables, and give the partitioned ones the partitions that the backup knows."""
    # Rows come in an order in which foreign keys do not hold yet; they held when the backup was made.
    cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
    if cursor.fetchone()[0]:
        cursor.execute("SET LOCAL session_replication_role = replica")
    else:
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
    cursor.execute(f"TRUNCATE {', '.join(table.quoted for table in list_tables())}")
    wanted = {(parent, name, bounds) for parent, name, bounds in manifest["partitions"]}
    there = {(part.parent, part.name, part.bounds) for part in list_partitions()}
    for _, name, _ in sorted(there - wanted):
        cursor.execute(f'DROP TABLE "{name}"')
    for parent, name, bounds in sorted(wanted - there):
        cursor.execute(f'CREATE TABLE "{name}" PARTITION OF "{parent}" {bounds}')


def _read_table(cursor: Any, member: Member) -> int:
    columns = ", ".join(f'"{column}"' for column in member.described["columns"])
    cursor.cursor.copy_expert(
        f'COPY "{member.described["name"]}" ({columns}) FROM STDIN (FORMAT binary)', member, PIECE
    )
    count: int = cursor.rowcount
    return count


def _read_file(member: Member) -> None:
    folder = sealed_directory()
    target = (folder / member.described["name"]).resolve()
    if not target.is_relative_to(folder.resolve()):
        message = "The backup names a file outside of its directory."
        raise CannotRestore(message)
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = target.with_name(f"{target.name}.part")
    with draft.open("wb") as file:
        while piece := member.read(PIECE):
            file.write(piece)
    draft.chmod(0o600)
    draft.rename(target)


def _drop_other_files(names: set[str]) -> None:
    """Delete files that no row of the restored database knows: nobody would ever delete them."""
    folder = sealed_directory()
    for path in folder.rglob("*"):
        if path.is_file() and str(path.relative_to(folder)) not in names:
            path.unlink(missing_ok=True)
