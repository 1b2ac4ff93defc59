"""Some of a model's profiles as a table in which values are as rare as they are among all. Imported by the worker only.

How many profiles have a value is counted once an hour.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import connection

from profiles.matching.fields import normalise
from profiles.matching.spec import ModelSpec
from profiles.matching.table import MISSING, MOST_SHARED, Table, rarity_of
from profiles.matching_models import MatchModel
from profiles.queries.matching_records import Records, load_records
from profiles.services.matching_learning import table_of
from profiles.services.matching_models import spec_of

COUNTED_SECONDS = 3600.0

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


def load_as_all(model: MatchModel, spec: ModelSpec, profile_ids: Sequence[int]) -> tuple[Records, Table]:
    """Load some profiles of a model."""
    traits = [field.trait for field in spec.fields]
    records = load_records(sources=spec.sources, traits=traits, ids=profile_ids)
    table = table_of(spec, records)
    _set_rarity(table, _count_values(model, traits))
    return records, table


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
    """Let values be as rare, and contacts as shared, as among all profiles, not among those few of now."""
    for name, column in table.columns.items():
        counts: dict[str, Any] = known.counts.get(name, {})
        here = zip(column.values.tolist(), column.counts.tolist(), strict=True)
        found = np.asarray([max(counts.get(value, 1), count) for value, count in here], np.int64)
        column.rarity = rarity_of(found, known.size)
        most = MOST_SHARED.get(column.comparison)
        if most is not None and (found > most).any():
            column.codes = np.where((column.codes != MISSING) & (found[column.codes] > most), MISSING, column.codes)
