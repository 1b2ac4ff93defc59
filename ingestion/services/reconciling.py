"""Reconciling two sources: a job goes through the profiles, some thousand a step, and keeps who and what disagrees."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from cdp.core.copying import copy_rows, escape
from cdp.core.errors import FieldError
from cdp.core.models import Job
from cdp.core.services import audit
from cdp.core.services.jobs import enqueue
from ingestion.alerting.agreement import ONLY_A, ONLY_B, STATES, compare_values
from ingestion.errors import InvalidReconciliation
from ingestion.queries.reconciliations import get_reconciliation
from ingestion.queries.sources import get_source
from ingestion.reconciliation_models import ReconciledPerson, ReconciledState, Reconciliation
from ingestion.treatment.shapes import safe_name
from profiles.models import Profile

JOB = "ingestion.reconcile"
STEP = 2_000
MOST_FIELDS = 200
# Of each field and way to disagree; the counts go on.
MOST_EXAMPLES = 1_000
MOST_PEOPLE = 1_000_000
# Each reads the events of two sources.
MOST_AT_ONCE = 3
Status = Reconciliation.Status
STORED = {state.label: state for state in ReconciledState}

CHUNK = """
SELECT count(*), max(id) FROM (
    SELECT id FROM profiles_profile WHERE id > %s AND id <= %s ORDER BY id LIMIT %s
) part
"""
# One pass over the events of the chunk's profiles. A source that stated null last has taken its value back.
COMPARE = """
WITH part AS MATERIALIZED (
    SELECT e.profile_id, e.source_id = %(a)s AS in_a, e.occurred_at, e.received_at, e.id,
        CASE WHEN jsonb_typeof(e.traits) = 'object' THEN e.traits END AS traits
    FROM profiles_event e
    WHERE e.profile_id > %(after)s AND e.profile_id <= %(upto)s AND e.source_id IN (%(a)s, %(b)s)
      AND e.occurred_at >= %(since)s AND e.occurred_at < %(until)s
), seen AS (
    SELECT profile_id, bool_or(in_a) AS in_a, bool_or(NOT in_a) AS in_b FROM (
        SELECT profile_id, in_a FROM part
        UNION ALL
        SELECT i.profile_id, i.source_id = %(a)s FROM profiles_identifier i
        WHERE i.profile_id > %(after)s AND i.profile_id <= %(upto)s AND i.source_id IN (%(a)s, %(b)s)
          AND i.first_seen_at >= %(since)s AND i.first_seen_at < %(until)s
    ) every GROUP BY profile_id
), present AS MATERIALIZED (
    SELECT s.* FROM seen s JOIN profiles_profile p ON p.id = s.profile_id
), said AS (
    SELECT DISTINCT ON (t.profile_id, t.in_a, f.key) t.profile_id, t.in_a, f.key AS field, f.value
    FROM part t JOIN present s ON s.profile_id = t.profile_id AND s.in_a AND s.in_b
    CROSS JOIN LATERAL jsonb_each(t.traits) f
    ORDER BY t.profile_id, t.in_a, f.key, t.occurred_at DESC, t.received_at DESC, t.id DESC
), stated AS (
    SELECT * FROM said WHERE value <> 'null'
), pairs AS MATERIALIZED (
    SELECT profile_id, field, a.value AS a, b.value AS b
    FROM (SELECT * FROM stated WHERE in_a) a FULL JOIN (SELECT * FROM stated WHERE NOT in_a) b USING (profile_id, field)
)
SELECT 'both', '', count(*), NULL::bigint[], NULL, NULL FROM present WHERE in_a AND in_b
UNION ALL
SELECT 'only_a', '', count(*), array_agg(profile_id ORDER BY profile_id), NULL, NULL FROM present WHERE NOT in_b
UNION ALL
SELECT 'only_b', '', count(*), array_agg(profile_id ORDER BY profile_id), NULL, NULL FROM present WHERE NOT in_a
UNION ALL
SELECT 'same', field, count(*), NULL, NULL, NULL FROM pairs WHERE a = b GROUP BY field
UNION ALL
SELECT CASE WHEN b IS NULL THEN 'only_a' ELSE 'only_b' END, field, count(*), array_agg(profile_id ORDER BY profile_id),
    NULL, NULL
FROM pairs WHERE a IS NULL OR b IS NULL GROUP BY 1, 2
UNION ALL
SELECT 'differs', field, 1, ARRAY[profile_id], a::text, b::text FROM pairs WHERE a <> b
"""
# Who was erased while the step ran must not come back with its result.
FORGET_GONE = """
DELETE FROM ingestion_reconciledperson r WHERE r.reconciliation_id = %s AND r.profile_id > %s AND r.profile_id <= %s
AND NOT EXISTS (SELECT FROM profiles_profile p WHERE p.id = r.profile_id)
AND NOT EXISTS (SELECT FROM profiles_absorbedid x WHERE x.dropped_id = r.profile_id)
"""
FORGET_ALL_GONE = """
DELETE FROM ingestion_reconciledperson r
WHERE NOT EXISTS (SELECT FROM profiles_profile p WHERE p.id = r.profile_id)
AND NOT EXISTS (SELECT FROM profiles_absorbedid x WHERE x.dropped_id = r.profile_id)
"""


def create_reconciliation(
    *, a: str, b: str, since: datetime | None, until: datetime | None, actor: str, now: datetime
) -> Reconciliation:
    """Begin to hold source `a` against source `b`; a worker does it.

    Parameters
    ----------
    a, b : str
        Keys of two sources.
    since, until : datetime or None
        Only what occurred from `since` on and before `until`; None: no bound.

    Raises
    ------
    InvalidReconciliation
        It is one source, the period is empty, or several run already.
    UnknownSource
        No source has one of the keys.
    """
    first, second = get_source(key=a), get_source(key=b)
    if first.pk == second.pk:
        raise _fault("b", "Choose two different sources: a source always agrees with itself.")
    if since is not None and until is not None and since >= until:
        raise _fault("until", "The period is empty: `until` must be after `since`.")
    if Reconciliation.objects.filter(status=Status.RUNNING).count() >= MOST_AT_ONCE:
        raise _fault("", f"{MOST_AT_ONCE} reconciliations run already. Wait for one of them, or cancel it.")
    last_id = Profile.objects.order_by("-id").values_list("id", flat=True).first() or 0
    with transaction.atomic():
        made = Reconciliation.objects.create(
            a=first,
            b=second,
            since=since,
            until=until,
            total=_about_how_many(),
            last_id=last_id,
            actor=actor,
            created_at=now,
        )
        detail = {"a": first.key, "b": second.key}
        audit.record(
            actor=actor, action="reconciliation.created", object=f"reconciliation:{made.pk}", detail=detail, now=now
        )
        enqueue(kind=JOB, arguments={"reconciliation": made.pk}, now=now)
    return made


def cancel_reconciliation(*, reconciliation_id: int, actor: str, now: datetime) -> Reconciliation:
    """Stop one that runs; what it has found until then stays. Repeating changes nothing."""
    get_reconciliation(reconciliation_id=reconciliation_id)
    with transaction.atomic():
        found = Reconciliation.objects.select_for_update().get(pk=reconciliation_id)
        if found.status == Status.RUNNING:
            found.status, found.finished_at = Status.CANCELLED, now
            found.save(update_fields=["status", "finished_at"])
            audit.record(
                actor=actor,
                action="reconciliation.cancelled",
                object=f"reconciliation:{found.pk}",
                detail={},
                now=now,
            )
    return get_reconciliation(reconciliation_id=reconciliation_id)


def step_reconciliation(job: Job) -> bool:
    """Compare the next profiles, in the transaction of the step; True once all are compared."""
    found = Reconciliation.objects.select_for_update().filter(pk=job.arguments["reconciliation"]).first()
    if found is None or found.status != Status.RUNNING:
        return True
    with connection.cursor() as cursor:
        cursor.execute(CHUNK, [found.after_id, found.last_id, STEP])
        count, upto = cursor.fetchone()
        if count:
            _compare(cursor, found, upto)
    found.done += count
    if not count:
        found.status, found.finished_at, found.total = Status.DONE, timezone.now(), found.done
    found.total = max(found.total, found.done)
    found.save()
    return not count


def keep_reconciliations(now: datetime) -> None:
    """Delete results as old as the history of profiles, and rows of people who are gone."""
    Reconciliation.objects.filter(created_at__lt=now - timedelta(days=settings.CDP_CHANGE_DAYS)).delete()
    with connection.cursor() as cursor:
        cursor.execute(FORGET_ALL_GONE)


def _fault(path: str, message: str) -> InvalidReconciliation:
    return InvalidReconciliation(
        message, errors=[FieldError(path=path, code=InvalidReconciliation.code, message=message)]
    )


def _about_how_many() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'profiles_profile'::regclass")
        found: int = cursor.fetchone()[0]
    return found


def _compare(cursor: Any, found: Reconciliation, upto: int) -> None:
    place = {
        "a": found.a_id,
        "b": found.b_id,
        "after": found.after_id,
        "upto": upto,
        "since": found.since or "-infinity",
        "until": found.until or "infinity",
    }
    cursor.execute(COMPARE, place)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    people: dict[tuple[str, str], list[int]] = defaultdict(list)
    for state, field, count, ids, a, b in cursor:
        if field and not _is_counted(field, found, counts):
            continue
        relation = compare_values(orjson.loads(a), orjson.loads(b)) if state == "differs" else state
        counts[field][relation] += count
        if ids and relation in STORED:
            people[field, relation] += ids
    kept = list(_find_room(found, people))
    whole = counts.pop("", Counter())
    found.both += whole["both"]
    found.only_a += whole[ONLY_A]
    found.only_b += whole[ONLY_B]
    for field, more in counts.items():
        before = found.fields.get(field, {})
        found.fields[field] = {state: before.get(state, 0) + more[state] for state in STATES}
    _write(cursor, found, kept)
    cursor.execute(FORGET_GONE, [found.pk, found.after_id, upto])
    found.after_id = upto


def _is_counted(field: str, found: Reconciliation, counts: dict[str, Counter[str]]) -> bool:
    """Tell whether a name is that of a field and there is room for it: what looks like a value is none."""
    if safe_name(field) != field:
        return False
    return field in found.fields or field in counts or len(found.fields) + len(counts) < MOST_FIELDS


def _find_room(found: Reconciliation, people: dict[tuple[str, str], list[int]]) -> Iterator[tuple[str, int, list[int]]]:
    """Yield field, state and the people for whom there is room, by what was counted before."""
    for (field, relation), ids in people.items():
        if field:
            room = MOST_EXAMPLES - found.fields.get(field, {}).get(relation, 0)
        else:
            room = MOST_PEOPLE - getattr(found, relation)
        if room > 0:
            yield field, int(STORED[relation]), sorted(ids)[:room]


def _write(cursor: Any, found: Reconciliation, kept: Iterable[tuple[str, int, list[int]]]) -> None:
    lines = [
        f"{found.pk}\t{escape(field)}\t{state}\t{profile_id}\n" for field, state, ids in kept for profile_id in ids
    ]
    copy_rows(cursor, ReconciledPerson._meta.db_table, "reconciliation_id, field, state, profile_id", lines)
