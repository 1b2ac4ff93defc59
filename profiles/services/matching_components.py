"""Clusters of the last run follow who comes in or changes: only what they touch is clustered anew.

Touched is who is tied to them by likely pairs or was in one cluster with them, and so on from these.
Imported by the worker only.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from django.db import connection, transaction

from cdp.core.copying import copy_rows, int_array
from profiles.matching.clustering import cluster
from profiles.matching.model import TrainedModel, score_pairs
from profiles.matching.spec import ModelSpec
from profiles.matching_models import MatchModel, MatchRun
from profiles.queries.matching_records import read_record_ids
from profiles.services.matching_frequencies import load_as_all
from profiles.services.matching_runs import guard_of, read_decided

# A component of more profiles than this waits for the next run of all records.
MOST_TOUCHED = 2_000

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


def cluster_anew(
    *,
    model: MatchModel,
    spec: ModelSpec,
    trained: TrainedModel,
    fresh: Sequence[int],
    there: Sequence[int],
    pairs: Sequence[tuple[int, int, float]],
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
    """
    run = MatchRun.objects.filter(model=model, status=MatchRun.Status.DONE).order_by("-id").first()
    if run is None:
        return
    with transaction.atomic(), connection.cursor() as cursor:
        literal = int_array(fresh)
        cursor.execute(FORGET_PAIRS, [run.pk, literal, literal])
        lines = [f"{run.pk}\t{a}\t{b}\t{likely:.6f}\n" for a, b, likely in pairs]
        copy_rows(cursor, "profiles_matchedpair", 'run_id, "left", "right", probability', lines)
        wanted: dict[str, Any] = {"fresh": literal, "run": run.pk, "least": trained.threshold, "most": MOST_TOUCHED + 1}
        cursor.execute(TOUCHED, wanted)
        touched = sorted(row[0] for row in cursor.fetchall())
        gone = set(fresh) - set(there)
        cursor.execute(LEAVE, [run.pk, int_array(gone)])
        if len(touched) > MOST_TOUCHED:
            return
        touched = [one for one in touched if one not in gone]
        if set(touched) == set(there) and not any(likely >= trained.threshold for _, _, likely in pairs):
            # Tied to nobody, as most are.
            parts = {profile_id: number for number, profile_id in enumerate(touched)}
        else:
            parts = _cluster(model, spec, trained, run, touched)
        _write(run, spec, parts)


def _cluster(
    model: MatchModel, spec: ModelSpec, trained: TrainedModel, run: MatchRun, touched: Sequence[int]
) -> dict[int, int]:
    """Return the part that each touched profile belongs to."""
    records, table = load_as_all(model, spec, touched)
    rows = {profile_id: row for row, profile_id in enumerate(records.ids)}
    with connection.cursor() as cursor:
        literal = int_array(rows)
        cursor.execute(PAIRS, [run.pk, trained.threshold, literal, literal])
        found = [(rows[a], rows[b], likely) for a, b, likely in cursor.fetchall() if a != b]
    must, apart = read_decided(model, rows)
    parts = cluster(
        table.size,
        np.array([a for a, _, _ in found], np.int64),
        np.array([b for _, b, _ in found], np.int64),
        np.array([likely for _, _, likely in found], np.float64),
        score=lambda left, right: score_pairs(trained.weights, table, left, right),
        forbidden=guard_of(spec, table, records, apart),
        must=must,
        threshold=trained.threshold,
    )
    return dict(zip(records.ids, parts.tolist(), strict=True))


def _write(run: MatchRun, spec: ModelSpec, parts: dict[int, int]) -> None:
    """Store the clusters: each part keeps the number that most of its members had, if no larger part took it."""
    with connection.cursor() as cursor:
        cursor.execute(CLUSTERS, [run.pk, int_array(parts)])
        before = dict(cursor.fetchall())
        cursor.execute(HIGHEST, [run.pk])
        highest: int = cursor.fetchone()[0]
        members: dict[int, list[int]] = {}
        for profile_id, part in parts.items():
            members.setdefault(part, []).append(profile_id)
        numbers: dict[int, int] = {}
        taken: set[int] = set()
        for part, ids in sorted(members.items(), key=lambda one: -len(one[1])):
            had = Counter(before[one] for one in ids if one in before)
            number = next((number for number, _ in had.most_common() if number not in taken), None)
            if number is None:
                highest += 1
                number = highest
            taken.add(number)
            numbers[part] = number
        known = [one for one in parts if one in before]
        cursor.execute(SET, [int_array(known), int_array(numbers[parts[one]] for one in known), run.pk])
        added = [one for one in parts if one not in before]
        held = read_record_ids(profile_ids=added, sources=spec.sources)
        named = {profile_id for _, profile_id, _ in held}
        lines = [f"{run.pk}\t{node}\t{one}\t{numbers[parts[one]]}\n" for node, one, _ in held]
        lines += [f"{run.pk}\t\\N\t{one}\t{numbers[parts[one]]}\n" for one in added if one not in named]
        copy_rows(cursor, "profiles_matchedrecord", "run_id, node, profile_id, cluster", lines)
