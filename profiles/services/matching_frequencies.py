"""Some of a model's profiles as a table in which values and words are as rare as they are among all.

Imported by the worker of matching only. How many profiles have each was counted when block keys were last stored.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

import numpy as np

from cdp.core.digests import derived_key
from profiles.matching.features import BY_WORDS
from profiles.matching.spec import ModelSpec
from profiles.matching.table import (
    MISSING,
    MOST_SHARED,
    Array,
    Column,
    Table,
    Words,
    count_words,
    cut_words,
    rarity_on,
    scale_of,
    split_words,
)
from profiles.matching_models import MatchFrequencies, MatchModel
from profiles.queries.matching_records import Records, load_records
from profiles.services.matching_learning import table_of

VALUE, WORD = "v", "w"
DIGESTS, COUNTS = np.dtype(">u8"), np.dtype(">u4")


@dataclass(frozen=True, slots=True)
class Frequencies:
    """How many profiles have what more than one has, by its digest, and how many profiles there were."""

    stamp: int | None
    size: int
    filled: dict[str, int]
    digests: Array
    counts: Array
    seen: int

    def counts_of(self, asked: Array) -> Array:
        """Return how many profiles have the value or word of each digest, 1 of what is not known."""
        if not len(self.digests):
            return np.ones(len(asked), np.int64)
        places = np.minimum(np.searchsorted(self.digests, asked), len(self.digests) - 1)
        return np.where(self.digests[places] == asked, self.counts[places], 1).astype(np.int64)


_known: dict[int, Frequencies] = {}


def _digests(column: str, kind: str, texts: Iterable[str]) -> Array:
    """Return keyed digests, which say nothing to who has the database alone."""
    begun = blake2b(f"{column}\0{kind}\0".encode(), digest_size=8, key=derived_key("matching-frequencies"))
    found = []
    for text in texts:
        one = begun.copy()
        one.update(text.encode())
        found.append(one.digest())
    return np.frombuffer(b"".join(found), DIGESTS).astype(np.uint64)


def store_frequencies(*, model: MatchModel, table: Table, seen: int) -> None:
    """Count the values and words of all profiles of a model.

    Parameters
    ----------
    seen : int
        The last change of profiles that the table knows.
    """
    digests, counts, filled = [np.empty(0, np.uint64)], [np.empty(0, np.int64)], {}
    for name, column in table.columns.items():
        filled[name] = int(column.counts.sum())
        parts: list[tuple[str, Sequence[str], Array]] = [(VALUE, column.values.tolist(), column.counts)]
        if column.comparison in BY_WORDS:
            words = split_words(column)
            parts.append((WORD, words.texts, count_words(column, words)))
        for kind, texts, numbers in parts:
            several = np.nonzero(numbers > 1)[0]
            digests.append(_digests(name, kind, (texts[place] for place in several.tolist())))
            counts.append(numbers[several])
    both, numbers = np.concatenate(digests), np.concatenate(counts)
    order = np.argsort(both)
    MatchFrequencies.objects.update_or_create(
        model=model,
        defaults={
            "size": table.size,
            "filled": filled,
            "digests": both[order].astype(DIGESTS).tobytes(),
            "counts": numbers[order].astype(COUNTS).tobytes(),
            "seen_change_id": seen,
        },
    )
    _known.pop(model.pk, None)


def read_frequencies(model: MatchModel) -> Frequencies:
    """Return what was counted for a model; what this process read once is known by the run it was counted in."""
    known = _known.get(model.pk)
    if known is None or known.stamp != model.followed_run_id:
        row = MatchFrequencies.objects.filter(model=model).first()
        digests = np.frombuffer(bytes(row.digests) if row else b"", DIGESTS).astype(np.uint64)
        counts = np.frombuffer(bytes(row.counts) if row else b"", COUNTS).astype(np.int64)
        _known[model.pk] = known = Frequencies(
            model.followed_run_id,
            row.size if row else 0,
            row.filled if row else {},
            digests,
            counts,
            row.seen_change_id if row else 0,
        )
    return known


def load_as_all(model: MatchModel, spec: ModelSpec, profile_ids: Sequence[int]) -> tuple[Records, Table]:
    """Load some profiles of a model."""
    records = load_records(sources=spec.sources, traits=[field.trait for field in spec.fields], ids=profile_ids)
    return records, table_as_all(model, spec, records)


def table_as_all(model: MatchModel, spec: ModelSpec, records: Records) -> Table:
    """Let values and words be as rare, and contacts as shared, as among all profiles, not among those few of now."""
    table = table_of(spec, records)
    known = read_frequencies(model)
    here: list[tuple[Column, Words | None, Array]] = []
    digests, scales = [], []
    for column in table.columns.values():
        here.append((column, None, column.counts))
        digests.append(_digests(column.name, VALUE, column.values.tolist()))
        scales.append(scale_of(known.size))
        if column.comparison in BY_WORDS:
            words = cut_words(column)
            here.append((column, words, count_words(column, words)))
            digests.append(_digests(column.name, WORD, words.texts))
            scales.append(scale_of(known.filled.get(column.name, 0)))
    # All at once: of so few, each call of numpy costs more than its work.
    found = np.maximum(known.counts_of(np.concatenate(digests)), np.concatenate([counts for _, _, counts in here]))
    rarity = rarity_on(found, np.repeat(scales, [len(one) for one in digests]))
    end = 0
    for (column, of_words, counts), most in ((one, MOST_SHARED.get(one[0].comparison)) for one in here):
        part = slice(end, end := end + len(counts))
        if of_words is not None:
            column.words = replace(of_words, rarity=rarity[part])
            continue
        column.rarity = rarity[part]
        if most is not None and (found[part] > most).any():
            shared = (column.codes != MISSING) & (found[part][column.codes] > most)
            column.codes = np.where(shared, MISSING, column.codes)
    return table
