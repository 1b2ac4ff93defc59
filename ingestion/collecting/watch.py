"""Counting what collection answers: for `/metrics` at once, for the log in one line a second.

A line for each request would cost a tenth of the work; so the log says each second what was answered how often. Neither
query, nor key, nor address of the sender is in it.
"""

import atexit
import logging
import os
import threading
from dataclasses import dataclass, field

from django.db import DatabaseError, InterfaceError, connection

from cdp.core.queries.metrics import METHODS, RequestMeter, meter_collection
from ingestion.collecting.copying import count_uncopied
from ingestion.collecting.pressure import refresh_pressure

log = logging.getLogger("cdp.requests")

SECOND = 1.0

Key = tuple[str, str, int]
"""Method, name of the route, status."""


@dataclass(slots=True)
class Tally:
    """How often, how long altogether, how long at most."""

    count: int = 0
    seconds: float = 0.0
    longest: float = 0.0


@dataclass(slots=True)
class _Watch:
    lock: threading.Lock = field(default_factory=threading.Lock)
    tallies: dict[Key, Tally] = field(default_factory=dict)
    meters: dict[Key, RequestMeter] = field(default_factory=dict)
    thread: threading.Thread | None = None


_watch = _Watch()


def observe(method: str, route: str, status: int, seconds: float) -> None:
    """Count one answer."""
    watch = _watch
    # Methods that nobody knows count as one, so that nobody can grow the tables.
    key = (method if method in METHODS else "other", route, status)
    meter = watch.meters.get(key)
    if meter is None:
        meter = watch.meters[key] = meter_collection(method=method, route=route, status=status)
    meter(seconds)
    with watch.lock:
        tally = watch.tallies.get(key)
        if tally is None:
            tally = watch.tallies[key] = Tally()
        tally.count += 1
        tally.seconds += seconds
        tally.longest = max(tally.longest, seconds)


def write_tallies() -> None:
    """Write what was counted since the last time, one line for each method, route and status."""
    watch = _watch
    with watch.lock:
        tallies, watch.tallies = watch.tallies, {}
    for (method, route, status), tally in sorted(tallies.items()):
        log.info(
            "collected",
            extra={
                "method": method,
                "route": route,
                "status": status,
                "count": tally.count,
                "ms": round(tally.seconds / tally.count * 1000, 1),
                "ms_max": round(tally.longest * 1000, 1),
            },
        )


def ensure_watching() -> None:
    """Start the thread that looks each second, if this process has none yet."""
    watch = _watch
    if watch.thread is None:
        with watch.lock:
            if watch.thread is None:
                watch.thread = threading.Thread(target=_look_each_second, name="collection-watch", daemon=True)
                watch.thread.start()
                atexit.register(write_tallies)


def _look_each_second() -> None:
    pause = threading.Event()
    while not pause.wait(SECOND):
        write_tallies()
        try:
            refresh_pressure()
            count_uncopied()
        except (DatabaseError, InterfaceError, OSError) as error:
            # The last figure stands; whoever sends now learns from the database itself.
            log.warning("the inbox could not be measured", extra={"fault": type(error).__name__})
            connection.close()


def _start_over() -> None:
    """Give a forked child a watch of its own: threads do not survive a fork."""
    global _watch  # noqa: PLW0603 - one watch per process
    _watch = _Watch()


os.register_at_fork(after_in_child=_start_over)
