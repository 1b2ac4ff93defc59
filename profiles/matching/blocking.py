"""Which pairs are looked at: records that share a key of a blocking rule, no block larger than a cap.

A rule is one or more parts of values ("atoms"), e.g. the sound of a surname with the year of birth. Keys are 64-bit
hashes; a record without one of the parts has no key of that rule.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import numpy as np

from profiles.matching.learned import LEARNED, read_predicate
from profiles.matching.table import MISSING, Array, Column, Table

MOST_IN_BLOCK = 200
MOST_WAITING = 25_000_000
NO_KEY, NOTHING = np.uint64(0), bytes(8)
_FIRST, _SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)
_SOUNDS = str.maketrans("bfpvcgjkqsxzdtlmnr", "111122222222334556")
_SILENT = frozenset("aeiouyhw")
Cut = Callable[[str], str]


def sound(text: str) -> str:
    """Return the first letter and the first three sounds of a word (Soundex).

    References
    ----------
    US National Archives, "The Soundex Indexing System".
    """
    word = text.split(" ", 1)[0]
    if not word:
        return ""
    coded = word.translate(_SOUNDS)
    found, before = word[0], coded[0]
    for letter, code in zip(word[1:], coded[1:], strict=True):
        if letter not in _SILENT and code != before and code.isdigit():
            found += code
        if letter not in "hw":
            before = code
    return found[:4]


ATOMS: dict[str, dict[str, Cut]] = {
    "name": {
        "all": str,
        "sound": sound,
        "start": lambda v: v[:3],
        "end": lambda v: v[-4:] if len(v) > 4 else "",
    },
    "text": {"all": str, "start": lambda v: v[:6], "first": lambda v: v.split(" ", 1)[0]},
    "words": {"all": str},
    "exact": {"all": str},
    "date": {"all": str, "year": lambda v: v[:4], "day": lambda v: v[4:], "month": lambda v: v[:6]},
    "email": {"all": str, "local": lambda v: v.partition("@")[0], "start": lambda v: v[:5]},
    "phone": {"all": str, "end": lambda v: v[-6:], "start": lambda v: v[:-3]},
    "postcode": {"all": str, "district": lambda v: v[:3]},
    "number": {"all": str},
}


@dataclass(frozen=True, slots=True)
class Rule:
    """A blocking rule: records agree in all of these (column, atom).

    An atom `word:K` stands for each of the K rarest words of the value, so a record has several keys.
    """

    atoms: tuple[tuple[str, str], ...]

    @property
    def label(self) -> str:
        """Return it in words."""
        return " + ".join(f"{column}.{atom}" if atom != "all" else column for column, atom in self.atoms)


@dataclass(slots=True)
class RuleReport:
    """What a rule gave, and what the cap dropped: blocks that were too large, and the pairs in them."""

    rule: str
    pairs: int = 0
    dropped_blocks: int = 0
    dropped_records: int = 0
    dropped_pairs: int = 0


@dataclass(slots=True)
class Candidates:
    """Pairs to be scored, each once, the lower row on the left."""

    left: Array
    right: Array
    reports: list[RuleReport] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.left)


def hash_values(values: Sequence[str]) -> Array:
    """Return a 64-bit hash per text, the same in every process; `NO_KEY` for the empty one."""
    digests = [blake2b(value.encode(), digest_size=8).digest() if value else NOTHING for value in values]
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)


def hash_parts(values: Sequence[str], cut: Cut) -> Array:
    """Return a hash per value of a part of it; each distinct part is hashed once."""
    if cut is str:
        return hash_values(values)
    numbers: dict[str, int] = {}
    places = [numbers.setdefault(part, len(numbers)) for part in map(cut, values)]
    return hash_values(list(numbers))[places] if places else np.empty(0, np.uint64)


@dataclass(frozen=True, slots=True)
class _Plan:
    """Rules by what they share: their parts, each once, and of those with as many parts which ones, line by line."""

    several: list[int]
    atoms: list[tuple[str, str]]
    alike: list[tuple[Array, Array]]


@lru_cache(maxsize=16)
def _plan(rules: tuple[Rule, ...]) -> _Plan:
    several: list[int] = []
    atoms: dict[tuple[str, str], int] = {}
    alike: dict[int, list[tuple[int, list[int]]]] = {}
    for number, rule in enumerate(rules):
        if any(atom.startswith("word") for _, atom in rule.atoms):
            continue
        if any(atom.startswith(LEARNED) for _, atom in rule.atoms):
            several.append(number)
        else:
            lines = [atoms.setdefault(atom, len(atoms)) for atom in rule.atoms]
            alike.setdefault(len(lines), []).append((number, lines))
    arrays = [
        (np.array([number for number, _ in those], np.uint64), np.array([lines for _, lines in those], np.int64).T)
        for those in alike.values()
    ]
    return _Plan(several, list(atoms), arrays)


def _tell_apart(hashes: Array, numbers: Any) -> Array:
    """Return keys of rules, those of different rules different."""
    return np.asarray((hashes ^ (numbers + np.uint64(1))) * _SECOND)


class Keys:
    """Block keys of a table, each part of each value hashed once.

    Parameters
    ----------
    known : Keys or None
        Keys of a table with the same values: what they hashed is used here too.
    """

    def __init__(self, table: Table, known: "Keys | None" = None) -> None:
        self.table = table
        self._atoms: dict[tuple[str, str], Array] = {}
        self._of_values: dict[tuple[str, str], Array] = known._of_values if known else {}
        self._several: dict[tuple[str, str], tuple[Array, Array]] = known._several if known else {}
        self._words: dict[str, tuple[Array, Array, Array]] = known._words if known else {}

    def slimmed(self) -> "Keys":
        """Return them without what is by record."""
        return Keys(self.table, self)

    def of_records(self, rows: Array) -> "Keys":
        """Return the keys of some records; row numbers are places among them."""
        return Keys(self.table.take(rows), self)

    def atom(self, column: str, name: str) -> Array:
        """Return per record the hash of a part of its value."""
        found = self._atoms.get((column, name))
        if found is None:
            found = self._atoms[column, name] = self._values(column, name)[self.table.columns[column].codes]
        return found

    def _values(self, column: str, name: str) -> Array:
        """Return per value the hash of a part of it, and at the end `NO_KEY`, for records without a value."""
        found = self._of_values.get((column, name))
        if found is None:
            col = self.table.columns[column]
            if name.startswith("word:"):
                found = self.rarest_words(col, int(name[5:]))
            else:
                found = np.append(hash_parts(col.values.tolist(), ATOMS[col.comparison][name]), NO_KEY)
            self._of_values[column, name] = found
        return found

    def of_rule(self, rule: Rule) -> list[tuple[Array, Array]]:
        """Return (records, keys) of a rule: one pair of arrays per combination of its words."""
        parts = [self._alternatives(column, atom) for column, atom in rule.atoms]
        return [self._combine(combination) for combination in itertools.product(*parts)]

    def _combine(self, atoms: Sequence[tuple[str, str]]) -> tuple[Array, Array]:
        rows: Array | None = None
        key = np.empty(0, np.uint64)
        for column, atom in atoms:
            if rows is None and not atom.startswith(LEARNED):
                # As below, without passes over all records.
                one = self.atom(column, atom)
                rows = np.nonzero(one != NO_KEY)[0]
                key = one[rows] * _FIRST + _SECOND
                continue
            if rows is None:
                rows, key = np.arange(self.table.size), np.zeros(self.table.size, np.uint64)
            if atom.startswith(LEARNED):
                starts, flat = self._learned(column, atom)
                codes = self.table.columns[column].codes[rows]
                counts = np.where(codes == MISSING, 0, starts[codes + 1] - starts[codes])
                ends = np.cumsum(counts)
                places = np.arange(counts.sum()) + np.repeat(starts[codes] - ends + counts, counts)
                rows, key, one = np.repeat(rows, counts), np.repeat(key, counts), flat[places]
            else:
                one = self.atom(column, atom)[rows]
                there = one != NO_KEY
                rows, key, one = rows[there], key[there], one[there]
            key = (key ^ one) * _FIRST + _SECOND
        return np.empty(0, np.int64) if rows is None else rows, key

    def _learned(self, column: str, atom: str) -> tuple[Array, Array]:
        """Return where the hashes of each value begin, and the hashes, of a predicate that gives several."""
        found = self._several.get((column, atom))
        if found is None:
            predicate = read_predicate(atom)
            sets = [sorted(predicate(value)) for value in self.table.columns[column].values.tolist()]
            starts = np.concatenate([[0], np.cumsum([len(one) for one in sets])]).astype(np.int64)
            found = starts, hash_values([key for one in sets for key in one])
            self._several[column, atom] = found
        return found

    def steady(self, rules: Iterable[Rule]) -> Iterator[tuple[Array, Array]]:
        """Yield (records, keys) of the rules that do not depend on which words others have, told apart by rule."""
        for number, rule in enumerate(rules):
            if not any(atom.startswith("word") for _, atom in rule.atoms):
                yield from self._steady(number, rule)

    def steady_of_few(self, rules: tuple[Rule, ...]) -> Iterator[tuple[Array, Array]]:
        """Yield what `steady` does, of few records: all rules of as many parts at once cost what one of them does."""
        plan = _plan(rules)
        for number in plan.several:
            yield from self._steady(number, rules[number])
        if not plan.atoms:
            return
        # A line per part, a place per record.
        hashes = np.stack([self.atom(column, atom) for column, atom in plan.atoms])
        missing = hashes == NO_KEY
        for numbers, lines in plan.alike:
            key = np.zeros((len(numbers), self.table.size), np.uint64)
            for line in lines:
                key = (key ^ hashes[line]) * _FIRST + _SECOND
            there = ~missing[lines].any(axis=0)
            yield np.nonzero(there)[1], _tell_apart(key, numbers[:, None])[there]

    def _steady(self, number: int, rule: Rule) -> Iterator[tuple[Array, Array]]:
        for rows, hashes in self.of_rule(rule):
            yield rows, _tell_apart(hashes, np.uint64(number))

    def _alternatives(self, column: str, atom: str) -> list[tuple[str, str]]:
        if atom.startswith("words:"):
            return [(column, f"word:{number}") for number in range(int(atom[6:]))]
        return [(column, atom)]

    def rarest_words(self, column: Column, number: int) -> Array:
        """Return the hash of each value's `number`-th rarest word."""
        found = self._words.get(column.name)
        if found is None:
            self._words[column.name] = found = rank_words(column)
        value, place, hashes = found
        chosen = place == number
        of_values = np.zeros(len(column.values) + 1, np.uint64)
        of_values[value[chosen]] = hashes[chosen]
        return of_values


def rank_words(column: Column) -> tuple[Array, Array, Array]:
    """Return (value, place, hash) of each distinct word of each value, the rarest at place 0.

    Words that nobody else has find nobody, and are left out. Of two that are as rare the alphabet decides.
    """
    split = [value.split() for value in column.values.tolist()]
    numbers: dict[str, int] = {}
    codes = np.array([numbers.setdefault(word, len(numbers)) for words in split for word in words], np.int64)
    words = list(numbers)
    value = np.repeat(np.arange(len(split)), [len(words) for words in split])
    pairs = np.unique(value * len(words) + codes)
    value, codes = pairs // max(len(words), 1), pairs % max(len(words), 1)
    counts = np.bincount(codes, weights=column.counts[value], minlength=len(words)).astype(np.int64)
    alphabet = np.empty(len(words), np.int64)
    alphabet[sorted(range(len(words)), key=words.__getitem__)] = np.arange(len(words))
    kept = counts[codes] > 1
    value, codes = value[kept], codes[kept]
    order = np.lexsort((alphabet[codes], counts[codes], value))
    value, codes = value[order], codes[order]
    starts = np.searchsorted(value, value)
    return value, np.arange(len(value)) - starts, hash_values(words)[codes]


def pairs_of_rule(keys: Keys, rule: Rule, *, across: bool, most: int = MOST_IN_BLOCK) -> tuple[Array, RuleReport]:
    """Return the pairs of a rule as `left * size + right`, sorted, and what was left out."""
    table, report = keys.table, RuleReport(rule.label)
    parts = keys.of_rule(rule)
    rows = np.concatenate([rows for rows, _ in parts])
    hashes = np.concatenate([found for _, found in parts])
    if not len(rows):
        return np.empty(0, np.int64), report
    order = np.lexsort((rows, hashes)) if len(parts) > 1 else np.argsort(hashes, kind="stable")
    rows = rows[order]
    starts, sizes = blocks_of(hashes[order])
    large = sizes > most
    if large.any():
        dropped = sizes[large]
        report.dropped_blocks, report.dropped_records = int(large.sum()), int(dropped.sum())
        report.dropped_pairs = int((dropped * (dropped - 1) // 2).sum())
    wanted = (sizes > 1) & ~large
    found = distinct(_pairs(rows, starts[wanted], sizes[wanted], table, across=across))
    report.pairs = len(found)
    return found, report


def blocks_of(ordered: Array) -> tuple[Array, Array]:
    """Return where each block of equal keys begins, and how large it is; the keys are sorted, and there are some."""
    starts = np.concatenate([[0], np.nonzero(ordered[1:] != ordered[:-1])[0] + 1])
    return starts, np.diff(np.append(starts, len(ordered)))


def distinct(numbers: Array) -> Array:
    """Return the distinct numbers, sorted: many times as fast as `numpy.unique`, which hashes them first."""
    ordered = np.sort(numbers)
    return ordered[np.append(True, ordered[1:] != ordered[:-1])] if len(ordered) else ordered


def _pairs(rows: Array, starts: Array, sizes: Array, table: Table, *, across: bool) -> Array:
    """Return all pairs within blocks; blocks of one size at a time, so that no loop runs over blocks."""
    made = [np.empty(0, np.int64)]
    for size in np.unique(sizes):
        first = starts[sizes == size]
        one, other = np.triu_indices(int(size), 1)
        step = max(1, 4_000_000 // len(one))
        for begin in range(0, len(first), step):
            block = rows[first[begin : begin + step, None] + np.arange(size)]
            left, right = block[:, one].ravel(), block[:, other].ravel()
            kept = left != right
            if across:
                kept &= table.groups[left] != table.groups[right]
            left, right = left[kept], right[kept]
            low, high = np.minimum(left, right), np.maximum(left, right)
            made.append(low.astype(np.int64) * table.size + high)
    return np.concatenate(made)


def find_candidates(table: Table, rules: Iterable[Rule], *, across: bool) -> Candidates:
    """Return the pairs that share a key of any rule.

    Parameters
    ----------
    across : bool
        Only pairs of different sources (linking).
    """
    keys, reports = Keys(table), []
    waiting = [np.empty(0, np.int64)]
    for rule in rules:
        pairs, report = pairs_of_rule(keys, rule, across=across)
        reports.append(report)
        waiting.append(pairs)
        # Sorting costs more than memory, up to a bound.
        if sum(map(len, waiting)) > MOST_WAITING:
            waiting = [distinct(np.concatenate(waiting))]
    found = distinct(np.concatenate(waiting))
    return Candidates(found // table.size, found % table.size, reports)
