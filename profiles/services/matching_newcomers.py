"""New and changed profiles are compared with all others, within seconds. Imported by the worker of matching only.

Block keys of everybody lie in `profiles_matchkey` since the last run; who shares one with a newcomer is scored, likely
pairs go into the review queue, and the clusters that they touch are made anew (`matching_components`).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
from django.db import connection, transaction
from django.db.models import Q

from cdp.core.copying import copy_rows, int_array
from profiles.matching.blocking import MOST_IN_BLOCK, Keys
from profiles.matching.model import TrainedModel, read_model, score_pairs
from profiles.matching.spec import ModelSpec
from profiles.matching.table import Table
from profiles.matching_models import MatchCandidate, MatchKey, MatchModel
from profiles.queries.matching_records import Records, load_records, read_kept_apart, source_ids
from profiles.services.matching_components import cluster_anew
from profiles.services.matching_frequencies import load_as_all
from profiles.services.matching_gone import forget_gone
from profiles.services.matching_learning import table_of
from profiles.services.matching_models import spec_of
from profiles.services.matching_runs import guard_of, put_into_review
from profiles.services.matching_versions import read_version

State = MatchCandidate.State
AT_ONCE = 300
# Changes count once they are this old: a batch that is still to be committed has an earlier number.
SETTLED = timedelta(seconds=10)
LOOKED_BACK = timedelta(days=2)

CHANGED = """
SELECT id, profile_id FROM profiles_change
WHERE id > %s AND at > %s AND at <= %s AND kind IN (1, 2, 3, 4, 5, 6) ORDER BY id LIMIT %s
"""
OF_SOURCES = """
SELECT DISTINCT profile_id FROM profiles_identifier WHERE profile_id = ANY(%s::bigint[]) AND source_id = ANY(%s::int[])
"""
NEIGHBOURS = """
SELECT t.key, n.profile_id FROM unnest(%s::bigint[]) AS t(key)
CROSS JOIN LATERAL (SELECT k.profile_id FROM profiles_matchkey k WHERE k.model_id = %s AND k.key = t.key LIMIT %s) n
"""


def match_newcomers(*, model: MatchModel, now: datetime) -> int:
    """Compare some profiles that changed since the last time; return how many changes were read."""
    with connection.cursor() as cursor:
        cursor.execute(CHANGED, [model.matched_change_id, now - LOOKED_BACK, now - SETTLED, AT_ONCE])
        rows = cursor.fetchall()
    if not rows:
        return 0
    spec = spec_of(model)
    fresh = _of_model(spec, sorted({profile_id for _, profile_id in rows}))
    if fresh and model.live_version is not None:
        trained = read_model(read_version(model=model, version=model.live_version))
        _compare(model, spec, trained, fresh, now)
    MatchModel.objects.filter(pk=model.pk).update(matched_change_id=rows[-1][0])
    model.matched_change_id = rows[-1][0]
    return len(rows)


def _of_model(spec: ModelSpec, profile_ids: Sequence[int]) -> list[int]:
    if not spec.sources:
        return list(profile_ids)
    with connection.cursor() as cursor:
        cursor.execute(OF_SOURCES, [int_array(profile_ids), list(source_ids(spec.sources).values())])
        return [row[0] for row in cursor.fetchall()]


def _compare(model: MatchModel, spec: ModelSpec, trained: TrainedModel, fresh: list[int], now: datetime) -> None:
    traits = [field.trait for field in spec.fields]
    newcomers = load_records(sources=spec.sources, traits=traits, ids=fresh)
    keys = _write_keys(model, trained, table_of(spec, newcomers), newcomers, fresh)
    gone = set(fresh) - set(newcomers.ids)
    if gone:
        # They objected, or are restricted: nobody is to decide about them.
        MatchCandidate.objects.filter(Q(left__in=gone) | Q(right__in=gone), model=model, state=State.OPEN).update(
            state=State.GONE, decided_at=now
        )
    pairs = _find_neighbours(model, keys)
    near: list[tuple[int, int, float]] = []
    if pairs:
        records, table = load_as_all(model, spec, sorted({one for pair in pairs for one in pair}))
        rows = {profile_id: row for row, profile_id in enumerate(records.ids)}
        both = [(rows[a], rows[b]) for a, b in sorted(pairs) if a in rows and b in rows]
        found = np.array(both, np.int64).reshape(-1, 2)
        apart = [(rows[a], rows[b]) for a, b in read_kept_apart(records.ids) if a in rows and b in rows]
        allowed = found[~guard_of(spec, table, records, apart)(found[:, 0], found[:, 1])]
        likely = score_pairs(trained.weights, table, allowed[:, 0], allowed[:, 1])
        kept = np.nonzero(likely >= trained.threshold / 2)[0]
        triples = [(int(allowed[one, 0]), int(allowed[one, 1]), float(likely[one])) for one in kept]
        put_into_review(model, trained, table, records, triples, now)
        near = [(records.ids[a], records.ids[b], likely) for a, b, likely in triples]
    cluster_anew(model=model, spec=spec, trained=trained, fresh=fresh, there=newcomers.ids, pairs=near)
    forget_gone(model=model, ids=sorted({*fresh, *(one for pair in pairs for one in pair)}))


def _write_keys(
    model: MatchModel, trained: TrainedModel, table: Table, records: Records, fresh: list[int]
) -> dict[int, set[int]]:
    """Replace the block keys of newcomers; return them by key."""
    found: dict[int, set[int]] = {}
    for rows, hashes in Keys(table).steady(trained.rules):
        for row, key in zip(rows.tolist(), hashes.view(np.int64).tolist(), strict=True):
            found.setdefault(key, set()).add(records.ids[row])
    lines = [f"{model.pk}\t{key}\t{profile}\n" for key, profiles in found.items() for profile in profiles]
    with transaction.atomic(), connection.cursor() as cursor:
        MatchKey.objects.filter(model=model, profile_id__in=fresh).delete()
        copy_rows(cursor, "profiles_matchkey", "model_id, key, profile_id", lines)
    return found


def _find_neighbours(model: MatchModel, keys: dict[int, set[int]]) -> set[tuple[int, int]]:
    """Return pairs of a newcomer and somebody who shares a key with it; blocks past the cap give none."""
    with connection.cursor() as cursor:
        cursor.execute(NEIGHBOURS, [int_array(keys), model.pk, MOST_IN_BLOCK + 1])
        blocks: dict[int, list[int]] = {}
        for key, profile_id in cursor.fetchall():
            blocks.setdefault(key, []).append(profile_id)
    return {
        (min(one, other), max(one, other))
        for key, block in blocks.items()
        if len(block) <= MOST_IN_BLOCK
        for one in keys[key]
        for other in block
        if one != other
    }
