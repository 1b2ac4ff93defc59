"""The processes of the product that the supervisor runs: start, watch, restart, stop, clear away."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from cdp.embedded.console import follow_stream, progress
from cdp.embedded.layout import REPOSITORY, Layout
from cdp.embedded.processes import command_of, follow_parent, is_alive, signal_group, wait_gone

# In the environment of every process of the product: by it the next start finds what a kill -9 left behind.
MARK = "CDP_STARTED_FOR"

_LONGEST_PAUSE_SECONDS = 30.0
_STEADY_SECONDS = 60.0
_HURRY_SECONDS = 2.0
_LEFTOVER_SECONDS = 5.0


@dataclass(slots=True)
class Child:
    """One process of the product with its own process group."""

    name: str
    command: list[str]
    # Signals to try in turn when stopping, each with the seconds to wait for it.
    stop_signals: list[tuple[signal.Signals, float]]
    restarts: bool = True
    process: subprocess.Popen[bytes] | None = None
    reader: threading.Thread | None = None
    failures: int = 0
    started_at: float = 0.0
    next_start_at: float = 0.0
    status: int | None = None


@dataclass(slots=True)
class Patience:
    """How patiently to stop; a second Ctrl-C hurries."""

    hurry: bool = field(default=False)


def start_child(child: Child, *, layout: Layout) -> None:
    """Start a child in a group of its own, so that Ctrl-C reaches only the supervisor, which stops all in order."""
    child.process = subprocess.Popen(
        child.command,
        cwd=REPOSITORY,
        env=os.environ | {MARK: str(layout.root), "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": _warnings()},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=follow_parent(signal.SIGTERM),  # noqa: PLW1509 - runs prctl only, which takes no lock
    )
    assert child.process.stdout is not None
    child.reader = follow_stream(child.name, child.process.stdout)
    child.started_at = time.monotonic()
    child.status = None


def keep_child(child: Child, *, layout: Layout) -> None:
    """Notice the end of a child, clear away its group, and start it again after a pause."""
    now = time.monotonic()
    if child.process is None:
        if child.restarts and now >= child.next_start_at:
            start_child(child, layout=layout)
        return
    status = child.process.poll()
    if status is None:
        if child.failures and now - child.started_at > _STEADY_SECONDS:
            child.failures = 0
        return
    _collect(child, status)
    if child.restarts:
        child.failures += 1
        pause = min(0.5 * 2 ** (child.failures - 1), _LONGEST_PAUSE_SECONDS)
        child.next_start_at = now + pause
        progress(f"{child.name} ended {describe_status(status)}; starting it again in {pause:g} s")


def stop_children(children: list[Child], *, patience: Patience) -> None:
    """Stop children together and wait for their end; none and nothing of their groups is left."""
    running = [child for child in children if child.process is not None]
    steps = {child.name: list(child.stop_signals) for child in running}
    deadlines = dict.fromkeys(steps, 0.0)
    while running:
        for child in running[:]:
            assert child.process is not None
            status = child.process.poll()
            if status is not None:
                _collect(child, status)
                running.remove(child)
                continue
            if patience.hurry:
                deadlines[child.name] = min(deadlines[child.name], child.started_at + _HURRY_SECONDS)
            if time.monotonic() >= deadlines[child.name]:
                number, seconds = steps[child.name].pop(0) if steps[child.name] else (signal.SIGKILL, 5.0)
                _signal(child, number)
                # From here on `started_at` is when the last signal was sent, which is what hurrying counts from.
                child.started_at = time.monotonic()
                deadlines[child.name] = child.started_at + seconds
        time.sleep(0.05)


def write_children(children: list[Child], *, layout: Layout) -> None:
    """Leave the process ids for the next start, and for who wants to look."""
    running = {child.name: child.process.pid for child in children if child.process is not None}
    if running != _read_children(layout):
        draft = layout.children.with_suffix(".draft")
        # On a full disk it is written as soon as there is room: this is asked for again and again.
        with contextlib.suppress(OSError):
            draft.write_text(json.dumps(running), encoding="utf-8")
            draft.replace(layout.children)


def clear_leftovers(layout: Layout) -> list[int]:
    """End processes of an earlier run whose supervisor was killed; answers their ids."""
    found = _marked(str(layout.root))
    if sys.platform != "linux":
        found = [pid for pid in _read_children(layout).values() if "cdp" in command_of(pid)]
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in found:
            if is_alive(pid):
                signal_group(os.getpgid(pid), number)
        until = time.monotonic() + _LEFTOVER_SECONDS
        if all(wait_gone(pid, seconds=until - time.monotonic()) for pid in found):
            break
    layout.children.unlink(missing_ok=True)
    return found


def describe_status(status: int) -> str:
    """Say how a process ended."""
    return f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"


def _warnings() -> str:
    # Celery advises against root at each start. Who runs all of this as root has decided that.
    mine = "ignore:You're running the worker with superuser privileges"
    return ",".join(filter(None, [os.environ.get("PYTHONWARNINGS"), mine]))


def _signal(child: Child, number: signal.Signals) -> None:
    assert child.process is not None
    if number == signal.SIGKILL:
        signal_group(child.process.pid, number)
    else:
        child.process.send_signal(number)


def _collect(child: Child, status: int) -> None:
    assert child.process is not None
    assert child.process.stdout is not None
    # What its main process left running (a pool's processes, say) would hold the port or rows.
    signal_group(child.process.pid, signal.SIGKILL)
    if child.reader is not None:
        child.reader.join(timeout=1)
    child.process.stdout.close()
    child.process, child.reader, child.status = None, None, status


def _read_children(layout: Layout) -> dict[str, int]:
    try:
        children: dict[str, int] = json.loads(layout.children.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return children


def _marked(root: str) -> list[int]:
    mark = f"{MARK}={root}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found
