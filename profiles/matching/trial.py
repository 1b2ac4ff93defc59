"""A whole matching of a file whose truth is known: the product asks, the truth answers only what was asked."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from profiles.matching.evaluating import Quality, judge_clusters
from profiles.matching.learner import Learner
from profiles.matching.model import Guard, Scored, TrainedModel, run_model
from profiles.matching.pool import make_pool
from profiles.matching.spec import ModelSpec
from profiles.matching.table import Table, make_table
from profiles.matching.training import train_model

AT_ONCE = 10


@dataclass(slots=True)
class Trial:
    """What a trial gave: a cluster per record, in the order of the file; no model where nothing was learned."""

    clusters: list[int]
    quality: Quality
    model: TrainedModel | None
    asked: int
    candidates: int
    training_seconds: float
    matching_seconds: float
    steps: Mapping[str, float]
    table: Table
    scored: Scored


def try_model(
    *, spec: ModelSpec, rows: Sequence[dict[str, str]], truth: Sequence[str], labels: int, seed: int
) -> Trial:
    """Learn from as many answers as are given, then match all rows.

    Parameters
    ----------
    rows : sequence of dict
        Without the truth. For linking, the column ``source`` says where each one is from.
    truth : sequence of str
        Per row; read for a pair only once the learner has asked about it.
    labels : int
        How many questions are answered.
    """
    began = time.perf_counter()
    across = spec.mode == "link"
    table = _table_of(spec, rows)
    learner = Learner(make_pool(table, across=across, rng=np.random.default_rng(seed)), seed=seed)
    asked = 0
    while asked < labels:
        places = learner.ask(min(AT_ONCE, labels - asked))
        if not places:
            break
        pairs = [(place, int(learner.pool.left[place]), int(learner.pool.right[place])) for place in places]
        learner.answer({place: truth[left] == truth[right] for place, left, right in pairs})
        asked += len(places)
    model = train_model(learner, fields=spec.fields, mode=spec.mode, precision=spec.auto_link_precision)
    # Its pairs with their features are some hundred megabytes.
    del learner
    trained = time.perf_counter()
    return _end(table, run_model(model, table), truth, model=model, asked=asked, began=began, trained=trained)


def try_splink(*, spec: ModelSpec, rows: Sequence[dict[str, str]], truth: Sequence[str], seed: int) -> Trial:
    """Match all rows by Splink, without a label.

    Parameters
    ----------
    truth : sequence of str
        Per row; read only to judge what was found.

    Raises
    ------
    SplinkFailure
        If there is too little to learn from.
    """
    # Its packages may be missing, where those of matching are there.
    from profiles.matching.splink import fitted_splink, rules_without_labels, run_splink  # noqa: PLC0415

    began = time.perf_counter()
    across = spec.mode == "link"
    table = _table_of(spec, rows)
    with fitted_splink(table, across=across, seed=seed) as made:
        rules = rules_without_labels(made, table, across=across, seed=seed)
        trained = time.perf_counter()
        scored = run_splink(made, table, rules, across=across, forbidden=Guard(table, across=across))
    return _end(table, scored, truth, model=None, asked=0, began=began, trained=trained)


def _table_of(spec: ModelSpec, rows: Sequence[dict[str, str]]) -> Table:
    groups = None
    if spec.mode == "link":
        numbers: dict[str, int] = {}
        groups = np.array([numbers.setdefault(row["source"], len(numbers)) for row in rows], np.int16)
    columns = [[row.get(field.trait) for row in rows] for field in spec.fields]
    return make_table(fields=spec.fields, columns=columns, size=len(rows), groups=groups)


def _end(  # noqa: PLR0913 - what was found, and when
    table: Table,
    scored: Scored,
    truth: Sequence[str],
    *,
    model: TrainedModel | None,
    asked: int,
    began: float,
    trained: float,
) -> Trial:
    clusters = [int(one) for one in scored.clusters]
    ended = time.perf_counter()
    quality = judge_clusters(
        {str(row): one for row, one in enumerate(clusters)}, {str(row): one for row, one in enumerate(truth)}
    )
    return Trial(
        clusters=clusters,
        quality=quality,
        model=model,
        asked=asked,
        candidates=len(scored.candidates),
        training_seconds=trained - began,
        matching_seconds=ended - trained,
        steps=scored.seconds,
        table=table,
        scored=scored,
    )
