"""New and changed profiles are compared with all others, within seconds. Imported by the worker of matching only.

Block keys of everybody lie in `profiles_matchkey` since the last run; who shares one with a newcomer is scored, and
likely pairs go into the review queue. How rare values are is counted once an hour, for all of a model's profiles.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from django.db import connection, transaction

from cdp.core.copying import copy_rows, int_array
from profiles.matching.blocking import MOST_IN_BLOCK, Keys
from profiles.matching.fields import normalise
from profiles.matching.model import Guard, TrainedModel, read_model, score_pairs
from profiles.matching.spec import ModelSpec
from profiles.matching.table import MISSING, Table, rarity_of
from profiles.matching_models import MatchKey, MatchModel
from profiles.queries.matching_records import Records, load_records, read_kept_apart, source_ids
from profiles.services.matching_learning import table_of
from profiles.services.matching_models import spec_of
from profiles.services.matching_runs import put_into_review
from profiles.services.matching_versions import read_version

AT_ONCE = 300
# Changes count once they are this old: a batch that is still to be committed has an earlier number.
SETTLED = timedelta(seconds=10)
LOOKED_BACK = timedelta(days=2)
COUNTED_SECONDS = 3600.0

CHANGED = """
SELECT id, profile_id FROM profiles_change
WHERE id > %s AND at > %s AND at <= %s AND kind IN (1, 2, 3, 4, 5) ORDER BY id LIMIT %s
"""
OF_SOURCES = """
SELECT DISTINCT profile_id FROM profiles_identifier WHERE profile_id = ANY(%s::bigint[]) AND source_id = ANY(%s::int[])
"""
NEIGHBOURS = """
SELECT t.key, n.profile_id FROM unnest(%s::bigint[]) AS t(key)
CROSS JOIN LATERAL (SELECT k.profile_id FROM profiles_matchkey k WHERE k.model_id = %s AND k.key = t.key LIMIT %s) n
"""
COUNTS = """
SELECT traits ->> %s, count(*) FROM profiles_profile WHERE traits ? %s GROUP BY 1 HAVING count(*) > 1
"""


@dataclass(slots=True)
class Frequencies:
    """How many profiles have each value that more than one has, by trait, and how many profiles there are."""

    size: int
    counts: dict[str, dict[str, int]]
    counted_at: float


_frequencies: dict[int, Frequencies] = {}


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
    pairs = _find_neighbours(model, keys)
    if not pairs:
        return
    records = load_records(sources=spec.sources, traits=traits, ids=sorted({one for pair in pairs for one in pair}))
    rows = {profile_id: row for row, profile_id in enumerate(records.ids)}
    table = table_of(spec, records)
    _set_rarity(table, _count_values(model, traits))
    found = np.array([(rows[a], rows[b]) for a, b in sorted(pairs) if a in rows and b in rows], np.int64).reshape(-1, 2)
    apart = [(rows[a], rows[b]) for a, b in read_kept_apart() if a in rows and b in rows]
    owners = np.where(np.asarray(records.has_user, bool), np.arange(len(records)), MISSING)
    guard = Guard(table, across=trained.across, owners=owners, apart=apart)
    allowed = found[~guard(found[:, 0], found[:, 1])]
    likely = score_pairs(trained.weights, table, allowed[:, 0], allowed[:, 1])
    kept = np.nonzero(likely >= trained.threshold / 2)[0]
    triples = [(int(allowed[one, 0]), int(allowed[one, 1]), float(likely[one])) for one in kept]
    put_into_review(model, trained, table, records, triples, now)


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


def _count_values(model: MatchModel, traits: Sequence[str]) -> Frequencies:
    known = _frequencies.get(model.pk)
    if known is not None and time.monotonic() - known.counted_at < COUNTED_SECONDS:
        return known
    counts: dict[str, dict[str, int]] = {}
    comparisons = {field.trait: field.comparison for field in spec_of(model).fields}
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM profiles_profile")
        size = cursor.fetchone()[0]
        for trait in traits:
            cursor.execute(COUNTS, [trait, trait])
            forms: dict[str, int] = {}
            for value, count in cursor.fetchall():
                form = normalise(value, comparisons[trait])
                if form is not None:
                    forms[form] = forms.get(form, 0) + count
            counts[trait] = forms
    _frequencies[model.pk] = found = Frequencies(size, counts, time.monotonic())
    return found


def _set_rarity(table: Table, known: Frequencies) -> None:
    """Let values be as rare as they are among all profiles, not among those few that are compared now."""
    for name, column in table.columns.items():
        counts: dict[str, Any] = known.counts.get(name, {})
        found = [max(counts.get(value, 1), here) for value, here in zip(column.values, column.counts, strict=True)]
        column.rarity = rarity_of(np.asarray(found, np.int64), known.size)
