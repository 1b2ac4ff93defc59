"""Learning with dedupe: which pairs to ask about, the classifier's weights, and predicates for blocking.

dedupe is the learner; its traps are kept away: no process pool (its own or that of the grid search), no index or
"exists" predicates (their cover takes gigabytes), a small sample of records, and one thread for linear algebra: many
threads on small matrices cost twenty times as much as one.
"""

import logging
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import dedupe
import numpy as np
from dedupe import predicates as dedupe_predicates
from dedupe import variables
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_limits

from profiles.matching.features import Feature, features_of, names_of
from profiles.matching.pool import Pool
from profiles.matching.table import Array, Table
from profiles.matching.weights import Weights

# It would tell of every set of predicates that it thinks of.
logging.getLogger("dedupe").setLevel(logging.WARNING)

STRENGTHS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
SAMPLED_RECORDS = 400
FIRST_QUESTIONS = 24
# Of ten questions so many are proposed by dedupe's own disagreement of classifier and blocking.
OF_DEDUPE = 3
LEAST_OF_EACH = 2
RECALL = 0.95


@contextmanager
def one_thread() -> Iterator[None]:
    """Let linear algebra use one thread."""
    with threadpool_limits(limits=1):
        yield


def variables_of(table: Table) -> list[Any]:
    """Return dedupe's variables: one per feature, in the order of the matrix."""
    made = []
    first: set[str] = set()
    for feature in features_of(table):
        if feature.column in first:
            made.append(_variable(feature, has_missing=False))
            continue
        first.add(feature.column)
        made.append(
            _blocking_variable(feature) if not feature.column.startswith("~") else _variable(feature, has_missing=True)
        )
    return made


def _variable(feature: Feature, *, has_missing: bool) -> Any:
    made = variables.Custom(feature.column, comparator=feature.one, name=feature.label, has_missing=has_missing)
    made.predicates = []
    return made


def _blocking_variable(feature: Feature) -> Any:
    made = variables.ShortString(feature.column, name=feature.label, has_missing=True)
    made.comparator = feature.one
    made.predicates = [
        one
        for one in made.predicates
        if isinstance(one, dedupe_predicates.SimplePredicate)
        and not hasattr(one, "index")
        and not isinstance(one, dedupe_predicates.ExistsPredicate)
    ]
    return made


def make_deduper(table: Table, *, matches: int, distinct: int) -> dedupe.Dedupe:
    """Return a dedupe that learns these features, its grid search within this process."""
    made = dedupe.Dedupe(variables_of(table), num_cores=0)
    made.classifier = make_classifier(matches, distinct)
    return made


def make_classifier(matches: int, distinct: int) -> Any:
    """Return the classifier: logistic regression, its strength chosen by folds where there are labels enough."""
    folds = min(5, matches, distinct)
    if folds < LEAST_OF_EACH:
        return LogisticRegression(C=1.0, max_iter=500)
    grid = {"C": list(STRENGTHS)}
    return GridSearchCV(LogisticRegression(max_iter=500), grid, scoring="neg_log_loss", n_jobs=1, cv=folds)


def weights_of(classifier: Any, table: Table) -> Weights:
    """Return the weights of a fitted classifier."""
    fitted = getattr(classifier, "best_estimator_", classifier)
    return Weights(tuple(names_of(table)), tuple(map(float, fitted.coef_[0])), float(fitted.intercept_[0]))


def first_look(table: Table, matrix: Array) -> Array:
    """Return how likely pairs look before anybody said anything: agreement counts by how rare it is."""
    place = {name: number for number, name in enumerate(names_of(table))}
    found = np.zeros(len(matrix))
    for name in table.columns:
        there = matrix[:, place[f"{name}:there"]]
        alike = matrix[:, place.get(f"{name}:edits", place[f"{name}:same"])]
        found += there * (3.0 * matrix[:, place[f"{name}:rare"]] + alike - 0.6)
    return found


class Learner:
    """Chooses questions out of a pool, and learns from the answers. Holds dedupe's state; made anew from the answers.

    Parameters
    ----------
    pool : Pool
    seed : int
        Of every choice made here and in dedupe.
    """

    def __init__(self, pool: Pool, *, seed: int) -> None:
        self.pool = pool
        self.rng = np.random.default_rng(seed)
        self.answers: dict[int, bool] = {}
        self.asked: set[int] = set()
        self._look = first_look(pool.table, pool.matrix)
        self._place = dict(
            zip(zip(pool.left.tolist(), pool.right.tolist(), strict=True), range(len(pool.left)), strict=True)
        )
        self._deduper: Any = None
        self._rows: dict[tuple[int, int], int] = {}
        self._told: set[int] = set()
        self._held: tuple[list[tuple[int, bool]], Array, Array] | None = None
        random.seed(seed)

    def place_of(self, left: int, right: int) -> int | None:
        """Return the place of a pair of records in the pool."""
        return self._place.get((min(left, right), max(left, right)))

    def add(self, pairs: Sequence[tuple[int, int]]) -> None:
        """Take further pairs of records into the pool: those that people gave answers for unasked."""
        fresh = sorted({(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]} - self._place.keys())
        if fresh:
            start = len(self.pool.left)
            self.pool.extend(np.array([a for a, _ in fresh]), np.array([b for _, b in fresh]))
            self._place.update({pair: start + number for number, pair in enumerate(fresh)})
            self._look = np.append(self._look, first_look(self.pool.table, self.pool.matrix[start:]))

    def answer(self, given: Mapping[int, bool | None]) -> None:
        """Take answers in by place in the pool; None for unsure."""
        for place, answer in given.items():
            self.asked.add(place)
            if answer is not None:
                self.answers[place] = answer

    def ask(self, number: int) -> list[int]:
        """Return the places of pairs to ask about next, the most informative first."""
        chosen: list[int] = []
        if len(self.asked) < FIRST_QUESTIONS or len(set(self.answers.values())) < LEAST_OF_EACH:
            chosen = self._first(number)
        else:
            with one_thread():
                chosen = self._uncertain(number)
        self.asked.update(chosen)
        return chosen

    def _free(self) -> Array:
        free = np.ones(len(self.pool.left), bool)
        free[list(self.asked)] = False
        return np.nonzero(free)[0]

    def _first(self, number: int) -> list[int]:
        """Ask all over the range of likeness, until both answers are known."""
        free = self._free()
        ranked = free[np.argsort(-self._look[free], kind="stable")]
        top = ranked[: max(len(ranked) // 2, 1)]
        if not len(top):
            return []
        places = np.unique((np.linspace(0, 1, number) ** 2 * (len(top) - 1)).astype(int))
        return [int(top[place]) for place in places]

    def _uncertain(self, number: int) -> list[int]:
        proposed = self._ask_dedupe(number * OF_DEDUPE // 10)
        free = self._free()
        free = free[~np.isin(free, proposed)]
        if not len(free):
            return proposed
        known = np.array(list(self.answers))
        truth = np.array([self.answers[place] for place in known.tolist()])
        classifier = make_classifier(int(truth.sum()), int((~truth).sum()))
        classifier.fit(self.pool.matrix[known], truth)
        likely = classifier.predict_proba(self.pool.matrix[free])[:, 1]
        left = number - len(proposed)
        near = free[np.argsort(np.abs(likely - 0.5), kind="stable")[: 4 * number]]
        chosen = [*proposed, *self._draw(near, left - left // 3)]
        between = free[(likely > 0.02) & (likely < 0.98)]
        chosen += self._draw(np.setdiff1d(between, chosen), number - len(chosen) - 1)
        chosen += self._draw(np.setdiff1d(free[likely >= 0.5], chosen), 1)
        return chosen + self._draw(np.setdiff1d(near, chosen), number - len(chosen))

    def _draw(self, places: Array, number: int) -> list[int]:
        number = min(number, len(places))
        return [int(one) for one in self.rng.choice(places, number, replace=False)] if number > 0 else []

    def _ask_dedupe(self, number: int) -> list[int]:
        """Ask dedupe's learner, over the records of a sample of likely pairs."""
        deduper = self._tell_dedupe()
        chosen: list[int] = []
        for _ in range(number * 4):
            if len(chosen) >= number or not len(deduper.active_learner.candidates):
                break
            ((one, other),) = deduper.uncertain_pairs()
            place = self.place_of(one["~row"], other["~row"])
            if place is not None and place not in self.asked and place not in chosen:
                chosen.append(place)
        return chosen

    def _record(self, row: int) -> dict[str, Any]:
        return {**self.pool.table.record(row), "~row": row}

    def _examples(self, places: Sequence[int]) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {"match": [], "distinct": []}
        for place in places:
            pair = (self._record(int(self.pool.left[place])), self._record(int(self.pool.right[place])))
            found["match" if self.answers[place] else "distinct"].append(pair)
        return found

    def _tell_dedupe(self) -> Any:
        """Return dedupe with every answer so far; made once, from a sample that holds all of them."""
        fresh = [place for place in self.answers if place not in self._told]
        if self._deduper is None:
            np.random.seed(int(self.rng.integers(2**31)))
            ranked = np.argsort(-self._look, kind="stable")[: SAMPLED_RECORDS * 4]
            drawn = self._draw(ranked, SAMPLED_RECORDS // 2)
            rows = {
                int(row) for place in [*drawn, *self.answers] for row in (self.pool.left[place], self.pool.right[place])
            }
            self._deduper = make_deduper(self.pool.table, matches=0, distinct=0)
            self._deduper.prepare_training({number: self._record(row) for number, row in enumerate(sorted(rows))})
            self._deduper.active_learner.rng = np.random.default_rng(int(self.rng.integers(2**31)))
        if fresh:
            self._deduper.mark_pairs(self._examples(fresh))
            self._told.update(fresh)
        return self._deduper

    def train(self) -> tuple[Weights, list[Any], Any]:
        """Train dedupe on all answers; return its weights, the predicates that it learned, and itself."""
        with one_thread():
            deduper = self._tell_dedupe()
            truth = list(self.answers.values())
            deduper.classifier = make_classifier(sum(truth), len(truth) - sum(truth))
            deduper.train(recall=RECALL, index_predicates=False)
            return weights_of(deduper.classifier, self.pool.table), list(deduper.predicates), deduper

    def held_back(self, *, folds: int = 5) -> tuple[Array, Array]:
        """Return for each answer the probability by a classifier that did not learn from it, and the answer.

        Notes
        -----
        Folds are drawn once for a set of answers: whatever is measured on them is measured on the same.
        """
        if self._held is not None and self._held[0] == list(self.answers.items()):
            return self._held[1:]
        known = np.array(list(self.answers))
        truth = np.array([self.answers[place] for place in known.tolist()], bool)
        found = np.zeros(len(known))
        part = self.rng.permutation(len(known)) % folds
        with one_thread():
            for fold in range(folds):
                kept = part != fold
                if not kept.any() or kept.all() or len(set(truth[kept].tolist())) < LEAST_OF_EACH:
                    continue
                classifier = make_classifier(int(truth[kept].sum()), int((~truth[kept]).sum()))
                classifier.fit(self.pool.matrix[known[kept]], truth[kept])
                found[~kept] = classifier.predict_proba(self.pool.matrix[known[~kept]])[:, 1]
        self._held = list(self.answers.items()), found, truth
        return found, truth
