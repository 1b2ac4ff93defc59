"""Keeping the keys of persons out of backups, and beside them in one file that forgets who was erased.

A backup that held the keys would open what it holds for as long as it lies about. So backups leave them out; after
each one the file (in the directory of the erasure ledger) has all keys there are, and an erasure takes the person's out
of it at once. A restore reads the file. The keys in it are wrapped by the master key.
"""

import fcntl
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.db import connection

from cdp.core.copying import copy_rows

TABLE = "profiles_personkey"
NAME = "person_keys"


def keep_keys() -> int:
    """Bring the file up to date with the database, and return how many keys it has; what only it knows stays in it."""
    with _locked() as path, connection.cursor() as cursor:
        known = _read(path)
        cursor.execute(f"SELECT identifier_id, encode(wrapped, 'hex') FROM {TABLE}")
        known.update(cursor.fetchall())
        _write(path, known)
    return len(known)


def bring_keys_back() -> int:
    """Put the keys of the file into the database, and return how many they are. The table must be empty."""
    with _locked() as path, connection.cursor() as cursor:
        known = _read(path)
        copy_rows(cursor, TABLE, "identifier_id, wrapped", [f"{key}\t\\\\x{value}\n" for key, value in known.items()])
    return len(known)


def forget_keys(identifier_ids: Collection[int]) -> None:
    """Take keys out of the file."""
    with _locked() as path:
        known = _read(path)
        gone = known.keys() & set(identifier_ids)
        if gone:
            _write(path, {key: value for key, value in known.items() if key not in gone})


@contextmanager
def _locked() -> Iterator[Path]:
    folder: Path = settings.CDP_LEDGER_DIR
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / f".{NAME}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder / NAME


def _read(path: Path) -> dict[int, str]:
    if not path.exists():
        return {}
    with path.open(encoding="ascii") as file:
        return {int(key): value for key, _, value in (line.rstrip("\n").partition("\t") for line in file)}


def _write(path: Path, known: Mapping[int, str]) -> None:
    draft = path.with_name(f".{NAME}.draft")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
        file.writelines(f"{key}\t{value}\n" for key, value in known.items())
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
