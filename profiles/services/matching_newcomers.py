"""New and changed profiles are compared with all others, within seconds. Imported by the worker of matching only.

Block keys of everybody lie in `profiles_matchkey` since the last run; who shares one with a newcomer is scored, likely
pairs go into the review queue, and the clusters that they touch are made anew (`matching_components`).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from django.db import connection
from django.db.models import Q

from cdp.core.copying import int_array
from profiles.matching.blocking import MOST_IN_BLOCK
from profiles.matching.features import compare
from profiles.matching.model import TrainedModel, read_model
from profiles.matching.spec import ModelSpec
from profiles.matching_models import MatchCandidate, MatchModel, MatchRun
from profiles.queries.matching_records import load_records, source_ids
from profiles.services.matching_components import cluster_anew, load_decided
from profiles.services.matching_frequencies import load_as_all, read_frequencies
from profiles.services.matching_gone import forget_gone
from profiles.services.matching_keys import Found, keep_keys, keys_of
from profiles.services.matching_learning import table_of
from profiles.services.matching_models import spec_of, start_match_run
from profiles.services.matching_results import put_into_review
from profiles.services.matching_versions import read_version

State = MatchCandidate.State
AT_ONCE = 300
# Changes count once they are this old: a batch that is still to be committed has an earlier number.
SETTLED = timedelta(seconds=10)
LOOKED_BACK = timedelta(days=2)
# A run of everybody takes as long as so many newcomers, or such a share of all: beyond it, a run is faster.
MOST_BEHIND, SHARE_BEHIND = 2_000, 0.05
# After so many changes, or so many for each profile, what is rare is counted anew, by a run too.
MOST_SINCE, EACH_SINCE = 10_000, 0.5
CHANGES_EACH = 4  # at most looked at for each profile that may be behind

CHANGED = """
SELECT id, profile_id FROM profiles_change
WHERE id > %s AND at > %s AND at <= %s AND kind IN (1, 2, 3, 4, 5, 6) ORDER BY id LIMIT %s
"""
BEHIND = """
SELECT count(DISTINCT profile_id) FROM (
    SELECT profile_id FROM profiles_change
    WHERE id > %s AND at > %s AND at <= %s AND kind IN (1, 2, 3, 4, 5, 6) ORDER BY id LIMIT %s
) c
"""
OF_SOURCES = """
SELECT DISTINCT profile_id FROM profiles_identifier WHERE profile_id = ANY(%s::bigint[]) AND source_id = ANY(%s::int[])
"""
MATCHED = "UPDATE profiles_matchmodel SET matched_change_id = %s WHERE id = %s"
DIGEST = "SELECT digest FROM profiles_matchversion WHERE model_id = %s AND version = %s"
# A block past the cap is read up to the cap only, and its members do not come here at all.
NEIGHBOURS = """
SELECT DISTINCT least(t.one, o.other), greatest(t.one, o.other)
FROM unnest(%(keys)s::bigint[], %(ids)s::bigint[]) AS t(key, one)
CROSS JOIN LATERAL (
    SELECT array_agg(k.profile_id) AS others FROM (
        SELECT profile_id FROM profiles_matchkey WHERE model_id = %(model)s AND key = t.key LIMIT %(most)s + 1
    ) k HAVING count(*) <= %(most)s
) b CROSS JOIN LATERAL unnest(b.others) AS o(other)
WHERE o.other <> t.one
"""

_trained: dict[int, tuple[bytes, TrainedModel]] = {}


def match_newcomers(*, model: MatchModel, now: datetime) -> int:
    """Compare some profiles that changed since the last time; return how many changes were read."""
    with connection.cursor() as cursor:
        cursor.execute(CHANGED, [model.matched_change_id, now - LOOKED_BACK, now - SETTLED, AT_ONCE])
        rows = cursor.fetchall()
    if not rows:
        return 0
    if len(rows) == AT_ONCE and _needs_run(model, now):
        start_match_run(model=model, apply=False, actor="system", now=now)
        return 0
    spec = spec_of(model)
    fresh = _of_model(spec, sorted({profile_id for _, profile_id in rows}))
    if fresh and model.live_version is not None:
        _compare(model, spec, _load_model(model, model.live_version), fresh, now)
    model.matched_change_id = rows[-1][0]
    with connection.cursor() as cursor:
        cursor.execute(MATCHED, [model.matched_change_id, model.pk])
    return len(rows)


def _needs_run(model: MatchModel, now: datetime) -> bool:
    """Tell whether so many wait, or came since the last run, that everybody is better matched anew."""
    last = MatchRun.objects.filter(model=model, engine=MatchRun.Engine.DEDUPE).order_by("-id").first()
    if last is None or last.status != MatchRun.Status.DONE:
        # One waits already, or failed: then newcomers go on as they did.
        return False
    known = read_frequencies(model)
    if model.matched_change_id - known.seen > max(MOST_SINCE, EACH_SINCE * known.size):
        return True
    most = int(max(MOST_BEHIND, SHARE_BEHIND * known.size))
    with connection.cursor() as cursor:
        given: list[Any] = [model.matched_change_id, now - LOOKED_BACK, now - SETTLED, CHANGES_EACH * most]
        cursor.execute(BEHIND, given)
        behind: int = cursor.fetchone()[0]
    return behind >= most


def _of_model(spec: ModelSpec, profile_ids: Sequence[int]) -> list[int]:
    if not spec.sources:
        return list(profile_ids)
    with connection.cursor() as cursor:
        cursor.execute(OF_SOURCES, [int_array(profile_ids), list(source_ids(spec.sources).values())])
        return [row[0] for row in cursor.fetchall()]


def _load_model(model: MatchModel, version: int) -> TrainedModel:
    """Return a trained version; what this process has read and checked once is known by its digest."""
    with connection.cursor() as cursor:
        cursor.execute(DIGEST, [model.pk, version])
        digest = bytes(cursor.fetchone()[0])
    known = _trained.get(model.pk)
    if known is None or known[0] != digest:
        _trained[model.pk] = known = digest, read_model(read_version(model=model, version=version))
    return known[1]


def _compare(model: MatchModel, spec: ModelSpec, trained: TrainedModel, fresh: list[int], now: datetime) -> None:
    traits = [field.trait for field in spec.fields]
    newcomers = load_records(sources=spec.sources, traits=traits, ids=fresh)
    keys = keys_of(trained, table_of(spec, newcomers), newcomers.ids)
    keep_keys(model, keys, fresh)
    gone = set(fresh) - set(newcomers.ids)
    if gone:
        # They objected, or are restricted: nobody is to decide about them.
        MatchCandidate.objects.filter(Q(left__in=gone) | Q(right__in=gone), model=model, state=State.OPEN).update(
            state=State.GONE, decided_at=now
        )
    pairs = _find_neighbours(model, keys)
    near: list[tuple[int, int, float]] = []
    some = None
    if pairs:
        records, table = load_as_all(model, spec, sorted({one for pair in pairs for one in pair}))
        ids = np.asarray(records.ids, np.int64)
        found = np.array(pairs, np.int64)
        found = np.searchsorted(ids, found[np.isin(found, ids).all(axis=1)])
        matrix = compare(table, found[:, 0], found[:, 1])
        likely = trained.weights.probabilities(matrix)
        kept = np.nonzero(likely >= trained.threshold / 2)[0]
        # Most newcomers are like nobody: nothing more is asked about them.
        if len(kept):
            some = load_decided(model, spec, records, table)
            kept = kept[~some.guard(found[kept, 0], found[kept, 1])]
            triples = [(int(found[one, 0]), int(found[one, 1]), float(likely[one])) for one in kept]
            put_into_review(model, trained, records, triples, matrix[kept], now)
            near = [(records.ids[a], records.ids[b], likely) for a, b, likely in triples]
    cluster_anew(model=model, spec=spec, trained=trained, fresh=fresh, there=newcomers.ids, pairs=near, loaded=some)
    forget_gone(model=model, ids=sorted({*fresh, *(one for pair in pairs for one in pair)}))


def _find_neighbours(model: MatchModel, keys: Found) -> list[tuple[int, int]]:
    """Return pairs of a newcomer and somebody who shares a key with it; blocks past the cap give none."""
    with connection.cursor() as cursor:
        given: dict[str, Any] = {
            "model": model.pk,
            "keys": int_array(keys[0]),
            "ids": int_array(keys[1]),
            "most": MOST_IN_BLOCK,
        }
        cursor.execute(NEIGHBOURS, given)
        rows: list[tuple[int, int]] = cursor.fetchall()
    return rows
