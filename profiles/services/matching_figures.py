"""The figures of a matching run: what it took, what blocking dropped and missed, how far it moved since the last."""

import resource
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from profiles.matching.evaluating import drift_of
from profiles.matching.model import Scored
from profiles.matching.table import MISSING, Table
from profiles.matching_models import MatchRun

LARGEST_SHOWN = 10


class Meter:
    """Measures what a run takes, from when it is made."""

    def __init__(self) -> None:
        _reset_peak()
        self._began, self._cpu = time.perf_counter(), _cpu_seconds()
        self._steps: dict[str, float] = {}
        self._at = self._began

    def step(self, name: str) -> None:
        """Note that a step ended."""
        now = time.perf_counter()
        self._steps[name], self._at = round(now - self._at, 3), now

    def read(self) -> dict[str, Any]:
        """Return wall and processor time in seconds, the peak of memory in bytes, and the seconds of each step."""
        return {
            "seconds": round(time.perf_counter() - self._began, 3),
            "cpu_seconds": round(_cpu_seconds() - self._cpu, 3),
            "peak_memory_bytes": _peak_memory(),
            "steps": dict(self._steps),
        }


def figures_of(scored: Scored, table: Table, must: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """Return what is told of candidates and clusters."""
    sizes = Counter(scored.clusters.tolist())
    return {
        "profiles": table.size,
        "candidates": len(scored.candidates),
        "clusters": len(sizes),
        "largest_cluster": max(sizes.values(), default=0),
        "largest_clusters": [size for _, size in sizes.most_common(LARGEST_SHOWN)],
        "blocking": [asdict(report) for report in scored.candidates.reports],
        "block_recall": _block_recall(must, scored, table),
        "histogram": np.histogram(scored.probability, bins=20, range=(0, 1))[0].tolist(),
        "filled": {name: round(float((column.codes != MISSING).mean()), 4) for name, column in table.columns.items()}
        if table.size
        else {},
    }


def _block_recall(must: Sequence[tuple[int, int]], scored: Scored, table: Table) -> float | None:
    """Return which share of the pairs that people called the same were looked at; None without any."""
    if not must:
        return None
    pairs = np.array([min(a, b) * table.size + max(a, b) for a, b in must], np.int64)
    candidates = scored.candidates.left.astype(np.int64) * table.size + scored.candidates.right
    return float(np.isin(pairs, candidates).mean())


def drift_since(run: MatchRun, figures: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return how far probabilities, and how filled fields are, moved since the run before; None without one."""
    before = (
        MatchRun.objects.filter(model=run.model, engine=run.engine, status=MatchRun.Status.DONE, pk__lt=run.pk)
        .order_by("-id")
        .first()
    )
    if before is None or "filled" not in before.figures:
        return None
    moved = {
        name: round(share - before.figures["filled"][name], 4)
        for name, share in figures["filled"].items()
        if name in before.figures["filled"]
    }
    return {
        "since": before.pk,
        "same_version": before.version == run.version,
        "probabilities": round(drift_of(before.figures["histogram"], figures["histogram"]), 4),
        "filled": moved,
    }


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _reset_peak() -> None:
    """Have the kernel count the peak of this run alone, where it can."""
    peak = Path("/proc/self/clear_refs")
    if peak.exists():
        peak.write_text("5")


def _peak_memory() -> int:
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
