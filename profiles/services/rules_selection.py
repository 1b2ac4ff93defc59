"""Which profiles and values a change of the rules can concern: found set-based, written as the run's work."""

from collections.abc import Iterable, Mapping
from typing import Any

from cdp.core.copying import copy_rows, int_array
from cdp.core.registries import source_kinds
from profiles.identity.blocked import blocking
from profiles.identity.rules import SOURCE_KINDS, RuleSet, TypeDefinition
from profiles.models import RulesRun, RulesRunValue
from profiles.services.replanning import Trial

Change = RulesRunValue.Change
ROWS_AT_ONCE = 20_000

INTO = "INSERT INTO profiles_rulesrunprofile (run_id, profile_id) "
ONCE = " ON CONFLICT (run_id, profile_id) DO NOTHING"
OVER_LIMIT = f"""{INTO}
SELECT %(run)s, profile_id FROM profiles_identifier WHERE type_id = %(type)s
GROUP BY profile_id HAVING count(*) > %(limit)s{ONCE}
"""
REFUSED = f"""{INTO}
SELECT DISTINCT %(run)s::bigint, side.profile_id FROM profiles_edge e
JOIN profiles_identifier i ON i.id = e.a JOIN profiles_identifier o ON o.id = e.b
CROSS JOIN LATERAL (VALUES (i.profile_id), (o.profile_id)) AS side(profile_id)
WHERE e.state = 4 AND i.profile_id <> o.profile_id AND NOT i.quarantined AND NOT o.quarantined{ONCE}
"""
LINKED = f"""{INTO}
SELECT DISTINCT %(run)s::bigint, i.profile_id FROM profiles_identifier i
WHERE i.type_id = %(type)s AND EXISTS (
    SELECT FROM profiles_identifier o WHERE o.profile_id = i.profile_id AND o.id <> i.id){ONCE}
"""
ASSERTED_BY = f"""{INTO}
SELECT DISTINCT %(run)s::bigint, i.profile_id FROM profiles_edge e
JOIN profiles_identifier i ON i.id = e.a JOIN profiles_identifier o ON o.id = e.b
WHERE e.state = 1 AND e.source_id = ANY(%(sources)s::int[])
    AND (i.type_id = %(type)s OR o.type_id = %(type)s){ONCE}
"""
# Each value of the type with the number of accounts and records that asserted it, refused ones included.
SHARED = """
INSERT INTO profiles_rulesrunvalue (run_id, identifier_id, change, asserted_by)
SELECT %(run)s, t.value_id, %(change)s, count(*) FROM (
    SELECT v.id AS value_id, e.b AS by_id FROM profiles_identifier v JOIN profiles_edge e ON e.a = v.id
    WHERE v.type_id = %(type)s AND e.state IN (1, 4) AND NOT v.quarantined
    UNION
    SELECT v.id, e.a FROM profiles_identifier v JOIN profiles_edge e ON e.b = v.id
    WHERE v.type_id = %(type)s AND e.state IN (1, 4) AND NOT v.quarantined
) AS t JOIN profiles_identifier i ON i.id = t.by_id AND i.type_id = ANY(%(asserting)s::smallint[])
WHERE NOT EXISTS (SELECT FROM profiles_quarantinedvalue q WHERE q.identifier_id = t.value_id)
GROUP BY t.value_id HAVING count(*) > %(limit)s
ON CONFLICT (run_id, identifier_id) DO NOTHING
"""
NO_LONGER_SHARED = """
INSERT INTO profiles_rulesrunvalue (run_id, identifier_id, change, asserted_by)
SELECT %(run)s, q.identifier_id, %(change)s, q.asserted_by FROM profiles_quarantinedvalue q
WHERE q.type_id = %(type)s AND q.lifted_at IS NULL AND q.reason = 'shared'
    AND (%(limit)s::int IS NULL OR q.asserted_by <= %(limit)s)
ON CONFLICT (run_id, identifier_id) DO NOTHING
"""
HOLDERS = f"""{INTO}
SELECT DISTINCT %(run)s::bigint, i.profile_id FROM profiles_rulesrunvalue v
JOIN profiles_identifier i ON i.id = v.identifier_id WHERE v.run_id = %(run)s{ONCE}
"""
# Who asserted a value that is lifted from quarantine.
ASSERTERS = f"""{INTO}
SELECT DISTINCT %(run)s::bigint, o.profile_id FROM profiles_rulesrunvalue v
JOIN profiles_edge e ON (e.a = v.identifier_id OR e.b = v.identifier_id) AND e.state = 4
JOIN profiles_identifier o ON o.id = CASE WHEN e.a = v.identifier_id THEN e.b ELSE e.a END
WHERE v.run_id = %(run)s AND v.change = %(lift)s{ONCE}
"""
VALUES = """
SELECT i.id, i.value, q.reason FROM profiles_identifier i
LEFT JOIN profiles_quarantinedvalue q ON q.identifier_id = i.id AND q.lifted_at IS NULL
WHERE i.type_id = %s AND i.id > %s ORDER BY i.id LIMIT %s
"""


def reconsiders(before: RuleSet, after: RuleSet) -> bool:
    """Tell whether something that was refused may be joined by the newer rules."""
    return any(_is_wider(old, after[key]) for key, old in before.items() if key in after)


def _is_wider(old: TypeDefinition, new: TypeDefinition) -> bool:
    return (
        old.priority != new.priority
        or old.window != new.window
        or (old.limit is not None and (new.limit is None or new.limit > old.limit))
        or (old.link_purpose is not None and old.link_purpose != new.link_purpose)
        or (old.sharing_limit is not None and (new.sharing_limit is None or new.sharing_limit > old.sharing_limit))
        or bool(set(old.blocked_values) - set(new.blocked_values))
        or bool(set(old.blocked_patterns) - set(new.blocked_patterns))
    )


def make_trial(after: RuleSet, before: RuleSet, types: Mapping[str, int], *, run_id: int) -> Trial:
    """Return the rules of a run as a plan takes them."""
    rules = {types[key]: one.resolving(types[key]) for key, one in after.items() if key in types}
    # A type that is gone has no values, but some may come while the run is on.
    rules |= {types[key]: one.resolving(types[key]) for key, one in before.items() if key in types and key not in after}
    return Trial(
        rules=rules,
        reconsiders=reconsiders(before, after),
        disallowed=disallowed_sources(after, types),
        purposes={
            types[key]: one.link_purpose
            for key, one in after.items()
            if one.link_purpose and key in before and before[key].link_purpose != one.link_purpose and key in types
        },
        run_id=run_id,
    )


def disallowed_sources(rules: RuleSet, types: Mapping[str, int]) -> frozenset[tuple[int, int]]:
    """Return type id and source id where the source's kind may not assert the type."""
    narrow = [one for one in rules.values() if one.source_kinds is not None and one.key in types]
    if not narrow:
        return frozenset()
    kinds = {source_id: kind for read in source_kinds for source_id, kind in read().items()}
    return frozenset(
        (types[one.key], source_id) for one in narrow for source_id, kind in kinds.items() if not one.allows(kind)
    )


def select_work(cursor: Any, run: RulesRun, before: RuleSet, after: RuleSet, types: Mapping[str, int]) -> None:
    """Write which values change their standing and which profiles are to be looked at."""
    asserting = int_array(types[key] for key, one in after.items() if key in types and one.resolving(0).asserts)
    for key, new in after.items():
        old = before.get(key)
        if old is None or old == new or key not in types:
            continue
        about = {"run": run.pk, "type": types[key]}
        if (old.blocked_values, old.blocked_patterns) != (new.blocked_values, new.blocked_patterns):
            _select_blocked(cursor, run, new, types[key])
        if new.limit is not None and (old.limit is None or new.limit < old.limit or old.window != new.window):
            cursor.execute(OVER_LIMIT, {**about, "limit": new.limit})
        if new.sharing_limit is not None and (old.sharing_limit is None or new.sharing_limit < old.sharing_limit):
            shared = {"asserting": asserting, "limit": new.sharing_limit, "change": Change.QUARANTINE.value}
            cursor.execute(SHARED, {**about, **shared})
        if old.sharing_limit is not None and (new.sharing_limit is None or new.sharing_limit > old.sharing_limit):
            cursor.execute(NO_LONGER_SHARED, {**about, "limit": new.sharing_limit, "change": Change.LIFT.value})
        if new.link_purpose and new.link_purpose != old.link_purpose:
            cursor.execute(LINKED, about)
        narrowed = [kind for kind in SOURCE_KINDS if old.allows(kind) and not new.allows(kind)]
        if narrowed:
            cursor.execute(ASSERTED_BY, {**about, "sources": int_array(_sources_of(narrowed))})
    cursor.execute(HOLDERS, {"run": run.pk})
    if reconsiders(before, after):
        cursor.execute(REFUSED, {"run": run.pk})
        cursor.execute(ASSERTERS, {"run": run.pk, "lift": Change.LIFT.value})


def _sources_of(kinds: Iterable[str]) -> list[int]:
    wanted = set(kinds)
    return [source_id for read in source_kinds for source_id, kind in read().items() if kind in wanted]


def _select_blocked(cursor: Any, run: RulesRun, new: TypeDefinition, type_id: int) -> None:
    """Find the values that are blocked by now, and those that were and are not any more."""
    is_blocked = blocking(new)
    after = 0
    while True:
        cursor.execute(VALUES, [type_id, after, ROWS_AT_ONCE])
        rows = cursor.fetchall()
        lines = []
        for row_id, value, reason in rows:
            blocked = is_blocked(value)
            if blocked and reason is None:
                lines.append(f"{run.pk}\t{row_id}\t{Change.BLOCK.value}\t0\n")
            elif not blocked and reason == "blocked":
                lines.append(f"{run.pk}\t{row_id}\t{Change.LIFT.value}\t0\n")
        copy_rows(cursor, "profiles_rulesrunvalue", "run_id, identifier_id, change, asserted_by", lines)
        if len(rows) < ROWS_AT_ONCE:
            return
        after = rows[-1][0]
