"""What each process of the product holds in memory, as the system counts it (Linux)."""

import json
from pathlib import Path

from tests.benchmarks.product import Product
from tests.benchmarks.report import Row

PROC = Path("/proc")
GOAL = "no process grows with what it has processed"


def memory_rows(product: Product, size: str) -> list[Row]:
    """Return what web, workers and beat hold now and held at most, each with the processes that it has started.

    Nothing where the system has no `/proc`.
    """
    try:
        running = json.loads((Path(product.env["CDP_DATA_DIR"]) / "run" / "children.json").read_text())
    except OSError:
        return []
    if not PROC.is_dir():
        return []
    parents = _parents()
    words = []
    for name, pid in running.items():
        family = [pid, *_descendants(pid, parents)]
        held = [found for one in family if (found := _held(one))]
        words.append(f"{name} {' + '.join(f'{now} ({most})' for now, most in held)}")
    return [Row("memory of the processes at the end, and at most, MB", size, "; ".join(words), GOAL)]


def _parents() -> dict[int, int]:
    found = {}
    for path in PROC.glob("[0-9]*/stat"):
        try:
            found[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    return found


def _descendants(pid: int, parents: dict[int, int]) -> list[int]:
    own = sorted(child for child, parent in parents.items() if parent == pid)
    return [one for child in own for one in (child, *_descendants(child, parents))]


def _held(pid: int) -> tuple[int, int] | None:
    """Return the resident memory of a process, now and at most, in MB."""
    try:
        lines = dict(line.split(":", 1) for line in (PROC / str(pid) / "status").read_text().splitlines())
        return int(lines["VmRSS"].split()[0]) // 1024, int(lines["VmHWM"].split()[0]) // 1024
    except (OSError, KeyError):
        return None
