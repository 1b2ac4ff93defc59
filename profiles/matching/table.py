"""The records of a run as columns of codes: each distinct value is normalised, counted and kept once."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from profiles.matching.fields import Field, normalise

Array = npt.NDArray[Any]
MISSING = -1
# Of so few, calls of numpy cost more than their work.
FEW_RECORDS = 300
# A contact that so many records share names none of them.
MOST_SHARED = {"email": 30, "phone": 50}
NAMES, TEXTS = "~names", "~texts"
JOINTS = {NAMES: "name", TEXTS: "text"}


@dataclass(frozen=True, slots=True)
class Words:
    """The distinct words of each value of a column: those of value N are `codes[starts[N]:starts[N + 1]]`.

    Attributes
    ----------
    rarity : numpy.ndarray of float32
        Per word, as `Column.rarity` of a value: by how many records have it.
    """

    texts: list[str]
    starts: Array
    codes: Array
    rarity: Array


@dataclass(slots=True)
class Column:
    """One field of all records.

    Attributes
    ----------
    values : numpy.ndarray of str objects
        The distinct normal forms.
    codes : numpy.ndarray of int32
        Per record, its value's place in `values`, or `MISSING`.
    counts : numpy.ndarray of int64
        Per value, how many records have it.
    rarity : numpy.ndarray of float32
        Per value: 1 if one record has it, 0 if all have, falling with the logarithm between.
    """

    name: str
    comparison: str
    values: Array
    codes: Array
    counts: Array
    rarity: Array
    # Parts of values that comparisons have cut, so that each value is cut once, whatever the number of pairs.
    cut: dict[str, Array] = field(default_factory=dict)
    words: "Words | None" = None

    def text(self, row: int) -> str | None:
        """Return a record's value."""
        code = self.codes[row]
        return None if code == MISSING else str(self.values[code])


@dataclass(slots=True)
class Table:
    """Records by column; `groups` says of which source each one is (for linking), or is all zeros."""

    size: int
    columns: dict[str, Column]
    groups: Array
    fields: tuple[Field, ...]

    def take(self, rows: Array) -> "Table":
        """Return some of the records, their values as rare as they are among all."""
        columns = {name: replace(column, codes=column.codes[rows]) for name, column in self.columns.items()}
        return Table(len(rows), columns, self.groups[rows], self.fields)

    def record(self, row: int) -> dict[str, str | None]:
        """Return a record as dedupe takes it."""
        return {name: column.text(row) for name, column in self.columns.items()}


def rarity_of(counts: Array, size: int) -> Array:
    """Return how telling values are by how many of `size` records have them."""
    return rarity_on(counts, scale_of(size))


def scale_of(size: int) -> float:
    """Return by what the logarithm of a count is divided where there are `size` records."""
    return math.log(max(size, 2))


def rarity_on(counts: Array, scale: float | Array) -> Array:
    """Return as `rarity_of` how telling values are, each on its scale."""
    found = 1.0 - np.log(np.maximum(counts, 1)) / scale
    return np.minimum(np.maximum(found, 0.0), 1.0).astype(np.float32)


def split_words(column: Column) -> Words:
    """Return the words of a column, split once."""
    if column.words is None:
        words = cut_words(column)
        counts = count_words(column, words)
        column.words = replace(words, rarity=rarity_of(counts, int(column.counts.sum())))
    return column.words


def cut_words(column: Column) -> Words:
    """Return the words of a column, each as rare as can be."""
    numbers: dict[str, int] = {}
    split = [sorted(set(value.split())) for value in column.values.tolist()]
    codes = np.array([numbers.setdefault(word, len(numbers)) for words in split for word in words], np.int64)
    starts = np.concatenate([[0], np.cumsum([len(words) for words in split])]).astype(np.int64)
    return Words(list(numbers), starts, codes, np.ones(len(numbers), np.float32))


def count_words(column: Column, words: Words) -> Array:
    """Return how many records have each word of a column."""
    each = np.repeat(column.counts, np.diff(words.starts))
    return np.bincount(words.codes, weights=each, minlength=len(words.texts)).astype(np.int64)


def make_column(name: str, comparison: str, raw: Iterable[Any], size: int) -> Column:
    """Return the column of a field out of the values as they are stored."""
    forms: dict[str, int] = {}
    known: dict[Any, int] = {None: MISSING, "": MISSING}
    codes = np.empty(size, np.int32)
    for row, value in enumerate(raw):
        key = str(value) if isinstance(value, (list, dict)) else value
        code = known.get(key)
        if code is None:
            form = normalise(value, comparison)
            code = MISSING if form is None else forms.setdefault(form, len(forms))
            known[key] = code
        codes[row] = code
    return _finish(name, comparison, list(forms), codes, size)


def _finish(name: str, comparison: str, forms: Sequence[str], codes: Array, size: int) -> Column:
    values = np.empty(len(forms), object)
    values[:] = forms
    counts = np.bincount(codes[codes != MISSING], minlength=len(forms)).astype(np.int64)
    most = MOST_SHARED.get(comparison)
    if most is not None and (counts > most).any():
        codes = np.where((codes != MISSING) & (counts[codes] > most), MISSING, codes).astype(np.int32)
    return Column(name, comparison, values, codes, counts, rarity_of(counts, size))


def columns_of(fields: Sequence[Field]) -> tuple[tuple[str, str], ...]:
    """Return the columns, with their comparisons, that `make_table` makes of these fields."""
    found = [(one.trait, one.comparison) for one in fields]
    for joint, kind in JOINTS.items():
        if sum(one.comparison == kind for one in fields) > 1:
            found.append((joint, "words"))
    return tuple(found)


def make_table(
    *, fields: Sequence[Field], columns: Sequence[Iterable[Any]], size: int, groups: Array | None = None
) -> Table:
    """Prepare records for matching.

    Parameters
    ----------
    fields : sequence of Field
    columns : sequence of iterables
        Per field the stored values of all records, in one order.
    groups : numpy.ndarray of int or None
        The source of each record; None where that does not matter.
    """
    made: dict[str, Column] = {}
    for one, raw in zip(fields, columns, strict=True):
        made[one.trait] = make_column(one.trait, one.comparison, raw, size)
    for joint, kind in JOINTS.items():
        parts = [column for column in made.values() if column.comparison == kind]
        if len(parts) > 1:
            made[joint] = _join(joint, parts, size)
    return Table(size, made, np.zeros(size, np.int16) if groups is None else groups, tuple(fields))


def _join(name: str, parts: Sequence[Column], size: int) -> Column:
    """Return all values of a record in one, its words sorted: what stands in the wrong field is still there."""
    forms: dict[str, int] = {}
    codes = np.full(size, MISSING, np.int32)
    if size <= FEW_RECORDS:
        texts = [part.values.tolist() for part in parts]
        for row, found_in in enumerate(zip(*(part.codes.tolist() for part in parts), strict=True)):
            there = [of[code] for code, of in zip(found_in, texts, strict=True) if code != MISSING]
            words = " ".join(there).split()
            if words:
                codes[row] = forms.setdefault(" ".join(sorted(words)), len(forms))
        return _finish(name, "words", list(forms), codes, size)
    # One number per combination of codes, combined two at a time: sorting numbers is faster than sorting rows.
    numbers = np.zeros(size, np.int64)
    for part in parts:
        numbers = numbers * (len(part.values) + 1) + part.codes - MISSING
        numbers = np.unique(numbers, return_inverse=True)[1].astype(np.int64).ravel()
    _, first, back = np.unique(numbers, return_index=True, return_inverse=True)
    distinct = np.stack([part.codes[first] for part in parts], axis=1)
    found = np.empty(len(distinct), np.int32)
    for place, row in enumerate(distinct.tolist()):
        texts = [str(part.values[code]) for part, code in zip(parts, row, strict=True) if code != MISSING]
        joined = " ".join(sorted(" ".join(texts).split()))
        found[place] = forms.setdefault(joined, len(forms)) if joined else MISSING
    codes[:] = found[back.ravel()]
    return _finish(name, "words", list(forms), codes, size)
