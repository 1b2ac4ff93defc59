"""The advisory locks of the house and the order in which they are taken.

`IDENTITY` comes before the first read of identity state in every transaction that writes identifiers, merges, splits,
suppressions or erasures. `SEGMENTS` makes evaluation of membership single-file; it is never taken while `IDENTITY` is
held, and `IDENTITY` never while `SEGMENTS` is held. `PROCESSING` is held over many batches by the worker that comes
first to the inbox, before any other lock; nothing depends on it but how large the batches are.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

IDENTITY = 0x1D_E4_71_7A
SEGMENTS = 0x5E_63_E4_75
SEALER = 0x5E_A1_E4
PROCESSING = 0x11_B0_CE_55
SCRUB = 0x5C_40_B0
# Plus the import's id: one process at a time reads a file in. Session-level, so it goes with a worker that dies.
IMPORT = 0x1A_F0_27 << 32
# Plus the source's id: one process at a time sends a source's copies on, so that they stay in order.
FORWARDING = 0x1F_04_A4 << 32
# Plus the webhook's id: one process at a time tells a webhook of decisions, so that they stay in order.
CONSENT_WEBHOOK = 0xC0_25_E2 << 32

# Plus the destination's id: one process at a time sends to a destination.
DELIVERING = 0x1D_E1_14 << 32
# One process holds the learners of fuzzy matching and does its runs.
MATCHING = 0x3A_7C_41_06


def take(cursor: Any, lock: int) -> None:
    """Wait for the transaction-level advisory lock; it goes with the transaction."""
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", [lock])


def try_take(cursor: Any, lock: int) -> bool:
    """Take the transaction-level advisory lock if it is free."""
    cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [lock])
    row: tuple[bool] = cursor.fetchone()
    return row[0]


@contextmanager
def hold(cursor: Any, lock: int, *, wait: bool) -> Iterator[bool]:
    """Hold the session-level advisory lock over several transactions; yields whether it is held.

    Without `wait`, False while another session has it. It goes with the connection at the latest.
    """
    if wait:
        cursor.execute("SELECT pg_advisory_lock(%s)", [lock])
        held = True
    else:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [lock])
        held = cursor.fetchone()[0]
    try:
        yield held
    finally:
        if held:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [lock])
