"""A small disk of its own, and filling it to the last byte."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

MEGABYTE = 1024 * 1024
BALLAST = "ballast"
LARGEST_STEP = 64 * MEGABYTE
PAGE = 4096


class NoSmallDisk(RuntimeError):
    """This system lets us mount nothing."""


@contextmanager
def small_disk(megabytes: int) -> Generator[Path, None, None]:
    """Mount a file system in memory that holds so much.

    Raises
    ------
    NoSmallDisk
        Where that is not allowed: it needs root, and a container may forbid even that.
    """
    path = Path(tempfile.mkdtemp(prefix="cdp-disk-")).resolve()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=711", "cdp-small-disk", str(path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        done = subprocess.CompletedProcess(command, 1, "", "there is no `mount`")
    if done.returncode:
        path.rmdir()
        raise NoSmallDisk(done.stderr.strip())
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)
        path.rmdir()


def fill(disk: Path, *, leave: int = 0) -> None:
    """Leave about so many bytes of the disk; 0: until the system says that there is no room, while others write too."""
    size, step = 0, LARGEST_STEP
    with (disk / BALLAST).open("wb") as file:
        while step >= PAGE:
            if shutil.disk_usage(disk).free - leave >= step:
                with contextlib.suppress(OSError):
                    os.posix_fallocate(file.fileno(), size, step)
                    size += step
                    continue
            step //= 2


def empty(disk: Path) -> None:
    """Make room again."""
    (disk / BALLAST).unlink()
