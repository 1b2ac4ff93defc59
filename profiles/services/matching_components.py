"""Clusters of the last run follow who comes in or changes: only what they touch is clustered anew.

Touched is who is tied to them by likely pairs or was in one cluster with them, and so on from these.
Imported by the worker only.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import connection, transaction

from cdp.core.copying import copy_rows, int_array
from profiles.matching.clustering import cluster
from profiles.matching.model import Guard, TrainedModel, score_pairs
from profiles.matching.spec import ModelSpec
from profiles.matching.table import Table
from profiles.matching_models import MatchModel
from profiles.queries.matching_records import Records, read_record_ids
from profiles.services.matching_frequencies import load_as_all
from profiles.services.matching_runs import guard_of, read_decided

# A component of more profiles than this waits for the next run of all records.
MOST_TOUCHED = 2_000

LAST_RUN = (
    "SELECT id FROM profiles_matchrun WHERE model_id = %s AND status = 'done' AND engine = 'dedupe' "
    "ORDER BY id DESC LIMIT 1"
)
FORGET_PAIRS = """
DELETE FROM profiles_matchedpair WHERE run_id = %s AND ("left" = ANY(%s::bigint[]) OR "right" = ANY(%s::bigint[]))
"""
TOUCHED = """
WITH RECURSIVE near(id) AS (
    SELECT unnest(%(fresh)s::bigint[])
    UNION SELECT t.id FROM near n CROSS JOIN LATERAL (
        SELECT CASE WHEN p."left" = n.id THEN p."right" ELSE p."left" END FROM profiles_matchedpair p
        WHERE p.run_id = %(run)s AND p.probability >= %(least)s AND (p."left" = n.id OR p."right" = n.id)
        UNION ALL SELECT o.profile_id FROM profiles_matchedrecord r JOIN profiles_matchedrecord o
            ON o.run_id = r.run_id AND o.cluster = r.cluster
        WHERE r.run_id = %(run)s AND r.profile_id = n.id
    ) t(id)
)
SELECT id FROM near LIMIT %(most)s
"""
LEAVE = "DELETE FROM profiles_matchedrecord WHERE run_id = %s AND profile_id = ANY(%s::bigint[])"
PAIRS = """
SELECT "left", "right", probability FROM profiles_matchedpair
WHERE run_id = %s AND probability >= %s AND "left" = ANY(%s::bigint[]) AND "right" = ANY(%s::bigint[])
"""
CLUSTERS = "SELECT profile_id, cluster FROM profiles_matchedrecord WHERE run_id = %s AND profile_id = ANY(%s::bigint[])"
HIGHEST = "SELECT coalesce(max(cluster), 0) FROM profiles_matchedrecord WHERE run_id = %s"
SET = """
UPDATE profiles_matchedrecord r SET cluster = t.cluster
FROM unnest(%s::bigint[], %s::bigint[]) AS t(profile_id, cluster)
WHERE r.run_id = %s AND r.profile_id = t.profile_id AND r.cluster <> t.cluster
"""


@dataclass(slots=True)
class Loaded:
    """Some profiles as a table, the row of each, and what people decided about pairs of them."""

    records: Records
    table: Table
    rows: dict[int, int]
    must: list[tuple[int, int]]
    guard: Guard


def load_decided(model: MatchModel, spec: ModelSpec, records: Records, table: Table) -> Loaded:
    """Load what people decided about some profiles of a model."""
    rows = {profile_id: row for row, profile_id in enumerate(records.ids)}
    must, apart = read_decided(model, rows)
    return Loaded(records, table, rows, must, guard_of(spec, table, records, apart))


def cluster_anew(  # noqa: PLR0913 - the model in its parts, and who came
    *,
    model: MatchModel,
    spec: ModelSpec,
    trained: TrainedModel,
    fresh: Sequence[int],
    there: Sequence[int],
    pairs: Sequence[tuple[int, int, float]],
    loaded: Loaded | None,
) -> None:
    """Bring the clusters of the model's last run up to date.

    Parameters
    ----------
    fresh : sequence of int
        Profiles that are new or changed.
    there : sequence of int
        Those of them that may be matched; the others leave their clusters.
    pairs : sequence of (int, int, float)
        Their likely pairs now, with the probability of each.
    loaded : Loaded or None
        Whom they were compared with, if a pair is likely.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(LAST_RUN, [model.pk])
        row = cursor.fetchone()
        if row is None:
            return
        run: int = row[0]
        literal = int_array(fresh)
        cursor.execute(FORGET_PAIRS, [run, literal, literal])
        lines = [f"{run}\t{a}\t{b}\t{likely:.6f}\n" for a, b, likely in pairs]
        copy_rows(cursor, "profiles_matchedpair", 'run_id, "left", "right", probability', lines)
        wanted: dict[str, Any] = {"fresh": literal, "run": run, "least": trained.threshold, "most": MOST_TOUCHED + 1}
        cursor.execute(TOUCHED, wanted)
        touched = sorted(row[0] for row in cursor.fetchall())
        gone = set(fresh) - set(there)
        if gone:
            cursor.execute(LEAVE, [run, int_array(gone)])
        if len(touched) > MOST_TOUCHED:
            return
        touched = [one for one in touched if one not in gone]
        if set(touched) == set(there) and not any(likely >= trained.threshold for _, _, likely in pairs):
            # Tied to nobody, as most are.
            parts = {profile_id: number for number, profile_id in enumerate(touched)}
        else:
            if loaded is None or not loaded.rows.keys() >= set(touched):
                loaded = load_decided(model, spec, *load_as_all(model, spec, touched))
            parts = _cluster(trained, loaded, run, touched)
        _write(run, spec, parts)


def _cluster(trained: TrainedModel, loaded: Loaded, run: int, touched: Sequence[int]) -> dict[int, int]:
    """Return the part that each touched profile belongs to."""
    table, rows = loaded.table, loaded.rows
    there = [one for one in touched if one in rows]
    with connection.cursor() as cursor:
        literal = int_array(there)
        cursor.execute(PAIRS, [run, trained.threshold, literal, literal])
        found = [(rows[a], rows[b], likely) for a, b, likely in cursor.fetchall() if a != b]
    inside = {rows[one] for one in there}
    parts = cluster(
        table.size,
        np.array([a for a, _, _ in found], np.int64),
        np.array([b for _, b, _ in found], np.int64),
        np.array([likely for _, _, likely in found], np.float64),
        score=lambda left, right: score_pairs(trained.weights, table, left, right),
        forbidden=loaded.guard,
        must=[(a, b) for a, b in loaded.must if a in inside and b in inside],
        threshold=trained.threshold,
    )
    return {one: int(parts[rows[one]]) for one in there}


def _write(run: int, spec: ModelSpec, parts: dict[int, int]) -> None:
    """Store the clusters: each part keeps the number that most of its members had, if no larger part took it."""
    with connection.cursor() as cursor:
        cursor.execute(CLUSTERS, [run, int_array(parts)])
        stored = cursor.fetchall()
        before = dict(stored)
        highest = 0
        members: dict[int, list[int]] = {}
        for profile_id, part in parts.items():
            members.setdefault(part, []).append(profile_id)
        numbers: dict[int, int] = {}
        taken: set[int] = set()
        for part, ids in sorted(members.items(), key=lambda one: -len(one[1])):
            had = Counter(before[one] for one in ids if one in before)
            number = next((number for number, _ in had.most_common() if number not in taken), None)
            if number is None:
                highest = (highest or _highest(run)) + 1
                number = highest
            taken.add(number)
            numbers[part] = number
        # Records of one profile can lie in two clusters: rules may have joined it since.
        moved = sorted({one for one, number in stored if number != numbers[parts[one]]})
        if moved:
            cursor.execute(SET, [int_array(moved), int_array(numbers[parts[one]] for one in moved), run])
        added = [one for one in parts if one not in before]
        if not added:
            return
        held = read_record_ids(profile_ids=added, sources=spec.sources)
        named = {profile_id for _, profile_id, _ in held}
        lines = [f"{run}\t{node}\t{one}\t{numbers[parts[one]]}\n" for node, one, _ in held]
        lines += [f"{run}\t\\N\t{one}\t{numbers[parts[one]]}\n" for one in added if one not in named]
        copy_rows(cursor, "profiles_matchedrecord", "run_id, node, profile_id, cluster", lines)


def _highest(run: int) -> int:
    """Return the highest number of a cluster; 0 without any."""
    with connection.cursor() as cursor:
        cursor.execute(HIGHEST, [run])
        found: int = cursor.fetchone()[0]
    return found
