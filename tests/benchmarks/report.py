"""What a benchmark says: rows of a table, and the machine they were measured on."""

import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `yardstick` is the same work done by the barest means in the same run, `ratio` how they compare."""

    what: str
    size: str
    measured: str
    goal: str = ""
    yardstick: str = ""
    ratio: str = ""


HEADINGS = ("what", "size", "measured", "goal", "yardstick, same run", "ratio")


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a table that reads well as text and as Markdown."""
    cells = [HEADINGS, *((row.what, row.size, row.measured, row.goal, row.yardstick, row.ratio) for row in rows)]
    widths = [max(len(line[place]) for line in cells) for place in range(len(HEADINGS))]
    lines = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) + " |" for line in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def machine() -> str:
    """Return one line about the machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    busy = os.getloadavg()[0]
    return (
        f"Machine: {_processor()}, {os.cpu_count()} cores, {memory:.0f} GB, {platform.system()} {platform.release()}, "
        f"Python {sys.version.split()[0]}, load before the run {busy:.1f}"
    )


def _processor() -> str:
    facts = Path("/proc/cpuinfo")
    if facts.exists():
        for line in facts.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def quantile(values: Sequence[float], share: float) -> float:
    """Return the nearest-rank quantile; NaN of nothing."""
    ordered = sorted(values)
    if not ordered:
        return float("nan")
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def ms(seconds: float) -> str:
    """Return seconds as milliseconds."""
    return f"{seconds * 1000:,.1f} ms"


def spread(seconds: Sequence[float]) -> str:
    """Return p50, p95, p99 and the largest of some durations."""
    shares = ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
    named = [f"{name} {ms(quantile(seconds, share))}" for share, name in shares]
    return ", ".join([*named, f"max {ms(max(seconds, default=float('nan')))}"])
