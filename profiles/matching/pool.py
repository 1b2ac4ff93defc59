"""The pairs that a model learns from: those for which many telling blocking rules vote, and some of all others."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from profiles.matching.blocking import Keys, Rule, cheap_rules, pairs_of_rule
from profiles.matching.features import compare
from profiles.matching.table import Array, Table

MOST_PAIRS, RANDOM_PAIRS = 40_000, 8_000
# Larger sets are learned from the pairs of so many of their records with all others.
MOST_ANCHORS = 30_000
MIX = np.uint64(0x9E3779B97F4A7C15)


@dataclass(slots=True)
class Pool:
    """Pairs with their features, and the blocking rules that could have found them."""

    table: Table
    left: Array
    right: Array
    matrix: Array
    rules: list[Rule]
    costs: dict[Rule, int]

    def extend(self, left: Array, right: Array) -> None:
        """Add pairs at the end."""
        matrix = compare(self.table, left, right)
        self.left, self.right = np.append(self.left, left), np.append(self.right, right)
        self.matrix = np.concatenate([self.matrix, matrix])

    def covers(self, rules: Sequence[Rule], pairs: Array) -> dict[Rule, Array]:
        """Return for each rule which of these pairs of the pool share one of its keys."""
        keys = Keys(self.table)
        found = {}
        left, right = self.left[pairs], self.right[pairs]
        for rule in rules:
            rows, hashes = (np.concatenate(one) for one in zip(*keys.of_rule(rule), strict=True))
            order = np.argsort(rows, kind="stable")
            rows, hashes = rows[order], hashes[order]
            starts = np.searchsorted(rows, np.arange(self.table.size + 1))
            (ours, mixed), (_, theirs) = (_keys_by_pair(starts, hashes, side) for side in (left, right))
            found[rule] = np.unique(ours[np.isin(mixed, theirs)])
        return found


def _keys_by_pair(starts: Array, hashes: Array, rows: Array) -> tuple[Array, Array]:
    """Return the place of the pair, and a hash of it with the key, for all keys of the records on one side."""
    counts = starts[rows + 1] - starts[rows]
    ends = np.cumsum(counts)
    places = np.arange(counts.sum()) + np.repeat(starts[rows] - ends + counts, counts)
    pairs = np.repeat(np.arange(len(rows)), counts)
    with np.errstate(over="ignore"):
        return pairs, (hashes[places] ^ pairs.view(np.uint64)) * MIX + pairs.view(np.uint64)


def make_pool(table: Table, *, across: bool, rng: np.random.Generator, most: int = MOST_PAIRS) -> Pool:
    """Draw the pairs to learn from."""
    budget = max(20 * table.size, 20_000)
    ranked = cheap_rules(table, budget=budget)
    keys = Keys(table)
    anchors = None
    if table.size > MOST_ANCHORS:
        anchors = np.zeros(table.size, bool)
        anchors[rng.choice(table.size, MOST_ANCHORS, replace=False)] = True
    votes: dict[str, Array] = {"pairs": np.empty(0, np.int64), "weights": np.empty(0)}
    waiting: list[tuple[Array, float]] = []
    for rule, count in ranked:
        pairs, _ = pairs_of_rule(keys, rule, across=across, anchors=anchors)
        if len(pairs):
            waiting.append((pairs, 1.0 / np.sqrt(count)))
        if sum(len(one) for one, _ in waiting) > 4_000_000:
            _fold(votes, waiting)
    _fold(votes, waiting)
    pairs, weights = votes["pairs"], votes["weights"]
    if len(pairs) > most:
        order = np.argsort(-weights, kind="stable")
        chosen = np.concatenate(
            [order[: most - RANDOM_PAIRS], rng.choice(order[most - RANDOM_PAIRS :], RANDOM_PAIRS, replace=False)]
        )
        pairs = np.sort(pairs[chosen])
    left, right = pairs // table.size, pairs % table.size
    return Pool(table, left, right, compare(table, left, right), [r for r, _ in ranked], dict(ranked))


def _fold(votes: dict[str, Array], waiting: list[tuple[Array, float]]) -> None:
    """Add up the votes for each pair."""
    if not waiting:
        return
    pairs = np.concatenate([votes["pairs"], *(one for one, _ in waiting)])
    weights = np.concatenate([votes["weights"], *(np.full(len(one), weight) for one, weight in waiting)])
    distinct, back = np.unique(pairs, return_inverse=True)
    votes["pairs"], votes["weights"] = distinct, np.bincount(back.ravel(), weights)
    waiting.clear()
