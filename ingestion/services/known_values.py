"""The values that references point at: learned from the events that name them, kept as keyed digests."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import orjson
from django.db import connection

from cdp.core.copying import bytea_array, int_array
from cdp.core.models import Job
from cdp.core.services.jobs import enqueue
from ingestion.models import Message, QualityRule
from ingestion.quality.rules import references_of
from ingestion.queries.events import NUMBERS, PAYLOAD_TYPES
from ingestion.queries.field_rules import Held, held_of
from ingestion.queries.known_values import value_digest

LEARN_JOB = "ingestion.learn_values"
# A step of looking back, and how far back a new rule looks: in messages of all sources.
STEP = 100_000
MOST_BEHIND = 2_000_000

# A field is a member of the properties, or of the traits of an identify or group.
NAMED = """
SELECT DISTINCT (CASE WHEN type = ANY(%(traits)s::int[]) THEN traits ELSE properties END -> %(field)s)::text
FROM profiles_event
WHERE id > %(after)s AND id <= %(until)s AND source_id = %(source)s AND type = %(type)s
    AND (%(event)s = '' OR name = %(event)s)
    AND CASE WHEN type = ANY(%(traits)s::int[]) THEN traits ELSE properties END ? %(field)s
"""
INSERT = """
INSERT INTO ingestion_knownvalue (rule_id, digest) SELECT %s, unnest(%s::bytea[]) ORDER BY 2 ON CONFLICT DO NOTHING
"""


def learn_values(cursor: Any, held: Iterable[Held], *, after_id: int, until_id: int) -> None:
    """Learn what the events of a range of ids name where references point: two statements for each such rule."""
    for one in held:
        if one.reference is None:
            continue
        place = {"source": one.reference.source_id, "event": one.reference.event, "field": one.reference.field}
        ids = {"after": after_id, "until": until_id}
        kinds = {"type": NUMBERS[one.reference.type], "traits": int_array(PAYLOAD_TYPES)}
        cursor.execute(NAMED, {**place, **ids, **kinds})
        texts = {text for (value,) in cursor.fetchall() for text in references_of(orjson.loads(value))}
        if texts:
            cursor.execute(INSERT, [one.row_id, bytea_array(map(value_digest, texts))])


def start_learning(*, rule: QualityRule, now: datetime) -> None:
    """Let a job look back for what a new rule's reference points at; until it is done the rule judges no reference."""
    newest = Message.objects.order_by("-id").values_list("id", flat=True).first() or 0
    enqueue(kind=LEARN_JOB, arguments={"rule": rule.pk, "from": newest}, now=now)


def step_learning(job: Job) -> bool:
    """Look back by one step; True at the end, or when the rule is gone."""
    rule = QualityRule.objects.filter(pk=job.arguments["rule"]).first()
    if rule is None:
        return True
    last = job.progress.get("down_to", job.arguments["from"])
    first = max(0, last - STEP)
    with connection.cursor() as cursor:
        learn_values(cursor, [held_of(rule)], after_id=first, until_id=last)
    job.progress["down_to"] = first
    if first > max(0, job.arguments["from"] - MOST_BEHIND):
        return False
    QualityRule.objects.filter(pk=rule.pk).update(is_learned=True)
    return True
