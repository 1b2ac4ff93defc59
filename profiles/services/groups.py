"""Groups: what `group` calls say of them, and who belongs to them. A relation only, never a reason to merge."""

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson

from cdp.core.copying import int_array, text_array
from profiles.models import EventType
from profiles.services.traits import Meta, Traits, apply_traits, micros, normal_form

if TYPE_CHECKING:
    from profiles.services.record import Incoming

GROUP = int(EventType.GROUP)
# LATERAL … LIMIT 1 finds each event by its key in the one partition that has it, whatever the planner believes.
SAID = """
SELECT e.group_id, e.traits::text, e.source_id, t.at, e.received_at, e.profile_id, e.identifier_id
FROM unnest(%s::bigint[], %s::timestamptz[]) WITH ORDINALITY AS t(id, at, n)
CROSS JOIN LATERAL (
    SELECT properties ->> 'groupId' AS group_id, traits, source_id, received_at, profile_id,
        identifiers[1] AS identifier_id
    FROM profiles_event WHERE id = t.id AND occurred_at = t.at LIMIT 1
) AS e
WHERE e.group_id IS NOT NULL ORDER BY t.n
"""
ADD = """
INSERT INTO profiles_group (group_id, traits, trait_meta, created_at)
SELECT g, '{}', '{}', %s FROM unnest(%s::text[]) AS g ON CONFLICT DO NOTHING
"""
READ = """
SELECT id, group_id, traits::text, trait_meta::text FROM profiles_group WHERE group_id = ANY(%s::text[])
ORDER BY id FOR UPDATE
"""
WRITE = """
UPDATE profiles_group g SET traits = t.j::jsonb, trait_meta = t.m::jsonb
FROM unnest(%s::bigint[], %s::text[], %s::text[]) AS t(i, j, m) WHERE g.id = t.i
"""
JOIN = """
INSERT INTO profiles_groupmembership (group_id, profile_id, identifier_id, first_at, last_at)
SELECT g, p, i, a, b
FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::timestamptz[], %s::timestamptz[]) AS t(g, p, i, a, b)
ON CONFLICT (group_id, identifier_id) DO UPDATE SET profile_id = excluded.profile_id,
    first_at = least(profiles_groupmembership.first_at, excluded.first_at),
    last_at = greatest(profiles_groupmembership.last_at, excluded.last_at)
"""
FOLLOW = "UPDATE profiles_groupmembership SET profile_id = %s WHERE identifier_id = ANY(%s::bigint[])"


def record_groups(cursor: Any, messages: Iterable["Incoming"], *, now: datetime) -> None:
    """Let stored `group` calls change groups and memberships; a batch without any costs one look at each type."""
    found = [message for message in messages if message.type == GROUP]
    if not found:
        return
    times = "{" + ",".join([message.occurred_text for message in found]) + "}"
    cursor.execute(SAID, [int_array(message.event_id for message in found), times])
    rows = cursor.fetchall()
    names = sorted({row[0] for row in rows})
    cursor.execute(ADD, [now, names])
    cursor.execute(READ, [names])
    groups: dict[str, tuple[int, Traits, Meta]] = {
        group_id: (row_id, orjson.loads(traits), orjson.loads(meta))
        for row_id, group_id, traits, meta in cursor.fetchall()
    }
    members: dict[tuple[int, int], list[Any]] = {}
    for group_id, traits, source_id, occurred_at, received_at, profile_id, identifier_id in rows:
        row_id, known, meta = groups[group_id]
        if traits is not None:
            stamp = [source_id, micros(occurred_at), micros(received_at)]
            apply_traits(known, meta, normal_form(orjson.loads(traits)), stamp)
        span = members.setdefault((row_id, identifier_id), [profile_id, occurred_at, occurred_at])
        span[1:] = [min(span[1], occurred_at), max(span[2], occurred_at)]
    changed = list(groups.values())
    cursor.execute(
        WRITE,
        [
            int_array(row_id for row_id, _, _ in changed),
            text_array(orjson.dumps(traits).decode() for _, traits, _ in changed),
            text_array(orjson.dumps(meta).decode() for _, _, meta in changed),
        ],
    )
    keys = list(members)
    spans = [members[key] for key in keys]
    cursor.execute(
        JOIN,
        [
            int_array(row_id for row_id, _ in keys),
            int_array(span[0] for span in spans),
            int_array(identifier_id for _, identifier_id in keys),
            [span[1] for span in spans],
            [span[2] for span in spans],
        ],
    )


def move_memberships(cursor: Any, *, identifier_ids: Iterable[int], to_id: int) -> None:
    """Let memberships follow the identifiers that they were said with into another profile."""
    cursor.execute(FOLLOW, [to_id, int_array(identifier_ids)])
