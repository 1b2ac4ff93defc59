"""Taking a merge back exactly: its edges are blocked, and each side gets its own again.

Which of the two internal ids the absorbed side had is in the ledger: it gets that one back, and with it the history
that was written under it. So the events of the side that had more of them at the merge stay where they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from cdp.core import locks
from cdp.core.copying import int_array
from cdp.core.services import audit
from profiles.errors import CannotUndo, NoSuchMerge
from profiles.models import AbsorbedId, Merge
from profiles.queries.sides import Sides, find_sides, list_absorbed, parts_of
from profiles.services.guarding import refuse_restricted, refuse_while_busy
from profiles.services.retrying import retry_deadlocks
from profiles.services.splitting import (
    Act,
    Identity,
    Moving,
    block_edges,
    inherit_history,
    lock_profiles,
    split_off,
)

NOTHING_LEFT = (
    "This merge holds nothing together any more: what it joined was separated or erased since. "
    "To take single identifiers off a profile, split them off."
)


HOLDING = "SELECT DISTINCT merge_id FROM profiles_edge WHERE state = 1 AND merge_id = ANY(%s::bigint[])"
LEAVE_PLACE = "UPDATE profiles_absorbedid SET dropped_id = %s WHERE profile_id = %s AND dropped_id = %s"


@dataclass(frozen=True, slots=True)
class Part:
    """Identifiers that leave a profile; with the merge that had brought them, and the internal id that it dropped."""

    identifiers: set[int]
    merge: Merge | None = None
    dropped_id: int | None = None


@retry_deadlocks
def undo_merge(*, merge_id: int, actor: str, now: datetime) -> Merge:
    """Take a merge back.

    Raises
    ------
    NoSuchMerge
        If there is none with this id.
    CannotUndo
        If it was undone before, or a side is gone.
    BusyProfile
        While events of the profile are moved, or it is being erased.
    RestrictedProfile
        If processing of the person is restricted.

    Notes
    -----
    The edges of the merge, and links that arose later between the two sides, are blocked until somebody lifts them. An
    identifier that came later stays with the side that it hangs on, with the survivor's where it hangs on both.
    Refusals of the past are not decided again.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        locks.take(cursor, locks.IDENTITY)
        merge = Merge.objects.select_for_update().filter(pk=merge_id).first()
        if merge is None:
            message = "No merge has this id."
            raise NoSuchMerge(message)
        absorbed = AbsorbedId.objects.filter(uuid=merge.absorbed_uuid, merge=merge).first()
        if merge.undone_at is not None or absorbed is None:
            message = "This merge was undone before, or its profile was erased."
            raise CannotUndo(message)
        lock_profiles(cursor, [absorbed.profile_id])
        refuse_while_busy(cursor, [absorbed.profile_id])
        refuse_restricted(cursor, [absorbed.profile_id], actor=actor)
        sides = find_sides(cursor, merge=merge, profile_id=absorbed.profile_id)
        if sides is None:
            raise CannotUndo(NOTHING_LEFT)
        block_edges(cursor, sides.blocked, act=Act("undo", actor, now))
        is_pending = _divide(cursor, merge, absorbed, sides, now=now, actor=actor)
        state = Merge.State.PENDING if is_pending else Merge.State.DONE
        Merge.objects.filter(pk=merge.pk).update(undone_at=now, undone_by=actor, state=state)
        audit.record(
            actor=actor,
            action="profile.merge_undone",
            object=f"profile:{merge.survivor_uuid}",
            detail={"merge": merge.pk, "separated": str(merge.absorbed_uuid), "blocked_edges": len(sides.blocked)},
            now=now,
        )
    merge.undone_at, merge.undone_by, merge.state = now, actor, state
    return merge


def separate(
    cursor: Any, profile_id: int, kept: set[int], parts: list[Part], *, now: datetime, detail: dict[str, Any]
) -> bool:
    """Give each part of a profile but the one that is kept a profile of its own.

    Returns
    -------
    bool
        Whether events are still to be moved.
    """
    is_pending = False
    for number, part in enumerate(parts, start=1):
        # Only the last one may swap places with the part that is kept: what comes before leaves from where it is.
        is_last = number == len(parts)
        moving, spare = _place(cursor, profile_id, kept, part, may_swap=is_last)
        is_pending |= split_off(cursor, moving, now=now, detail=detail).is_pending
        if spare is not None:
            inherit_history(cursor, spare, profile_id)
    return is_pending


def find_parts(
    cursor: Any,
    profile_id: int,
    may_stay: list[set[int]],
    *,
    others: Sequence[set[int]] = (),
    now: datetime,
    actor: str,
) -> tuple[set[int], list[Part]]:
    """Return which of the components of a profile is its own, and the rest with the merges that had brought them.

    Such a merge is undone by it, if none of its edges holds any more.
    """
    absorbed = list_absorbed(cursor, [profile_id])
    foreign = {identifier for one in absorbed for identifier in one.own}
    # What nobody brought in is the survivor's own.
    kept = max(may_stay, key=lambda part: len(part - foreign))
    cursor.execute(HOLDING, [int_array(one.merge_id for one in absorbed)])
    holding = {row[0] for row in cursor.fetchall()}
    parts = []
    for part in (*may_stay, *others):
        if part is kept:
            continue
        back = next((one for one in absorbed if one.own <= part and one.merge_id not in holding), None)
        if back is None:
            parts.append(Part(part))
            continue
        row = AbsorbedId.objects.get(uuid=back.uuid)
        merge = Merge.objects.get(pk=back.merge_id)
        row.delete()
        Merge.objects.filter(pk=merge.pk).update(undone_at=now, undone_by=actor)
        parts.append(Part(part, merge, row.dropped_id))
    return kept, parts


def _divide(cursor: Any, merge: Merge, absorbed: AbsorbedId, sides: Sides, *, now: datetime, actor: str) -> bool:
    dropped_id, profile_id = absorbed.dropped_id, absorbed.profile_id
    AbsorbedId.objects.filter(pk=absorbed.pk).delete()
    staying, leaving = parts_of(sides)
    main = max(leaving, key=lambda part: len(part & set(merge.absorbed_identifier_ids)))
    # What only the merge's edges held together falls apart further.
    others = [part for part in leaving if part is not main]
    kept, parts = find_parts(cursor, profile_id, staying, others=others, now=now, actor=actor)
    detail = {"merge": merge.pk, "undone": True, "separated": str(merge.absorbed_uuid)}
    return separate(cursor, profile_id, kept, [*parts, Part(main, merge, dropped_id)], now=now, detail=detail)


def _place(cursor: Any, profile_id: int, kept: set[int], part: Part, *, may_swap: bool) -> tuple[Moving, int | None]:
    """Tell what moves where, and an internal id whose history the profile inherits, if any.

    The id that the merge dropped is free: the side that had it gets it again.
    """
    merge, dropped_id = part.merge, part.dropped_id
    if merge is None or dropped_id is None:
        return Moving(profile_id, part.identifiers), None
    identity = Identity(str(merge.absorbed_uuid), merge.absorbed_created_at)
    own_id = merge.absorbed_profile_id
    if own_id is None or own_id == dropped_id:
        return Moving(profile_id, part.identifiers, identity, dropped_id, merge_id=merge.pk), None
    if own_id == profile_id and may_swap:
        cursor.execute("SELECT uuid::text, created_at FROM profiles_profile WHERE id = %s", [profile_id])
        own = Identity(*cursor.fetchone())
        return Moving(profile_id, kept, own, dropped_id, staying=identity, merge_id=merge.pk), None
    # A later merge dropped the absorbed side's id: it leaves its place to the one that this merge had dropped.
    cursor.execute(LEAVE_PLACE, [dropped_id, profile_id, own_id])
    if cursor.rowcount:
        return Moving(profile_id, part.identifiers, identity, own_id, merge_id=merge.pk), None
    return Moving(profile_id, part.identifiers, identity, merge_id=merge.pk), dropped_id
