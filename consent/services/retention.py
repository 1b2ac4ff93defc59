"""Retention schedules: what is older than its time goes, each night, with a row that says how much.

References
----------
GDPR Art. 5(1)(e).
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from cdp.core.copying import int_array
from cdp.core.errors import FieldError, InvalidInput, NotFound
from cdp.core.locks import IDENTITY, take
from cdp.core.services.audit import record
from cdp.core.services.scrubbing import note_touched
from consent.retention_models import RetentionRule, RetentionRun
from consent.services.ledger import add_work
from profiles.services.orders import forget_order_messages
from profiles.services.sessions import recompute_sessions

Kind = RetentionRule.Kind
CHUNK = 5000
EVERY = timedelta(hours=20)

OLD_EVENTS = """
FROM profiles_event e WHERE e.name = %(name)s AND e.occurred_at < %(cutoff)s
"""
DELETE_EVENTS = f"""
DELETE FROM profiles_event WHERE (id, occurred_at) IN (SELECT e.id, e.occurred_at {OLD_EVENTS} LIMIT %(limit)s)
RETURNING id, profile_id
"""
# `trait_meta` holds [source, occurred, received] in epoch microseconds. A trait without a value is remembered as unset.
OLD_TRAITS = """
FROM profiles_profile p WHERE p.traits ? %(name)s
  AND (p.trait_meta -> %(name)s ->> 1)::bigint < extract(epoch FROM %(cutoff)s::timestamptz) * 1000000
"""
DROP_TRAITS = f"""
UPDATE profiles_profile SET traits = traits - %(name)s
WHERE id IN (SELECT p.id {OLD_TRAITS} ORDER BY p.id LIMIT %(limit)s) RETURNING id
"""
OLD_STATEMENTS = """
FROM profiles_event e WHERE e.traits ? %(name)s AND e.occurred_at < %(cutoff)s
"""
DROP_STATEMENTS = f"""
UPDATE profiles_event SET traits = traits - %(name)s
WHERE (id, occurred_at) IN (SELECT e.id, e.occurred_at {OLD_STATEMENTS} LIMIT %(limit)s) RETURNING id, profile_id
"""


class UnknownSchedule(NotFound):
    """There is no such retention schedule."""

    code = "retention.unknown"

    def __init__(self) -> None:
        super().__init__("There is no retention schedule of this kind and name.")


def save_rule(*, kind: str, name: str, fields: Mapping[str, Any], actor: str, now: datetime) -> RetentionRule:
    """Make a schedule, or change it; it is carried out in the next night.

    Raises
    ------
    InvalidInput
        Without a name.
    """
    if not name.strip():
        message = "Name the event or the trait."
        raise InvalidInput(message, errors=[FieldError("name", "required", message)])
    with transaction.atomic():
        row, made = RetentionRule.objects.update_or_create(
            kind=kind, name=name, defaults=dict(fields), create_defaults={**fields, "created_at": now}
        )
        record(
            actor=actor,
            action="retention.created" if made else "retention.changed",
            object=f"retention:{row.pk}",
            detail={"kind": kind, "keep_days": row.keep_days},
            now=now,
        )
    return row


def delete_rule(*, kind: str, name: str, actor: str, now: datetime) -> None:
    """End a schedule; its proofs stay.

    Raises
    ------
    UnknownSchedule
        If there is none.
    """
    with transaction.atomic():
        row = get_rule(kind=kind, name=name)
        record(actor=actor, action="retention.deleted", object=f"retention:{row.pk}", now=now)
        row.delete()


def get_rule(*, kind: str, name: str) -> RetentionRule:
    """Return a schedule.

    Raises
    ------
    UnknownSchedule
        If there is none.
    """
    row = RetentionRule.objects.filter(kind=kind, name=name).first()
    if row is None:
        raise UnknownSchedule
    return row


def try_rule(*, rule: RetentionRule, now: datetime) -> RetentionRun:
    """Count what a schedule would delete now, write that down, and delete nothing."""
    cutoff = now - timedelta(days=rule.keep_days)
    params: dict[str, Any] = {"name": rule.name, "cutoff": cutoff}
    with connection.cursor() as cursor:
        if rule.kind == Kind.EVENT:
            cursor.execute(f"SELECT count(*), count(DISTINCT e.profile_id) {OLD_EVENTS}", params)
            rows, profiles = cursor.fetchone()
        else:
            cursor.execute(f"SELECT count(*) {OLD_TRAITS}", params)
            profiles = cursor.fetchone()[0]
            cursor.execute(f"SELECT count(*) {OLD_STATEMENTS}", params)
            rows = profiles + cursor.fetchone()[0]
    return _prove(rule, cutoff=cutoff, counts=(rows, profiles), dry_run=True, times=(now, timezone.now()))


def run_rule(*, rule: RetentionRule, clock: Callable[[], datetime]) -> RetentionRun:
    """Delete what a schedule no longer lets be kept, in small steps, and write down how much that was."""
    started_at = clock()
    cutoff = started_at - timedelta(days=rule.keep_days)
    statements = [DELETE_EVENTS] if rule.kind == Kind.EVENT else [DROP_STATEMENTS, DROP_TRAITS]
    rows, people = 0, set()
    for statement in statements:
        while True:
            done = _step(rule, statement, cutoff=cutoff, now=clock())
            rows += len(done)
            people |= {row[-1] for row in done}
            if len(done) < CHUNK:
                break
    return _prove(rule, cutoff=cutoff, counts=(rows, len(people)), dry_run=False, times=(started_at, clock()))


def run_nightly(now: datetime) -> None:
    """Carry out every schedule whose last run is a night old (called each hour)."""
    for rule in RetentionRule.objects.filter(enabled=True).order_by("id"):
        last = (
            RetentionRun.objects.filter(kind=rule.kind, name=rule.name, dry_run=False).order_by("-started_at").first()
        )
        if last is None or last.started_at <= now - EVERY:
            run_rule(rule=rule, clock=timezone.now)


def _step(rule: RetentionRule, statement: str, *, cutoff: datetime, now: datetime) -> list[tuple[int, ...]]:
    with transaction.atomic(), connection.cursor() as cursor:
        take(cursor, IDENTITY)
        cursor.execute(statement, {"name": rule.name, "cutoff": cutoff, "limit": CHUNK})
        done: list[tuple[int, ...]] = cursor.fetchall()
        if not done:
            return done
        if statement is DELETE_EVENTS:
            forget_order_messages(cursor, [row[0] for row in done], now=now)
            recompute_sessions(cursor, sorted({row[-1] for row in done}))
            token = f"event:{rule.name}"
        else:
            token = f"trait:{rule.name}"
        people = {row[-1] for row in done}
        cursor.execute("SELECT id FROM profiles_profile WHERE id = ANY(%s::bigint[])", [int_array(people)])
        add_work(names={row[0]: [token] for row in cursor.fetchall()}, now=now, message_ids={})
        note_touched(now=now)
        return done


def _prove(
    rule: RetentionRule,
    *,
    cutoff: datetime,
    counts: tuple[int, int],
    dry_run: bool,
    times: tuple[datetime, datetime],
) -> RetentionRun:
    rows, profiles = counts
    started_at, now = times
    with transaction.atomic():
        run = RetentionRun.objects.create(
            kind=rule.kind,
            name=rule.name,
            keep_days=rule.keep_days,
            dry_run=dry_run,
            cutoff=cutoff,
            rows=rows,
            profiles=profiles,
            started_at=started_at,
            finished_at=now,
        )
        if not dry_run:
            record(
                actor="system",
                action="retention.kept",
                object=f"retention:{rule.pk}",
                detail={"rows": rows, "cutoff": cutoff.isoformat()},
                now=now,
            )
    return run
