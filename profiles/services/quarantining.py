"""Values that too many share: counted as they are asserted, quarantined past the limit, lifted by hand.

A quarantined value joins nothing: later messages leave it out, and a job takes apart what it had joined. It keeps a
profile of its own, to which messages go that name nothing else. The caller holds the lock `IDENTITY`.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cdp.core.copying import int_array
from cdp.core.models import Job
from cdp.core.services.jobs import enqueue
from profiles.identity.graph import Graph

RELEASE_JOB = "profiles.release-quarantined"
# A ledger row names at most this many of the profiles that a value joined.
MOST_NAMED = 20

COUNT = """
SELECT t.value_id, count(*) FROM (
    SELECT e.a AS value_id, e.b AS by_id FROM profiles_edge e
    WHERE e.a = ANY(%(values)s::bigint[]) AND e.state IN (1, 4)
    UNION
    SELECT e.b, e.a FROM profiles_edge e WHERE e.b = ANY(%(values)s::bigint[]) AND e.state IN (1, 4)
) AS t JOIN profiles_identifier i ON i.id = t.by_id AND i.type_id = ANY(%(types)s::smallint[])
GROUP BY t.value_id
"""
# One that a person lifted stays out of quarantine.
QUARANTINE = """
WITH entered AS (
    INSERT INTO profiles_quarantinedvalue (identifier_id, type_id, asserted_by, sharing_limit, quarantined_at, actor)
    SELECT t.i, v.type_id, t.n, t.l, %(now)s, %(actor)s
    FROM unnest(%(ids)s::bigint[], %(counts)s::int[], %(limits)s::int[]) AS t(i, n, l)
    JOIN profiles_identifier v ON v.id = t.i AND NOT v.quarantined
    ON CONFLICT (identifier_id) DO NOTHING RETURNING identifier_id
)
UPDATE profiles_identifier v SET quarantined = true FROM entered WHERE v.id = entered.identifier_id
RETURNING v.id
"""
NOTE = """
INSERT INTO profiles_refusal (profile_uuids, identifier_type, identifier_value, reason, rule, message_id, source_id,
    created_at)
SELECT array(
        SELECT DISTINCT p.uuid FROM (
            SELECT i.profile_id UNION ALL
            (SELECT o.profile_id FROM profiles_edge e JOIN profiles_identifier o
                ON o.id = CASE WHEN e.a = i.id THEN e.b ELSE e.a END
            WHERE (e.a = i.id OR e.b = i.id) AND e.state IN (1, 4) LIMIT %(most)s)
        ) AS of JOIN profiles_profile p ON p.id = of.profile_id),
    y.key, i.value, y.key || CASE q.reason WHEN 'blocked' THEN ' is blocked' ELSE ' sharing limit' END, %(rule)s, '', 0,
    %(now)s
FROM profiles_identifier i JOIN profiles_identifiertype y ON y.id = i.type_id
JOIN profiles_quarantinedvalue q ON q.identifier_id = i.id
WHERE i.id = ANY(%(ids)s::bigint[])
"""


def limit_sharing(cursor: Any, graph: Graph, written: set[tuple[int, int]], *, now: datetime) -> None:
    """Quarantine the values that this batch took past their sharing limit.

    Parameters
    ----------
    written : set of (int, int)
        Edges that the batch added: only a value with a new one is counted anew.
    """
    past: dict[int, tuple[int, int]] = {}
    known: dict[int, int] = {}
    for value, by in graph.asserted.items():
        limit = value.type.sharing_limit
        assert limit is not None
        if value in graph.past_sharing:
            past[value.id] = (graph.past_sharing[value], limit)
        elif (
            not value.is_new
            and not value.may_be_shared
            and any((min(value.id, one), max(value.id, one)) in written for one in by)
        ):
            known[value.id] = limit
    if known:
        types = [rule.id for rule in graph.rules.values() if rule.asserts]
        counts = count_asserters(cursor, known, types)
        past.update((value, (count, known[value])) for value, count in counts.items() if count > known[value])
    if past:
        quarantine_values(cursor, past, now=now)


def count_asserters(cursor: Any, values: Mapping[int, Any], types: list[int]) -> dict[int, int]:
    """Return by how many identifiers of some types each value was asserted, refused ones included."""
    cursor.execute(COUNT, {"values": int_array(values), "types": int_array(types)})
    return dict(cursor.fetchall())


def quarantine_values(
    cursor: Any, values: Mapping[int, tuple[int, int]], *, now: datetime, actor: str = "system"
) -> list[int]:
    """Put values into quarantine, and let a job take apart what they joined.

    Parameters
    ----------
    values : mapping
        Identifier id → (asserted by how many, the limit).

    Returns
    -------
    list of int
        Those that were not there already, and were not lifted before.
    """
    cursor.execute(
        QUARANTINE,
        {
            "ids": int_array(values),
            "counts": int_array(count for count, _ in values.values()),
            "limits": int_array(limit for _, limit in values.values()),
            "now": now,
            "actor": actor,
        },
    )
    entered = [row[0] for row in cursor.fetchall()]
    if entered:
        cursor.execute(NOTE, {"ids": int_array(entered), "most": MOST_NAMED, "now": now, "rule": "quarantine"})
        if not Job.objects.filter(kind=RELEASE_JOB, status=Job.Status.QUEUED).exists():
            enqueue(kind=RELEASE_JOB, arguments={}, now=now)
    return entered
