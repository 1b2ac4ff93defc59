"""What each worker is busy with, in a file that outlives it: so a message that kills its worker is found and set aside.

An exception names its message; a worker that the system kills (no memory left, a fault in a compiled library) says
nothing, and the next one would take the same batch. The file is locked as long as its worker lives: no process id that
somebody else could have by now. It is not forced to the disk: a machine that goes down kills every worker, and that
tells nothing about any message.
"""

import fcntl
import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from django.conf import settings

PREFIX = "batch-"


class Mark:
    """This process's file; made when first needed, and anew after a fork."""

    def __init__(self) -> None:
        self._file: IO[str] | None = None
        self._owner = 0

    def set(self, inbox_ids: Iterable[int]) -> None:
        """Write down what is worked on from now; nothing, when it is done."""
        file = self._own_file()
        file.seek(0)
        file.truncate()
        json.dump(list(inbox_ids), file)
        file.flush()

    def leave(self) -> None:
        """Let go of the file as it is, as a worker that is killed does."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _own_file(self) -> IO[str]:
        if self._file is None or self._owner != os.getpid():
            folder = _folder()
            folder.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.NamedTemporaryFile("w", dir=folder, prefix=PREFIX, delete=False)  # noqa: SIM115
            fcntl.flock(self._file, fcntl.LOCK_EX)
            self._owner = os.getpid()
        return self._file


mark = Mark()


def find_lost() -> list[list[int]]:
    """Return what workers that are gone were busy with, and forget it; each list was one batch."""
    lost: list[list[int]] = []
    for path in sorted(_folder().glob(f"{PREFIX}*")):
        try:
            with path.open() as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                text = file.read()
                path.unlink()
        except (BlockingIOError, FileNotFoundError):
            continue
        if ids := _read(text):
            lost.append(ids)
    return lost


def _read(text: str) -> list[int]:
    try:
        ids = json.loads(text or "[]")
    except json.JSONDecodeError:
        # Cut off in the middle of writing: nothing of the batch had begun.
        return []
    return [one for one in ids if isinstance(one, int)] if isinstance(ids, list) else []


def _folder() -> Path:
    return Path(settings.CDP_DATA_DIR) / "run" / "processing"
