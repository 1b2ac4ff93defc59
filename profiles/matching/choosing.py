"""Which blocking rules a model gets: of all that its columns allow, those that cover what is likely one for few pairs.

In a large table rules are judged by some of its records ("anchors") and all who share a key with them.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from profiles.matching.blocking import ATOMS, MOST_IN_BLOCK, Keys, Rule, blocks_of, distinct, pairs_of_rule
from profiles.matching.table import Array, Table

# Tables larger than this are judged by so many of their records. Fewer hold matches enough to learn from; of more, the
# pool would be filled by pairs that nobody has to be asked about.
MOST_RECORDS, ANCHORS = 30_000, 10_000
AGAIN = 0.25
FILTER_BITS = np.uint64(22)


@dataclass(frozen=True, slots=True)
class Look:
    """What a rule gives: pairs as `left * size + right`, and how many it gives of all records, estimated or counted."""

    rule: Rule
    pairs: Array
    cost: int


def draw_anchors(table: Table, rng: np.random.Generator) -> Array | None:
    """Return a mask of the records that a large table is judged by; None for one that is looked at as a whole."""
    if table.size <= MOST_RECORDS:
        return None
    anchors = np.zeros(table.size, bool)
    anchors[rng.choice(table.size, ANCHORS, replace=False)] = True
    return anchors


def look_around(keys: Keys, rule: Rule, anchors: Array, *, across: bool, most: int = MOST_IN_BLOCK) -> Look:
    """Return the pairs of a rule that hold an anchor."""
    table, parts = keys.table, keys.of_rule(rule)
    rows = np.concatenate([rows for rows, _ in parts])
    hashes = np.concatenate([found for _, found in parts])
    # Most records share nothing with an anchor: a table of bits tells, and only the rest is sorted.
    place = hashes >> (np.uint64(64) - FILTER_BITS)
    marked = np.zeros(1 << int(FILTER_BITS), bool)
    marked[place[anchors[rows]]] = True
    near = np.nonzero(marked[place])[0]
    if not len(near):
        return Look(rule, np.empty(0, np.int64), 0)
    near = near[np.argsort(hashes[near], kind="stable")]
    rows = rows[near]
    starts, sizes = blocks_of(hashes[near])
    block = np.repeat(np.arange(len(sizes)), sizes)
    mine = np.nonzero(anchors[rows] & (sizes <= most)[block])[0]
    others = sizes[block[mine]]
    cost = int((others - 1).sum() / 2 * (table.size / int(anchors.sum())))
    ends = np.cumsum(others)
    left = np.repeat(rows[mine], others)
    right = rows[np.arange(others.sum()) + np.repeat(starts[block[mine]] - ends + others, others)]
    kept = left != right
    if across:
        kept &= table.groups[left] != table.groups[right]
    left, right = left[kept], right[kept]
    return Look(rule, distinct(np.minimum(left, right) * table.size + np.maximum(left, right)), cost)


def possible_rules(table: Table) -> list[Rule]:
    """Return every rule of one or two atoms that these columns allow, and those of three names or dates."""
    singles: list[tuple[str, str]] = []
    for column in table.columns.values():
        singles += [(column.name, atom) for atom in ATOMS[column.comparison]]
        if column.comparison in ("text", "words", "name"):
            singles.append((column.name, "words:3" if column.comparison == "words" else "words:2"))
    rules = [Rule((one,)) for one in singles]
    coarse = [one for one in singles if not one[0].startswith("~") and one[1] not in ("words:2", "first")]
    rules += [Rule((a, b)) for a, b in itertools.combinations(coarse, 2) if a[0] != b[0]]
    return rules


def cheap_rules(
    keys: Keys, rules: Sequence[Rule], *, budget: int | None, across: bool, anchors: Array | None
) -> Iterator[Look]:
    """Look at rules one after the other; those that alone would give more pairs than the budget are left out."""
    for rule in rules:
        if anchors is not None:
            look = look_around(keys, rule, anchors, across=across)
        elif budget is None or 0 < _count_pairs(keys, rule) <= budget:
            pairs, _ = pairs_of_rule(keys, rule, across=across)
            look = Look(rule, pairs, _count_pairs(keys, rule))
        else:
            continue
        if budget is None or 0 < look.cost <= budget:
            yield look


def _count_pairs(keys: Keys, rule: Rule, most: int = MOST_IN_BLOCK) -> int:
    total = 0
    for _, hashes in keys.of_rule(rule):
        counts = np.unique(hashes, return_counts=True)[1]
        counts = counts[counts <= most]
        total += int((counts * (counts - 1) // 2).sum())
    return total


def choose_rules(  # noqa: PLR0913 - rules with what they cover and cost, and the bounds
    covers: Mapping[Rule, Array],
    weights: Array,
    costs: Mapping[Rule, int],
    *,
    budget: int,
    each: float = 1.0,
    first: Sequence[Rule] = (),
    least: float = 0.0005,
) -> list[Rule]:
    """Choose rules that together cover the most matches for the pairs that they cost (greedy cover).

    Parameters
    ----------
    covers : mapping
        Rule → which of the known matches it covers.
    weights : numpy.ndarray of float
        How much each match counts.
    costs : mapping
        Rule → how many pairs it gives.
    budget : int
        How many pairs all together may give; a match that several rules find is one.
    each : float
        How many pairs of the table each match stands for.
    first : sequence of Rule
        Those that are chosen already.
    least : float
        The share of the matches that a further rule must bring.
    """
    chosen: list[Rule] = []
    left = np.array(weights, float)
    found = np.zeros(len(left), bool)
    total, spent = float(left.sum()), 0.0

    def price(rule: Rule) -> float:
        again = float(weights[covers[rule]][found[covers[rule]]].sum()) * each
        return max(costs[rule] - again, 0.0)

    def choose(rule: Rule) -> None:
        nonlocal spent
        chosen.append(rule)
        spent += price(rule)
        # Covered once is not sure: others like it may differ just there.
        left[covers[rule]] *= AGAIN
        found[covers[rule]] = True

    for rule in first:
        choose(rule)
    while total > 0:
        best, best_value = None, 0.0
        for rule, covered in covers.items():
            gain = float(left[covered].sum())
            if rule in chosen or gain < least * total or spent + price(rule) > budget:
                continue
            value = gain / (costs[rule] + budget / 200)
            if value > best_value:
                best, best_value = rule, value
        if best is None:
            break
        choose(best)
    return chosen
