"""What the watch judges: hourly counts, when something came last, and the rules, mutes and alerts that there are."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any

from django.db import connection

from cdp.core.copying import int_array, text_array
from ingestion.alert_models import AlertRule
from ingestion.alerting.baseline import HOUR, WEEKS, History

PAST = timedelta(weeks=WEEKS, hours=2)
COUNTS = """
SELECT source_id, hour, sum(n)::bigint, sum(refused)::bigint FROM (
    SELECT source_id, hour, count AS n, CASE WHEN outcome IN (3, 4) THEN count ELSE 0 END AS refused
    FROM ingestion_outcomecount WHERE hour >= %(since)s AND source_id IS NOT NULL
    UNION ALL
    SELECT source_id, date_trunc('hour', received_at), items, 0 FROM ingestion_inbox
) every GROUP BY source_id, hour HAVING sum(n) > 0
"""
LOOKS = "SELECT source_id, hour, looks, news FROM ingestion_sourcehour WHERE hour >= %s"
LAST = """
SELECT source_id, max(at) FROM (
    SELECT source_id, max(last_seen_at) AS at FROM ingestion_discovered WHERE property = '' GROUP BY source_id
    UNION ALL
    SELECT source_id, max(received_at) FROM ingestion_inbox GROUP BY source_id
) every GROUP BY source_id
"""
# Events that are silent for an hour at least, and of which enough came before to be missed.
SILENT_EVENTS = """
SELECT d.source_id, d.type, d.event, d.last_seen_at FROM ingestion_discovered d
WHERE d.property = '' AND d.last_seen_at < %(before)s AND d.last_seen_at >= %(since)s AND d.event <> '*'
  AND (SELECT sum(h.volume) FROM ingestion_eventhour h
       WHERE (h.source_id, h.type, h.event) = (d.source_id, d.type, d.event)) >= %(least)s
"""
EVENT_COUNTS = """
SELECT h.source_id, h.type, h.event, h.hour, h.volume FROM ingestion_eventhour h
JOIN unnest(%s::int[], %s::text[], %s::text[]) AS t(source_id, type, event)
    ON (h.source_id, h.type, h.event) = (t.source_id, t.type, t.event)
"""
FEWEST_MISSED = 20

EventKey = tuple[int, str, str]


@dataclass(frozen=True, slots=True)
class Hour:
    """Messages of an hour, and how many of them were rejected or put into quarantine."""

    received: int
    refused: int


@dataclass(frozen=True, slots=True)
class Flow:
    """What is known of a source's messages: counts by hour, the first of them, the last message, looks by hour."""

    hours: Mapping[datetime, Hour]
    first: datetime | None
    last_at: datetime | None
    looks: Mapping[datetime, tuple[int, int]]

    def history(self, zone: tzinfo) -> History:
        """Return the past of what was received."""
        return History({hour: one.received for hour, one in self.hours.items()}, self.first, zone, self.looks)


NO_FLOW = Flow({}, None, None, {})


def read_flows(*, now: datetime) -> dict[int, Flow]:
    """Return the flow of each source over the last weeks (three statements).

    What waits in the inbox counts as received: a processor that is behind is no silence.
    """
    since = now - PAST
    hours: dict[int, dict[datetime, Hour]] = defaultdict(dict)
    looks: dict[int, dict[datetime, tuple[int, int]]] = defaultdict(dict)
    with connection.cursor() as cursor:
        cursor.execute(COUNTS, {"since": since})
        for source_id, hour, received, refused in cursor:
            hours[source_id][hour] = Hour(received, refused)
        cursor.execute(LOOKS, [since])
        for source_id, hour, some, news in cursor:
            looks[source_id][hour] = (some, news)
        cursor.execute(LAST)
        last: dict[int, datetime] = dict(cursor.fetchall())
    flows = {}
    for source_id in {*hours, *last}:
        last_at = last.get(source_id)
        newest = max(hours[source_id], default=None)
        if newest is not None and (last_at is None or last_at < newest):
            # Rejected messages may be in no other count: of them the hour is known, and silence is not made up.
            last_at = min(newest + HOUR, now)
        # What came before the weeks that are looked at is not looked for: it would take reading all counts there are.
        first = min(hours[source_id], default=None)
        flows[source_id] = Flow(hours[source_id], first, last_at, looks[source_id])
    return flows


def read_silent_events(*, before: datetime, zone: tzinfo) -> dict[EventKey, tuple[History, datetime]]:
    """Return the events of which nothing came since `before`, with their past and when the last one came."""
    place: dict[str, Any] = {"before": before, "since": before - PAST, "least": FEWEST_MISSED}
    counts: dict[EventKey, dict[datetime, float]] = defaultdict(dict)
    with connection.cursor() as cursor:
        cursor.execute(SILENT_EVENTS, place)
        last: dict[EventKey, datetime] = {(row[0], row[1], row[2]): row[3] for row in cursor.fetchall()}
        if last:
            keys = list(last)
            types, events = (text_array([key[1] for key in keys]), text_array([key[2] for key in keys]))
            cursor.execute(EVENT_COUNTS, [int_array(key[0] for key in keys), types, events])
            for source_id, kind, event, hour, volume in cursor:
                counts[source_id, kind, event][hour] = volume
    return {key: (History(counts[key], min(counts[key], default=None), zone), moment) for key, moment in last.items()}


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules that somebody made; what has none is on, with normal sensitivity, for all channels."""

    made: Mapping[tuple[int | None, str], AlertRule]

    def find(self, source_id: int | None, kind: str) -> AlertRule:
        """Return the rule of a source, else that of all sources, else what holds without any."""
        for key in ((source_id, kind), (None, kind)):
            if key in self.made:
                return self.made[key]
        return AlertRule(source_id=source_id, kind=kind)


def read_rules(rows: Iterable[AlertRule] | None = None) -> Rules:
    """Return the rules."""
    return Rules({(row.source_id, row.kind): row for row in (AlertRule.objects.all() if rows is None else rows)})
