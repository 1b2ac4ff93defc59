"""How good a clustering or a model is: pairwise precision and recall, B-cubed, and bounds on what was measured."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import beta

from profiles.matching.table import Array

RESAMPLED = 500
# Nobody is surer than this: one answer must not outweigh all others.
SUREST = 1e-6


@dataclass(frozen=True, slots=True)
class Quality:
    """Precision, recall and F1 over pairs; B-cubed over records; the size of the largest cluster."""

    precision: float
    recall: float
    f1: float
    b3_precision: float
    b3_recall: float
    b3_f1: float
    largest: int


def _pairs(count: int) -> int:
    return count * (count - 1) // 2


def _f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def judge_clusters(found: Mapping[str, object], truth: Mapping[str, object]) -> Quality:
    """Hold clusters against the truth; records that only one of the two knows are left out.

    References
    ----------
    Bagga and Baldwin, "Entity-based cross-document coreferencing using the vector space model", 1998 (B-cubed).
    """
    ids = [one for one in truth if one in found]
    ours, theirs = Counter(found[one] for one in ids), Counter(truth[one] for one in ids)
    both = Counter((found[one], truth[one]) for one in ids)
    right = sum(_pairs(count) for count in both.values())
    claimed = sum(_pairs(count) for count in ours.values())
    real = sum(_pairs(count) for count in theirs.values())
    precision, recall = (right / claimed if claimed else 1.0), (right / real if real else 1.0)
    b3_precision = sum(count * count / ours[one] for (one, _), count in both.items()) / max(len(ids), 1)
    b3_recall = sum(count * count / theirs[one] for (_, one), count in both.items()) / max(len(ids), 1)
    return Quality(
        precision,
        recall,
        _f1(precision, recall),
        b3_precision,
        b3_recall,
        _f1(b3_precision, b3_recall),
        max(ours.values(), default=0),
    )


def lower_bound(right: int, total: int, *, confidence: float = 0.95) -> float:
    """Return the one-sided lower bound of a share (Clopper and Pearson): 0 of nothing."""
    if right <= 0 or total <= 0:
        return 0.0
    return float(beta.ppf(1 - confidence, right, total - right + 1))


def upper_bound(right: int, total: int, *, confidence: float = 0.95) -> float:
    """Return the one-sided upper bound of a share: 1 of nothing."""
    if total <= 0 or right >= total:
        return 1.0
    return float(beta.ppf(confidence, right + 1, total - right))


def interval(right: int, total: int) -> tuple[float, float]:
    """Return the two-sided 95 % interval of a share."""
    return lower_bound(right, total, confidence=0.975), upper_bound(right, total, confidence=0.975)


def auto_link_threshold(
    probabilities: Sequence[float], answers: Sequence[bool], *, precision: float, confidence: float = 0.95
) -> float | None:
    """Return the probability from which on pairs may be joined without anybody looking; None if nothing shows it.

    Parameters
    ----------
    probabilities, answers : sequence
        Of labels that the model which gave the probability did not learn from.
    precision : float
        What the lower bound of precision above the threshold must reach.

    Notes
    -----
    Thresholds are tried from the fewest labels that can show it downwards, and the first that fails ends it: so the
    confidence holds although several are tried (fixed-sequence testing).
    """
    ranked = sorted(zip(probabilities, answers, strict=True), key=lambda one: -one[0])
    needed = math.ceil(math.log(1 - confidence) / math.log(precision)) if precision < 1 else len(ranked) + 1
    found, right = None, 0
    for number, (probability, answer) in enumerate(ranked, 1):
        right += answer
        last_of_its_kind = number == len(ranked) or ranked[number][0] < probability
        if number < needed or not last_of_its_kind:
            continue
        if lower_bound(right, number, confidence=confidence) < precision:
            break
        found = probability
    return found


@dataclass(frozen=True, slots=True)
class LabelQuality:
    """F1 over labelled pairs and B-cubed over their records, each with the 95 % interval of resampled labels."""

    f1: float | None
    f1_interval: tuple[float, float] | None
    b3_precision: float
    b3_recall: float
    b3_f1: float
    b3_interval: tuple[float, float]


def judge_labels(left: Array, right: Array, together: Array, truth: Array, *, seed: int = 1) -> LabelQuality:
    """Judge what a model says of labelled pairs.

    Parameters
    ----------
    left, right : numpy.ndarray of int
        The records of each pair.
    together, truth : numpy.ndarray of bool
        Whether the model, which did not learn from the label, and whether people say that they are one.

    Notes
    -----
    B-cubed asks per record which of the others that it was labelled with are put together with it, and which should be;
    pairs that nobody labelled count for nothing. Intervals: percentiles of 500 samples of the labels, with repetition.
    """
    rng = np.random.default_rng(seed)
    b3 = _b_cubed(left, right, together, truth)
    several: list[tuple[float | None, float]] = []
    for _ in range(RESAMPLED if len(truth) else 0):
        drawn = rng.integers(0, len(truth), len(truth))
        sampled = _b_cubed(left[drawn], right[drawn], together[drawn], truth[drawn])
        several.append((f1_of(together[drawn], truth[drawn]), sampled[2]))
    known = [one for one, _ in several if one is not None]
    return LabelQuality(
        f1_of(together, truth), _middle(known) if known else None, *b3, _middle([one for _, one in several] or [b3[2]])
    )


def measure_labels(
    left: Array, right: Array, probability: Array, truth: Array, *, threshold: float = 0.5
) -> dict[str, Any]:
    """Return all that labels say of a model which did not learn from them.

    Parameters
    ----------
    left, right : numpy.ndarray of int
        The records of each labelled pair.
    probability : numpy.ndarray of float
        What the model gives each.
    truth : numpy.ndarray of bool
        What people said.
    threshold : float
        The probability from which on the model takes a pair for one person.

    Returns
    -------
    dict
        Counts of labels; precision and recall with 95 % intervals, None of nothing; the members of `LabelQuality`; the
        mean log loss; `curve`, per threshold how many pairs are claimed and how many of them are right.
    """
    together = probability >= threshold
    claimed, real, right_ones = int(together.sum()), int(truth.sum()), int((together & truth).sum())
    return {
        "labels": len(truth),
        "same": real,
        "different": len(truth) - real,
        "precision": right_ones / claimed if claimed else None,
        "precision_interval": interval(right_ones, claimed),
        "recall": right_ones / real if real else None,
        "recall_interval": interval(right_ones, real),
        **asdict(judge_labels(left, right, together, truth)),
        "log_loss": log_loss(probability, truth),
        "curve": [
            {
                "threshold": round(step / 20, 2),
                "right": int((truth & (probability >= step / 20)).sum()),
                "claimed": int((probability >= step / 20).sum()),
            }
            for step in range(1, 20)
        ],
    }


def log_loss(probability: Array, truth: Array) -> float | None:
    """Return how surprising answers are on average, in nats; None of nothing."""
    if not len(truth):
        return None
    given = np.clip(np.where(truth, probability, 1.0 - probability), SUREST, 1.0)
    return float(-np.log(given).mean())


def f1_of(together: Array, truth: Array) -> float | None:
    """Return F1 of pairs that are put together; None where nothing is, or should be."""
    both = int(together.sum()) + int(truth.sum())
    return 2 * int((together & truth).sum()) / both if both else None


def _middle(values: Sequence[float]) -> tuple[float, float]:
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def _b_cubed(left: Array, right: Array, together: Array, truth: Array) -> tuple[float, float, float]:
    if not len(truth):
        return 1.0, 1.0, 1.0
    records = np.concatenate([left, right])
    _, place = np.unique(records, return_inverse=True)
    # Every record is together with itself.
    claimed, real, right_ones = (
        1.0 + np.bincount(place, np.concatenate([found, found])) for found in (together, truth, together & truth)
    )
    precision, recall = float((right_ones / claimed).mean()), float((right_ones / real).mean())
    return precision, recall, _f1(precision, recall)


def drift_of(before: Sequence[float], after: Sequence[float]) -> float:
    """Return how far a distribution moved: the population stability index of counts in the same bins.

    Below 0.1 it is taken for steady, from 0.25 on for another one.
    """
    old, new = np.asarray(before, float) + 0.5, np.asarray(after, float) + 0.5
    old, new = old / old.sum(), new / new.sum()
    return float(((new - old) * np.log(new / old)).sum())
