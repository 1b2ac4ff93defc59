"""The review queue goes on with what the last run found, as its pairs are decided. Imported by the worker only."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from django.db import connection

from profiles.matching.features import compare
from profiles.matching.model import read_model
from profiles.matching_models import MatchCandidate, MatchModel, MatchRun
from profiles.services.matching_components import load_decided
from profiles.services.matching_frequencies import load_as_all
from profiles.services.matching_gone import forget_gone
from profiles.services.matching_models import spec_of
from profiles.services.matching_queue import explain, queue_pairs
from profiles.services.matching_versions import read_version

FEW_OPEN = 500
AT_ONCE = 1_000

NEXT = """
SELECT id, "left", "right", probability FROM profiles_matchedpair
WHERE run_id = %(run)s AND probability >= %(least)s AND probability <= %(from)s
    AND (probability < %(from)s OR id > %(after)s)
ORDER BY probability DESC, id LIMIT %(most)s
"""


def refill_queue(*, model: MatchModel, now: datetime) -> int:
    """Put the next likely pairs of the last run into the queue where few are open; return how many were looked at.

    They are compared anew: people change, and a newer version may be in force.
    """
    done = MatchRun.objects.filter(model=model, engine=MatchRun.Engine.DEDUPE, status=MatchRun.Status.DONE)
    run = done.order_by("-id").first()
    left = run.figures.get("queue_left") if run is not None else None
    open_pairs = MatchCandidate.objects.filter(model=model, state=MatchCandidate.State.OPEN)
    if run is None or left is None or open_pairs.count() >= FEW_OPEN:
        return 0
    trained = read_model(read_version(model=model, version=model.live_version or 0))
    wanted: dict[str, Any] = {**left, "run": run.pk, "least": trained.threshold / 2, "most": AT_ONCE}
    with connection.cursor() as cursor:
        cursor.execute(NEXT, wanted)
        rows = cursor.fetchall()
    spec = spec_of(model)
    ids = sorted({one for _, *pair, _ in rows for one in pair})
    records, table = load_as_all(model, spec, ids)
    decided = load_decided(model, spec, records, table)
    pairs = np.array(_pairs_now(rows, decided.rows), np.int64).reshape(-1, 2)
    matrix = compare(table, pairs[:, 0], pairs[:, 1])
    likely = trained.weights.probabilities(matrix)
    kept = np.nonzero((likely >= trained.threshold / 2) & ~decided.guard(pairs[:, 0], pairs[:, 1]))[0]
    found = [(int(pairs[one, 0]), int(pairs[one, 1]), float(likely[one])) for one in kept]
    queue_pairs(model, records, found, explain(trained, matrix[kept]), now)
    forget_gone(model=model, ids=ids)
    goes_on = {"from": rows[-1][3], "after": rows[-1][0]} if len(rows) == AT_ONCE else None
    run.figures = {**run.figures, "queue_left": goes_on}
    MatchRun.objects.filter(pk=run.pk).update(figures=run.figures)
    return len(rows)


def _pairs_now(rows: Sequence[tuple[int, int, int, float]], places: Mapping[int, int]) -> list[tuple[int, int]]:
    """Return the places of both profiles of each pair, each pair once.

    Profiles were joined since the run: a pair may be one profile by now, and several may be of the same two.
    """
    found = [tuple(sorted((places[a], places[b]))) for _, a, b, _ in rows if a != b and a in places and b in places]
    return list(dict.fromkeys((one, other) for one, other in found))
