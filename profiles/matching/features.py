"""What is compared of a pair of records: every feature once for one pair, as dedupe calls it, and once for millions.

A feature is a number in [0, 1], 0 where one of the two values is missing; one column per field says whether both are
there. So the columns are those of `dedupe.datamodel.DataModel.distances`, and a test holds the two against each other.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rapidfuzz import fuzz, process
from rapidfuzz.distance import OSA, JaroWinkler
from scipy.sparse import csr_array

from profiles.matching.fields import read_day
from profiles.matching.table import MISSING, Array, Column, Table, split_words

ONE_BY_ONE = 200_000  # pairs compared at once: bounds the memory, whatever their number
CLOSE, NEAR_DAYS = 0.9, 1_000.0
ALL_CORES, WORTH_THREADS = -1, 50_000
FEW_PAIRS = 300

Compare = Callable[[str, str], float]
Scorer = Callable[..., float]
Many = Callable[[Column, Array, Array], Array]


@dataclass(frozen=True, slots=True)
class Feature:
    """A comparison of one column: of one pair of values, and of many."""

    column: str
    name: str
    one: Compare
    many: Many

    @property
    def label(self) -> str:
        """Return its name within a model."""
        return f"{self.column}:{self.name}"


# --- One pair --------------------------------------------------------------------------------------------------------


def same(a: str, b: str) -> float:
    """Tell whether both are one."""
    return float(a == b)


def alike(a: str, b: str) -> float:
    """Return how alike two texts are by their letters, the first ones more (Jaro-Winkler), from 0.5 on."""
    return max(0.0, 2.0 * float(JaroWinkler.similarity(a, b)) - 1.0)


def close(a: str, b: str) -> float:
    """Tell whether two texts are all but the same."""
    return float(np.float32(JaroWinkler.similarity(a, b)) >= np.float32(CLOSE))


def edits(a: str, b: str) -> float:
    """Return one less the share of letters to be changed, exchanged neighbours being one change."""
    return float(OSA.normalized_similarity(a, b))


def few_edits(a: str, b: str) -> float:
    """Tell whether at most one digit or letter differs."""
    return float(OSA.distance(a, b) <= 1)


def shared_words(a: str, b: str) -> float:
    """Return how alike two texts are whatever the order of their words."""
    return float(np.float32(fuzz.token_sort_ratio(a, b)) / np.float32(100))


def held_words(a: str, b: str) -> float:
    """Return how much of the shorter text's words is in the longer."""
    return float(np.float32(fuzz.token_set_ratio(a, b)) / np.float32(100))


def begins(a: str, b: str) -> float:
    """Tell whether one is the beginning of the other: an initial, a short form."""
    return float(a.startswith(b) or b.startswith(a))


def same_year(a: str, b: str) -> float:
    """Tell whether two dates are of one year."""
    return float(a[:4] == b[:4])


def same_day_of_year(a: str, b: str) -> float:
    """Tell whether two dates differ in the year alone, or in the order of day and month."""
    return float(a[4:] == b[4:] or (a[4:6] == b[6:] and a[6:] == b[4:6]))


def days_near(a: str, b: str) -> float:
    """Return how near two days are: 1 at none between, falling with the distance."""
    if a == b:
        return 1.0
    one, other = read_day(a), read_day(b)
    return 0.0 if one is None or other is None else float(np.exp(-abs(one - other) / NEAR_DAYS))


def same_beginning(a: str, b: str) -> float:
    """Tell whether the first three characters are one: the district of a postcode."""
    return float(a[:3] == b[:3])


def same_local(a: str, b: str) -> float:
    """Tell whether two addresses have one local part."""
    return float(_local(a) == _local(b))


def alike_local(a: str, b: str) -> float:
    """Return how alike the local parts are."""
    return alike(_local(a), _local(b))


def ratio(a: str, b: str) -> float:
    """Return the smaller number's share of the larger."""
    if a == b:
        return 1.0
    try:
        one, other = abs(float(a)), abs(float(b))
    except ValueError:
        return 0.0
    return min(one, other) / (max(one, other) or 1.0)


def _local(address: str) -> str:
    return address.partition("@")[0]


# --- Many pairs ------------------------------------------------------------------------------------------------------


def _loop(one: Compare) -> Many:
    def many(column: Column, a: Array, b: Array) -> Array:
        left, right = column.values[a].tolist(), column.values[b].tolist()
        return np.fromiter(map(one, left, right), np.float32, len(left))

    return many


@dataclass(frozen=True, slots=True)
class Scored:
    """A comparison of texts by one of rapidfuzz's scorers, whose results further comparisons turn into theirs."""

    scorer: Scorer
    turn: Callable[[Column, Array, Array, Array], Array]

    def __call__(self, column: Column, a: Array, b: Array) -> Array:
        """Compare many pairs."""
        return self.turn(column, a, b, score(self.scorer, column.values[a].tolist(), column.values[b].tolist()))


def score(scorer: Scorer, left: Sequence[str], right: Sequence[str]) -> Array:
    """Return the scores of pairs of texts."""
    if len(left) <= FEW_PAIRS:
        return np.array([scorer(a, b) for a, b in zip(left, right, strict=True)], np.float32)
    workers = ALL_CORES if len(left) >= WORTH_THREADS else 1
    return process.cpdist(left, right, scorer=scorer, dtype=np.float32, workers=workers)


def _of_parts(name: str, part: Callable[[str], str], *, letters: bool = False) -> Many:
    """Compare parts of values: whether they are the same, or how alike their letters are."""

    def many(column: Column, a: Array, b: Array) -> Array:
        if letters:
            parts = _cut(column, f"{name}:text", lambda: [part(value) for value in column.values.tolist()], object)
            left, right = parts[a].tolist(), parts[b].tolist()
            return _from_half(score(JaroWinkler.similarity, left, right))
        codes = _cut(column, name, lambda: _codes([part(value) for value in column.values.tolist()]), np.int64)
        return np.asarray(codes[a] == codes[b], np.float32)

    return many


def _cut(column: Column, name: str, make: Callable[[], Sequence[Any]], kind: Any) -> Array:
    """Return something of each value of a column, made once."""
    found = column.cut.get(name)
    if found is None:
        made = make()
        found = np.empty(len(made), kind)
        found[:] = made
        column.cut[name] = found
    return found


def _codes(texts: Sequence[str]) -> list[int]:
    numbers: dict[str, int] = {}
    return [numbers.setdefault(text, len(numbers)) for text in texts]


def _from_half(found: Array) -> Array:
    return np.maximum(0.0, 2.0 * found - 1.0)


def _same_day_of_year(column: Column, a: Array, b: Array) -> Array:
    months = _cut(column, "months", lambda: [value[4:6] for value in column.values.tolist()], "U2")
    days = _cut(column, "days", lambda: [value[6:] for value in column.values.tolist()], "U2")
    same_order = (months[a] == months[b]) & (days[a] == days[b])
    return (same_order | ((months[a] == days[b]) & (days[a] == months[b]))).astype(np.float32)


def _days_near(column: Column, a: Array, b: Array) -> Array:
    days = _cut(column, "ordinals", lambda: [_ordinal(value) for value in column.values.tolist()], np.float64)
    return np.nan_to_num(np.exp(-np.abs(days[a] - days[b]) / NEAR_DAYS), nan=0.0).astype(np.float32)


def _ordinal(value: str) -> float:
    day = read_day(value)
    return float("nan") if day is None else float(day)


def _same(_column: Column, a: Array, b: Array) -> Array:
    return (a == b).astype(np.float32)


def _rare(column: Column, a: Array, b: Array) -> Array:
    return np.where(a == b, column.rarity[a], np.float32(0)).astype(np.float32)


def rare(column: Column) -> Compare:
    """Return the comparison by how few records have the value that both have."""
    weight: Mapping[str, float] = dict(zip(column.values.tolist(), column.rarity.tolist(), strict=True))

    def rare_same(a: str, b: str) -> float:
        return weight.get(a, 1.0) if a == b else 0.0

    return rare_same


def telling(column: Column) -> Compare:
    """Return the comparison by the rarest word that both have: a model number, the name of a street."""
    words = split_words(column)
    weight: Mapping[str, float] = dict(zip(words.texts, words.rarity.tolist(), strict=True))

    def rarest_shared(a: str, b: str) -> float:
        if a == b:
            return 1.0
        return max((weight.get(word, 1.0) for word in set(a.split()) & set(b.split())), default=0.0)

    return rarest_shared


def _telling(column: Column, a: Array, b: Array) -> Array:
    words = split_words(column)
    if len(a) <= FEW_PAIRS:
        # Arrays of so few cost more than they bring.
        begins, codes, rarity = words.starts.tolist(), words.codes.tolist(), words.rarity.tolist()
        found = [
            max(
                (rarity[word] for word in {*codes[begins[x] : begins[x + 1]]} & {*codes[begins[y] : begins[y + 1]]}),
                default=0.0,
            )
            for x, y in zip(a.tolist(), b.tolist(), strict=True)
        ]
        return np.asarray(found, np.float32)
    shape = len(column.values), max(len(words.texts), 1)
    weighed = csr_array((words.rarity[words.codes], words.codes, words.starts), shape=shape)
    held = csr_array((np.ones(len(words.codes), np.float32), words.codes, words.starts), shape=shape)
    return np.asarray(weighed[a].multiply(held[b]).max(axis=1).todense(), np.float32).ravel()


def _share_of_edits(column: Column, a: Array, b: Array, found: Array) -> Array:
    letters = _cut(column, "letters", lambda: [len(value) for value in column.values.tolist()], np.int32)
    return (1.0 - found / np.maximum(letters[a], letters[b])).astype(np.float32)


def _sorted_words(column: Column, a: Array, b: Array) -> Array:
    """Compare as `fuzz.token_sort_ratio` does; the words of each value are sorted once."""

    def sort() -> list[str]:
        return [" ".join(sorted(value.split())) for value in column.values.tolist()]

    # Those of several columns in one are sorted already.
    texts = column.values if column.comparison == "words" else _cut(column, "sorted", sort, object)
    return score(fuzz.ratio, texts[a].tolist(), texts[b].tolist()) / np.float32(100)


def _percent(_column: Column, _a: Array, _b: Array, found: Array) -> Array:
    return found / np.float32(100)


_JARO = Scored(JaroWinkler.similarity, lambda _column, _a, _b, found: _from_half(found))
_CLOSE = Scored(JaroWinkler.similarity, lambda _column, _a, _b, found: (found >= np.float32(CLOSE)).astype(np.float32))
_EDITS = Scored(OSA.distance, _share_of_edits)
_FEW = Scored(OSA.distance, lambda _column, _a, _b, found: (found <= 1).astype(np.float32))
_SET = Scored(fuzz.token_set_ratio, _percent)

_LETTERS = (("alike", alike, _JARO), ("close", close, _CLOSE), ("edits", edits, _EDITS))
# Comparisons whose values are compared by how rare their words are, too.
BY_WORDS = ("text", "words")
_TELLING = "telling"
_BY_COMPARISON: dict[str, tuple[tuple[str, Compare, Many], ...]] = {
    "name": (*_LETTERS, ("begins", begins, _loop(begins))),
    "text": (*_LETTERS, ("words", shared_words, _sorted_words), ("held", held_words, _SET)),
    "words": (("words", shared_words, _sorted_words), ("held", held_words, _SET), ("edits", edits, _EDITS)),
    "exact": (("few_edits", few_edits, _FEW),),
    "date": (
        ("few_edits", few_edits, _FEW),
        ("edits", edits, _EDITS),
        ("year", same_year, _of_parts("year", lambda value: value[:4])),
        ("day", same_day_of_year, _same_day_of_year),
        ("near", days_near, _days_near),
    ),
    "email": (
        ("local", same_local, _of_parts("local", _local)),
        ("alike", alike_local, _of_parts("local", _local, letters=True)),
        ("edits", edits, _EDITS),
    ),
    "phone": (("few_edits", few_edits, _FEW), ("edits", edits, _EDITS)),
    "postcode": (
        ("few_edits", few_edits, _FEW),
        ("district", same_beginning, _of_parts("district", lambda value: value[:3])),
        ("edits", edits, _EDITS),
    ),
    "number": (("few_edits", few_edits, _FEW), ("edits", edits, _EDITS), ("ratio", ratio, _loop(ratio))),
}


def features_of(table: Table) -> list[Feature]:
    """Return the features of a table's columns, in the order of the matrix."""
    found = []
    for column in table.columns.values():
        found.append(Feature(column.name, "same", same, _same))
        found.append(Feature(column.name, "rare", rare(column), _rare))
        found += [Feature(column.name, name, one, many) for name, one, many in _BY_COMPARISON[column.comparison]]
        if column.comparison in BY_WORDS:
            found.append(Feature(column.name, _TELLING, telling(column), _telling))
    return found


def names_of(table: Table) -> list[str]:
    """Return what the columns of the matrix are: the features, then per column of records whether both are there."""
    return names_for([(column.name, column.comparison) for column in table.columns.values()])


def names_for(columns: Sequence[tuple[str, str]]) -> list[str]:
    """Return what the columns of the matrix are, for columns of a table with their comparisons."""
    found = []
    for column, comparison in columns:
        names = ["same", "rare", *(one[0] for one in _BY_COMPARISON[comparison])]
        found += [f"{column}:{name}" for name in (*names, *([_TELLING] if comparison in BY_WORDS else []))]
    return [*found, *(f"{column}:there" for column, _ in columns)]


def _many_of(comparison: str) -> list[Many]:
    found = [many for _, _, many in _BY_COMPARISON[comparison]]
    return [_same, _rare, *found, *([_telling] if comparison in BY_WORDS else [])]


def compare(table: Table, left: Array, right: Array) -> Array:
    """Return the matrix of features of pairs of records, one row a pair, as float32.

    Parameters
    ----------
    left, right : numpy.ndarray of int
        Rows of the table.
    """
    many = [(column, one) for column in table.columns.values() for one in _many_of(column.comparison)]
    # Each feature in one piece of memory: they are filled, and weighed, one after the other.
    matrix = np.zeros((len(left), len(many) + len(table.columns)), np.float32, order="F")
    for start in range(0, len(left), ONE_BY_ONE):
        part = slice(start, start + ONE_BY_ONE)
        _compare_part(table, many, (left[part], right[part]), matrix[part])
    return matrix


def _compare_part(table: Table, compared: list[tuple[Column, Many]], pairs: tuple[Array, Array], out: Array) -> None:
    place = {name: number for number, name in enumerate(table.columns, len(compared))}
    few = len(pairs[0]) <= FEW_PAIRS
    known: dict[str, tuple[Array, Array, Array, Array]] = {}
    first = 0
    for name, column in table.columns.items():
        a, b = column.codes[pairs[0]], column.codes[pairs[1]]
        there = (a != MISSING) & (b != MISSING)
        out[:, place[name]] = there
        differ = np.nonzero(there & (a != b))[0]
        equal = there & (a == b)
        if few:
            # All features of a column at once; below they are not looked at one by one.
            equal = np.nonzero(equal)[0]
            last = first + len(_many_of(column.comparison))
            if len(equal):
                out[equal, first:last] = 1.0
            first = last
        known[name] = (equal, differ, a[differ], b[differ])
    # Features of one column that come from one score share it.
    scores: dict[tuple[str, Scorer], Array] = {}
    texts: dict[str, tuple[list[str], list[str]]] = {}
    for number, (column, many) in enumerate(compared):
        equal, differ, a, b = known[column.name]
        if many is _rare:
            if len(equal):
                codes = column.codes[pairs[0]]
                out[equal, number] = column.rarity[codes[equal]]
        else:
            # Every comparison of a value with itself is 1.
            if not few:
                out[equal, number] = 1.0
            if len(differ) and isinstance(many, Scored):
                if (column.name, many.scorer) not in scores:
                    if column.name not in texts:
                        texts = {column.name: (column.values[a].tolist(), column.values[b].tolist())}
                    scores = {key: found for key, found in scores.items() if key[0] == column.name}
                    scores[column.name, many.scorer] = score(many.scorer, *texts[column.name])
                out[differ, number] = many.turn(column, a, b, scores[column.name, many.scorer])
            elif len(differ) and many is not _same:
                out[differ, number] = many(column, a, b)
