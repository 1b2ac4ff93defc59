"""Writing values of computed traits: one statement finds what differs and writes it.

Callers hold the advisory lock `segments`, so that evaluation is single-file.
"""

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import connection

from cdp.core.copying import int_array
from segments.language.compile_traits import compile_trait
from segments.language.plan import Setting
from segments.language.windows import earliest
from segments.queries.following import LiveTrait
from segments.services.evaluation import FOLLOWED_CHANGES, Changes, Reason, next_rank

STATE_OF_SOME = """
state as (
    select a.profile_id, e.value, e.next_at, v.value as old, v.next_at as old_next, v.profile_id is not null as known
    from unnest(%(apply_ids)s::bigint[]) as a(profile_id)
    left join evaluated e on e.profile_id = a.profile_id
    left join segments_traitvalue v on v.trait_id = %(apply_trait)s and v.profile_id = a.profile_id
        and v.profile_id = any(%(apply_ids)s::bigint[])
)"""
# As in `evaluation.STATE_OF_SOME`.
AMONG_SOME = " and v.profile_id = any(%(apply_ids)s::bigint[])"
STATE_OF_ALL = """
held as (
    select profile_id, value, next_at from segments_traitvalue where trait_id = %(apply_trait)s
),
state as (
    select coalesce(e.profile_id, v.profile_id) as profile_id, e.value, e.next_at, v.value as old,
        v.next_at as old_next, v.profile_id is not null as known
    from evaluated e full join held v on v.profile_id = e.profile_id
)"""
APPLY = """
with evaluated as materialized (
{evaluated}
),{state},
stored as (
    insert into segments_traitvalue (trait_id, profile_id, value, next_at)
    select %(apply_trait)s, profile_id, value, next_at from state
    where (value is not null or next_at is not null)
        and (not known or value is distinct from old or next_at is distinct from old_next)
    on conflict (trait_id, profile_id) do update set value = excluded.value, next_at = excluded.next_at
),
gone as (
    delete from segments_traitvalue v using state s
    where v.trait_id = %(apply_trait)s and v.profile_id = s.profile_id and s.known
        and s.value is null and s.next_at is null{among}
)
select profile_id, 0 from state where value is distinct from old
"""
NOTE = """
UPDATE segments_computedtrait SET live_version = %(version)s, computed_at = %(now)s, next_run_at = %(next_run)s,
    compute_seconds = %(seconds)s, stale = false WHERE id = %(id)s
"""


def compute_some(trait: LiveTrait, asked: Mapping[int, Reason], *, now: datetime, setting: Setting) -> Changes:
    """Bring the values of some profiles up to date and return those that changed."""
    compiled = compile_trait(trait.definition, now=now, setting=setting, some=True)
    ids = int_array(asked)
    parameters = {**compiled.parameters, "profile_ids": ids, "apply_ids": ids, "apply_trait": trait.id}
    with connection.cursor() as cursor:
        cursor.execute(APPLY.format(evaluated=compiled.sql, state=STATE_OF_SOME, among=AMONG_SOME), parameters)
        return cursor.fetchall()


def compute_all(trait: LiveTrait, *, now: datetime, setting: Setting) -> Changes | None:
    """Compute the values of everyone anew; None if more than `FOLLOWED_CHANGES` changed."""
    compiled = compile_trait(trait.definition, now=now, setting=setting)
    statement = APPLY.format(evaluated=compiled.sql, state=STATE_OF_ALL, among="") + f"limit {FOLLOWED_CHANGES + 1}"
    began = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute(statement, {**compiled.parameters, "apply_trait": trait.id})
        rows: Changes = cursor.fetchall()
        seconds = time.perf_counter() - began
        next_run = earliest([compiled.runs_at, next_rank(cursor, ranked=trait.is_ranked, now=now, seconds=seconds)])
        noted: dict[str, Any] = {
            "id": trait.id,
            "version": trait.version,
            "now": now,
            "next_run": next_run,
            "seconds": seconds,
        }
        cursor.execute(NOTE, noted)
    return None if len(rows) > FOLLOWED_CHANGES else rows
