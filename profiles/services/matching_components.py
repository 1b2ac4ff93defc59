"""Clusters of the last run follow who comes in or changes: only what they touch is clustered anew.

Touched is who is tied to them by likely pairs or was in one cluster with them, and so on from these.
Imported by the worker only.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import connection

from cdp.core.copying import int_array
from profiles.matching.clustering import cluster
from profiles.matching.model import Guard, TrainedModel, score_pairs
from profiles.matching.spec import ModelSpec
from profiles.matching.table import Table
from profiles.matching_models import MatchModel
from profiles.queries.matching_records import Records, source_ids
from profiles.services.matching_frequencies import load_as_all
from profiles.services.matching_gone import Part
from profiles.services.matching_runs import guard_of, read_decided

# A component of more profiles than this waits for the next run of all records.
MOST_TOUCHED = 2_000

# Pairs of newcomers are made anew, so those that are stored tie nobody to them any more.
TOUCHED = """
WITH RECURSIVE near(id) AS (
    SELECT unnest(%(first)s::bigint[])
    UNION SELECT t.id FROM near n CROSS JOIN LATERAL (
        SELECT CASE WHEN p."left" = n.id THEN p."right" ELSE p."left" END FROM profiles_matchedpair p
        WHERE p.run_id = %(run)s AND p.probability >= %(least)s AND (p."left" = n.id OR p."right" = n.id)
            AND p."left" <> ALL(%(fresh)s::bigint[]) AND p."right" <> ALL(%(fresh)s::bigint[])
        UNION ALL SELECT o.profile_id FROM profiles_matchedrecord r JOIN profiles_matchedrecord o
            ON o.run_id = r.run_id AND o.cluster = r.cluster
        WHERE r.run_id = %(run)s AND r.profile_id = n.id
    ) t(id)
)
SELECT t.id, r.cluster FROM (SELECT id FROM near LIMIT %(most)s) t
LEFT JOIN profiles_matchedrecord r ON r.run_id = %(run)s AND r.profile_id = t.id
"""
PAIRS = """
SELECT "left", "right", probability FROM profiles_matchedpair
WHERE run_id = %s AND probability >= %s AND "left" = ANY(%s::bigint[]) AND "right" = ANY(%s::bigint[])
"""
FORGET_PAIRS = """
DELETE FROM profiles_matchedpair
WHERE run_id = %(run)s AND ("left" = ANY(%(fresh)s::bigint[]) OR "right" = ANY(%(fresh)s::bigint[]))
"""
ADD_PAIRS = """
INSERT INTO profiles_matchedpair (run_id, "left", "right", probability)
SELECT %(run)s, * FROM unnest(%(pair_left)s::bigint[], %(pair_right)s::bigint[], %(likely)s::float8[])
"""
LEAVE = "DELETE FROM profiles_matchedrecord WHERE run_id = %(run)s AND profile_id = ANY(%(gone)s::bigint[])"
MOVE = """
UPDATE profiles_matchedrecord r SET cluster = t.cluster
FROM unnest(%(moved)s::bigint[], %(moved_to)s::bigint[]) AS t(profile_id, cluster)
WHERE r.run_id = %(run)s AND r.profile_id = t.profile_id AND r.cluster <> t.cluster
"""
HIGHEST = "SELECT coalesce(max(cluster), 0) FROM profiles_matchedrecord WHERE run_id = %s"
# A record each, or one for a profile without any. Who is there already may have got a further record.
ADD = """
INSERT INTO profiles_matchedrecord (run_id, node, profile_id, cluster)
SELECT %(run)s, i.id, t.profile_id, t.cluster
FROM unnest(%(added)s::bigint[], %(added_to)s::bigint[]) AS t(profile_id, cluster)
LEFT JOIN profiles_identifier i ON i.profile_id = t.profile_id
    AND i.type_id = (SELECT id FROM profiles_identifiertype WHERE key = 'record_id')
    AND (%(all_sources)s OR i.source_id = ANY(%(sources)s::int[]))
WHERE NOT EXISTS (SELECT FROM profiles_matchedrecord r
    WHERE r.run_id = %(run)s AND r.profile_id = t.profile_id AND (i.id IS NULL OR r.node = i.id))
"""
NAMED_NOW = """
DELETE FROM profiles_matchedrecord r WHERE r.run_id = %(run)s AND r.profile_id = ANY(%(added)s::bigint[])
    AND r.node IS NULL AND EXISTS (SELECT FROM profiles_matchedrecord o
        WHERE o.run_id = r.run_id AND o.profile_id = r.profile_id AND o.node IS NOT NULL)
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
    run: int,
    model: MatchModel,
    spec: ModelSpec,
    trained: TrainedModel,
    fresh: Sequence[int],
    there: Sequence[int],
    pairs: Sequence[tuple[int, int, float]],
    loaded: Loaded | None,
) -> list[Part]:
    """Return what brings the clusters of the model's last run up to date.

    Parameters
    ----------
    run : int
        The model's last run that is done.
    fresh : sequence of int
        Profiles that are new or changed.
    there : sequence of int
        Those of them that may be matched; the others leave their clusters.
    pairs : sequence of (int, int, float)
        Their likely pairs now, with the probability of each.
    loaded : Loaded or None
        Whom they were compared with, if a pair is likely.
    """
    # As they are stored, so that it does not matter when they were found.
    pairs = [(a, b, round(likely, 6)) for a, b, likely in pairs]
    sure = [(a, b, likely) for a, b, likely in pairs if likely >= trained.threshold]
    with connection.cursor() as cursor:
        wanted: dict[str, Any] = {
            "run": run,
            "fresh": int_array(fresh),
            "first": int_array({*fresh, *(one for a, b, _ in sure for one in (a, b))}),
            "least": trained.threshold,
            "most": MOST_TOUCHED + 1,
        }
        cursor.execute(TOUCHED, wanted)
        stored: list[tuple[int, int | None]] = cursor.fetchall()
    gone = set(fresh) - set(there)
    touched = sorted({one for one, _ in stored})
    parts: dict[int, int] = {}
    if len(touched) <= MOST_TOUCHED:
        touched = [one for one in touched if one not in gone]
        if set(touched) == set(there) and not sure:
            # Tied to nobody, as many are.
            parts = {profile_id: number for number, profile_id in enumerate(touched)}
        else:
            if loaded is None or not loaded.rows.keys() >= set(touched):
                loaded = load_decided(model, spec, *load_as_all(model, spec, touched))
            parts = _cluster(trained, loaded, run, set(fresh), sure, touched)
    clusters = [(one, cluster) for one, cluster in stored if cluster is not None]
    changes = _changes(run, spec, clusters, parts, set(fresh), gone)
    changes.append((FORGET_PAIRS, {"fresh": int_array(fresh)}))
    if pairs:
        ends = {"pair_left": int_array(a for a, _, _ in pairs), "pair_right": int_array(b for _, b, _ in pairs)}
        changes.append((ADD_PAIRS, {**ends, "likely": [likely for _, _, likely in pairs]}))
    return [(statement, {**given, "run": run}) for statement, given in changes]


def _cluster(
    trained: TrainedModel,
    loaded: Loaded,
    run: int,
    fresh: set[int],
    sure: Sequence[tuple[int, int, float]],
    touched: Sequence[int],
) -> dict[int, int]:
    """Return the part that each touched profile belongs to."""
    table, rows = loaded.table, loaded.rows
    there = [one for one in touched if one in rows]
    others = [one for one in there if one not in fresh]
    found = [(rows[a], rows[b], likely) for a, b, likely in sure if a in rows and b in rows]
    if len(others) > 1:
        with connection.cursor() as cursor:
            literal = int_array(others)
            cursor.execute(PAIRS, [run, trained.threshold, literal, literal])
            found += [(rows[a], rows[b], likely) for a, b, likely in cursor.fetchall() if a != b]
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


def _number(run: int, clusters: Sequence[tuple[int, int]], parts: dict[int, int]) -> dict[int, int]:
    """Return the cluster of each profile: a part keeps what most of it had, if no larger part took it."""
    before = dict(clusters)
    highest = 0
    members: dict[int, list[int]] = {}
    for profile_id, part in parts.items():
        members.setdefault(part, []).append(profile_id)
    numbers: dict[int, int] = {}
    taken: set[int] = set()
    for ids in sorted(members.values(), key=len, reverse=True):
        had = Counter(before[one] for one in ids if one in before)
        number = next((number for number, _ in had.most_common() if number not in taken), None)
        if number is None:
            number = highest = (highest or _highest(run)) + 1
        taken.add(number)
        numbers |= dict.fromkeys(ids, number)
    return numbers


def _highest(run: int) -> int:
    """Return the highest number of a cluster; 0 without any."""
    with connection.cursor() as cursor:
        cursor.execute(HIGHEST, [run])
        found: int = cursor.fetchone()[0]
    return found


def _changes(
    run: int,
    spec: ModelSpec,
    clusters: Sequence[tuple[int, int]],
    parts: dict[int, int],
    fresh: Collection[int],
    gone: Collection[int],
) -> list[Part]:
    """Return what is to be written of clusters: what differs from those that are stored, and all of newcomers."""
    numbers = _number(run, clusters, parts)
    known = {one for one, _ in clusters}
    # Records of one profile can lie in two clusters: rules may have joined it since.
    moved = sorted({one for one, cluster in clusters if one in numbers and cluster != numbers[one]})
    added = [one for one in numbers if one not in known or one in fresh]
    changes: list[Part] = []
    if gone:
        changes.append((LEAVE, {"gone": int_array(gone)}))
    if moved:
        changes.append((MOVE, {"moved": int_array(moved), "moved_to": int_array(numbers[one] for one in moved)}))
    if added:
        sources = list(source_ids(spec.sources).values()) if spec.sources else []
        places = {"added": int_array(added), "added_to": int_array(numbers[one] for one in added)}
        changes.append((ADD, {**places, "all_sources": not spec.sources, "sources": sources}))
        changes.append((NAMED_NOW, {}))
    return changes
