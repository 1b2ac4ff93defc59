"""The guard: one small process per data directory that keeps both servers running while anybody uses them.

It is the servers' parent, so it sees at once when one dies and starts it again. It stops them when the lock
of users becomes free, which the kernel sees to however a user ends, kill -9 included.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from cdp.embedded.accounts import Account
from cdp.embedded.diagnosis import explain
from cdp.embedded.errors import EmbeddedError
from cdp.embedded.layout import Layout, give_to_owner, prepare_layout, remove_sockets
from cdp.embedded.locks import open_lock, try_lock, write_holder
from cdp.embedded.machine import Profile
from cdp.embedded.postgres import is_ready, prepare_postgres, prepare_sockets
from cdp.embedded.processes import follow_parent, tail
from cdp.embedded.valkey import answers, prepare_valkey

_TICK_SECONDS = 0.1
_FIRST_STARTS = 3
_LONGEST_PAUSE_SECONDS = 30.0
_STEADY_SECONDS = 60.0
_LOG_BYTES = 10 * 1024 * 1024


@dataclass(slots=True)
class Guarded:
    """A server that is kept running."""

    name: str
    command: list[str]
    log: Path
    socket: Path
    stop_signals: list[tuple[signal.Signals, float]]
    is_ready: Callable[[int], bool]
    process: subprocess.Popen[bytes] | None = None
    ready: bool = False
    failures: int = 0
    started_at: float = 0.0
    next_start_at: float = 0.0


@dataclass(slots=True)
class Watch:
    """What the guard knows while it runs."""

    layout: Layout
    account: Account
    servers: list[Guarded]
    users: int
    stopping: bool = False
    state: dict[str, object] = field(default_factory=dict)


def guard(data_dir: Path, *, profile: Profile) -> int:
    """Run the servers of a data directory until nobody uses them; answers the exit status."""
    layout = prepare_layout(data_dir)
    mine = open_lock(layout.guard_lock)
    if not try_lock(mine):
        return 0
    write_holder(mine, str(os.getpid()))
    _report(layout, {"state": "starting"})
    try:
        watch = _prepare(layout, profile=profile)
    except EmbeddedError as error:
        _report(layout, {"state": "failed", "message": error.message})
        return 1
    except OSError as error:
        lines = [f"{error.filename or layout.root}: {error.strerror}"]
        _report(layout, {"state": "failed", "message": f"The servers could not be prepared. {explain(lines)}"})
        return 1

    def stop(_number: int, _frame: FrameType | None) -> None:
        watch.stopping = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        failed = _watch(watch)
    except EmbeddedError as error:
        failed = error.message
    if failed is None:
        _report(layout, {"state": "stopping"})
    for server in reversed(watch.servers):
        _stop(server)
    remove_sockets(layout)
    if failed is not None:
        _report(layout, {"state": "failed", "message": failed})
        return 1
    return 0


def _prepare(layout: Layout, *, profile: Profile) -> Watch:
    postgres = prepare_postgres(layout, profile=profile)
    servers = [
        Guarded(
            name="postgres",
            command=postgres.command,
            log=layout.logs / "postgres.log",
            socket=layout.postgres_socket,
            # Fast shutdown writes a checkpoint first, which takes its time on a slow disk; then immediate,
            # then kill.
            stop_signals=[(signal.SIGINT, 120), (signal.SIGQUIT, 10), (signal.SIGKILL, 10)],
            is_ready=lambda pid: is_ready(postgres, pid),
        ),
        Guarded(
            name="valkey",
            command=prepare_valkey(layout, account=postgres.account),
            log=layout.logs / "valkey.log",
            socket=layout.valkey_socket,
            stop_signals=[(signal.SIGTERM, 5), (signal.SIGKILL, 5)],
            is_ready=lambda _pid: answers(layout.valkey_socket),
        ),
    ]
    return Watch(layout=layout, account=postgres.account, servers=servers, users=open_lock(layout.users_lock))


def _watch(watch: Watch) -> str | None:
    """Keep the servers running; answers why that failed, or None when they are to stop."""
    while not watch.stopping:
        for server in watch.servers:
            failed = _keep(server, watch)
            if failed is not None:
                return failed
        waiting = [server for server in watch.servers if not server.ready]
        if waiting:
            last = tail(waiting[0].log, lines=1)
            _report(
                watch.layout,
                {"state": "starting", "waiting_for": waiting[0].name, "detail": "".join(last)},
                watch,
            )
        else:
            _report(watch.layout, {"state": "ready"}, watch)
        if try_lock(watch.users):
            # Held until this process ends: whoever comes now waits for the end and starts a new guard.
            return None
        time.sleep(_TICK_SECONDS)
    return None


def _keep(server: Guarded, watch: Watch) -> str | None:
    now = time.monotonic()
    if server.process is None:
        if now >= server.next_start_at:
            prepare_sockets(watch.layout, account=watch.account)
            _start(server, watch.account)
        return None
    status = server.process.poll()
    if status is None:
        if not server.ready:
            server.ready = server.is_ready(server.process.pid)
        elif not server.socket.exists():
            # A cleaner of /tmp, say: nobody could reach the server any more.
            _say(f"The socket {server.socket} is gone; starting {server.name} again")
            _stop(server)
        if server.failures and now - server.started_at > _STEADY_SECONDS:
            server.failures = 0
        return None
    was_ready, server.process, server.ready = server.ready, None, False
    server.failures += 1
    if not was_ready and server.failures >= _FIRST_STARTS and not watch.state.get("was_ready"):
        return f"{server.name} does not start. {explain(tail(server.log))}"
    pause = min(0.5 * 2 ** (server.failures - 1), _LONGEST_PAUSE_SECONDS)
    server.next_start_at = now + pause
    how = f"by signal {-status}" if status < 0 else f"with status {status}"
    _say(f"{server.name} ended {how}; starting it again in {pause:g} s. {explain(tail(server.log, lines=3))}")
    return None


def _start(server: Guarded, account: Account) -> None:
    if server.log.exists() and server.log.stat().st_size > _LOG_BYTES:
        server.log.replace(server.log.with_suffix(".log.1"))
    descriptor = os.open(server.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        give_to_owner(server.log, server.log.parent)
        server.process = subprocess.Popen(
            server.command,
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            start_new_session=True,
            preexec_fn=follow_parent(server.stop_signals[0][0]),  # noqa: PLW1509 - this process has one thread
            **account.popen_arguments(),
        )
    finally:
        os.close(descriptor)
    server.started_at = time.monotonic()


def _stop(server: Guarded) -> None:
    if server.process is None:
        return
    for number, seconds in server.stop_signals:
        server.process.send_signal(number)
        try:
            server.process.wait(seconds)
        except subprocess.TimeoutExpired:
            continue
        return


def _report(layout: Layout, state: dict[str, object], watch: Watch | None = None) -> None:
    """Write the state for those who wait; nothing is written while nothing changes."""
    if watch is not None:
        was_ready = bool(watch.state.get("was_ready")) or state["state"] == "ready"
        state = state | {"was_ready": was_ready}
        if state == watch.state:
            return
    draft = layout.guard_state.with_suffix(".draft")
    try:
        draft.write_text(json.dumps(state | {"pid": os.getpid()}), encoding="utf-8")
        give_to_owner(draft, layout.root)
        draft.replace(layout.guard_state)
    except OSError:
        # A full disk, most likely: the servers are kept running all the same, and the state is written once it can be.
        return
    if watch is not None:
        watch.state = state


def _say(text: str) -> None:
    # On a full disk the line is lost, and nothing else.
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {text}\n")
        sys.stderr.flush()
