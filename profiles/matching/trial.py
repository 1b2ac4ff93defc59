"""A whole matching of a file whose truth is known: the product asks, the truth answers only what was asked."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from profiles.matching.evaluating import Quality, judge_clusters
from profiles.matching.learner import Learner
from profiles.matching.model import Scored, TrainedModel, run_model
from profiles.matching.pool import make_pool
from profiles.matching.spec import ModelSpec
from profiles.matching.table import Table, make_table
from profiles.matching.training import train_model

AT_ONCE = 10


@dataclass(slots=True)
class Trial:
    """What a trial gave: a cluster per record, in the order of the file."""

    clusters: list[int]
    quality: Quality
    model: TrainedModel
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
    groups = None
    if across:
        numbers: dict[str, int] = {}
        groups = np.array([numbers.setdefault(row["source"], len(numbers)) for row in rows], np.int16)
    columns = [[row.get(field.trait) for row in rows] for field in spec.fields]
    table = make_table(fields=spec.fields, columns=columns, size=len(rows), groups=groups)
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
    scored = run_model(model, table)
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
