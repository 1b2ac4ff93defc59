"""A look at what came since the last one, kept by the hour: whether sources flow steadily, and how many of each event.

Off the hot path: it reads counts that processing and discovery keep anyway.
"""

from datetime import datetime, timedelta
from typing import Any

from ingestion.alerting.baseline import hour_of

# After a longer pause nobody can tell in which hour the messages came.
LONGEST_PAUSE = timedelta(minutes=30)

LOOK_AT_SOURCES = """
WITH counted AS (
    SELECT source_id, sum(n)::bigint AS n FROM (
        SELECT source_id, count AS n FROM ingestion_outcomecount WHERE hour = %(hour)s AND source_id IS NOT NULL
        UNION ALL
        SELECT source_id, items FROM ingestion_inbox WHERE received_at >= %(hour)s
    ) every GROUP BY source_id
)
INSERT INTO ingestion_sourcehour AS h (source_id, hour, looks, news, seen)
SELECT s.id, %(hour)s, 1, (coalesce(c.n, 0) > 0)::int, coalesce(c.n, 0)
FROM ingestion_source s LEFT JOIN counted c ON c.source_id = s.id
ON CONFLICT (source_id, hour) DO UPDATE SET
    looks = h.looks + 1, news = h.news + (excluded.seen > h.seen)::int, seen = greatest(h.seen, excluded.seen)
"""
# What was counted before the first look at an event came in no hour that anybody knows.
LOOK_AT_EVENTS = """
WITH grown AS (
    SELECT d.id, d.source_id, d.type, d.event, d.volume, CASE
        WHEN m.volume IS NOT NULL THEN greatest(d.volume - m.volume, 0)
        WHEN d.first_seen_at >= %(before)s THEN d.volume ELSE 0 END AS more
    FROM ingestion_discovered d LEFT JOIN ingestion_eventmeter m ON m.discovered_id = d.id
    WHERE d.property = '' AND d.volume IS DISTINCT FROM m.volume
), metered AS (
    INSERT INTO ingestion_eventmeter (discovered_id, volume) SELECT id, volume FROM grown
    ON CONFLICT (discovered_id) DO UPDATE SET volume = excluded.volume
)
INSERT INTO ingestion_eventhour AS h (source_id, type, event, hour, volume)
SELECT source_id, type, event, %(hour)s, more FROM grown WHERE more > 0 AND %(known)s
ON CONFLICT (source_id, type, event, hour) DO UPDATE SET volume = h.volume + excluded.volume
"""


def look(cursor: Any, *, before: datetime | None, now: datetime) -> None:
    """Note what came since the look at `before` (None: there was none), in the caller's transaction."""
    cursor.execute(LOOK_AT_SOURCES, {"hour": hour_of(now)})
    known = before is not None and timedelta(0) <= now - before <= LONGEST_PAUSE
    began = before if before is not None and known else now
    middle = hour_of(began + (now - began) / 2)
    cursor.execute(LOOK_AT_EVENTS, {"before": began, "hour": middle, "known": known})
