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
        """Return for each rule which of these pairs of the pool it finds: those that share a block within the cap."""
        left, right = self.left[pairs], self.right[pairs]
        numbers = np.minimum(left, right) * self.table.size + np.maximum(left, right)
        around = None
        if self.anchors is not None:
            around = np.zeros(self.table.size, bool)
            around[left] = True
        looks = cheap_rules(self.keys, rules, budget=None, across=self.across, anchors=around)
        return {look.rule: np.nonzero(np.isin(numbers, look.pairs))[0] for look in looks}


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
