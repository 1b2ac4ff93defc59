"""A matching run within the worker: records scored and clustered, figures, the review queue, what is applied."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from django.conf import settings
from django.db import connection

from profiles.matching.blocking import Rule
from profiles.matching.features import compare
from profiles.matching.model import Guard, Scored, TrainedModel, read_model, run_model
from profiles.matching.spec import ModelSpec
from profiles.matching.table import MISSING, Table
from profiles.matching_models import MatchModel, MatchRun, MatchVersion
from profiles.queries.matching_records import (
    Records,
    load_records,
    read_decisions,
    read_holders,
    read_kept_apart,
    read_votes,
)
from profiles.services.matching_cluster import on_cluster
from profiles.services.matching_figures import Meter, drift_since, figures_of
from profiles.services.matching_frequencies import store_frequencies
from profiles.services.matching_gone import forget_gone
from profiles.services.matching_keys import store_keys
from profiles.services.matching_learning import forget_learners, table_of
from profiles.services.matching_merging import Matched, merge_matched
from profiles.services.matching_models import spec_of
from profiles.services.matching_queue import best_undecided, explain, fill_queue, what_is_left
from profiles.services.matching_results import store_found
from profiles.services.matching_versions import read_version

MERGES_AT_ONCE = 100
MANY_RECORDS = 100_000


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
    meter = Meter()
    model = run.model
    spec = spec_of(model)
    trained = read_model(read_version(model=model, version=run.version))
    seen = last_change(now)
    records, table = load_table(spec)
    meter.step("loading")
    must, apart = read_decided(model, records.rows)
    guard = guard_of(spec, table, records, apart)
    with on_cluster(settings.CDP_SPARK_URL) as find:
        scored = run_model(trained, table, guard=guard, must=must, find=find)
    meter.step("matching")
    names = store_found(run, spec, records, scored)
    best = best_undecided(scored, table, guard, must, least=trained.threshold / 2)
    told = explain(trained, compare(table, scored.candidates.left[best], scored.candidates.right[best]))
    fill_queue(model=model, records=records, scored=scored, best=best, told=told, now=now)
    forget_gone(model=model, ids=records.ids)
    meter.step("storing")
    figures = {
        **meter.read(),
        **figures_of(scored, table, must),
        "records": names,
        "labels_used": MatchVersion.objects.get(model=model, version=run.version).labels,
        "auto_link": trained.auto_link,
        "queue_left": what_is_left(scored, best),
    }
    figures["steps"] |= {name: round(seconds, 3) for name, seconds in scored.seconds.items()}
    run.figures = {**run.figures, **figures, "drift": drift_since(run, figures)}
    MatchRun.objects.filter(pk=run.pk).update(figures=run.figures)
    if run.apply:
        _apply(run, trained, records, scored, now)
    return Basis(model, trained.rules, table, records.ids, seen)


def load_table(spec: ModelSpec) -> tuple[Records, Table]:
    """Return the records of a model, and the table of their values; the values themselves are not kept twice."""
    records = load_records(sources=spec.sources, traits=[field.trait for field in spec.fields])
    if len(records) > MANY_RECORDS:
        forget_learners()
    table = table_of(spec, records)
    records.columns.clear()
    return records, table


def prepare_following(basis: Basis) -> None:
    """Store the block keys of everybody a run has matched; who changed later is compared by `matching_newcomers`."""
    ids = np.asarray(basis.ids, np.int64)
    store_keys(model=basis.model, rules=basis.rules, table=basis.table, ids=ids)
    store_frequencies(model=basis.model, table=basis.table, seen=basis.seen)
    MatchModel.objects.filter(pk=basis.model.pk).update(matched_change_id=basis.seen)
    forget_gone(model=basis.model, ids=basis.ids)


def read_basis(run: MatchRun) -> Basis:
    """Return what a run would leave for those who come in after it, from the records as they are now.

    Their block keys are those of the version in force, by which newcomers are compared. Who came since the run, or
    since newcomers were last compared, is still to be compared.
    """
    spec = spec_of(run.model)
    trained = read_model(read_version(model=run.model, version=run.model.live_version or run.version))
    seen = max(run.model.matched_change_id, last_change(run.started_at or run.created_at))
    records, table = load_table(spec)
    return Basis(run.model, trained.rules, table, records.ids, seen)


def last_change(now: datetime) -> int:
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
    if len(rows) < MANY_RECORDS:
        said, blocked = read_decisions(model.pk, rows)
    else:
        said, blocked = read_votes(model.pk), read_kept_apart()
    for left, right, votes in said:
        if left in rows and right in rows and votes:
            (must if votes > 0 else apart).append((rows[left], rows[right]))
    apart += [(rows[a], rows[b]) for a, b in blocked if a in rows and b in rows]
    # What was kept apart since, by an undo or by somebody's word, is stronger than an answer.
    barred = {frozenset(pair) for pair in apart}
    return [pair for pair in must if frozenset(pair) not in barred], apart


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
