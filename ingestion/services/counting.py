"""Counts of outcomes that change afterwards: taken from one outcome and given to another, so that the sum stays."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from ingestion.models import Outcome, OutcomeCount

Move = tuple[int, datetime, Outcome, Outcome | None]
"""Source id, time of receipt, outcome before, outcome after (None: pending again)."""


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
