"""A profile's timeline, history, merges and refusals."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Q, QuerySet

from cdp.core.access import Principal, show
from profiles.models import AbsorbedId, Change, ChangeKind, EventType, Merge, Refusal

EVENTS = """
SELECT id, message_id, type, name, occurred_at, original_timestamp, sent_at, received_at, source_id,
    properties::text, context::text, traits::text
FROM profiles_event
WHERE profile_id = ANY(%(ids)s::bigint[]) {conditions}
ORDER BY occurred_at {order}, id {order} LIMIT %(limit)s
"""
TYPE_NAMES = {int(kind): kind.name.lower() for kind in EventType}


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events of a profile are wanted; empty values mean all."""

    name: str = ""
    type: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event as stored; JSON columns are still text."""

    id: int
    message_id: str
    type: int
    name: str
    occurred_at: datetime
    original_timestamp: str | None
    sent_at: datetime | None
    received_at: datetime
    source_id: int
    properties: str | None
    context: str | None
    traits: str | None


def find_events(
    *,
    profile_ids: Sequence[int],
    wanted: EventFilter,
    after: tuple[datetime, int] | None,
    backward: bool,
    limit: int,
) -> list[EventRow]:
    """Return events newest first, from a position on (`backward`: the ones before it, nearest first)."""
    conditions = ""
    params: dict[str, Any] = {"ids": list(profile_ids), "limit": limit}
    if wanted.name:
        conditions += " AND name = %(name)s"
        params["name"] = wanted.name
    if wanted.type:
        conditions += " AND type = %(type)s"
        params["type"] = next((key for key, name in TYPE_NAMES.items() if name == wanted.type), 0)
    if wanted.since is not None:
        conditions += " AND occurred_at >= %(since)s"
        params["since"] = wanted.since
    if wanted.until is not None:
        conditions += " AND occurred_at < %(until)s"
        params["until"] = wanted.until
    if after is not None:
        # The first bound lets partitions be left out, which a comparison of rows does not.
        sign = ">" if backward else "<"
        conditions += f" AND occurred_at {sign}= %(at)s AND (occurred_at, id) {sign} (%(at)s, %(id)s)"
        params["at"], params["id"] = after
    statement = EVENTS.format(conditions=conditions, order="ASC" if backward else "DESC")
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return [EventRow(*row) for row in cursor.fetchall()]


def present_event(
    event: EventRow, *, sources: Mapping[int, str], principal: Principal, loads: Callable[[str], Any]
) -> dict[str, Any]:
    """Return an event in the shape of the contract; an identify's or group's traits stand beside its properties."""
    shown: dict[str, Any] = {
        "id": str(event.id),
        "message_id": event.message_id,
        "type": TYPE_NAMES[event.type],
        "name": event.name,
        "occurred_at": event.occurred_at,
        "original_timestamp": event.original_timestamp,
        "sent_at": event.sent_at,
        "received_at": event.received_at,
        "source": sources.get(event.source_id, ""),
        "properties": show(principal, loads(event.properties)) if event.properties else {},
        "context": show(principal, loads(event.context)) if event.context else {},
    }
    if event.traits:
        shown["traits"] = show(principal, loads(event.traits))
    return shown


def list_changes(*, profile_ids: Sequence[int]) -> QuerySet[Change]:
    """Return the history of a profile."""
    return Change.objects.filter(profile_id__in=profile_ids)


def present_change(change: Change) -> dict[str, Any]:
    """Return one row of history in the shape of the contract."""
    return {"kind": ChangeKind(change.kind).name.lower(), "at": change.at, "detail": change.detail}


def list_merges(*, profile_uuid: str | None = None) -> QuerySet[Merge]:
    """Return the merge ledger, of one profile or of all: those that made the profile, at any depth."""
    merges = Merge.objects.all()
    if profile_uuid is None:
        return merges
    absorbed = AbsorbedId.objects.filter(profile__uuid=profile_uuid).values("uuid")
    own = Q(survivor_uuid=profile_uuid) | Q(absorbed_uuid=profile_uuid)
    return merges.filter(own | Q(survivor_uuid__in=absorbed) | Q(absorbed_uuid__in=absorbed))


def present_merge(merge: Merge) -> dict[str, Any]:
    """Return one merge in the shape of the contract."""
    return {
        "id": str(merge.pk),
        "survivor_id": str(merge.survivor_uuid),
        "absorbed_id": str(merge.absorbed_uuid),
        "kind": Merge.Kind(merge.kind).name.lower(),
        "rule": merge.rule,
        "message_id": merge.message_id,
        "score": merge.score,
        "actor": merge.actor,
        "created_at": merge.created_at,
        "state": Merge.State(merge.state).name.lower(),
        "undone_at": merge.undone_at,
    }


def list_refusals(*, profile_uuid: str | None = None) -> QuerySet[Refusal]:
    """Return the ledger of refusals, of one profile or of all."""
    refusals = Refusal.objects.all()
    return refusals if profile_uuid is None else refusals.filter(profile_uuids__contains=[profile_uuid])


def present_refusal(refusal: Refusal, *, principal: Principal) -> dict[str, Any]:
    """Return one refusal in the shape of the contract."""
    kind = refusal.identifier_type if refusal.identifier_type in {"email", "phone"} else "text"
    return {
        "id": str(refusal.pk),
        "profile_ids": [str(one) for one in refusal.profile_uuids],
        "identifier": {
            "type": refusal.identifier_type,
            "value": show(principal, refusal.identifier_value, kind),
        },
        "reason": refusal.reason,
        "rule": refusal.rule,
        "message_id": refusal.message_id,
        "created_at": refusal.created_at,
    }
