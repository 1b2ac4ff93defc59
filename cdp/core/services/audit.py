"""Writing the audit trail: acts in the transaction of the act itself, reads of personal data within a second."""

import atexit
import logging
import os
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import DatabaseError, connection
from django.utils import timezone

from cdp.core.models import AuditEntry

log = logging.getLogger("cdp.audit")

READ_ACTION = "personal_data.read"
FLUSH_SECONDS = 0.5
RETRY_SECONDS = 5.0
INSERT_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Act:
    """One thing done: who, what, to what, and what else is worth knowing. No personal data but public ids."""

    actor: str
    action: str
    object: str
    detail: Mapping[str, Any] = field(default_factory=dict)


def record(
    *, actor: str, action: str, object: str, detail: Mapping[str, Any] | None = None, now: datetime | None = None
) -> None:
    """Write one audit entry in the caller's transaction; it is numbered and chained within a second.

    Parameters
    ----------
    actor : str
        ``user:ID``, ``key:NAME`` or ``system``.
    action : str
        ``NOUN.verbed``, e.g. ``consent.withdrawn``.
    object : str
        ``KIND:PUBLIC_ID`` of what was acted on.
    detail : mapping or None
        JSON without personal data.
    now : datetime or None
        When it happened; None for the present.
    """
    record_all([Act(actor=actor, action=action, object=object, detail=detail or {})], now=now)


def record_all(acts: Iterable[Act], *, now: datetime | None = None) -> None:
    """Write many audit entries in the caller's transaction, in as few statements as there are thousands."""
    at = now or timezone.now()
    AuditEntry.objects.bulk_create(
        [
            AuditEntry(at=at, actor=act.actor, action=act.action, object=act.object, detail=dict(act.detail))
            for act in acts
        ],
        batch_size=INSERT_BATCH,
    )


# --- Reads -----------------------------------------------------------------------------------------------------------


class _Reads:
    """What was read and not yet written, and the thread that writes it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.waiting: list[AuditEntry] = []
        self.wanted = threading.Event()
        self.thread: threading.Thread | None = None


_reads = _Reads()


def note_read(*, actor: str, object: str, now: datetime | None = None) -> None:
    """Note that somebody saw personal data of `object`; costs the reader no round trip to the database.

    Notes
    -----
    Inside a transaction the entry joins it. Otherwise one thread per process writes what has gathered within half a
    second, on a connection of its own.
    """
    entry = AuditEntry(at=now or timezone.now(), actor=actor, action=READ_ACTION, object=object, detail={})
    if connection.in_atomic_block:
        entry.save(force_insert=True)
        return
    with _reads.lock:
        _reads.waiting.append(entry)
        if _reads.thread is None or not _reads.thread.is_alive():
            _reads.thread = threading.Thread(target=_write_reads, name="audit-reads", daemon=True)
            _reads.thread.start()
    _reads.wanted.set()


def flush_reads() -> int:
    """Write what has gathered, on the caller's connection, and return how many entries that was."""
    with _reads.lock:
        entries, _reads.waiting = _reads.waiting, []
    if not entries:
        return 0
    try:
        AuditEntry.objects.bulk_create(entries, batch_size=INSERT_BATCH)
    except DatabaseError:
        with _reads.lock:
            _reads.waiting[:0] = entries
        raise
    return len(entries)


def _write_reads() -> None:
    pause = threading.Event()
    while True:
        _reads.wanted.wait()
        _reads.wanted.clear()
        pause.wait(FLUSH_SECONDS)
        try:
            flush_reads()
        except DatabaseError as error:
            log.warning("reads of personal data wait to be written", extra={"fault": type(error).__name__})
            pause.wait(RETRY_SECONDS)
            _reads.wanted.set()
        finally:
            # A connection held between flushes would count against the database's limit.
            connection.close()


def _start_over() -> None:
    """Give a forked child a buffer and a lock of its own; its parent writes what the parent noted."""
    global _reads  # noqa: PLW0603 - one buffer per process
    _reads = _Reads()


def _write_last_reads() -> None:
    try:
        flush_reads()
    except DatabaseError as error:
        log.warning("reads of personal data were not written at the end", extra={"fault": type(error).__name__})


os.register_at_fork(after_in_child=_start_over)
atexit.register(_write_last_reads)
