"""What a fault works on: the running product, its database seen from outside, and the load on it."""

import contextlib
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2

from cdp.core import locks
from cdp.core.connections import database_is_away
from tests.faults.load import Load
from tests.journeys.conftest import Product

STAGE_SECONDS = 4.0
RECOVER_SECONDS = 120.0
LOOK_SECONDS = 0.003
CHILDREN = ("web", "beat", "ingest", "worker")


def _advisory(lock: int) -> str:
    return f"locktype = 'advisory' AND (classid::bigint << 32) + objid::bigint = {lock} AND granted"


_INBOX = "relation = 'ingestion_inbox'::regclass"
# Where a message is on its way, told from the locks that are held.
STAGES = {
    "accepting": f"SELECT EXISTS (SELECT FROM pg_locks WHERE {_INBOX} AND mode = 'RowExclusiveLock')",
    "preparing": f"SELECT EXISTS (SELECT FROM pg_locks WHERE {_INBOX} AND mode = 'RowShareLock') "
    f"AND NOT EXISTS (SELECT FROM pg_locks WHERE {_advisory(locks.IDENTITY)})",
    "writing": f"SELECT EXISTS (SELECT FROM pg_locks WHERE {_advisory(locks.IDENTITY)})",
    "following": f"SELECT EXISTS (SELECT FROM pg_locks WHERE {_advisory(locks.SEGMENTS)})",
}


IS_STORED = """
SELECT EXISTS (SELECT FROM profiles_event WHERE message_id = %s AND occurred_at > now() - interval '1 hour')
"""


@dataclass(slots=True)
class Ground:
    """One product under load, and what was seen of it."""

    product: Product
    load: Load
    chance: random.Random
    hits: Counter[str] = field(default_factory=Counter)
    _connection: Any = None

    def ask(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Ask the database; whoever restarts it meanwhile is waited for."""
        until = time.monotonic() + RECOVER_SECONDS
        while True:
            try:
                if self._connection is None:
                    self._connection = psycopg2.connect(self.product.dsn)
                    self._connection.autocommit = True
                with self._connection.cursor() as cursor:
                    cursor.execute(statement, parameters or None)
                    return list(cursor.fetchall()) if cursor.description else []
            except psycopg2.Error as error:
                self.close()
                if not database_is_away(error) or time.monotonic() > until:
                    raise
                time.sleep(0.1)

    def close(self) -> None:
        """Close the connection of this side."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def reach(self, stage: str) -> None:
        """Wait until some message is at a stage; without one after a while, any moment will do."""
        time.sleep(self.chance.uniform(0.0, 0.1))
        until = time.monotonic() + STAGE_SECONDS
        while time.monotonic() < until:
            if self.ask(STAGES[stage])[0][0]:
                self.hits[stage] += 1
                return
            time.sleep(LOOK_SECONDS)
        self.hits["any"] += 1

    def recover(self) -> None:
        """Wait until every process is back, messages are accepted again, and one of those is an event."""
        self.wait(lambda: all(is_running(self.product.children().get(name)) for name in CHILDREN))
        before = self.load.accepted_requests
        self.wait(lambda: self.load.accepted_requests >= before + 3)
        message_id = self.load.last_accepted
        self.wait(lambda: bool(self.ask(IS_STORED, message_id)[0][0]))

    def wait(self, condition: Callable[[], bool], *, seconds: float = RECOVER_SECONDS) -> None:
        """Wait until something holds; what cannot be read at the moment does not."""

        def holds() -> bool:
            try:
                return condition()
            except (OSError, ValueError, LookupError):
                return False

        self.product.wait_until(holds, seconds=seconds)


def is_running(pid: int | None) -> bool:
    """Tell whether there is such a process; a dead one that nobody has collected yet is none."""
    if pid is None:
        return False
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def children_of(pid: int) -> list[int]:
    """Return the processes that one has started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found


def command_of(pid: int) -> str:
    """Return the command line of a process."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def busy_workers(product: Product) -> dict[int, list[int]]:
    """Return the processes that work on a batch, with the ids of its requests: by their marks, which they hold open."""
    found: dict[int, list[int]] = {}
    folder = str(product.data_dir / "run" / "processing")
    for pid in children_of(product.children().get("ingest", -1)):
        for path in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                target = os.readlink(path)
                if target.startswith(folder):
                    text = Path(target).read_text().strip()
                    if text not in {"", "[]"}:
                        found[pid] = [int(one) for one in text.strip("[]").split(",")]
            except (OSError, ValueError):
                continue
    return found


def kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal, if there is still somebody to take it."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
