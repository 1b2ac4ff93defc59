"""What was said of the traits of profiles: the statements of their events, and the corrections by hand."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from cdp.core.copying import int_array, text_array
from profiles.models import EventType
from profiles.queries.sealed import open_texts
from profiles.services.traits import micros
from profiles.survivorship.deciding import Statement
from profiles.survivorship.folding import is_verified
from profiles.survivorship.rules import DEFAULT, Rules

# More statements than this of one profile are not looked at, the newest first.
MOST_STATEMENTS = 10_000
HOLDERS = "SELECT dropped_id, profile_id FROM profiles_absorbedid WHERE profile_id = ANY(%s::bigint[])"
# The planner leaves out the partitions outside of this.
SPAN = """
SELECT min(first_event_at), max(last_event_at) FROM profiles_activity WHERE profile_id = ANY(%s::bigint[])
"""
STATED = """
SELECT h.owner, e.source_id, e.occurred_at, e.received_at, e.id, e.traits::text
FROM unnest(%(holders)s::bigint[], %(owners)s::bigint[]) AS h(holder, owner)
CROSS JOIN LATERAL (
    SELECT source_id, occurred_at, received_at, id, traits FROM profiles_event
    WHERE profile_id = h.holder AND name = '' AND occurred_at BETWEEN %(first)s AND %(last)s
        AND type = %(identify)s AND traits ?| %(names)s::text[]
    ORDER BY occurred_at DESC LIMIT %(most)s
) AS e
"""
DETAILED = """
SELECT id, source_id, occurred_at, received_at, message_id, traits::text, (context -> 'cdp_raw')::text
FROM profiles_event
WHERE profile_id = ANY(%(ids)s::bigint[]) AND name = '' AND type = %(identify)s AND traits IS NOT NULL
    AND received_at <= %(until)s {named}
ORDER BY occurred_at DESC LIMIT %(most)s
"""
NAMED = "AND traits ? %(name)s"
CORRECTED = """
SELECT profile_id, trait, statement::text, created_at FROM profiles_correction
WHERE profile_id = ANY(%s::bigint[]) AND lifted_at IS NULL ORDER BY created_at, id
"""
RAW = "traits."


@dataclass(frozen=True, slots=True)
class Said:
    """A message's statements about a person, with what was sent where cleaning changed it."""

    event_id: int
    source_id: int
    occurred_at: datetime
    received_at: datetime
    message_id: str
    traits: dict[str, Any]
    raw: dict[str, Any]


def read_statements(
    cursor: Any, *, wanted: Mapping[int, Collection[str]], rules: Rules, also: Mapping[int, int]
) -> dict[tuple[int, str], list[Statement]]:
    """Return the statements about traits by profile and name.

    Parameters
    ----------
    wanted : mapping
        Internal ids → the names of traits.
    also : mapping
        Further internal ids under which events of a wanted profile still stand → that profile.

    Notes
    -----
    Activity must be up to date: it bounds the search.
    """
    owners = {profile_id: profile_id for profile_id in wanted} | dict(also)
    cursor.execute(HOLDERS, [int_array(wanted)])
    owners.update(cursor.fetchall())
    cursor.execute(SPAN, [int_array(owners)])
    first, last = cursor.fetchone()
    found: dict[tuple[int, str], list[Statement]] = {}
    if first is None:
        return found
    cursor.execute(
        STATED,
        {
            "holders": int_array(owners),
            "owners": int_array(owners.values()),
            "first": first,
            "last": last,
            "identify": int(EventType.IDENTIFY),
            "names": text_array(sorted({name for names in wanted.values() for name in names})),
            "most": MOST_STATEMENTS,
        },
    )
    for owner, source_id, occurred_at, received_at, event_id, text in cursor.fetchall():
        stated = orjson.loads(text)
        moments = micros(occurred_at), micros(received_at)
        for name in wanted[owner]:
            if name in stated:
                verified = is_verified(rules.by_trait.get(name, DEFAULT), stated, source_id)
                statement = Statement(stated[name], source_id, *moments, event_id, verified)
                found.setdefault((owner, name), []).append(statement)
    return found


def read_said(
    cursor: Any, *, profile_ids: Collection[int], until: datetime, name: str | None, opens: bool
) -> list[Said]:
    """Return what messages received until a moment said of one person, of all traits or of one.

    Parameters
    ----------
    opens : bool
        Whether what is stored encrypted is decrypted.
    """
    cursor.execute(
        DETAILED.format(named=NAMED if name is not None else ""),
        {
            "ids": int_array(profile_ids),
            "identify": int(EventType.IDENTIFY),
            "until": until,
            "name": name,
            "most": MOST_STATEMENTS,
        },
    )
    rows = cursor.fetchall()
    texts = [text for row in rows for text in row[5:]]
    opened = open_texts(texts) if opens else texts
    return [
        Said(
            event_id,
            source_id,
            occurred_at,
            received_at,
            message_id,
            orjson.loads(opened[2 * place] or "{}"),
            _raw_of(opened[2 * place + 1]),
        )
        for place, (event_id, source_id, occurred_at, received_at, message_id, *_) in enumerate(rows)
    ]


def _raw_of(text: str | None) -> dict[str, Any]:
    kept = orjson.loads(text) if text else None
    if not isinstance(kept, dict):
        return {}
    return {path.removeprefix(RAW): value for path, value in kept.items() if path.startswith(RAW)}


def read_corrections(cursor: Any, profile_ids: Collection[int]) -> Iterator[tuple[int, str, Any, datetime]]:
    """Yield profile, trait, value and time of each correction that stands, oldest first."""
    cursor.execute(CORRECTED, [int_array(profile_ids)])
    for profile_id, trait, statement, created_at in cursor.fetchall():
        yield profile_id, trait, orjson.loads(statement)["value"], created_at
