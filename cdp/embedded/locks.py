"""File locks that the kernel drops when their holder dies, however it dies."""

import fcntl
import os
from pathlib import Path

from cdp.embedded.layout import give_to_owner


def open_lock(path: Path) -> int:
    """Open a lock file, made where missing; programs started later do not inherit the descriptor."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    give_to_owner(path, path.parent)
    return descriptor


def lock(descriptor: int, *, shared: bool = False) -> None:
    """Wait for the lock."""
    fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)


def try_lock(descriptor: int, *, shared: bool = False) -> bool:
    """Take the lock if it is free; a lock that this descriptor already holds is converted."""
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_locked(path: Path) -> bool:
    """Tell whether some process holds this lock exclusively."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not try_lock(descriptor, shared=True)
    finally:
        os.close(descriptor)


def write_holder(descriptor: int, text: str) -> None:
    """Leave a word about the holder in the lock file, for who finds it locked."""
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode(), 0)


def read_holder(path: Path) -> str:
    """Read what the holder of the lock left there; empty where nobody did."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
