"""Counts of outcomes that change afterwards: taken from one outcome and given to another, so that the sum stays."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from django.db import connection

from ingestion.models import Outcome, OutcomeCount

Move = tuple[int, datetime, Outcome, Outcome | None]
"""Source id, time of receipt, outcome before, outcome after (None: pending again)."""


COMPACT = """
WITH many AS (
    SELECT source_id, hour, outcome FROM ingestion_outcomecount WHERE hour < %(hour)s
    GROUP BY source_id, hour, outcome HAVING count(*) > 1
), gone AS (
    DELETE FROM ingestion_outcomecount c USING many m
    WHERE c.source_id IS NOT DISTINCT FROM m.source_id AND c.hour = m.hour AND c.outcome = m.outcome
    RETURNING c.source_id, c.hour, c.outcome, c.count
)
INSERT INTO ingestion_outcomecount (source_id, hour, outcome, count)
SELECT source_id, hour, outcome, sum(count) FROM gone GROUP BY source_id, hour, outcome HAVING sum(count) <> 0
"""


def count_moves(moves: Iterable[Move]) -> None:
    """Write what the moves change, as rows to be summed."""
    changes: Counter[tuple[int, datetime, int]] = Counter()
    for source_id, received_at, before, after in moves:
        hour = received_at.replace(minute=0, second=0, microsecond=0)
        changes[source_id, hour, int(before)] -= 1
        if after is not None:
            changes[source_id, hour, int(after)] += 1
    OutcomeCount.objects.bulk_create(
        OutcomeCount(source_id=source_id, hour=hour, outcome=outcome, count=count)
        for (source_id, hour, outcome), count in changes.items()
        if count
    )


def compact_counts(now: datetime) -> None:
    """Fold the rows of hours that have ended into one for each source and outcome; the sums stay.

    Two at once fold each row once: the second finds those of the first gone.
    """
    with connection.cursor() as cursor:
        cursor.execute(COMPACT, {"hour": now.replace(minute=0, second=0, microsecond=0)})
