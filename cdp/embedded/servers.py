"""Use, stop and ask after the servers of a data directory."""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cdp.embedded.diagnosis import explain
from cdp.embedded.errors import ServerFailed
from cdp.embedded.layout import REPOSITORY, Layout, give_to_owner, prepare_layout, remove_sockets
from cdp.embedded.locks import is_locked, lock, open_lock, read_holder, try_lock
from cdp.embedded.machine import Profile
from cdp.embedded.postgres import database_url
from cdp.embedded.processes import is_alive, signal_process, tail
from cdp.embedded.valkey import broker_url

_POLL_SECONDS = 0.05
_PROGRESS_SECONDS = 3.0
_STOP_SECONDS = 150.0


@dataclass(frozen=True, slots=True)
class Servers:
    """Where the two stores are reached."""

    database_url: str
    broker_url: str


# Data directory to (descriptor of the shared lock, process that holds it). A fork inherits the entry, not the
# duty.
_uses: dict[Path, tuple[int, int]] = {}
# Data directory to the guards that this process started; kept, so that their end is collected.
_guards: dict[Path, list[subprocess.Popen[bytes]]] = {}


def _print(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def ensure_servers(
    data_dir: Path,
    *,
    env: Mapping[str, str] = os.environ,
    profile: Profile = "product",
    say: Callable[[str], None] = _print,
) -> Servers:
    """Start the embedded servers that do not run yet, and keep them running as long as this process lives.

    Parameters
    ----------
    data_dir : Path
        Absolute path of the installation's data directory.
    env : mapping
        ``CDP_DATABASE_URL`` and ``CDP_BROKER_URL`` win; with both set, nothing is started or touched.
    profile : {"product", "tests"}
        ``tests`` is fast and unsafe against power failure; without effect on servers that already run.
    say : callable
        Told how far a long start is, e.g. after a crash.

    Returns
    -------
    Servers

    Raises
    ------
    EmbeddedError
        With a sentence that says what to do.

    Notes
    -----
    Released at the end of the process, or by `release_servers`; the last to release stops the servers.
    """
    if env.get("CDP_DATABASE_URL") and env.get("CDP_BROKER_URL"):
        return Servers(database_url=env["CDP_DATABASE_URL"], broker_url=env["CDP_BROKER_URL"])
    layout = prepare_layout(data_dir)
    _use(layout)
    try:
        _ensure_guard(layout, profile=profile, say=say)
    except ServerFailed:
        release_servers(data_dir)
        raise
    return Servers(
        database_url=env.get("CDP_DATABASE_URL") or database_url(layout),
        broker_url=env.get("CDP_BROKER_URL") or broker_url(layout),
    )


def release_servers(data_dir: Path) -> bool:
    """Use the servers no longer; the last user stops them and waits for their end.

    Returns
    -------
    bool
        Whether nothing runs any more; False where another process still uses the servers.
    """
    descriptor, holder = _uses.pop(data_dir, (-1, 0))
    if descriptor < 0:
        return not servers_running(data_dir)
    if holder != os.getpid():
        return False
    layout = Layout(root=data_dir)
    try:
        if try_lock(descriptor):
            _stop_guard(layout)
            return True
        if try_lock(descriptor, shared=True):
            return False
        # Neither is to be had: the guard has taken the lock and is stopping.
        return _wait_until_gone(layout)
    finally:
        os.close(descriptor)


def stop_servers(data_dir: Path) -> None:
    """Stop the servers whoever uses them, and wait for their end; nothing happens where none run."""
    layout = Layout(root=data_dir)
    _stop_guard(layout)
    release_servers(data_dir)
    if not is_locked(layout.guard_lock):
        remove_sockets(layout)


def servers_running(data_dir: Path) -> bool:
    """Tell whether the embedded servers of this data directory are up and answer."""
    layout = Layout(root=data_dir)
    return is_locked(layout.guard_lock) and _is_ready(layout, _read_state(layout))


def _use(layout: Layout) -> None:
    if layout.root not in _uses:
        descriptor = open_lock(layout.users_lock)
        lock(descriptor, shared=True)
        _uses[layout.root] = (descriptor, os.getpid())
        atexit.register(release_servers, layout.root)


def _ensure_guard(layout: Layout, *, profile: Profile, say: Callable[[str], None]) -> None:
    starting = open_lock(layout.start_lock)
    try:
        lock(starting)
        started = None if is_locked(layout.guard_lock) else _start_guard(layout, profile=profile)
        if not _wait_until_ready(layout, started=started, say=say):
            # The guard that was there is gone: it was ending, or it failed for somebody else. Ours says why.
            _wait_until_ready(layout, started=_start_guard(layout, profile=profile), say=say)
    finally:
        os.close(starting)


def _start_guard(layout: Layout, *, profile: Profile) -> subprocess.Popen[bytes]:
    descriptor = os.open(layout.logs / "servers.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        give_to_owner(layout.logs / "servers.log", layout.root)
        started = subprocess.Popen(
            [sys.executable, "-m", "cdp.embedded", "guard", str(layout.root), "--profile", profile],
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            start_new_session=True,
            cwd=REPOSITORY,
        )
    finally:
        os.close(descriptor)
    _guards.setdefault(layout.root, []).append(started)
    return started


def _wait_until_ready(layout: Layout, *, started: subprocess.Popen[bytes] | None, say: Callable[[str], None]) -> bool:
    """Wait for the guard; False where the one that ran before us is gone, an error where the one we started is."""
    next_word_at = time.monotonic() + _PROGRESS_SECONDS
    while True:
        alive = is_locked(layout.guard_lock) if started is None else started.poll() is None
        state = _read_state(layout)
        is_its_own = started is None or state.get("pid") == started.pid
        if is_its_own and _is_ready(layout, state):
            return True
        if not alive and started is None:
            return False
        if not alive and is_its_own and state.get("state") == "failed":
            raise ServerFailed(str(state["message"]))
        if not alive:
            raise ServerFailed(f"The embedded servers ended at once. {explain(tail(layout.logs / 'servers.log'))}")
        if time.monotonic() > next_word_at:
            say(f"Waiting for {state.get('waiting_for', 'the servers')}: {state.get('detail') or 'starting'}")
            next_word_at = time.monotonic() + _PROGRESS_SECONDS
        time.sleep(_POLL_SECONDS)


def _stop_guard(layout: Layout) -> None:
    holder = read_holder(layout.guard_lock)
    if is_locked(layout.guard_lock) and holder.isdigit() and is_alive(int(holder)):
        signal_process(int(holder), signal.SIGTERM)
        _wait_until_gone(layout)


def _wait_until_gone(layout: Layout) -> bool:
    until = time.monotonic() + _STOP_SECONDS
    while is_locked(layout.guard_lock):
        if time.monotonic() > until:
            return False
        time.sleep(_POLL_SECONDS)
    for started in _guards.pop(layout.root, []):
        # The lock is given up a moment before the process is gone.
        started.wait()
    return True


def _is_ready(layout: Layout, state: dict[str, object]) -> bool:
    # A guard that was just killed still holds its lock for a moment, and its last word was "ready".
    return (
        state.get("state") == "ready"
        and str(state["pid"]) == read_holder(layout.guard_lock)
        and _listens(layout.postgres_socket)
        and _listens(layout.valkey_socket)
    )


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(str(path)) == 0


def _read_state(layout: Layout) -> dict[str, object]:
    try:
        state: dict[str, object] = json.loads(layout.guard_state.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return state
