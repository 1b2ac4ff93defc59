"""Guarded clustering: no chain of pairs, each likely, makes a crowd one person.

Components at the threshold are looked at as wholes: all their pairs are scored, not only the candidates, and average
linkage cuts where what is between two parts is unlikely on average. What must not be one is never put together.
"""

from collections.abc import Callable, Iterable
from functools import cache

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from profiles.matching.table import FEW_RECORDS, Array

MOST_AT_ONCE = 60
RISING = (0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
Score = Callable[[Array, Array], Array]
Forbidden = Callable[[Array, Array], Array]


def components(size: int, left: Array, right: Array) -> Array:
    """Return the component of each record."""
    if size <= FEW_RECORDS:
        labels = list(range(size))
        for a, b in zip(left.tolist(), right.tolist(), strict=True):
            if labels[a] != labels[b]:
                one, other = labels[a], labels[b]
                labels = [one if label == other else label for label in labels]
        return np.unique(labels, return_inverse=True)[1] if size else np.empty(0, np.int64)
    graph = coo_matrix((np.ones(len(left), np.int8), (left, right)), shape=(size, size))
    return connected_components(graph, directed=False)[1]


def cluster(  # noqa: PLR0913 - the pairs, and what guards them
    size: int,
    left: Array,
    right: Array,
    probability: Array,
    *,
    score: Score,
    forbidden: Forbidden,
    must: Iterable[tuple[int, int]] = (),
    threshold: float = 0.5,
) -> Array:
    """Return the cluster of each record.

    Parameters
    ----------
    left, right, probability : numpy.ndarray
        The candidates and their probabilities.
    score : callable
        Probabilities of any pairs of records.
    forbidden : callable
        Which pairs must not be one person, whatever their probability.
    must : iterable of (int, int)
        Pairs that are one person: a steward said so.
    threshold : float
        The probability from which on a pair counts.

    Notes
    -----
    A component of more than 60 records is cut at rising thresholds until its parts are smaller.
    """
    bound = np.array(list(must), np.int64).reshape(-1, 2)
    kept = probability >= threshold
    left, right, probability = left[kept], right[kept], probability[kept]
    allowed = ~forbidden(left, right)
    left, right, probability = left[allowed], right[allowed], probability[allowed]
    labels = components(size, np.concatenate([left, bound[:, 0]]), np.concatenate([right, bound[:, 1]]))
    labels = _cut_crowds(labels, left, right, probability, bound)
    order = np.argsort(labels, kind="stable")
    starts = np.concatenate([[0], np.nonzero(np.diff(labels[order]))[0] + 1, [size]])
    sizes = np.diff(starts)
    groups = [order[starts[i] : starts[i + 1]] for i in np.nonzero(sizes > 2)[0]]
    return _split_groups(labels, groups, bound, score, forbidden, threshold)


def _cut_crowds(labels: Array, left: Array, right: Array, probability: Array, bound: Array) -> Array:
    for threshold in RISING:
        crowd = np.bincount(labels) > MOST_AT_ONCE
        if not crowd.any():
            break
        inside = crowd[labels[left]]
        kept = ~inside | (probability >= threshold)
        labels = components(
            len(labels),
            np.concatenate([left[kept], bound[:, 0]]),
            np.concatenate([right[kept], bound[:, 1]]),
        )
    return labels


def _split_groups(
    labels: Array, groups: list[Array], bound: Array, score: Score, forbidden: Forbidden, threshold: float
) -> Array:
    """Score all pairs within each group, and cut those that do not hold together."""
    fresh = int(labels.max(initial=0)) + 1
    tied = {(int(min(a, b)), int(max(a, b))) for a, b in bound.tolist()}
    for begin in range(0, len(groups), 20_000):
        part = groups[begin : begin + 20_000]
        index = [_places_of_pairs(len(group)) for group in part]
        left = np.concatenate([group[a] for group, (a, _) in zip(part, index, strict=True)] or [np.empty(0, int)])
        right = np.concatenate([group[b] for group, (_, b) in zip(part, index, strict=True)] or [np.empty(0, int)])
        if not len(left):
            continue
        found = score(left, right).astype(float)
        never = forbidden(left, right)
        found[never] = 0.0
        if tied:
            pairs = zip(np.minimum(left, right).tolist(), np.maximum(left, right).tolist(), strict=True)
            found[np.fromiter((pair in tied for pair in pairs), bool, len(left))] = 1.0
        ends = np.cumsum([len(a) for a, _ in index])
        lowest = np.minimum.reduceat(found, np.concatenate([[0], ends[:-1]]))
        for number in np.nonzero(lowest < threshold)[0]:
            group = part[number]
            values = found[ends[number] - len(index[number][0]) : ends[number]]
            barred = never[ends[number] - len(index[number][0]) : ends[number]]
            for piece in cut(len(group), values, barred, threshold)[1:]:
                labels[group[piece]] = fresh
                fresh += 1
    return labels


@cache
def _places_of_pairs(size: int) -> tuple[Array, Array]:
    return np.triu_indices(size, 1)


def cut(size: int, probability: Array, never: Array, threshold: float) -> list[Array]:
    """Cut a group by average linkage; pairs that must not be one are as far apart as can be.

    Returns
    -------
    list of numpy.ndarray
        The members of each part, by their place in the group.
    """
    distance = 1.0 - probability
    # Far enough that no average over so few pairs comes below the threshold again.
    distance[never] = float(size * size)
    found = fcluster(linkage(distance, "average"), 1.0 - threshold, "distance")
    return [np.nonzero(found == label)[0] for label in range(1, int(found.max()) + 1)]
