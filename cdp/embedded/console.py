"""What `make up` writes: every line with the name of who said it."""

import contextlib
import os
import re
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path

_COLOURS = {
    "cdp": "1",
    "web": "36",
    "ingest": "32",
    "worker": "92",
    "outgoing": "93",
    "matching": "95",
    "beat": "35",
    "postgres": "34",
    "valkey": "33",
    "servers": "34",
    "demo": "96",
}
_NAME_WIDTH = max(map(len, _COLOURS))
_FOLLOW_SECONDS = 0.2
# Valkey asks for memory to snapshot with; ours never takes snapshots.
_UNIMPORTANT = re.compile(rb"Memory overcommit must be enabled")
_one_at_a_time = threading.Lock()


def write_line(name: str, text: str) -> None:
    """Write one line, after who said it."""
    prefix = f"{name:<{_NAME_WIDTH}} |"
    if sys.stdout.isatty() and "NO_COLOR" not in os.environ:
        prefix = f"\033[{_COLOURS.get(name, '37')}m{prefix}\033[0m"
    # A line that finds no room, as in a file on a full disk, is dropped: its reader would end with the exception, and
    # the process that is read would wait for ever for somebody to take what it says.
    with _one_at_a_time, contextlib.suppress(OSError):
        sys.stdout.write(f"{prefix} {text.rstrip()}\n")
        sys.stdout.flush()


def write_lines(name: str, lines: Iterable[bytes]) -> None:
    """Write what a process says until it ends."""
    for line in lines:
        write_line(name, line.decode(errors="replace"))


def follow_stream(name: str, stream: Iterable[bytes]) -> threading.Thread:
    """Write what a process says, in the background."""
    thread = threading.Thread(target=write_lines, args=(name, stream), daemon=True, name=f"log of {name}")
    thread.start()
    return thread


def follow_file(name: str, path: Path, *, stop: threading.Event) -> threading.Thread:
    """Write what is added to a log file from now on, in the background; a file begun anew is read from its start."""
    position = path.stat().st_size if path.exists() else 0
    thread = threading.Thread(target=_follow, args=(name, path, position, stop), daemon=True, name=f"log of {name}")
    thread.start()
    return thread


def _follow(name: str, path: Path, position: int, stop: threading.Event) -> None:
    ending = False
    while not ending:
        ending = stop.wait(_FOLLOW_SECONDS)
        try:
            size = path.stat().st_size
            if size < position:
                position = 0
            if size == position:
                continue
            with path.open("rb") as file:
                file.seek(position)
                whole = file.read().rpartition(b"\n")[0]
        except OSError:
            continue
        if whole:
            position += len(whole) + 1
            write_lines(name, [line for line in whole.split(b"\n") if not _UNIMPORTANT.search(line)])


def progress(text: str) -> None:
    """Write a line of the supervisor itself."""
    write_line("cdp", text)


def banner(lines: list[str]) -> None:
    """Write the few lines that a person is waiting for, apart from the rest."""
    if not lines:
        return
    with _one_at_a_time, contextlib.suppress(OSError):
        sys.stdout.write("\n" + "\n".join(f"    {line}" for line in lines) + "\n\n")
        sys.stdout.flush()


def seconds_since(start: float) -> str:
    """Say how long something took, e.g. ``2.1 s``."""
    return f"{time.monotonic() - start:.1f} s"
