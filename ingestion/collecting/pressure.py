"""Back-pressure: who sends is told to wait before something accepted could be lost.

Requests look at a figure that a thread of the process reads anew each second (`ingestion.collecting.watch`), so it
costs them nothing. Between two readings the inbox may pass its limit by what comes in within a second.
"""

import math

from ingestion.errors import DiskNearlyFull, InboxFull
from ingestion.queries.pressure import Pressure, read_pressure

# What a worker does at least: how long it will take to get below the limit.
ITEMS_PER_SECOND = 2_000
LEAST_SECONDS = 5
# SDKs wait no longer than this, whatever they are told.
MOST_SECONDS = 300
DISK_SECONDS = 60

_last: Pressure | None = None


def refresh_pressure() -> None:
    """Read the figures anew."""
    global _last  # noqa: PLW0603 - one figure per process
    _last = read_pressure()


def forget_pressure() -> None:
    """Forget what was read, as in a process that has just begun."""
    global _last  # noqa: PLW0603
    _last = None


def check_pressure() -> None:
    """Raise `InboxFull` or `DiskNearlyFull` if nothing more may come in."""
    last = _last
    if last is not None and (last.inbox_is_full or last.disk_is_full):
        raise _refusal(last)


def check_disk() -> None:
    """Raise `DiskNearlyFull` if nothing more can be kept: for what nobody would send again."""
    last = _last
    if last is not None and last.disk_is_full:
        raise _refusal(last)


def _refusal(last: Pressure) -> InboxFull | DiskNearlyFull:
    if last.disk_is_full:
        message = "The disk is nearly full, so no messages are taken in. Send the same request again later."
        return DiskNearlyFull(message, wait=DISK_SECONDS)
    seconds = math.ceil((last.items - last.item_limit) / ITEMS_PER_SECOND)
    message = "More messages wait than this installation allows. Send the same request again later."
    return InboxFull(message, wait=min(MOST_SECONDS, max(LEAST_SECONDS, seconds)))
