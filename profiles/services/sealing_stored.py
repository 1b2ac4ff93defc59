"""Deciding which traits are stored encrypted, and sealing or opening what is stored already.

A job goes over the events by id, then over profiles and corrections, in steps whose progress a row owns. Batches read
the decision under the lock `IDENTITY`, so that nothing is stored in the clear after it.
"""

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any

import orjson
from django.db import connection, transaction

from cdp.core import locks, registries
from cdp.core.copying import int_array, text_array
from cdp.core.models import Job
from cdp.core.services import audit
from cdp.core.services.jobs import enqueue
from profiles.errors import TraitIsCompared, TraitIsSealed
from profiles.models import EventType
from profiles.queries.sealed import open_texts
from profiles.queries.trait_rules import read_rules
from profiles.sealed_models import SealedTrait
from profiles.services.sealing import ensure_ciphers, seal_context, seal_object
from profiles.survivorship.rules import COMPARING

JOB = "profiles.seal-traits"
STEP_EVENTS = 50_000
STEP_ROWS = 2_000
LAST_EVENT = "SELECT coalesce(max(id), 0) FROM profiles_event"
EVENTS = """
SELECT id, occurred_at, identifiers[1], traits::text, context::text FROM profiles_event
WHERE id > %(after)s AND id <= %(until)s AND type <> %(group)s AND (traits ?| %(names)s::text[]
    OR context -> 'traits' ?| %(names)s::text[] OR context -> 'cdp_raw' ?| %(paths)s::text[])
ORDER BY id
"""
WRITE_EVENTS = """
UPDATE profiles_event e SET traits = t.j::jsonb, context = t.c::jsonb
FROM unnest(%s::bigint[], %s::timestamptz[], %s::text[], %s::text[]) AS t(i, at, j, c)
WHERE e.id = t.i AND e.occurred_at = t.at
"""
PROFILES = """
SELECT p.id, coalesce((SELECT i.id FROM profiles_identifier i JOIN profiles_identifiertype t ON t.id = i.type_id
    WHERE i.profile_id = p.id ORDER BY t.priority, i.first_seen_at, i.id LIMIT 1), 0), p.traits::text
FROM profiles_profile p WHERE p.id > %(after)s AND p.traits ?| %(names)s::text[]
ORDER BY p.id LIMIT %(limit)s FOR UPDATE OF p
"""
WRITE_PROFILES = """
UPDATE profiles_profile p SET traits = t.j::jsonb FROM unnest(%s::bigint[], %s::text[]) AS t(i, j) WHERE p.id = t.i
"""
CORRECTIONS = """
SELECT id, identifier_id, json_build_object(trait, statement -> 'value')::text FROM profiles_correction
WHERE id > %(after)s AND trait = ANY(%(names)s::text[]) ORDER BY id LIMIT %(limit)s FOR UPDATE
"""
WRITE_CORRECTIONS = """
UPDATE profiles_correction c SET statement = jsonb_set(c.statement, '{value}', t.j::jsonb)
FROM unnest(%s::bigint[], %s::text[]) AS t(i, j) WHERE c.id = t.i
"""


def seal_trait(*, name: str, actor: str, now: datetime) -> bool:
    """Store the values of a trait encrypted from now on, and those that are there by a job.

    Returns
    -------
    bool
        False if it is sealed already.

    Raises
    ------
    TraitIsSealed
        If a rule that compares values decides which one is believed: sealed ones cannot be compared.
    TraitIsCompared
        If segments or others compare its values now.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        locks.take(cursor, locks.IDENTITY)
        rule = read_rules(cursor).by_trait.get(name)
        if rule is not None and rule.kind in COMPARING:
            raise TraitIsSealed(name)
        known = SealedTrait.objects.filter(pk=name).first()
        if known is not None and known.opened_at is None:
            return False
        users = sorted({user for find in registries.trait_comparers for user in find(name)})
        if users:
            raise TraitIsCompared(name, users)
        SealedTrait.objects.update_or_create(
            name=name, defaults={"sealed_at": now, "sealed_by": actor, "opened_at": None}
        )
        _start(cursor, name, opening=False, now=now)
        audit.record(actor=actor, action="trait.sealed", object=f"trait:{name}", detail={}, now=now)
    return True


def open_trait(*, name: str, actor: str, now: datetime) -> bool:
    """Store the values of a trait in the clear again; False if it is not sealed."""
    with transaction.atomic(), connection.cursor() as cursor:
        locks.take(cursor, locks.IDENTITY)
        if not SealedTrait.objects.filter(pk=name, opened_at=None).update(opened_at=now):
            return False
        _start(cursor, name, opening=True, now=now)
        audit.record(actor=actor, action="trait.opened", object=f"trait:{name}", detail={}, now=now)
    return True


def change_stored(job: Job) -> bool:
    """Seal or open the next part of what is stored; True once all is."""
    name, opening = job.arguments["trait"], job.arguments["opening"]
    known = SealedTrait.objects.filter(pk=name).first()
    # Decided otherwise meanwhile: the later job has all to do.
    if known is None or (known.opened_at is not None) != opening:
        return True
    progress = job.progress
    part = progress.get("part", "events")
    with connection.cursor() as cursor:
        locks.take(cursor, locks.IDENTITY)
        step = {"events": _step_events, "profiles": _step_profiles, "corrections": _step_corrections}[part]
        changed, after = step(cursor, name, opening, progress.get("after", 0), job.arguments["until"])
    progress[part] = progress.get(part, 0) + changed
    progress["after"] = after or 0
    if after is None:
        following = {"events": "profiles", "profiles": "corrections", "corrections": None}[part]
        if following is None:
            if opening:
                SealedTrait.objects.filter(pk=name, opened_at__isnull=False).delete()
            return True
        progress["part"] = following
    return False


def _start(cursor: Any, name: str, *, opening: bool, now: datetime) -> None:
    cursor.execute(LAST_EVENT)
    until = cursor.fetchone()[0]
    enqueue(kind=JOB, arguments={"trait": name, "opening": opening, "until": until}, now=now)


def _step_events(cursor: Any, name: str, opening: bool, after: int, until: int) -> tuple[int, int | None]:
    if after >= until:
        return 0, None
    end = min(after + STEP_EVENTS, until)
    paths = text_array([f"traits.{name}", f"context.traits.{name}"])
    bounds = {"after": after, "until": end, "group": int(EventType.GROUP), "names": text_array([name]), "paths": paths}
    cursor.execute(EVENTS, bounds)
    rows = cursor.fetchall()
    if rows:
        traits = _changed(cursor, [(row[2], row[3]) for row in rows], name, opening, seal_object)
        contexts = _changed(cursor, [(row[2], row[4]) for row in rows], name, opening, seal_context)
        cursor.execute(WRITE_EVENTS, [int_array(row[0] for row in rows), [row[1] for row in rows], traits, contexts])
    return len(rows), end


def _step_profiles(cursor: Any, name: str, opening: bool, after: int, _: int) -> tuple[int, int | None]:
    return _step_rows(cursor, PROFILES, WRITE_PROFILES, name, opening, after)


def _step_corrections(cursor: Any, name: str, opening: bool, after: int, _: int) -> tuple[int, int | None]:
    cursor.execute(CORRECTIONS, {"after": after, "names": text_array([name]), "limit": STEP_ROWS})
    rows = cursor.fetchall()
    texts = _changed(cursor, [(row[1], row[2]) for row in rows], name, opening, seal_object)
    values = [orjson.dumps(orjson.loads(text or "{}").get(name)).decode() for text in texts]
    if rows:
        cursor.execute(WRITE_CORRECTIONS, [int_array(row[0] for row in rows), values])
    return len(rows), rows[-1][0] if len(rows) == STEP_ROWS else None


def _step_rows(cursor: Any, read: str, write: str, name: str, opening: bool, after: int) -> tuple[int, int | None]:
    cursor.execute(read, {"after": after, "names": text_array([name]), "limit": STEP_ROWS})
    rows = cursor.fetchall()
    if rows:
        texts = _changed(cursor, [(row[1], row[2]) for row in rows], name, opening, seal_object)
        cursor.execute(write, [int_array(row[0] for row in rows), texts])
    return len(rows), rows[-1][0] if len(rows) == STEP_ROWS else None


def _changed(
    cursor: Any, rows: Collection[tuple[int, str | None]], name: str, opening: bool, seal: Callable[..., dict[str, Any]]
) -> list[str | None]:
    """Return JSON texts, each with its identifier's id, sealed or opened; without an identifier (0) a text stays."""
    texts = [text for _, text in rows]
    if opening:
        return _opened(texts, name)
    ciphers = ensure_ciphers(cursor, {owner for owner, text in rows if text is not None and owner})
    return [
        text if text is None or not owner else orjson.dumps(seal(orjson.loads(text), {name}, ciphers[owner])).decode()
        for owner, text in rows
    ]


def _opened(texts: list[str | None], name: str) -> list[str | None]:
    """Open the values of one trait; those of other sealed traits stay."""
    opened = open_texts(texts)
    return [
        text
        if text is None or clear is None
        else orjson.dumps(_take(orjson.loads(text), orjson.loads(clear), name)).decode()
        for text, clear in zip(texts, opened, strict=True)
    ]


def _take(before: dict[str, Any], clear: dict[str, Any], name: str) -> dict[str, Any]:
    paths = {name, f"traits.{name}", f"context.traits.{name}"}
    return {
        key: clear[key]
        if key in paths
        else _take(value, clear[key], name)
        if isinstance(value, dict) and key in {"traits", "cdp_raw"} and isinstance(clear.get(key), dict)
        else value
        for key, value in before.items()
    }
