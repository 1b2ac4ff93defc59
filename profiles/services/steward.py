"""What a steward does with identities: merge two profiles, split identifiers off. Each act is audited.

Taking a merge back is in `undoing`, blocking and lifting edges in `blocking`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from cdp.core import locks
from cdp.core.copying import int_array
from cdp.core.services import audit
from profiles.errors import BadMerge, BadSplit
from profiles.identity.components import hold_together
from profiles.identity.graph import Claim, EdgeRecord, Graph, Group, LinkKind, find
from profiles.identity.resolve import join
from profiles.models import Identifier, Merge
from profiles.queries.people import get_by_uuid, name_identifier
from profiles.queries.sides import active_edges
from profiles.services.graphs import GROUPS
from profiles.services.guarding import refuse_erased, refuse_restricted, refuse_while_busy
from profiles.services.merging import apply_merges, write_edges
from profiles.services.retrying import retry_deadlocks
from profiles.services.splitting import Act, Moving, block_edges, lock_profiles, note_work, split_off

STRONGEST = """
SELECT DISTINCT ON (i.profile_id) i.profile_id, i.id
FROM profiles_identifier i JOIN profiles_identifiertype t ON t.id = i.type_id
WHERE i.profile_id = ANY(%s::bigint[]) ORDER BY i.profile_id, t.priority, i.first_seen_at, i.id
"""
LIFT = """
UPDATE profiles_edge e SET state = 2, blocked_at = NULL, blocked_by = '', blocked_for = '', block_reason = ''
FROM profiles_identifier i, profiles_identifier j
WHERE e.state = 3 AND i.id = e.a AND j.id = e.b AND i.profile_id <> j.profile_id
    AND i.profile_id = ANY(%s::bigint[]) AND j.profile_id = ANY(%s::bigint[])
"""
PAIR = 2


@retry_deadlocks
def merge_profiles(*, public_ids: Sequence[str], reason: str, actor: str, now: datetime) -> Merge:
    """Declare two profiles to be one person, whatever limits and blocked edges say: those between them are lifted.

    Raises
    ------
    BadMerge
        If they are not two different live profiles.
    NoSuchProfile
        If an id is unknown.
    BusyProfile
        While one of them is being erased.
    RestrictedProfile
        If processing of one of them is restricted.
    """
    if len(public_ids) != PAIR:
        message = "profile_ids must name exactly two profiles."
        raise BadMerge(message)
    with transaction.atomic(), connection.cursor() as cursor:
        locks.take(cursor, locks.IDENTITY)
        ids = [get_by_uuid(public_id=public_id).profile_id for public_id in public_ids]
        if ids[0] == ids[1]:
            message = "Both ids are already the same profile."
            raise BadMerge(message)
        lock_profiles(cursor, ids)
        refuse_erased(cursor, ids)
        refuse_restricted(cursor, ids, actor=actor)
        literal = int_array(ids)
        cursor.execute(LIFT, [literal, literal])
        graph = Graph({}, set(), {}, iter(()), iter(()), iter(()))
        claim = Claim([], "", 0, now, now, reason)
        group, _ = join(graph, claim, _load_groups(cursor, literal), kind=LinkKind.STEWARD)
        cursor.execute(STRONGEST, [literal])
        a, b = sorted(row[1] for row in cursor.fetchall())
        rows = apply_merges(cursor, graph.merges, now=now, actor=actor)
        write_edges(cursor, [EdgeRecord(a, b, claim, LinkKind.STEWARD, graph.merges[0])], rows, now=now)
        note_work(cursor, [find(group).id], "merge", now)
        merge = Merge.objects.get(pk=next(iter(rows.values())))
        audit.record(
            actor=actor,
            action="profile.merged",
            object=f"profile:{merge.survivor_uuid}",
            detail={"merge": merge.pk, "absorbed": str(merge.absorbed_uuid)},
            now=now,
        )
    return merge


def _load_groups(cursor: Any, literal: str) -> list[Group]:
    cursor.execute(GROUPS, [literal])
    return [
        Group(profile_id, public_id, created_at, first_event_at, event_count)
        for profile_id, public_id, created_at, first_event_at, event_count in cursor.fetchall()
    ]


@retry_deadlocks
def split_profile(
    *, public_id: str, identifiers: Sequence[tuple[str, str]], actor: str, now: datetime
) -> tuple[str, str]:
    """Take identifiers off a profile into a new one.

    Parameters
    ----------
    identifiers : sequence of (type, value)
        Some, not all, of the profile's identifiers.

    Returns
    -------
    (str, str)
        Public ids of the profile that stays and of the new one.

    Raises
    ------
    BadSplit
        If they are not the profile's, or are all of them.
    BusyProfile
        While events of the profile are moved, or it is being erased.
    RestrictedProfile
        If processing of the person is restricted.
    """
    named = [name_identifier(type=type_key, value=value) for type_key, value in identifiers]
    with transaction.atomic(), connection.cursor() as cursor:
        locks.take(cursor, locks.IDENTITY)
        person = get_by_uuid(public_id=public_id)
        held = dict(Identifier.objects.filter(profile_id=person.profile_id).values_list("id", "lookup"))
        by_lookup = {bytes(lookup): one for one, lookup in held.items()}
        moved = {by_lookup[one.lookup] for one in named if one.lookup in by_lookup}
        if not moved or len(moved) < len({one.lookup for one in named}) or len(moved) == len(held):
            message = "Name some, but not all, of the profile's identifiers."
            raise BadSplit(message)
        lock_profiles(cursor, [person.profile_id])
        refuse_while_busy(cursor, [person.profile_id])
        refuse_restricted(cursor, [person.profile_id], actor=actor)
        edges = active_edges(cursor, held)
        crossing = {edge for edge in edges if (edge[0] in moved) != (edge[1] in moved)}
        block_edges(cursor, crossing, act=Act("split", actor, now))
        # Each side stays one person although what linked it may have gone: the steward says so.
        claim = Claim([], "", 0, now, now, "steward split")
        added = [pair for side in (moved, held.keys() - moved) for pair in hold_together(set(side), edges - crossing)]
        write_edges(cursor, [EdgeRecord(a, b, claim, LinkKind.STEWARD) for a, b in added], {}, now=now)
        detail = {"identifiers": len(moved), "by": actor}
        new = split_off(cursor, Moving(person.profile_id, moved), now=now, detail=detail)
        audit.record(
            actor=actor,
            action="profile.split",
            object=f"profile:{person.uuid}",
            detail={"new": new.uuid, "identifiers": len(moved)},
            now=now,
        )
    return person.uuid, new.uuid
