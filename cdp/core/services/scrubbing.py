"""Scrubbing: making PostgreSQL's own files forget what SQL cannot see any more.

A deleted row stays in its file until its place is used again, the statistics remember values, and the write-ahead log
holds everything once more. So tables that an erasure touched, or through which data of people flows, are written anew
(VACUUM FULL, with their indexes), the planner's statistics too, and then the log is switched past every segment that
was in use, and all older ones are deleted instead of being kept for reuse.

References
----------
Measured on this product: after DELETE and VACUUM an address was still in four data files; after rewriting in none
(`tests/site/test_scrub.py` looks for it in every file of the cluster).
"""

import logging
import time
from collections.abc import Callable, Iterable
from contextlib import suppress as ignoring
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import OperationalError, connection
from django.db.models import F, Q
from django.db.utils import DatabaseError
from django.utils import timezone

from cdp.core.locks import SCRUB, hold
from cdp.core.models import Scrub, ScrubbedTable
from cdp.core.services.audit import record

log = logging.getLogger("cdp.scrub")

# Nobody waits longer than this for a table that is being rewritten to begin with.
LOCK_MS = 3000
TRIES = 5
PAUSE_SECONDS = 1.0
SNAPSHOT_SECONDS = 30.0
LOOK_SECONDS = 0.1
EVERY = timedelta(hours=24)

# The functions under `pg_stat_xact_user_tables`: the view itself reads indexes as well, for three times as long. In one
# order, so that two who note the same tables do not wait for each other.
NOTE_CHANGED_HERE = """
INSERT INTO core_scrubbedtable (name, touched_at, changes)
SELECT relname, %s, 0 FROM pg_class
WHERE relnamespace = current_schema()::text::regnamespace AND relkind = 'r'
  AND pg_stat_get_xact_tuples_updated(oid) + pg_stat_get_xact_tuples_deleted(oid) > 0
ORDER BY relname
ON CONFLICT (name) DO UPDATE SET touched_at = excluded.touched_at
"""
# What PostgreSQL counts for each table since its statistics were reset: changed and deleted rows, and dead ones.
CHANGES = """
SELECT relname, n_tup_upd + n_tup_del, n_dead_tup FROM pg_stat_user_tables WHERE schemaname = current_schema()
"""
# Rewriting looks with a snapshot of its own, and that is as old as the oldest transaction which writes, in whatever
# database of the server: rows deleted after it began are kept. Every user may ask for it.
LAST_NUMBER = "SELECT pg_current_xact_id()::text"
OLDEST_WRITER = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text"
# Whoever looks at this database as it was: rewriting keeps the rows that are still there in their eyes.
SNAPSHOTS = """
SELECT pid, backend_xmin::text FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_xmin IS NOT NULL
"""


@dataclass(slots=True)
class Scrubbed:
    """What a run did."""

    tables: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    segments: int | None = None
    seconds: float = 0.0
    busy: bool = False


def note_touched(*, now: datetime) -> None:
    """Remember the tables of which the current transaction changed or deleted rows, so that they are rewritten."""
    with connection.cursor() as cursor:
        cursor.execute(NOTE_CHANGED_HERE, [now])


def needs_scrub() -> bool:
    """Tell whether an erasure has touched tables since they were last rewritten."""
    return ScrubbedTable.objects.filter(_touched()).exists()


def scrub_nightly(now: datetime) -> None:
    """Scrub if an erasure asks for it and the last run is a day old (called each hour)."""
    last = Scrub.objects.filter(finished_at__isnull=False).order_by("-started_at").first()
    if needs_scrub() and (last is None or last.started_at <= now - EVERY):
        scrub(clock=timezone.now)


def scrub(*, clock: Callable[[], datetime], say: Callable[[str], None] = log.info) -> Scrubbed:
    """Rewrite what erasures touched and what changed since the last run, then let the log forget.

    Returns
    -------
    Scrubbed
        `left` names tables that stayed in use, by a lock or an old snapshot, and were not rewritten; `segments` how
        many of the log were deleted: None where this database user may not tell the server to.
    """
    began_at = time.monotonic()
    done = Scrubbed()
    with connection.cursor() as cursor, hold(cursor, SCRUB, wait=False) as alone:
        if not alone:
            done.busy = True
            return done
        run = Scrub.objects.create(started_at=clock())
        changes = _read_changes(cursor)
        is_past = _wait_for_snapshots(cursor)
        for table in _due(changes):
            if is_past and _rewrite(cursor, f'"{table}"'):
                done.tables.append(table)
                ScrubbedTable.objects.update_or_create(
                    name=table, defaults={"changes": changes.get(table, (0, 0))[0], "rewritten_at": run.started_at}
                )
            else:
                done.left.append(table)
        say(f"{len(done.tables)} tables are rewritten")
        for catalogue in ("pg_catalog.pg_statistic", "pg_catalog.pg_statistic_ext_data"):
            # The old versions of what the planner remembered lie there. Only the server's owner may do this.
            with ignoring(DatabaseError):
                _rewrite(cursor, catalogue)
        _forget_statements(cursor)
        done.segments = _renew_log(cursor)
    done.seconds = time.monotonic() - began_at
    run.finished_at = clock() if not done.left and done.segments is not None else None
    run.tables, run.left = len(done.tables), done.left
    run.detail = {"segments": done.segments, "seconds": round(done.seconds, 2)}
    run.save()
    record(
        actor="system",
        action="database.scrubbed",
        object=f"scrub:{run.pk}",
        detail={"tables": run.tables, "left": len(done.left), "segments": done.segments},
        now=clock(),
    )
    return done


def find_scrub_after(*, moment: datetime) -> datetime | None:
    """Return when the first complete run ended that began after a moment; None while there was none."""
    run = Scrub.objects.filter(started_at__gte=moment, finished_at__isnull=False).order_by("started_at").first()
    return run.finished_at if run is not None else None


def _touched() -> Q:
    return Q(touched_at__isnull=False) & (Q(rewritten_at__isnull=True) | Q(touched_at__gte=F("rewritten_at")))


def _read_changes(cursor: Any) -> dict[str, tuple[int, int]]:
    # A session sends its own counts only now and then.
    cursor.execute("SELECT pg_stat_force_next_flush()")
    cursor.execute("SELECT pg_stat_clear_snapshot()")
    cursor.execute(CHANGES)
    return {name: (changed, dead) for name, changed, dead in cursor.fetchall()}


def _due(changes: dict[str, tuple[int, int]]) -> Iterable[str]:
    """Return the tables to rewrite, small ones first: touched by an erasure, or changed since the last time."""
    known = {row.name: row for row in ScrubbedTable.objects.all()}
    touched = set(ScrubbedTable.objects.filter(_touched()).values_list("name", flat=True)) & set(changes)
    # Counts begin anew when the server crashes: a smaller one than before says nothing, so the table counts as changed.
    changed = {
        name
        for name, (count, dead) in changes.items()
        if dead or (count if name not in known else count != known[name].changes)
    }
    return sorted(touched | changed, key=lambda name: (name in touched, changes[name][1], name))


def _wait_for_snapshots(cursor: Any) -> bool:
    """Wait until nobody sees rows any more that are deleted by now; False if somebody did not end."""

    def read() -> set[tuple[int, str]]:
        cursor.execute(SNAPSHOTS)
        return set(cursor.fetchall())

    def number(statement: str) -> int:
        cursor.execute(statement)
        return int(cursor.fetchone()[0])

    last, older = number(LAST_NUMBER), read()
    give_up_at = time.monotonic() + SNAPSHOT_SECONDS
    while (waits := bool(older) or number(OLDEST_WRITER) <= last) and time.monotonic() < give_up_at:
        time.sleep(LOOK_SECONDS)
        older &= read()
    return not waits


def _rewrite(cursor: Any, table: str) -> bool:
    """Write a table anew with its indexes and statistics; False if it never got free."""
    for _ in range(TRIES):
        try:
            cursor.execute(f"SET lock_timeout = {LOCK_MS}")
            cursor.execute(f"VACUUM (FULL, ANALYZE) {table}")
        except OperationalError:
            time.sleep(PAUSE_SECONDS)
        else:
            return True
        finally:
            cursor.execute("RESET lock_timeout")
    return False


def _forget_statements(cursor: Any) -> None:
    cursor.execute("SELECT to_regclass('pg_stat_statements') IS NOT NULL")
    if cursor.fetchone()[0]:
        with ignoring(DatabaseError):
            cursor.execute("SELECT pg_stat_statements_reset()")


def _renew_log(cursor: Any) -> int | None:
    """Switch the log past every segment that has ever been written, and delete these; return how many there were.

    Segments that were kept for reuse hold old records until they are written over: each is used up in turn.
    """
    cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
    if not cursor.fetchone()[0]:
        return None
    cursor.execute("ALTER SYSTEM SET wal_recycle = off")
    cursor.execute("SELECT pg_reload_conf()")
    try:
        cursor.execute("SELECT array_agg(name) FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'")
        before = set(cursor.fetchone()[0] or [])
        last = max(before, default="")
        cursor.execute("CHECKPOINT")
        for _ in range(len(before) + 1):
            # A switch does nothing while the present segment is empty.
            cursor.execute("SELECT pg_logical_emit_message(false, 'scrub', '')")
            cursor.execute("SELECT pg_walfile_name(pg_switch_wal())")
            if cursor.fetchone()[0] >= last:
                break
        # The second one deletes what the first one still needed for recovery.
        cursor.execute("CHECKPOINT")
        cursor.execute("SELECT pg_logical_emit_message(false, 'scrub', '')")
        cursor.execute("SELECT pg_switch_wal()")
        cursor.execute("CHECKPOINT")
        cursor.execute("SELECT array_agg(name) FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'")
        return len(before - set(cursor.fetchone()[0] or []))
    finally:
        cursor.execute("ALTER SYSTEM RESET wal_recycle")
        cursor.execute("SELECT pg_reload_conf()")
