"""The review queue: pairs that somebody should look at, the likeliest first, each with what its fields say."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import orjson
from django.db import connection, transaction

from cdp.core import locks
from cdp.core.copying import int_array, text_array
from profiles.matching.model import Guard, Scored, TrainedModel
from profiles.matching.table import Array, Table
from profiles.matching_models import MatchCandidate, MatchModel
from profiles.queries.matching_records import Records

# Open at once: the next ones come in as these are decided (`matching_refilling`).
MOST_REVIEWED = 5_000
REVIEWED_AT_ONCE = 1_000

# An open pair that is found again is as likely as it is now, and what was let go is open again: they were taken apart,
# or may be matched again. What was decided, or answered, stays.
REVIEW = """
INSERT INTO profiles_matchcandidate AS c (model_id, "left", "right", left_node, right_node, probability, contributions,
    state, found_at, decided_by)
SELECT %(model)s, t."left", t."right", t.left_node, t.right_node, t.probability, t.contributions::jsonb,
    'open', %(now)s, ''
FROM unnest(%(left)s::bigint[], %(right)s::bigint[], %(left_node)s::bigint[], %(right_node)s::bigint[],
    %(probability)s::float8[], %(contributions)s::text[])
    AS t("left", "right", left_node, right_node, probability, contributions)
WHERE NOT EXISTS (SELECT FROM profiles_matchlabel l WHERE l.model_id = %(model)s AND l.left_node = t.left_node
    AND l.right_node = t.right_node AND l.answer IN ('same', 'different'))
ON CONFLICT (model_id, left_node, right_node) DO UPDATE
SET probability = excluded.probability, contributions = excluded.contributions, "left" = excluded."left",
    "right" = excluded."right", state = 'open', decided_at = NULL,
    found_at = CASE c.state WHEN 'open' THEN c.found_at ELSE excluded.found_at END
WHERE c.state IN ('open', 'gone')
"""


Told = Sequence[Mapping[str, float]]


def best_undecided(
    scored: Scored, table: Table, guard: Guard, must: Sequence[tuple[int, int]], *, least: float
) -> Array:
    """Return the places of the likeliest candidates that somebody should look at.

    Left out is what people decided, and what must not be one whatever they say: it would take the places of others.
    """
    likely = np.nonzero(scored.probability >= least)[0]
    left, right = scored.candidates.left[likely], scored.candidates.right[likely]
    decided = np.array([min(pair) * table.size + max(pair) for pair in must], np.int64)
    pairs = np.minimum(left, right).astype(np.int64) * table.size + np.maximum(left, right)
    likely = likely[~np.isin(pairs, decided) & ~guard(left, right)]
    return likely[np.argsort(-scored.probability[likely], kind="stable")][:MOST_REVIEWED]


def what_is_left(scored: Scored, best: Array) -> dict[str, Any] | None:
    """Return where the likely pairs go on that found no place in the queue (`matching_refilling`); None if all did."""
    if len(best) < MOST_REVIEWED:
        return None
    return {"from": round(float(scored.probability[best[-1]]), 6), "after": 0}


def fill_queue(*, model: MatchModel, records: Records, scored: Scored, best: Array, told: Told, now: datetime) -> None:
    """Have these candidates and no others open in the review queue; decided ones stay decided.

    Parameters
    ----------
    best : numpy.ndarray
        Places of candidates.
    told : sequence of mapping
        What each field of each of them contributes, in bits.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        locks.take(cursor, locks.IDENTITY)
        MatchCandidate.objects.filter(model=model, state=MatchCandidate.State.OPEN).delete()
    queue_pairs(model, records, best_pairs(scored, best), told, now)


def best_pairs(scored: Scored, places: Any) -> list[tuple[int, int, float]]:
    """Return rows and probability of candidates."""
    return [
        (int(scored.candidates.left[one]), int(scored.candidates.right[one]), float(scored.probability[one]))
        for one in places
    ]


def explain(trained: TrainedModel, matrix: Array) -> Told:
    """Return what each field says for and against pairs by the features of each, in bits."""
    bias = trained.weights.bias / float(np.log(2))
    return [{"bias": bias, **trained.weights.contributions(row)} for row in matrix]


def queue_pairs(
    model: MatchModel, records: Records, pairs: Sequence[tuple[int, int, float]], told: Told, now: datetime
) -> None:
    """Add pairs to the review queue, or renew what is open of them."""
    for start in range(0, len(pairs), REVIEWED_AT_ONCE):
        part = slice(start, start + REVIEWED_AT_ONCE)
        with transaction.atomic(), connection.cursor() as cursor:
            # Before any row of the queue, as everybody who merges or decides does: they would wait for each other.
            locks.take(cursor, locks.IDENTITY)
            cursor.execute(REVIEW, queued(model, records, pairs[part], told[part], now))


def queued(
    model: MatchModel, records: Records, pairs: Sequence[tuple[int, int, float]], told: Told, now: datetime
) -> dict[str, Any]:
    """Return the parameters of `REVIEW` for pairs.

    Parameters
    ----------
    pairs : sequence of (int, int, float)
        Rows of both records, and the probability.
    told : sequence of mapping
        What each field of each of them contributes, in bits.
    """
    ids, nodes = records.ids, records.nodes
    bits = [{name: round(value, 3) for name, value in one.items()} for one in told]
    return {
        "model": model.pk,
        "now": now,
        # The smaller id stands on the left.
        "left": int_array(min(ids[a], ids[b]) for a, b, _ in pairs),
        "right": int_array(max(ids[a], ids[b]) for a, b, _ in pairs),
        "left_node": int_array(min(nodes[a], nodes[b]) for a, b, _ in pairs),
        "right_node": int_array(max(nodes[a], nodes[b]) for a, b, _ in pairs),
        "probability": [probability for _, _, probability in pairs],
        "contributions": text_array(orjson.dumps(one).decode() for one in bits),
    }
