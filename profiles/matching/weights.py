"""The weights of a trained classifier: all that scoring needs of what was learned, without what learns."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from profiles.matching.table import Array

LN_2 = math.log(2)


@dataclass(frozen=True, slots=True)
class Weights:
    """The classifier: a weight per column of the matrix, and the bias; the logit of the probability is their sum."""

    names: tuple[str, ...]
    values: tuple[float, ...]
    bias: float

    def probabilities(self, matrix: Array) -> Array:
        """Return the probability of each row."""
        logit = np.full(len(matrix), self.bias, np.float64)
        for column, weight in zip(matrix.T, np.asarray(self.values, np.float32).astype(np.float64), strict=True):
            logit += column * weight
        return np.asarray(1.0 / (1.0 + np.exp(-np.clip(logit, -50.0, 50.0))))

    def contributions(self, row: Array) -> dict[str, float]:
        """Return what each column of the table adds to the logit of one pair, in bits."""
        found: dict[str, float] = {}
        for column, weight, value in zip(_columns(self.names), self.values, row.tolist(), strict=True):
            found[column] = found.get(column, 0.0) + weight * value / LN_2
        return found


@lru_cache(maxsize=16)
def _columns(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name.rpartition(":")[0] for name in names)
