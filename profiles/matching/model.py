"""A trained model: everything that scoring needs, as plain values; and its use on a table of records."""

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np

from profiles.matching.blocking import Candidates, Rule, find_candidates
from profiles.matching.clustering import Forbidden, Score, cluster
from profiles.matching.features import compare, names_for
from profiles.matching.fields import Field, read_day
from profiles.matching.table import MISSING, Array, Table, columns_of
from profiles.matching.weights import Weights

FORMAT = 1
LIBRARIES = ("dedupe", "BTrees", "numpy", "rapidfuzz", "scikit-learn")
AT_ONCE = 200_000
# Dates so many days apart, with so many digits different, are two people's (a parent and a child of one name), unless
# both have the same number or address that few others have: then a date was mistyped.
FAR_DAYS, FAR_DIGITS, TELLING = 15 * 366, 4, 0.7


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """What was learned.

    Attributes
    ----------
    rules : tuple of Rule
        The blocking rules.
    predicates : tuple of str
        What dedupe learned for blocking, in its own words.
    auto_link : float or None
        The probability from which on pairs may be joined unseen; None: none may.
    measured : mapping
        Figures of training.
    """

    fields: tuple[Field, ...]
    mode: str
    weights: Weights
    rules: tuple[Rule, ...]
    predicates: tuple[str, ...] = ()
    threshold: float = 0.5
    auto_link: float | None = None
    measured: Mapping[str, Any] = field(default_factory=dict)
    libraries: Mapping[str, str] = field(default_factory=dict)

    @property
    def across(self) -> bool:
        """Tell whether pairs are of two sources."""
        return self.mode == "link"


Find = Callable[[TrainedModel, Table], tuple[Candidates, Array]]


@dataclass(slots=True)
class Scored:
    """What a run found: the candidates with their probabilities, and the cluster of each record."""

    candidates: Candidates
    probability: Array
    clusters: Array
    seconds: Mapping[str, float]


def library_versions() -> dict[str, str]:
    """Return the versions of what the model was made with."""
    return {name: version(name) for name in LIBRARIES}


def write_model(model: TrainedModel) -> dict[str, Any]:
    """Return the model as JSON."""
    found = asdict(model)
    found["format"] = FORMAT
    found["rules"] = [[list(atom) for atom in rule.atoms] for rule in model.rules]
    return found


def read_model(stored: Mapping[str, Any]) -> TrainedModel:
    """Return the model that `write_model` wrote."""
    if stored.get("format") != FORMAT:
        message = "The model is of another format: train it anew."
        raise ValueError(message)
    fields = tuple(Field(**one) for one in stored["fields"])
    weights = stored["weights"]
    known = dict(zip(weights["names"], weights["values"], strict=True))
    names = tuple(names_for(columns_of(fields)))
    if not known.keys() <= set(names):
        message = "The model weighs what is not compared any more: train it anew."
        raise ValueError(message)
    return TrainedModel(
        fields=fields,
        mode=stored["mode"],
        # What is compared since it was trained counts for nothing.
        weights=Weights(names, tuple(known.get(name, 0.0) for name in names), weights["bias"]),
        rules=tuple(Rule(tuple((column, atom) for column, atom in rule)) for rule in stored["rules"]),
        predicates=tuple(stored["predicates"]),
        threshold=stored["threshold"],
        auto_link=stored["auto_link"],
        measured=stored["measured"],
        libraries=stored["libraries"],
    )


def score_pairs(weights: Weights, table: Table, left: Array, right: Array) -> Array:
    """Return the probability of each pair; memory is bounded whatever their number."""
    found = np.empty(len(left), np.float64)
    for start in range(0, len(left), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        found[part] = weights.probabilities(compare(table, left[part], right[part]))
    return found


class Guard:
    """What must not be one person: records with different known owners, birth dates far apart, a steward's word.

    Parameters
    ----------
    owners : numpy.ndarray of int or None
        Per record a number that stands for its user id; `MISSING` where it has none.
    apart : sequence of (int, int)
        Pairs of records that somebody called different.
    """

    def __init__(
        self, table: Table, *, across: bool, owners: Array | None = None, apart: Sequence[tuple[int, int]] = ()
    ) -> None:
        self._table, self._across, self._owners = table, across, owners
        self._apart = np.unique(
            np.array([min(a, b) * table.size + max(a, b) for a, b in apart], np.int64)
            if apart
            else np.empty(0, np.int64)
        )
        self._dates = [column for column in table.columns.values() if column.comparison == "date"]
        self._days = [
            np.array(
                [np.nan if (day := read_day(value)) is None else day for value in column.values.tolist()] + [np.nan]
            )
            for column in self._dates
        ]
        self._digits = [
            np.array([list(value.ljust(8)[:8]) for value in column.values.tolist()] or np.empty((0, 8)), "U1")
            for column in self._dates
        ]

    def __call__(self, left: Array, right: Array) -> Array:
        """Return which of the pairs must not be one."""
        barred = np.zeros(len(left), bool)
        if self._across:
            barred |= self._table.groups[left] == self._table.groups[right]
        if self._owners is not None:
            a, b = self._owners[left], self._owners[right]
            barred |= (a != MISSING) & (b != MISSING) & (a != b)
        if len(self._apart):
            pairs = np.minimum(left, right) * self._table.size + np.maximum(left, right)
            barred |= np.isin(pairs, self._apart)
        for column, days, digits in zip(self._dates, self._days, self._digits, strict=True):
            a, b = column.codes[left], column.codes[right]
            with np.errstate(invalid="ignore"):
                far = np.nonzero(np.abs(days[a] - days[b]) > FAR_DAYS)[0]
            if len(far):
                differ = (digits[a[far]] != digits[b[far]]).sum(axis=1) >= FAR_DIGITS
                barred[far] |= differ & ~self._share_telling(left[far], right[far])
        return barred

    def _share_telling(self, left: Array, right: Array) -> Array:
        found = np.zeros(len(left), bool)
        for column in self._table.columns.values():
            if column.comparison in ("email", "exact"):
                a, b = column.codes[left], column.codes[right]
                found |= (a != MISSING) & (a == b) & (np.append(column.rarity, 0.0)[a] >= TELLING)
        return found


def find_and_score(model: TrainedModel, table: Table) -> tuple[Candidates, Array]:
    """Return the candidates of a table and their probabilities."""
    candidates = find_candidates(table, model.rules, across=model.across)
    return candidates, score_pairs(model.weights, table, candidates.left, candidates.right)


def run_model(
    model: TrainedModel,
    table: Table,
    *,
    guard: Guard | None = None,
    must: Sequence[tuple[int, int]] = (),
    find: Find = find_and_score,
) -> Scored:
    """Match all records of a table.

    Parameters
    ----------
    find : callable
        What finds and scores the candidates: this machine, or a cluster (`spark.find_on_spark`).
    """
    return match_table(
        table.size,
        find=lambda: find(model, table),
        score=lambda left, right: score_pairs(model.weights, table, left, right),
        forbidden=guard or Guard(table, across=model.across),
        must=must,
        threshold=model.threshold,
    )


def match_table(
    size: int,
    *,
    find: Callable[[], tuple[Candidates, Array]],
    score: Score,
    forbidden: Forbidden,
    must: Sequence[tuple[int, int]],
    threshold: float,
) -> Scored:
    """Match records by what finds candidates and what scores pairs; the parameters are those of `cluster`."""
    at = {"began": time.perf_counter()}
    candidates, probability = find()
    at["scored"] = time.perf_counter()
    clusters = cluster(
        size,
        candidates.left,
        candidates.right,
        probability,
        score=score,
        forbidden=forbidden,
        must=must,
        threshold=threshold,
    )
    at["clustered"] = time.perf_counter()
    steps = list(at.items())
    seconds = {name: moment - before for (_, before), (name, moment) in itertools.pairwise(steps)}
    return Scored(candidates, probability, clusters, seconds)


def compare_found(here: Scored, candidates: Candidates, probability: Array) -> dict[str, Any]:
    """Return how many pairs a cluster found, how many of them one machine found too, and how far scores differ."""
    size = int(max(here.candidates.right.max(initial=0), candidates.right.max(initial=0))) + 1
    ours = here.candidates.left.astype(np.int64) * size + here.candidates.right
    theirs = candidates.left.astype(np.int64) * size + candidates.right
    _, one, other = np.intersect1d(ours, theirs, assume_unique=True, return_indices=True)
    return {
        "pairs": len(theirs),
        "same_pairs": len(one),
        "largest_difference": float(np.abs(here.probability[one] - probability[other]).max(initial=0.0)),
    }
