"""Computing traits anew from all that was said: where one statement after the other cannot tell, and after a change.

The caller holds the lock `IDENTITY`.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from cdp.core.copying import int_array, text_array
from profiles.queries.statements import read_corrections, read_statements
from profiles.services.traits import micros
from profiles.survivorship.deciding import Statement, decide
from profiles.survivorship.folding import VERIFIED, Meta, State, Traits, by_hand, correction_state, put, state_of
from profiles.survivorship.rules import DEFAULT, Rules

READ = """
SELECT id, traits::text, trait_meta::text FROM profiles_profile WHERE id = ANY(%s::bigint[]) ORDER BY id FOR UPDATE
"""
WRITE = """
UPDATE profiles_profile p SET traits = t.j::jsonb, trait_meta = t.m::jsonb
FROM unnest(%s::bigint[], %s::text[], %s::text[]) AS t(i, j, m) WHERE p.id = t.i
"""


@dataclass(frozen=True, slots=True)
class Settled:
    """What settling changed: the names of traits by profile, and how many profiles were looked at."""

    changed: Mapping[int, list[str]] = field(default_factory=dict)
    examined: int = 0


def find_states(
    cursor: Any,
    *,
    wanted: Mapping[int, Collection[str]],
    rules: Rules,
    held: Mapping[int, Iterable[tuple[Traits, Meta]]],
    also: Mapping[int, int] | None = None,
) -> dict[int, dict[str, State]]:
    """Return traits as all statements and corrections make them.

    Parameters
    ----------
    wanted : mapping
        Internal ids → the names of traits.
    held : mapping
        What profiles hold at present, of each side where several become one: it counts as said, so that a trait does
        not go because the event that brought it is kept no longer.
    also : mapping, optional
        As for `read_statements`.
    """
    statements = read_statements(cursor, wanted=wanted, rules=rules, also=also or {})
    for profile_id, sides in held.items():
        for traits, meta in sides:
            for name in wanted.get(profile_id, ()):
                _add_held(statements.setdefault((profile_id, name), []), traits.get(name), meta.get(name))
    found: dict[int, dict[str, State]] = {}
    for profile_id, names in wanted.items():
        states = found[profile_id] = {}
        for name in names:
            rule = rules.by_trait.get(name, DEFAULT)
            said = statements.get((profile_id, name), [])
            states[name] = state_of(decide(said, rule, rules.ranks), said, rule)
    for profile_id, name, value, created_at in read_corrections(cursor, wanted):
        if name in found[profile_id]:
            found[profile_id][name] = correction_state(value, micros(created_at))
    return found


def _add_held(statements: list[Statement], value: Any, meta: list[int] | None) -> None:
    """Add what a profile holds, if the event that brought it is gone."""
    if meta is None or by_hand(meta):
        return
    source_id, occurred, received = meta[:3]
    if not any((one.source_id, one.occurred, one.received) == (source_id, occurred, received) for one in statements):
        verified = len(meta) > VERIFIED and bool(meta[VERIFIED])
        statements.append(Statement(value, source_id, occurred, received, 0, verified))


def settle_traits(cursor: Any, *, wanted: Mapping[int, Collection[str]], rules: Rules) -> Settled:
    """Compute traits of stored profiles anew and store those that differ; in a constant number of statements."""
    if not wanted:
        return Settled()
    cursor.execute(READ, [int_array(wanted)])
    known: dict[int, tuple[Traits, Meta]] = {
        row[0]: (orjson.loads(row[1]), orjson.loads(row[2])) for row in cursor.fetchall()
    }
    present = {profile_id: names for profile_id, names in wanted.items() if profile_id in known}
    states = find_states(cursor, wanted=present, rules=rules, held={one: [known[one]] for one in known})
    changed: dict[int, list[str]] = {}
    stale = []
    for profile_id, found in states.items():
        traits, meta = known[profile_id]
        before = {name: meta.get(name) for name in found}
        names = [name for name, state in found.items() if put(traits, meta, name, state)]
        if names:
            changed[profile_id] = names
        if names or any(meta.get(name) != known_before for name, known_before in before.items()):
            stale.append(profile_id)
    if stale:
        cursor.execute(
            WRITE,
            [
                int_array(stale),
                text_array(orjson.dumps(known[one][0]).decode() for one in stale),
                text_array(orjson.dumps(known[one][1]).decode() for one in stale),
            ],
        )
    return Settled(changed, len(present))
