"""From answers to a trained model: weights, blocking rules that cover what is likely one, the auto-link zone."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from profiles.matching.blocking import Rule
from profiles.matching.choosing import choose_rules
from profiles.matching.evaluating import auto_link_threshold, measure_labels
from profiles.matching.fields import Field
from profiles.matching.learned import atoms_of, read_predicate
from profiles.matching.learner import Learner
from profiles.matching.model import TrainedModel, library_versions
from profiles.matching.pool import Pool
from profiles.matching.table import Array, Table
from profiles.matching.weights import Weights

# How many pairs a run may look at, per record: more where there are few records, since that costs little then.
LEAST_PAIRS, PER_RECORD_OF_FEW, FEW_RECORDS, PER_RECORD, MANY_RECORDS, PER_RECORD_OF_MANY = (
    50_000,
    30,
    60_000,
    5,
    300_000,
    2.5,
)
MOST_RULES = 40
LIKELY = 0.3
# Keys per record that a predicate of dedupe may give: some give one for each six letters in a row.
MOST_KEYS = 4
SAMPLED_VALUES = 2_000


def pair_budget(records: int) -> int:
    """Return how many candidates a run over so many records may have."""
    per_record: float = PER_RECORD_OF_FEW if records <= FEW_RECORDS else PER_RECORD
    if records > MANY_RECORDS:
        per_record = PER_RECORD_OF_MANY
    return max(LEAST_PAIRS, int(per_record * records))


def train_model(
    learner: Learner, *, fields: Sequence[Field], mode: str, precision: float, records: int | None = None
) -> TrainedModel:
    """Train on the answers that the learner has.

    Parameters
    ----------
    precision : float
        What the lower bound of precision must reach in the auto-link zone.
    records : int or None
        How many records runs will have, where the pool is of fewer.

    Raises
    ------
    ValueError
        Without answers of both kinds.
    """
    if len(set(learner.answers.values())) < 2:
        message = "There must be answers of both kinds, same and different, before a model can be trained."
        raise ValueError(message)
    weights, predicates, _ = learner.train()
    held, truth = learner.held_back()
    asked = np.array(list(learner.answers), np.int64)
    left, right = learner.pool.left[asked], learner.pool.right[asked]
    auto = auto_link_threshold(held.tolist(), truth.tolist(), precision=precision)
    rules = _choose(learner, weights, predicates, budget=pair_budget(records or learner.pool.table.size))
    return TrainedModel(
        fields=tuple(fields),
        mode=mode,
        weights=weights,
        rules=tuple(rules),
        predicates=tuple(str(one) for one in predicates),
        auto_link=auto,
        measured=measure_labels(left, right, held, truth),
        libraries=library_versions(),
    )


def _choose(learner: Learner, weights: Weights, predicates: Sequence[Any], *, budget: int) -> list[Rule]:
    """Choose by what the weights hold likely, and by what somebody confirmed."""
    likely = weights.probabilities(learner.pool.matrix)
    for place, answer in learner.answers.items():
        likely[place] = 1.0 if answer else 0.0
    learned = [Rule(atoms_of(one)) for one in predicates]
    return choose_rules_for(learner.pool, likely, budget=budget, learned=learned)


def choose_rules_for(pool: Pool, likely: Array, *, budget: int, learned: Sequence[Rule] = ()) -> list[Rule]:
    """Choose blocking rules by what they cover of the pool's likely matches.

    Parameters
    ----------
    likely : numpy.ndarray of float
        The probability of each pair of the pool.
    budget : int
        How many candidates a run may have.
    learned : sequence of Rule
        What dedupe learned comes first, as far as it gives few pairs and few keys: it knows no cap, and would take all.
    """
    matches = np.nonzero(likely >= LIKELY)[0]
    slim = [rule for rule in learned if _keys_each(pool.table, rule) <= MOST_KEYS]
    cheap = {look.rule: look.cost for look in pool.look(slim, budget=budget // 4)}
    costs = {**pool.costs, **cheap}
    covers = pool.covers([rule for rule, cost in costs.items() if cost <= budget], matches)
    of_learned = {rule: covers[rule] for rule in cheap}
    first = choose_rules(of_learned, likely[matches], costs, budget=budget // 4, each=pool.each)
    return choose_rules(covers, likely[matches], costs, budget=budget, each=pool.each, first=first)[:MOST_RULES]


def _keys_each(table: Table, rule: Rule) -> float:
    """Return how many keys a learned rule gives a record, by a sample of values: all of them could be millions."""
    found = 1.0
    for column, atom in rule.atoms:
        values, predicate = table.columns[column].values[:SAMPLED_VALUES].tolist(), read_predicate(atom)
        found *= sum(len(set(predicate(value))) for value in values) / max(len(values), 1)
    return found
