"""What a steward does with identities: merge two profiles, undo a merge, split identifiers off. Each act is audited."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from cdp.core import locks
from cdp.core.copying import int_array
from cdp.core.services import audit
from profiles.errors import BadMerge, BadSplit, CannotUndo, NoSuchMerge
from profiles.identity.graph import Claim, EdgeRecord, Graph, Group, LinkKind, find
from profiles.identity.resolve import join
from profiles.models import AbsorbedId, Identifier, Merge
from profiles.queries.people import get_by_uuid, name_identifier
from profiles.services.graphs import GROUPS
from profiles.services.merging import apply_merges, write_edges
from profiles.services.splitting import Identity, active_edges, block_edges, note_work, reachable, split_off

STRONGEST = """
SELECT DISTINCT ON (i.profile_id) i.profile_id, i.id
FROM profiles_identifier i JOIN profiles_identifiertype t ON t.id = i.type_id
WHERE i.profile_id = ANY(%s::bigint[]) ORDER BY i.profile_id, t.priority, i.first_seen_at, i.id
"""
LIFT = """
UPDATE profiles_edge e SET state = 2
FROM profiles_identifier i, profiles_identifier j
WHERE e.state = 3 AND i.id = e.a AND j.id = e.b AND i.profile_id <> j.profile_id
    AND i.profile_id = ANY(%s::bigint[]) AND j.profile_id = ANY(%s::bigint[])
"""
PAIR = 2


def merge_profiles(*, public_ids: Sequence[str], reason: str, actor: str, now: datetime) -> Merge:
    """Declare two profiles to be one person, whatever limits and blocked edges say.

    Raises
    ------
    BadMerge
        If they are not two different live profiles.
    NoSuchProfile
        If an id is unknown.
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


def undo_merge(*, merge_id: int, actor: str, now: datetime) -> Merge:
    """Take a merge back: its edges are retracted and blocked, and each side gets its own again.

    Raises
    ------
    NoSuchMerge
        If there is none with this id.
    CannotUndo
        If it was undone before, is still moving events, or a side is gone.

    Notes
    -----
    Links that arose later between the two sides are blocked with it; an identifier that came later stays with the side
    that it hangs on, with the survivor's where it hangs on both.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        locks.take(cursor, locks.IDENTITY)
        merge = Merge.objects.select_for_update().filter(pk=merge_id).first()
        if merge is None:
            message = "No merge has this id."
            raise NoSuchMerge(message)
        absorbed = AbsorbedId.objects.filter(uuid=merge.absorbed_uuid).first()
        if merge.undone_at is not None or absorbed is None:
            message = "This merge was undone before, or its profile was erased."
            raise CannotUndo(message)
        if merge.state == Merge.State.PENDING:
            message = "This merge is still moving events. Try again when its state is done."
            raise CannotUndo(message)
        profile_id = absorbed.profile_id
        moved = _sides(cursor, merge, profile_id)
        absorbed.delete()
        to_id, _ = split_off(
            cursor,
            from_id=profile_id,
            moved=moved,
            identity=Identity(str(merge.absorbed_uuid), merge.absorbed_created_at),
            now=now,
            detail={"merge": merge.pk, "undone": True, "separated": str(merge.absorbed_uuid)},
        )
        _return_absorbed_ids(cursor, merge, profile_id, to_id)
        Merge.objects.filter(pk=merge.pk).update(undone_at=now)
        audit.record(
            actor=actor,
            action="profile.merge_undone",
            object=f"profile:{merge.survivor_uuid}",
            detail={"merge": merge.pk, "separated": str(merge.absorbed_uuid)},
            now=now,
        )
    merge.undone_at = now
    return merge


def _sides(cursor: Any, merge: Merge, profile_id: int) -> set[int]:
    """Block what joins the two sides; return the identifiers of the absorbed side."""
    held = set(Identifier.objects.filter(profile_id=profile_id).values_list("id", flat=True))
    then_absorbed = set(merge.absorbed_identifier_ids) & held
    cursor.execute("SELECT a, b FROM profiles_edge WHERE merge_id = %s AND state = 1", [merge.pk])
    own = set(cursor.fetchall())
    # Where the merge's own edges touched the other side; from there on the side is what hangs together without it.
    then_survivor = {one for edge in own for one in edge} & held - then_absorbed
    if not then_absorbed or not then_survivor:
        message = "One side of this merge has no identifiers left, or what joined them was taken back already."
        raise CannotUndo(message)
    edges = active_edges(cursor, list(held))
    rest = edges - own
    staying = reachable(then_survivor, {edge for edge in rest if not then_absorbed & set(edge)})
    moved = reachable(then_absorbed, {edge for edge in rest if not staying & set(edge)})
    block_edges(cursor, own | {edge for edge in edges if (edge[0] in moved) != (edge[1] in moved)})
    return moved


def _return_absorbed_ids(cursor: Any, merge: Merge, from_id: int, to_id: int) -> None:
    """Public ids that the absorbed side had itself absorbed earlier go back with it."""
    cursor.execute(
        "UPDATE profiles_absorbedid x SET profile_id = %s FROM profiles_merge m "
        "WHERE x.profile_id = %s AND m.id = x.merge_id AND m.survivor_uuid = %s",
        [to_id, from_id, merge.absorbed_uuid],
    )


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
        edges = active_edges(cursor, list(held))
        block_edges(cursor, {edge for edge in edges if (edge[0] in moved) != (edge[1] in moved)})
        # Each side stays one person although what linked it may have gone: the steward says so.
        claim = Claim([], "", 0, now, now, "steward split")
        for side in (moved, held.keys() - moved):
            inner = {edge for edge in edges if edge[0] in side and edge[1] in side}
            write_edges(cursor, _hold_together(set(side), inner, claim), {}, now=now)
        _, new_uuid = split_off(
            cursor,
            from_id=person.profile_id,
            moved=moved,
            identity=None,
            now=now,
            detail={"identifiers": len(moved), "by": actor},
        )
        audit.record(
            actor=actor,
            action="profile.split",
            object=f"profile:{person.uuid}",
            detail={"new": new_uuid, "identifiers": len(moved)},
            now=now,
        )
    return person.uuid, new_uuid


def _hold_together(side: set[int], edges: set[tuple[int, int]], claim: Claim) -> list[EdgeRecord]:
    """Return the edges that make one component of a side."""
    added = []
    first = min(side)
    left = side - reachable({first}, edges)
    while left:
        other = min(left)
        added.append(EdgeRecord(min(first, other), max(first, other), claim, LinkKind.STEWARD))
        left -= reachable({other}, edges)
    return added
