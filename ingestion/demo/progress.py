"""Show how far the load is, and remember it for the next start."""

import os
import time
from collections import deque
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import TextIO

import orjson

BAR_CELLS = 28
LINE_EVERY_SECONDS = 5.0
REDRAW_EVERY_SECONDS = 0.2
RATE_OVER_SECONDS = 10.0


class ProgressLine:
    """One line with a bar, a rate and the time left: redrawn on a terminal, written every five seconds elsewhere."""

    def __init__(self, stream: TextIO, *, total_orders: int) -> None:
        self._stream = stream
        self._total = total_orders
        self._live = stream.isatty()
        self._next_at = 0.0
        self._samples: deque[tuple[float, int, int]] = deque()

    def show(self, *, orders: int, messages: int, last: bool = False) -> None:
        """Show that so many orders (the measure of the bar) and messages have been sent."""
        now = time.monotonic()
        self._samples.append((now, orders, messages))
        while now - self._samples[0][0] > RATE_OVER_SECONDS and len(self._samples) > 2:
            self._samples.popleft()
        if now < self._next_at and not last:
            return
        self._next_at = now + (REDRAW_EVERY_SECONDS if self._live else LINE_EVERY_SECONDS)
        text = self._describe(orders, messages)
        self._stream.write(f"\r{text}\x1b[K" + ("\n" if last else "") if self._live else f"{text}\n")
        self._stream.flush()

    def _describe(self, orders: int, messages: int) -> str:
        began_at, first_orders, first_messages = self._samples[0]
        seconds = max(self._samples[-1][0] - began_at, 0.001)
        share = orders / self._total if self._total else 1.0
        filled = round(share * BAR_CELLS)
        speed = (orders - first_orders) / seconds
        left = f", {_duration((self._total - orders) / speed)} left" if speed > 0 and orders < self._total else ""
        bar = "#" * filled + "." * (BAR_CELLS - filled)
        return (
            f"Demo data [{bar}] {share:4.0%}  {orders:,} of {self._total:,} orders, "
            f"{messages:,} messages, {(messages - first_messages) / seconds:,.0f} messages/s{left}"
        )


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


@dataclass(frozen=True, slots=True)
class Mark:
    """How far an earlier start came. `last_day` and `households` fix what is sent; chunks count from the first."""

    last_day: date
    households: int | None
    chunks: int

    def advance(self) -> "Mark":
        """Return the mark after one more chunk."""
        return replace(self, chunks=self.chunks + 1)


def read_mark(path: Path) -> Mark | None:
    """Return the stored mark, or None where there is none that can be read."""
    try:
        stored = orjson.loads(path.read_bytes())
        return Mark(date.fromisoformat(stored["last_day"]), stored["households"], int(stored["chunks"]))
    except (FileNotFoundError, KeyError, TypeError, ValueError):
        return None


def write_mark(path: Path, mark: Mark) -> None:
    """Store the mark so that a crash leaves either the old one or the new one."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(orjson.dumps(asdict(mark)))
    os.replace(fresh, path)
