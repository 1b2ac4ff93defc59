"""The faults: what is done to the running product, each told to happen once and to leave it working again."""

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle

from tests.faults.disk import MEGABYTE, empty, fill
from tests.faults.ground import (
    STAGES,
    Ground,
    busy_workers,
    children_of,
    command_of,
    is_running,
    kill,
)

REFUSED_SECONDS = 30.0
FULL_SECONDS = 2.0
# Of these, `make up` waits longer before each new start: after so many the product is started anew.
PATIENT = 5
POISON = "Poisoned"
DEADLY = "Deadly"
BITES_SECONDS = 0.25
DEADLY_SECONDS = 90.0
# Held by whoever stores a deadly message, so that it is seen from outside.
BITING = 0xDE_AD
BITES = "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = %s)"
HOLDS = "SELECT id FROM ingestion_inbox WHERE position(%s IN body) > 0"
SET_ASIDE = """
SELECT count(*) FROM ingestion_quarantined q JOIN ingestion_source s ON s.id = q.source_id
WHERE s.key = %s AND q.code = 'processing_failed'
"""

_stages = cycle(STAGES)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that happens.

    Attributes
    ----------
    strike : callable
        Does it once; the number tells one time from the other.
    is_patient : bool
        Whether what it kills is started again after ever longer pauses.
    disk_megabytes : int
        Size of the small disk that it needs; 0: none.
    free_megabytes : int
        What `CDP_FREE_DISK_MB` is on that disk.
    sets_aside : int
        How many messages each time leaves in the quarantine.
    """

    title: str
    strike: Callable[[Ground, int], None]
    is_patient: bool = False
    disk_megabytes: int = 0
    free_megabytes: int = 0
    sets_aside: int = 0

    @property
    def times(self) -> int:
        """How often it happens in a campaign, if nothing else is said."""
        return PATIENT if self.is_patient else 20


def _kill_child(name: str) -> Callable[[Ground, int], None]:
    """Kill a process of `make up` with -9; it is started again."""

    def strike(ground: Ground, _number: int) -> None:
        ground.reach(next(_stages))
        pid = ground.product.children()[name]
        kill(pid)
        ground.wait(lambda: is_running(ground.product.children().get(name)) and ground.product.children()[name] != pid)

    return strike


def _end_postgres(number: signal.Signals) -> Callable[[Ground, int], None]:
    def strike(ground: Ground, _number: int) -> None:
        ground.reach(next(_stages))
        pid = ground.product.children()["postgres"]
        kill(pid, number)
        ground.close()
        ground.wait(lambda: not is_running(pid))
        ground.wait(lambda: ground.product.children()["postgres"] != pid)
        ground.ask("SELECT 1")

    return strike


def kill_backend(ground: Ground, _number: int) -> None:
    """Kill one process of PostgreSQL that serves a worker: PostgreSQL ends all others and recovers from its log."""
    ground.reach(next(_stages))
    own = ground.ask("SELECT pg_backend_pid()")[0][0]
    served = [row[0] for row in ground.ask("SELECT DISTINCT pid FROM pg_locks WHERE pid IS NOT NULL") if row[0] != own]
    among = [pid for pid in children_of(ground.product.children()["postgres"]) if pid in served]
    if not among:
        among = ground.ask("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> %s", own)
        among = [row[0] for row in among]
    kill(ground.chance.choice(among))
    ground.close()
    ground.ask("SELECT 1")


def kill_pool(ground: Ground, _number: int) -> None:
    """Kill a process that works on batches, while it does."""
    ground.reach(next(_stages))
    among = list(busy_workers(ground.product)) or children_of(ground.product.children()["ingest"])
    if among:
        kill(ground.chance.choice(among))


def kill_valkey(ground: Ground, _number: int) -> None:
    """Kill the broker; everything in it is gone."""
    ground.reach(next(_stages))
    guard = ground.product.children()["guard"]
    (pid,) = [one for one in children_of(guard) if "valkey-server" in command_of(one)]
    kill(pid)
    ground.wait(lambda: any(one != pid and "valkey-server" in command_of(one) for one in children_of(guard)))


def flush_valkey(ground: Ground, _number: int) -> None:
    """Empty the broker."""
    ground.reach(next(_stages))
    ground.product.broker().flushall()


def take_over(ground: Ground, _number: int) -> None:
    """Let two workers have one batch: one stops in its middle and loses its connection, the next takes it, it goes on.

    As when the network between worker and database breaks, or a machine hangs for a while.
    """
    until = time.monotonic() + REFUSED_SECONDS
    while time.monotonic() < until:
        for pid in busy_workers(ground.product):
            kill(pid, signal.SIGSTOP)
            taken = busy_workers(ground.product).get(pid, [])
            holders = [
                row[0]
                for row in ground.ask(
                    "SELECT DISTINCT pid FROM pg_locks WHERE relation = 'ingestion_inbox'::regclass "
                    "AND mode = 'RowShareLock' AND granted"
                )
            ]
            try:
                if taken and holders:
                    ground.hits["taken over"] += 1
                    ground.ask("SELECT pg_terminate_backend(pid) FROM unnest(%s) AS pid", holders)
                    ground.wait(lambda taken=taken: not _still_there(ground, taken))
                    return
            finally:
                kill(pid, signal.SIGCONT)
        time.sleep(0.002)
    ground.hits["never"] += 1


def _still_there(ground: Ground, inbox_ids: list[int]) -> bool:
    found: bool = ground.ask("SELECT EXISTS (SELECT FROM ingestion_inbox WHERE id = ANY(%s))", inbox_ids)[0][0]
    return found


def fill_disk(ground: Ground, _number: int) -> None:
    """Fill the disk to its last byte until messages are refused, a while longer, and make room again."""
    _fill(ground, leave=0)


def nearly_fill_disk(ground: Ground, _number: int) -> None:
    """Leave less of the disk than is to be kept free."""
    _fill(ground, leave=30 * MEGABYTE)


def _fill(ground: Ground, *, leave: int) -> None:
    disk = ground.product.data_dir
    before = ground.load.sent_again
    fill(disk, leave=leave)
    try:
        until = time.monotonic() + REFUSED_SECONDS
        while ground.load.sent_again == before and time.monotonic() < until:
            time.sleep(0.05)
        ground.hits["refused" if ground.load.sent_again > before else "not refused"] += 1
        time.sleep(FULL_SECONDS)
    finally:
        empty(disk)


def send_poison(ground: Ground, number: int) -> None:
    """Send a message that the database refuses, whatever is tried: it is set aside, nothing stands behind it."""
    if not number:
        _spoil(ground)
    ground.load.send_once(POISON, number)
    ground.wait(lambda: _set_aside(ground) > number)


def send_deadly(ground: Ground, number: int) -> None:
    """Send a message whose worker is killed with -9 each time it comes to it, as by a system without memory."""
    if not number:
        _spoil(ground)
    ground.load.send_once(DEADLY, number)
    until = time.monotonic() + DEADLY_SECONDS
    while _set_aside(ground) <= number:
        assert time.monotonic() < until, f"The deadly message is still there:\n{ground.product.output[-3000:]}"
        if ground.ask("SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = %s)", BITING)[0][0]:
            deadly = {
                row[0]
                for row in ground.ask("SELECT id FROM ingestion_inbox WHERE position(%s IN body) > 0", b'"Deadly"')
            }
            for pid, taken in busy_workers(ground.product).items():
                if deadly & set(taken):
                    kill(pid)
                    ground.hits["killed"] += 1
        time.sleep(0.02)


def _set_aside(ground: Ground) -> int:
    found: int = ground.ask(SET_ASIDE, ground.load.tag)[0][0]
    return found


def _spoil(ground: Ground) -> None:
    """Let the database refuse events of one name, and take its time over those of another."""
    ground.ask(f"""
        CREATE OR REPLACE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NEW.name = '{POISON}' THEN RAISE 'poison'; END IF;
            PERFORM pg_advisory_xact_lock_shared({BITING});
            PERFORM pg_sleep({BITES_SECONDS});
            RETURN NEW;
        END $$;
        CREATE OR REPLACE TRIGGER spoil BEFORE INSERT ON profiles_event FOR EACH ROW
        WHEN (NEW.name IN ('{POISON}', '{DEADLY}')) EXECUTE FUNCTION spoil()
    """)


def heal(ground: Ground) -> None:
    """Take back what `_spoil` has done."""
    ground.ask("DROP FUNCTION IF EXISTS spoil() CASCADE")


FAULTS = {
    "web": Fault("web killed", _kill_child("web"), is_patient=True),
    "ingest": Fault("ingest worker killed", _kill_child("ingest"), is_patient=True),
    "pool": Fault("process of the ingest worker killed in its batch", kill_pool),
    "worker": Fault("worker of segments and jobs killed", _kill_child("worker"), is_patient=True),
    "beat": Fault("beat killed", _kill_child("beat"), is_patient=True),
    "postgres": Fault("PostgreSQL killed", _end_postgres(signal.SIGKILL), is_patient=True),
    "backend": Fault("one process of PostgreSQL killed: crash and recovery", kill_backend),
    "restart": Fault("database restarted", _end_postgres(signal.SIGINT), is_patient=True),
    "guard": Fault("guard of the servers killed, and they with it", _kill_child("guard"), is_patient=True),
    "valkey": Fault("Valkey killed", kill_valkey, is_patient=True),
    "flush": Fault("Valkey flushed", flush_valkey),
    "take-over": Fault("two workers on one batch", take_over),
    "poison": Fault("a message that the database refuses", send_poison, sets_aside=1),
    "deadly": Fault("a message that kills its worker", send_deadly, sets_aside=1),
    "disk": Fault("disk full to the last byte", fill_disk, is_patient=True, disk_megabytes=640),
    "disk-limit": Fault(
        "disk fuller than `CDP_FREE_DISK_MB`", nearly_fill_disk, disk_megabytes=640, free_megabytes=60
    ),
}  # fmt: skip
