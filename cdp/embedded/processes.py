"""Facts about operating-system processes, and ending them."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def follow_parent(death_signal: signal.Signals) -> Callable[[], None]:
    """Make a `preexec_fn` for `Popen` by which the child gets this signal when its parent dies.

    Only Linux can do it; elsewhere the next start clears away what was left. The parent is the *thread* that
    starts the child: start children from the main thread.
    """
    parent = os.getpid()

    def follow() -> None:
        if _LIBC is not None:
            _LIBC.prctl(_SET_PARENT_DEATH_SIGNAL, int(death_signal), 0, 0, 0)
            if os.getppid() != parent:
                os.kill(os.getpid(), death_signal)

    return follow


def exists(pid: int) -> bool:
    """Tell whether the system knows a process of this id, dead but not yet collected included."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def is_alive(pid: int) -> bool:
    """Tell whether a process of this id runs; one that is dead but not yet collected does not."""
    if not exists(pid):
        return False
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return True
    return state.rpartition(")")[2].split()[0] != "Z"


def command_of(pid: int) -> str:
    """Read the command line of a process; empty where it is gone."""
    if Path("/proc/self").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            return ""
    found = subprocess.run(["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return found.stdout.strip()


def processes_in(directory: Path) -> list[int]:
    """Find the living processes whose working directory this is (Linux only; elsewhere none are found)."""
    found = []
    for link in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if link.readlink() == directory and is_alive(int(link.parent.name)):
                found.append(int(link.parent.name))
        except OSError:
            continue
    return found


def signal_process(pid: int, number: signal.Signals) -> None:
    """Send a signal; nothing happens where the process is gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def signal_group(group: int, number: signal.Signals) -> None:
    """Send a signal to a process group; nothing happens where it is gone."""
    # macOS answers "not permitted" for a group of which only uncollected dead are left.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def wait_gone(pid: int, *, seconds: float) -> bool:
    """Wait until a process that is not our child is gone; False where it still runs after that time."""
    until = time.monotonic() + seconds
    while is_alive(pid):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def tail(path: Path, *, lines: int = 8) -> list[str]:
    """Read the last lines of a log file."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 16_384))
            return file.read().decode(errors="replace").splitlines()[-lines:]
    except OSError:
        return []
