"""Measuring quality: a job that looks at what has been accepted since the last time, in steps, off the hot path.

The id of an event is that of its message, and ids are given under the lock that orders batches: what is committed has
no gaps behind it. So a range of ids is a complete piece of what came in. It is read by the index of each partition,
without any lock, and counted in Python, by the same functions that find the messages behind a number.

What the job costs is bounded: of a long backlog it looks at every second, third … message, and counts it so often.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from cdp.core.copying import int_array
from cdp.core.models import Job
from cdp.core.services.jobs import enqueue
from ingestion.models import Message, Outcome, QualityCount, QualityState
from ingestion.quality.counting import Counts, Key, Rules, Tally
from ingestion.queries.events import PAYLOAD_TYPES, looked_at
from ingestion.queries.field_rules import Held, read_rules
from ingestion.queries.known_values import find_known
from ingestion.queries.quality import HOURS_KEPT, hour_of
from ingestion.services.comparing import compare_sources
from ingestion.services.known_values import learn_values
from ingestion.treatment.treatment import FILTERED

JOB = "ingestion.measure_quality"
# So many messages are looked at in a step: some tenths of a second.
STEP = 10_000
# So many at most in one run of the job; of more only every second, third … is.
MOST_LOOKED = 200_000
MOST_LEFT_OUT = 50
# How far back the first run goes.
MOST_BEHIND = 2_000_000
# For which kinds of identifiers come with a source's messages, so many of a step tell.
MOST_FED = 500

READ = """
SELECT id, source_id, type, name, occurred_at, received_at,
    CASE WHEN type = ANY(%(traits)s::int[]) THEN traits ELSE properties END ::text, profile_id, identifiers
FROM profiles_event
WHERE id > %(after)s AND id <= %(until)s AND (%(every)s = 1 OR id %% %(every)s = 0)
"""
WRITE = """
INSERT INTO ingestion_qualitycount AS q (source_id, hour, type, event, field, messages, texts, numbers, booleans, lists,
    maps, empty, checked, broken, referred, unknown, first_id, last_id, delays)
SELECT source_id, hour, type, event, field, messages, texts, numbers, booleans, lists, maps, empty, checked, broken,
    referred, unknown, first_id, last_id, delays
FROM jsonb_to_recordset(%s::jsonb) AS r(source_id int, hour timestamptz, type text, event text, field text,
    messages bigint, texts bigint, numbers bigint, booleans bigint, lists bigint, maps bigint, empty bigint,
    checked bigint, broken bigint, referred bigint, unknown bigint, first_id bigint, last_id bigint, delays bigint[])
ORDER BY 1, 2, 3, 4, 5
"""
ADD = """
ON CONFLICT (source_id, hour, type, event, field) DO UPDATE SET
    messages = q.messages + excluded.messages,
    texts = q.texts + excluded.texts,
    numbers = q.numbers + excluded.numbers,
    booleans = q.booleans + excluded.booleans,
    lists = q.lists + excluded.lists,
    maps = q.maps + excluded.maps,
    empty = q.empty + excluded.empty,
    checked = q.checked + excluded.checked,
    broken = q.broken + excluded.broken,
    referred = q.referred + excluded.referred,
    unknown = q.unknown + excluded.unknown,
    first_id = least(q.first_id, excluded.first_id),
    last_id = greatest(q.last_id, excluded.last_id),
    delays = CASE WHEN q.delays IS NULL THEN excluded.delays WHEN excluded.delays IS NULL THEN q.delays ELSE
        ARRAY(SELECT a + b FROM unnest(q.delays, excluded.delays) WITH ORDINALITY AS t(a, b, place) ORDER BY place) END
"""
# Rows of an hour are taken out and come back as part of their day.
FOLD = f"""
WITH gone AS (
    DELETE FROM ingestion_qualitycount
    WHERE hour < %(before)s AND hour <> date_trunc('day', hour, 'UTC') RETURNING *
), days AS (
    SELECT source_id, date_trunc('day', hour, 'UTC') AS hour, type, event, field, sum(messages)::bigint AS messages,
        sum(texts)::bigint AS texts, sum(numbers)::bigint AS numbers, sum(booleans)::bigint AS booleans,
        sum(lists)::bigint AS lists, sum(maps)::bigint AS maps, sum(empty)::bigint AS empty,
        sum(checked)::bigint AS checked, sum(broken)::bigint AS broken, sum(referred)::bigint AS referred,
        sum(unknown)::bigint AS unknown, min(first_id) AS first_id, max(last_id) AS last_id,
        array_agg(delays) FILTER (WHERE delays IS NOT NULL) AS several
    FROM gone GROUP BY 1, 2, 3, 4, 5
)
INSERT INTO ingestion_qualitycount AS q (source_id, hour, type, event, field, messages, texts, numbers, booleans, lists,
    maps, empty, checked, broken, referred, unknown, first_id, last_id, delays)
SELECT source_id, hour, type, event, field, messages, texts, numbers, booleans, lists, maps, empty, checked, broken,
    referred, unknown, first_id, last_id,
    CASE WHEN several IS NOT NULL THEN ARRAY(
        SELECT sum(several[one][place])::bigint
        FROM generate_subscripts(several, 2) AS place, generate_subscripts(several, 1) AS one
        GROUP BY place ORDER BY place) END
FROM days ORDER BY 1, 2, 3, 4, 5
{ADD}
"""
# What a filter left out was meant to be: no fault of the source.
LEFT_OUT = """
SELECT source_id, date_trunc('hour', received_at, 'UTC'), count(*) FROM ingestion_message
WHERE id > %s AND id <= %s AND outcome = %s AND reason = %s GROUP BY 1, 2
"""
FEED = """
INSERT INTO ingestion_fedidentifier AS f (source_id, type, last_seen_at)
SELECT t.source_id, y.key, max(t.at)
FROM unnest(%s::int[], %s::bigint[], %s::timestamptz[]) AS t(source_id, identifier_id, at)
JOIN profiles_identifier i ON i.id = t.identifier_id
JOIN profiles_identifiertype y ON y.id = i.type_id
GROUP BY 1, 2 ORDER BY 1, 2
ON CONFLICT (source_id, type) DO UPDATE SET last_seen_at = greatest(f.last_seen_at, excluded.last_seen_at)
"""


def start_measuring(*, now: datetime) -> Job | None:
    """Enqueue a run over what came since the last one, unless one is under way or nothing came.

    Returns
    -------
    Job or None
        None: there is nothing to start.
    """
    newest = Message.objects.order_by("-id").values_list("id", flat=True).first() or 0
    with transaction.atomic():
        # Two at once meet at this row; the second then sees the job of the first.
        QualityState.objects.get_or_create(
            pk=1, defaults={"after_id": max(0, newest - MOST_BEHIND), "measured_at": now}
        )
        state = QualityState.objects.select_for_update().get(pk=1)
        unfinished = Job.objects.filter(kind=JOB, status__in=[Job.Status.QUEUED, Job.Status.RUNNING])
        if newest <= state.after_id or unfinished.exists():
            return None
        every = min(MOST_LEFT_OUT, -(-(newest - state.after_id) // MOST_LOOKED))
        return enqueue(kind=JOB, arguments={"until": newest, "every": every}, now=now)


def step_measuring(job: Job) -> bool:
    """Measure the next messages; True once the run is through. The job's transaction holds no lock of processing."""
    until, every = job.arguments["until"], job.arguments["every"]
    state = QualityState.objects.select_for_update().get(pk=1)
    if state.after_id < until:
        upto = min(until, state.after_id + STEP * every)
        measure_messages(after_id=state.after_id, until_id=upto, every=every)
        state.after_id = upto
    state.measured_at = timezone.now()
    state.save()
    return state.after_id >= until


def measure_messages(*, after_id: int, until_id: int, every: int = 1) -> int:
    """Count the accepted messages of a range of ids; return how many were looked at.

    Parameters
    ----------
    after_id, until_id : int
        From the one after the first, up to and including the second.
    every : int
        Of so many messages one is looked at, and counts as so many.
    """
    held = read_rules()
    with connection.cursor() as cursor:
        learn_values(cursor, held, after_id=after_id, until_id=until_id)
        cursor.execute(READ, {"after": after_id, "until": until_id, "every": every, "traits": int_array(PAYLOAD_TYPES)})
        rows = sorted(cursor.fetchall())
        looked = [looked_at(row[:7]) for row in rows]
        tally = Tally(_by_event(held), find_known(cursor, held, looked))
        for one in looked:
            tally.add(one)
        _write(cursor, tally.rows(), every)
        _write_filtered(cursor, after_id, until_id)
        compare_sources(cursor, [(one, row[7]) for one, row in zip(looked, rows, strict=True)])
        _note_identifiers(cursor, rows)
    return len(looked)


def keep_quality(now: datetime) -> None:
    """Fold the hours of past days, and delete what is older than `CDP_CHANGE_DAYS`."""
    oldest = now - timedelta(days=settings.CDP_CHANGE_DAYS)
    with connection.cursor() as cursor:
        cursor.execute(FOLD, {"before": hour_of(now - HOURS_KEPT)})
        cursor.execute("DELETE FROM ingestion_qualityagreement WHERE hour < %s", [oldest])
    QualityCount.objects.filter(hour__lt=oldest).delete()


def _by_event(held: Iterable[Held]) -> Rules:
    found: dict[tuple[int, str, str], list[Any]] = {}
    for one in held:
        found.setdefault((one.source_id, one.rule.type, one.rule.event), []).append(one.rule)
    return found


def _write(cursor: Any, counts: dict[Key, Counts], every: int) -> None:
    rows = [row for key, one in counts.items() for row in _rows(key, one, every)]
    if rows:
        cursor.execute(WRITE + ADD, [orjson.dumps(rows).decode()])


NAMES = ("texts", "numbers", "booleans", "lists", "maps", "empty", "checked", "broken", "referred", "unknown")


def _rows(key: Key, counts: Counts, every: int) -> Iterable[dict[str, Any]]:
    source_id, hour, kind, event = key
    place = {"source_id": source_id, "hour": hour, "type": kind, "event": event}
    yield {
        **place,
        "field": "",
        "messages": counts.messages * every,
        **dict.fromkeys(NAMES, 0),
        "first_id": counts.first_id,
        "last_id": counts.last_id,
        "delays": [count * every for count in counts.delays],
    }
    for name, cell in counts.fields.items():
        numbers = {one: count * every for one, count in zip(NAMES, cell, strict=True)}
        yield {**place, "field": name, "messages": 0, **numbers}


def _write_filtered(cursor: Any, after_id: int, until_id: int) -> None:
    cursor.execute(LEFT_OUT, [after_id, until_id, Outcome.REJECTED.value, FILTERED])
    rows = [
        {
            "source_id": source_id,
            "hour": hour,
            "type": FILTERED,
            "event": "",
            "field": "",
            "messages": count,
            **dict.fromkeys(NAMES, 0),
        }
        for source_id, hour, count in cursor.fetchall()
    ]
    if rows:
        cursor.execute(WRITE + ADD, [orjson.dumps(rows).decode()])


def _note_identifiers(cursor: Any, rows: Sequence[Any]) -> None:
    some = rows[:: max(1, len(rows) // MOST_FED)]
    fed = [(row[1], identifier, row[5]) for row in some for identifier in row[8]]
    if fed:
        columns = list(zip(*fed, strict=True))
        cursor.execute(FEED, [int_array(columns[0]), int_array(columns[1]), list(columns[2])])
