"""A profile's timeline, history, merges and refusals."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL

from cdp.core.access import Principal, show
from profiles.models import Activity, Change, ChangeKind, EventType, Merge, Refusal
from profiles.queries.sealed import open_texts

COLUMNS = """
id, message_id, type, name, occurred_at, original_timestamp, sent_at, received_at, source_id,
    properties::text AS properties, context::text AS context, traits::text AS traits
"""
EVENTS = f"""
SELECT {COLUMNS} FROM profiles_event
WHERE profile_id = ANY(%(ids)s::bigint[]) {{conditions}}
ORDER BY occurred_at {{order}}, id {{order}} LIMIT %(limit)s
"""
# The index of a profile's events is by name, then time. Of a person with very many, the newest of each name are read
# instead of sorting all of a month.
MANY = 20_000
MOST_NAMES = 300
NAMES = """
WITH RECURSIVE names AS (
    (SELECT name FROM profiles_event WHERE profile_id = %(id)s ORDER BY name LIMIT 1)
    UNION ALL
    SELECT (SELECT name FROM profiles_event WHERE profile_id = %(id)s AND name > names.name ORDER BY name LIMIT 1)
    FROM names WHERE names.name IS NOT NULL
)
SELECT name FROM names WHERE name IS NOT NULL LIMIT %(limit)s
"""
EVENTS_BY_NAME = f"""
SELECT e.* FROM unnest(%(names)s::text[]) AS n(name) CROSS JOIN LATERAL (
    SELECT {COLUMNS} FROM profiles_event
    WHERE profile_id = %(id)s AND name = n.name {{conditions}}
    ORDER BY occurred_at {{order}}, id {{order}} LIMIT %(limit)s
) AS e ORDER BY occurred_at {{order}}, id {{order}} LIMIT %(limit)s
"""
# The ids as an array: so both indexes are used, however long the ledger is.
MERGES_OF = """
WITH own AS (
    SELECT array_agg(u) AS ids FROM (
        SELECT %s::uuid AS u
        UNION ALL
        SELECT x.uuid FROM profiles_absorbedid x JOIN profiles_profile p ON p.id = x.profile_id WHERE p.uuid = %s
    ) AS each
)
SELECT id FROM profiles_merge
WHERE survivor_uuid = ANY((SELECT ids FROM own)::uuid[]) OR absorbed_uuid = ANY((SELECT ids FROM own)::uuid[])
"""
NAMELESS = frozenset({EventType.IDENTIFY, EventType.ALIAS, EventType.GROUP, EventType.MERGE})
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
    opens: bool = False,
) -> list[EventRow]:
    """Return events newest first, from a position on (`backward`: the ones before it, nearest first).

    Parameters
    ----------
    opens : bool
        Whether traits that are stored encrypted are decrypted.
    """
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
    with connection.cursor() as cursor:
        statement = EVENTS
        if len(profile_ids) == 1 and not wanted.name and _has_many(profile_ids[0]):
            names = _read_names(cursor, profile_ids[0], params.get("type"))
            if len(names) <= MOST_NAMES:
                statement = EVENTS_BY_NAME
                params |= {"id": profile_ids[0], "names": names}
        statement = statement.format(conditions=conditions, order="ASC" if backward else "DESC")
        cursor.execute(statement, params)
        rows = [EventRow(*row) for row in cursor.fetchall()]
    return _opened(rows) if opens else rows


def _opened(rows: Sequence[EventRow]) -> list[EventRow]:
    texts = open_texts([text for row in rows for text in (row.context, row.traits)])
    return [replace(row, context=texts[2 * at], traits=texts[2 * at + 1]) for at, row in enumerate(rows)]


def _has_many(profile_id: int) -> bool:
    return Activity.objects.filter(pk=profile_id, event_count__gt=MANY).exists()


def _read_names(cursor: Any, profile_id: int, kind: int | None) -> list[str]:
    """Return the names of a profile's events, those of one type only where these have none."""
    if kind in NAMELESS:
        return [""]
    cursor.execute(NAMES, {"id": profile_id, "limit": MOST_NAMES + 1})
    return [row[0] for row in cursor.fetchall()]


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
    found = RawSQL(MERGES_OF, [profile_uuid, profile_uuid])  # noqa: S611 - a constant, and the id as a parameter
    return merges.filter(pk__in=found)


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
        "undone_by": merge.undone_by,
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
        "limit": refusal.value_limit,
        "rule": refusal.rule,
        "message_id": refusal.message_id,
        "created_at": refusal.created_at,
    }
