"""The inventory of sources: whose they are, what for, when each was heard last, and what it feeds."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from ingestion.models import Source
from ingestion.queries.quality import read_scores

RECENT_DAYS = 30
# Top-level members of traits only: what lies below is part of their values.
SEEN = """
SELECT source_id, max(last_seen_at) FILTER (WHERE property = ''),
    count(*) FILTER (WHERE property = ''), count(*) FILTER (WHERE property <> ''),
    coalesce(array_agg(DISTINCT property) FILTER (WHERE type = 'identify' AND property !~ '[.]|^$|[[]'), '{}'),
    coalesce(array_agg(DISTINCT CASE WHEN type = 'track' THEN event ELSE type END) FILTER (WHERE property = ''), '{}')
FROM ingestion_discovered GROUP BY source_id
"""
FED = "SELECT source_id, array_agg(type ORDER BY type) FROM ingestion_fedidentifier GROUP BY source_id"
COUNTED = """
SELECT source_id, max(hour), coalesce(sum(count) FILTER (WHERE hour >= %s), 0)::bigint
FROM ingestion_outcomecount WHERE source_id IS NOT NULL GROUP BY source_id
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One source with what is known about it.

    Attributes
    ----------
    last_seen_at : datetime or None
        When its last message came; where only the hour is known, its beginning. None: never.
    is_overdue : bool
        It is switched on, a message is expected at least so often, and none came for longer.
    messages : int
        Received in the last 30 days, copies and faulty ones included.
    events, fields : int
        How many different ones were seen to come.
    event_names : list of str
        The events; of other messages the type.
    traits : list of str
        Names of the traits that its identify calls give to profiles.
    identifiers : list of str
        Kinds of identifiers that its messages come with.
    score : float or None
        Quality of the last 7 days, 0 to 100; None: nothing was measured.
    """

    source: Source
    last_seen_at: datetime | None
    is_overdue: bool
    messages: int
    events: int
    fields: int
    event_names: list[str]
    traits: list[str]
    identifiers: list[str]
    score: float | None


def list_inventory(*, now: datetime) -> list[Entry]:
    """Return every source, by key (thirteen statements)."""
    sources = list(Source.objects.order_by("key"))
    scores = read_scores(sources=sources, now=now)
    with connection.cursor() as cursor:
        cursor.execute(SEEN)
        seen: dict[int, tuple[Any, ...]] = {row[0]: row[1:] for row in cursor.fetchall()}
        cursor.execute(COUNTED, [now - timedelta(days=RECENT_DAYS)])
        counted: dict[int, tuple[datetime, int]] = {row[0]: (row[1], row[2]) for row in cursor.fetchall()}
        cursor.execute(FED)
        fed: dict[int, list[str]] = dict(cursor.fetchall())
    return [
        _entry(
            source,
            seen.get(source.pk),
            counted.get(source.pk),
            identifiers=fed.get(source.pk, []),
            score=scores[source.pk],
            now=now,
        )
        for source in sources
    ]


def _entry(
    source: Source,
    seen: tuple[Any, ...] | None,
    counted: tuple[datetime, int] | None,
    *,
    identifiers: list[str],
    score: float | None,
    now: datetime,
) -> Entry:
    last, events, fields, traits, names = seen or (None, 0, 0, [], [])
    hour, messages = counted or (None, 0)
    known = [moment for moment in (last, hour) if moment is not None]
    last_seen_at = max(known) if known else None
    return Entry(
        source=source,
        last_seen_at=last_seen_at,
        is_overdue=_is_overdue(source, last, hour, now),
        messages=messages,
        events=events,
        fields=fields,
        event_names=sorted(names),
        traits=sorted(name for name in traits if name != "*"),
        identifiers=identifiers,
        score=score,
    )


def _is_overdue(source: Source, last: datetime | None, hour: datetime | None, now: datetime) -> bool:
    """Tell whether a message should have come. Of an hour that is known only as such, its end counts."""
    if source.expected_every_minutes is None or not source.enabled:
        return False
    ends = [source.created_at]
    if last is not None:
        ends.append(last)
    if hour is not None and (last is None or hour > last):
        ends.append(hour + timedelta(hours=1))
    return max(ends) + timedelta(minutes=source.expected_every_minutes) < now
