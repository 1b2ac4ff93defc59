"""The state of ingestion in numbers: what came, what became of it, what still waits."""

from datetime import datetime
from typing import Any

from django.db import connection

from cdp.core.registries import work_steps
from ingestion.models import Outcome
from ingestion.queries.sources import read_source_keys

# One statement sees one moment: an item is either still in the inbox or already counted, never both or neither.
READ = """
SELECT 'pending', source_id, NULL, sum(items), min(received_at) FROM ingestion_inbox
WHERE received_at >= %(since)s AND received_at < %(until)s GROUP BY source_id
UNION ALL
SELECT 'outcome', source_id, outcome, sum(count), NULL FROM ingestion_outcomecount
WHERE hour >= date_trunc('hour', %(since)s::timestamptz) AND hour < %(until)s GROUP BY source_id, outcome
UNION ALL
SELECT 'waiting', NULL, NULL, coalesce(sum(items), 0), min(received_at) FROM ingestion_inbox
"""
LABELS = [Outcome(outcome).label for outcome in Outcome]


def read_status(*, since: datetime | None, until: datetime | None, now: datetime) -> dict[str, Any]:
    """Return the counts in the shape of the contract.

    Parameters
    ----------
    since, until : datetime or None
        Only what was received from `since` (rounded down to the hour) and before `until`; outcomes are counted by the
        hour of receipt. What waits is everything that waits.
    now : datetime
        UTC.

    Returns
    -------
    dict
        Per source `received` is the sum of the rest, always: it counts items, not requests.
    """
    with connection.cursor() as cursor:
        cursor.execute(READ, {"since": since or "-infinity", "until": until or "infinity"})
        rows = cursor.fetchall()
    keys = read_source_keys()
    per_source = {source_id: {"pending": 0} | dict.fromkeys(LABELS, 0) for source_id in keys}
    unattributed = 0
    inbox_pending = 0
    oldest: datetime | None = None
    for kind, source_id, outcome, count, first_at in rows:
        if kind == "waiting":
            inbox_pending, oldest = int(count), first_at
        elif source_id is None:
            unattributed += int(count)
        elif source_id in per_source:
            label = "pending" if kind == "pending" else Outcome(outcome).label
            per_source[source_id][label] += int(count)
    waiting = {step.name: step.count_pending() for step in work_steps if step.name != "inbox"}
    return {
        "inbox_pending": inbox_pending,
        "changes_pending": waiting.get("changes", 0),
        "overdue_checks": waiting.get("checks", 0),
        "oldest_pending_seconds": max(0.0, (now - oldest).total_seconds()) if oldest is not None else 0,
        "unattributed": unattributed,
        "per_source": [
            {"source": keys[source_id], "received": sum(counts.values()), **counts}
            for source_id, counts in sorted(per_source.items(), key=lambda pair: keys[pair[0]])
        ],
    }
