"""Edges that must not join: blocking one, declaring two profiles different, lifting a block. Each act is audited."""

from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction

from cdp.core import locks
from cdp.core.services import audit
from profiles.errors import BadBlock, NoSuchEdge
from profiles.identity.components import components
from profiles.models import Edge, Identifier
from profiles.queries.people import get_by_uuid
from profiles.queries.sides import active_edges, read_held
from profiles.services.guarding import refuse_erased, refuse_restricted, refuse_while_busy
from profiles.services.retrying import retry_deadlocks
from profiles.services.splitting import Act, block_edges, lock_profiles
from profiles.services.undoing import find_parts, separate

DECLARE = """
INSERT INTO profiles_edge (a, b, kind, rule, message_id, source_id, created_at, state,
    blocked_at, blocked_by, blocked_for, block_reason)
VALUES (%(a)s, %(b)s, 6, '', '', 0, %(now)s, 3, %(now)s, %(actor)s, 'different', %(reason)s)
ON CONFLICT (a, b) DO UPDATE SET kind = 6, state = 3, merge_id = NULL, blocked_at = excluded.blocked_at,
    blocked_by = excluded.blocked_by, blocked_for = 'different', block_reason = excluded.block_reason
RETURNING id
"""


@dataclass(frozen=True, slots=True)
class Blocked:
    """A blocked edge, and whether its profile fell apart by it."""

    edge: Edge
    separated: bool


@retry_deadlocks
def block_edge(*, edge_id: int, reason: str, actor: str, now: datetime) -> Blocked:
    """Take an edge back and block it. A profile that nothing else holds together falls apart.

    Raises
    ------
    NoSuchEdge
        If there is no active edge with this id.
    BusyProfile
        While events of the profile are moved, or it is being erased.
    RestrictedProfile
        If processing of the person is restricted.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        locks.take(cursor, locks.IDENTITY)
        edge = Edge.objects.filter(pk=edge_id, state=Edge.State.ACTIVE).first()
        holder = Identifier.objects.filter(pk=edge.a).first() if edge is not None else None
        if edge is None or holder is None:
            message = "No active edge has this id: it may have been blocked or taken back already."
            raise NoSuchEdge(message)
        profile_id = holder.profile_id
        lock_profiles(cursor, [profile_id])
        refuse_while_busy(cursor, [profile_id])
        refuse_restricted(cursor, [profile_id], actor=actor)
        block_edges(cursor, {(edge.a, edge.b)}, act=Act("edge", actor, now, reason))
        held = read_held(cursor, profile_id)
        found = components(held, active_edges(cursor, held))
        if len(found) > 1:
            kept, parts = find_parts(cursor, profile_id, found, now=now, actor=actor)
            separate(cursor, profile_id, kept, parts, now=now, detail={"edge": edge.pk, "by": actor})
        audit.record(
            actor=actor,
            action="edge.blocked",
            object=f"edge:{edge.pk}",
            detail={"parts": len(found)},
            now=now,
        )
    edge.refresh_from_db()
    return Blocked(edge, len(found) > 1)


@retry_deadlocks
def declare_different(*, public_ids: tuple[str, str], reason: str, actor: str, now: datetime) -> Edge:
    """Declare two profiles to be two people: no message joins them, by whatever identifiers, until this is lifted.

    Raises
    ------
    BadBlock
        If they are one profile already: a merge has to be undone, or a profile split, first.
    NoSuchProfile
        If an id is unknown.
    RestrictedProfile
        If processing of one of them is restricted.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        locks.take(cursor, locks.IDENTITY)
        ids = [get_by_uuid(public_id=public_id).profile_id for public_id in public_ids]
        if ids[0] == ids[1]:
            message = "Both ids are the same profile. Undo the merge that joined them, or split the profile."
            raise BadBlock(message)
        refuse_erased(cursor, ids)
        refuse_restricted(cursor, ids, actor=actor)
        strongest = [
            Identifier.objects.filter(profile_id=one).order_by("type__priority", "first_seen_at", "id").first()
            for one in ids
        ]
        ends = sorted(one.pk for one in strongest if one is not None)
        if len(ends) < len(ids):
            message = "A profile without identifiers cannot be kept apart: nothing will ever join it."
            raise BadBlock(message)
        cursor.execute(DECLARE, {"a": ends[0], "b": ends[1], "now": now, "actor": actor, "reason": reason})
        edge_id = cursor.fetchone()[0]
        audit.record(
            actor=actor,
            action="profile.declared_different",
            object=f"edge:{edge_id}",
            detail={"profiles": [str(one) for one in public_ids]},
            now=now,
        )
    return Edge.objects.get(pk=edge_id)


@retry_deadlocks
def lift_block(*, edge_id: int, actor: str, now: datetime) -> Edge:
    """Let an edge join again. Nothing is joined by it now: the next message that says so does.

    Raises
    ------
    NoSuchEdge
        If there is no blocked edge with this id.
    RestrictedProfile
        If processing of somebody at its ends is restricted.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        locks.take(cursor, locks.IDENTITY)
        ends = Edge.objects.filter(pk=edge_id).values_list("a", "b").first() or ()
        holders = Identifier.objects.filter(pk__in=ends).values_list("profile_id", flat=True)
        refuse_restricted(cursor, holders, actor=actor)
        lifted = Edge.objects.filter(pk=edge_id, state=Edge.State.BLOCKED).update(
            state=Edge.State.RETRACTED, blocked_at=None, blocked_by="", blocked_for="", block_reason=""
        )
        if not lifted:
            message = "No blocked edge has this id: it may have been lifted already."
            raise NoSuchEdge(message)
        audit.record(actor=actor, action="edge.lifted", object=f"edge:{edge_id}", now=now)
    return Edge.objects.get(pk=edge_id)
