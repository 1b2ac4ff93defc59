"""A matching run within the worker: records scored and clustered, figures, the review queue, what is applied."""

import resource
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from django.conf import settings
from django.db import connection, transaction

from cdp.core import locks
from cdp.core.copying import copy_rows, int_array, text_array
from profiles.matching.blocking import Rule
from profiles.matching.evaluating import drift_of
from profiles.matching.features import compare
from profiles.matching.model import Guard, Scored, TrainedModel, read_model, run_model
from profiles.matching.spec import ModelSpec
from profiles.matching.table import MISSING, Array, Table
from profiles.matching_models import MatchCandidate, MatchModel, MatchRun, MatchVersion
from profiles.queries.matching_records import (
    Records,
    load_records,
    read_holders,
    read_kept_apart,
    read_record_ids,
    read_votes,
)
from profiles.services.matching_cluster import on_cluster
from profiles.services.matching_frequencies import store_frequencies
from profiles.services.matching_gone import forget_gone
from profiles.services.matching_keys import store_keys
from profiles.services.matching_learning import forget_learners, table_of
from profiles.services.matching_merging import Matched, merge_matched
from profiles.services.matching_models import spec_of
from profiles.services.matching_versions import read_version

# Pairs less likely than this are not kept.
LEAST_KEPT = 0.05
MOST_REVIEWED = 5_000
MERGES_AT_ONCE = 100
MANY_RECORDS = 100_000
LINES_AT_ONCE = 100_000
LARGEST_SHOWN = 10
REVIEWED_AT_ONCE = 1_000

# An open pair that is found again is as likely as it is now; what was decided, or answered, stays.
REVIEW = """
INSERT INTO profiles_matchcandidate AS c (model_id, "left", "right", left_node, right_node, probability, contributions,
    state, found_at, decided_by)
SELECT %(model)s, t."left", t."right", t.left_node, t.right_node, t.probability, t.contributions::jsonb,
    'open', %(now)s, ''
FROM unnest(%(left)s::bigint[], %(right)s::bigint[], %(left_node)s::bigint[], %(right_node)s::bigint[],
    %(probability)s::float8[], %(contributions)s::text[])
    AS t("left", "right", left_node, right_node, probability, contributions)
WHERE NOT EXISTS (SELECT FROM profiles_matchlabel l WHERE l.model_id = %(model)s AND l.left_node = t.left_node
    AND l.right_node = t.right_node AND l.answer IN ('same', 'different'))
ON CONFLICT (model_id, left_node, right_node) DO UPDATE
SET probability = excluded.probability, contributions = excluded.contributions WHERE c.state = 'open'
"""


@dataclass(slots=True)
class Basis:
    """What a run leaves for those who come in after it: its records, and the change that it knew as the last."""

    model: MatchModel
    rules: Sequence[Rule]
    table: Table
    ids: Sequence[int]
    seen: int


def run_match(*, run: MatchRun, now: datetime) -> Basis:
    """Match all records of the run's model and keep what was found.

    Returns
    -------
    Basis
        For `prepare_following`, once the run is done: nobody who waits for clusters waits for block keys.
    """
    _reset_peak()
    began, cpu = time.perf_counter(), _cpu_seconds()
    model = run.model
    spec = spec_of(model)
    trained = read_model(read_version(model=model, version=run.version))
    seen = _last_change(now)
    records = load_records(sources=spec.sources, traits=[field.trait for field in spec.fields])
    loaded = time.perf_counter()
    if len(records) > MANY_RECORDS:
        forget_learners()
    table = table_of(spec, records)
    # The table has them as codes now.
    records.columns.clear()
    rows = {profile_id: row for row, profile_id in enumerate(records.ids)}
    must, apart = read_decided(model, rows)
    guard = guard_of(spec, table, records, apart)
    with on_cluster(settings.CDP_SPARK_URL) as find:
        scored = run_model(trained, table, guard=guard, must=must, find=find)
    found = time.perf_counter()
    names = _store(run, spec, records, scored)
    queued = best_undecided(scored, table, guard, must, least=trained.threshold / 2)
    _review(run, trained, table, records, scored, queued, now)
    forget_gone(model=model, ids=records.ids)
    sizes = Counter(scored.clusters.tolist())
    version = MatchVersion.objects.get(model=model, version=run.version)
    figures: dict[str, Any] = {
        "seconds": round(time.perf_counter() - began, 3),
        "cpu_seconds": round(_cpu_seconds() - cpu, 3),
        "peak_memory_bytes": _peak_memory(),
        "records": names,
        "profiles": len(records),
        "candidates": len(scored.candidates),
        "clusters": len(sizes),
        "largest_cluster": max(sizes.values(), default=0),
        "largest_clusters": [size for _, size in sizes.most_common(LARGEST_SHOWN)],
        "labels_used": version.labels,
        "steps": {
            "loading": round(loaded - began, 3),
            **{name: round(seconds, 3) for name, seconds in scored.seconds.items()},
            "storing": round(time.perf_counter() - found, 3),
        },
        "blocking": [asdict(report) for report in scored.candidates.reports],
        "block_recall": _block_recall(model, rows, scored, table),
        "histogram": np.histogram(scored.probability, bins=20, range=(0, 1))[0].tolist(),
        "auto_link": trained.auto_link,
        "filled": {name: round(float((column.codes != MISSING).mean()), 4) for name, column in table.columns.items()}
        if table.size
        else {},
    }
    figures["drift"] = _drift(run, figures)
    MatchRun.objects.filter(pk=run.pk).update(figures=figures)
    run.figures = figures
    if run.apply:
        _apply(run, trained, records, scored, now)
    return Basis(model, trained.rules, table, records.ids, seen)


def prepare_following(basis: Basis) -> None:
    """Store the block keys of everybody a run has matched; who changed later is compared by `matching_newcomers`."""
    ids = np.asarray(basis.ids, np.int64)
    store_keys(model=basis.model, rules=basis.rules, table=basis.table, ids=ids)
    store_frequencies(model=basis.model, table=basis.table, seen=basis.seen)
    MatchModel.objects.filter(pk=basis.model.pk).update(matched_change_id=basis.seen)
    forget_gone(model=basis.model, ids=basis.ids)


def read_basis(run: MatchRun, now: datetime) -> Basis:
    """Return what a run would leave for those who come in after it, from the records as they are now."""
    spec = spec_of(run.model)
    trained = read_model(read_version(model=run.model, version=run.version))
    seen = _last_change(now)
    records = load_records(sources=spec.sources, traits=[field.trait for field in spec.fields])
    return Basis(run.model, trained.rules, table_of(spec, records), records.ids, seen)


def _drift(run: MatchRun, figures: dict[str, Any]) -> dict[str, Any] | None:
    """Return how far probabilities, and how filled fields are, moved since the run before; None without one."""
    before = (
        MatchRun.objects.filter(model=run.model, status=MatchRun.Status.DONE, pk__lt=run.pk).order_by("-id").first()
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


def _last_change(now: datetime) -> int:
    """Return the number of the last change that is surely behind every one that is still being committed."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(max(id), 0) FROM profiles_change WHERE at > %s AND at <= %s",
            [now - timedelta(days=2), now - timedelta(seconds=10)],
        )
        last: int = cursor.fetchone()[0]
    return last


def guard_of(spec: ModelSpec, table: Table, records: Records, apart: Sequence[tuple[int, int]]) -> Guard:
    owners = np.where(np.asarray(records.has_user, bool), np.arange(len(records)), MISSING)
    return Guard(table, across=spec.mode == "link", owners=owners, apart=apart)


def read_decided(model: MatchModel, rows: dict[int, int]) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Return what people said is one, and what is two, as rows of the table."""
    must: list[tuple[int, int]] = []
    apart: list[tuple[int, int]] = []
    some = rows if len(rows) < MANY_RECORDS else None
    for left, right, votes in read_votes(model.pk, some):
        if left in rows and right in rows and votes:
            (must if votes > 0 else apart).append((rows[left], rows[right]))
    blocked = read_kept_apart(some)
    apart += [(rows[a], rows[b]) for a, b in blocked if a in rows and b in rows]
    # What was kept apart since, by an undo or by somebody's word, is stronger than an answer.
    barred = {frozenset(pair) for pair in apart}
    return [pair for pair in must if frozenset(pair) not in barred], apart


def _block_recall(model: MatchModel, rows: dict[int, int], scored: Scored, table: Table) -> float | None:
    """Return which share of the pairs that people called the same were looked at."""
    must, _ = read_decided(model, rows)
    if not must:
        return None
    pairs = np.array([min(a, b) * table.size + max(a, b) for a, b in must], np.int64)
    candidates = scored.candidates.left.astype(np.int64) * table.size + scored.candidates.right
    return float(np.isin(pairs, candidates).mean())


def _store(run: MatchRun, spec: ModelSpec, records: Records, scored: Scored) -> int:
    """Keep clusters and likely pairs; return how many records there are, those of one profile counted each."""
    clusters = dict(zip(records.ids, scored.clusters.tolist(), strict=True))
    named: set[int] = set()
    count = 0
    with transaction.atomic(), connection.cursor() as cursor:
        for start in range(0, len(records.ids), LINES_AT_ONCE):
            part = records.ids[start : start + LINES_AT_ONCE]
            held = read_record_ids(profile_ids=part, sources=spec.sources)
            lines = [f"{run.pk}\t{node}\t{profile}\t{clusters[profile]}\n" for node, profile, _ in held]
            named.update(profile for _, profile, _ in held)
            lines += [f"{run.pk}\t\\N\t{profile}\t{clusters[profile]}\n" for profile in part if profile not in named]
            copy_rows(cursor, "profiles_matchedrecord", "run_id, node, profile_id, cluster", lines)
            count += len(lines)
        kept = np.nonzero(scored.probability >= LEAST_KEPT)[0]
        ids = np.asarray(records.ids, np.int64)
        for start in range(0, len(kept), LINES_AT_ONCE):
            places = kept[start : start + LINES_AT_ONCE]
            left, right = ids[scored.candidates.left[places]], ids[scored.candidates.right[places]]
            likely = scored.probability[places]
            lines = [
                f"{run.pk}\t{a}\t{b}\t{p:.6f}\n"
                for a, b, p in zip(left.tolist(), right.tolist(), likely.tolist(), strict=True)
            ]
            copy_rows(cursor, "profiles_matchedpair", 'run_id, "left", "right", probability', lines)
    return count


def best_undecided(
    scored: Scored, table: Table, guard: Guard, must: Sequence[tuple[int, int]], *, least: float
) -> Array:
    """Return the places of the likeliest candidates that somebody should look at.

    Left out is what people decided, and what must not be one whatever they say: it would take the places of others.
    """
    likely = np.nonzero(scored.probability >= least)[0]
    left, right = scored.candidates.left[likely], scored.candidates.right[likely]
    decided = np.array([min(pair) * table.size + max(pair) for pair in must], np.int64)
    pairs = np.minimum(left, right).astype(np.int64) * table.size + np.maximum(left, right)
    likely = likely[~np.isin(pairs, decided) & ~guard(left, right)]
    return likely[np.argsort(-scored.probability[likely], kind="stable")][:MOST_REVIEWED]


def _review(  # noqa: PLR0913 - a run in its parts
    run: MatchRun,
    trained: TrainedModel,
    table: Table,
    records: Records,
    scored: Scored,
    places: Array,
    now: datetime,
) -> None:
    """Put the likely pairs that are within one cluster, or near the threshold, into the review queue."""
    with transaction.atomic(), connection.cursor() as cursor:
        locks.take(cursor, locks.IDENTITY)
        MatchCandidate.objects.filter(model=run.model, state=MatchCandidate.State.OPEN).delete()
    matrix = compare(table, scored.candidates.left[places], scored.candidates.right[places])
    put_into_review(run.model, trained, records, best_pairs(scored, places), matrix, now)


def best_pairs(scored: Scored, places: Any) -> list[tuple[int, int, float]]:
    """Return rows and probability of candidates."""
    return [
        (int(scored.candidates.left[one]), int(scored.candidates.right[one]), float(scored.probability[one]))
        for one in places
    ]


def put_into_review(
    model: MatchModel,
    trained: TrainedModel,
    records: Records,
    pairs: Sequence[tuple[int, int, float]],
    matrix: Array,
    now: datetime,
) -> None:
    """Add pairs to the review queue, with what each field contributes; decided ones stay decided.

    Parameters
    ----------
    pairs : sequence of (int, int, float)
        Rows of both records, and the probability.
    matrix : numpy.ndarray
        The features of each pair.
    """
    bias = round(trained.weights.bias / float(np.log(2)), 3)
    ids, nodes = records.ids, records.nodes
    for start in range(0, len(pairs), REVIEWED_AT_ONCE):
        part = pairs[start : start + REVIEWED_AT_ONCE]
        told = [
            {"bias": bias, **{name: round(value, 3) for name, value in trained.weights.contributions(row).items()}}
            for row in matrix[start : start + REVIEWED_AT_ONCE]
        ]
        with transaction.atomic(), connection.cursor() as cursor:
            # Before any row of the queue, as everybody who merges or decides does: they would wait for each other.
            locks.take(cursor, locks.IDENTITY)
            cursor.execute(
                REVIEW,
                {
                    "model": model.pk,
                    "now": now,
                    # The smaller id stands on the left.
                    "left": int_array(min(ids[a], ids[b]) for a, b, _ in part),
                    "right": int_array(max(ids[a], ids[b]) for a, b, _ in part),
                    "left_node": int_array(min(nodes[a], nodes[b]) for a, b, _ in part),
                    "right_node": int_array(max(nodes[a], nodes[b]) for a, b, _ in part),
                    "probability": [probability for _, _, probability in part],
                    "contributions": text_array(orjson.dumps(one).decode() for one in told),
                },
            )


def _apply(run: MatchRun, trained: TrainedModel, records: Records, scored: Scored, now: datetime) -> None:
    """Join exactly the auto-link zone: pairs from its probability on that the guards left in one cluster."""
    MatchRun.objects.filter(pk=run.pk).update(status=MatchRun.Status.APPLYING)
    merged = 0
    left, right = scored.candidates.left, scored.candidates.right
    wanted: Iterable[int] = ()
    if trained.auto_link is not None:
        sure = (scored.probability >= trained.auto_link) & (scored.clusters[left] == scored.clusters[right])
        places = np.nonzero(sure)[0]
        wanted = places[np.argsort(-scored.probability[places], kind="stable")].tolist()
    pairs = [
        Matched(records.ids[int(left[one])], records.ids[int(right[one])], float(scored.probability[one]))
        for one in wanted
    ]
    node_of = dict(zip(records.ids, records.nodes, strict=True)) if pairs else {}
    for start in range(0, len(pairs), MERGES_AT_ONCE):
        part = _present(pairs[start : start + MERGES_AT_ONCE], node_of)
        merged += len(merge_matched(pairs=part, model=f"{run.model.key} v{run.version}", actor=run.created_by, now=now))
    run.figures = {**run.figures, "auto_link_pairs": len(pairs), "merged": merged}
    MatchRun.objects.filter(pk=run.pk).update(figures=run.figures)


def _present(pairs: Sequence[Matched], node_of: dict[int, int]) -> list[Matched]:
    """Return the pairs by the profiles that hold their identifiers now: earlier merges dropped some ids."""
    holders = read_holders(node_of[one] for pair in pairs for one in (pair.left, pair.right))
    found = []
    for pair in pairs:
        left, right = holders.get(node_of[pair.left]), holders.get(node_of[pair.right])
        if left is not None and right is not None:
            found.append(Matched(left, right, pair.probability))
    return found


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
