"""The pairs that a model learns from: those for which many telling blocking rules vote, and some of all others."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from profiles.matching.blocking import Keys, Rule, blocks_of
from profiles.matching.choosing import Look, cheap_rules, draw_anchors, possible_rules
from profiles.matching.features import compare
from profiles.matching.table import Array, Table

MOST_PAIRS, RANDOM_PAIRS = 40_000, 8_000
# So many votes are added up at a time, and so many pairs go on collecting them.
MOST_VOTES, MOST_VOTED = 4_000_000, 6_000_000
MIX = np.uint64(0x9E3779B97F4A7C15)


@dataclass(slots=True)
class Pool:
    """Pairs with their features, and the blocking rules that could have found them."""

    table: Table
    left: Array
    right: Array
    matrix: Array
    costs: dict[Rule, int]
    keys: Keys
    across: bool
    anchors: Array | None

    @property
    def each(self) -> float:
        """Return how many likely pairs of all records each one of the pool stands for."""
        if self.anchors is None:
            return 1.0
        # A pair is here if either of its records is an anchor.
        share = float(self.anchors.mean())
        return 1.0 / (1.0 - (1.0 - share) ** 2)

    def look(self, rules: Sequence[Rule], *, budget: int) -> Iterator[Look]:
        """Look at further rules, as at those that voted."""
        yield from cheap_rules(self.keys, rules, budget=budget, across=self.across, anchors=self.anchors)

    def extend(self, left: Array, right: Array) -> None:
        """Add pairs at the end."""
        matrix = compare(self.table, left, right)
        self.left, self.right = np.append(self.left, left), np.append(self.right, right)
        self.matrix = np.concatenate([self.matrix, matrix])

    def covers(self, rules: Sequence[Rule], pairs: Array) -> dict[Rule, Array]:
        """Return for each rule which of these pairs of the pool share one of its keys."""
        rows, places = np.unique(np.concatenate([self.left[pairs], self.right[pairs]]), return_inverse=True)
        left, right = places[: len(pairs)], places[len(pairs) :]
        keys, found = self.keys.of_records(rows), {}
        for rule in rules:
            holders, hashes = (np.concatenate(one) for one in zip(*keys.of_rule(rule), strict=True))
            order = np.argsort(holders, kind="stable")
            holders, hashes = holders[order], hashes[order]
            starts = np.searchsorted(holders, np.arange(len(rows) + 1))
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
    """Draw the pairs to learn from.

    Notes
    -----
    Of a large table, from the pairs of some records with all others: time grows with passes over keys alone, and
    memory hardly.
    """
    keys, anchors = Keys(table), draw_anchors(table, rng)
    votes: dict[str, Array] = {"pairs": np.empty(0, np.int64), "weights": np.empty(0)}
    waiting: list[tuple[Array, float]] = []
    costs: dict[Rule, int] = {}
    budget = max(20 * table.size, 20_000)
    for look in cheap_rules(keys, possible_rules(table), budget=budget, across=across, anchors=anchors):
        costs[look.rule] = look.cost
        if len(look.pairs):
            waiting.append((look.pairs, 1.0 / np.sqrt(look.cost)))
        if sum(len(one) for one, _ in waiting) > MOST_VOTES:
            _fold(votes, waiting, rng)
    _fold(votes, waiting, rng)
    pairs, weights = votes["pairs"], votes["weights"]
    if len(pairs) > most:
        order = np.argsort(-weights, kind="stable")
        chosen = np.concatenate(
            [order[: most - RANDOM_PAIRS], rng.choice(order[most - RANDOM_PAIRS :], RANDOM_PAIRS, replace=False)]
        )
        pairs = np.sort(pairs[chosen])
    left, right = pairs // table.size, pairs % table.size
    costs = dict(sorted(costs.items(), key=lambda one: one[1]))
    return Pool(table, left, right, compare(table, left, right), costs, keys.slimmed(), across, anchors)


def _fold(votes: dict[str, Array], waiting: list[tuple[Array, float]], rng: np.random.Generator) -> None:
    """Add up the votes for each pair; too many pairs are thinned, those with the most votes kept."""
    if not waiting:
        return
    pairs = np.concatenate([votes["pairs"], *(one for one, _ in waiting)])
    weights = np.concatenate([votes["weights"], *(np.full(len(one), weight) for one, weight in waiting)])
    order = np.argsort(pairs, kind="stable")
    pairs, weights = pairs[order], weights[order]
    starts, _ = blocks_of(pairs)
    pairs, weights = pairs[starts], np.add.reduceat(weights, starts)
    if len(pairs) > MOST_VOTED:
        ranked = np.argsort(-weights, kind="stable")
        half = MOST_VOTED // 2
        kept = np.sort(np.concatenate([ranked[:half], rng.choice(ranked[half:], half, replace=False)]))
        pairs, weights = pairs[kept], weights[kept]
    votes["pairs"], votes["weights"] = pairs, weights
    waiting.clear()
