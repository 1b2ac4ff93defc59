"""Both people of a merge as an undo would leave them, for the page that asks before it is done."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from django.db import connection

from cdp.core.access import Principal, show
from cdp.core.copying import int_array
from profiles.models import AbsorbedId, Activity, EventType, Identifier, Merge
from profiles.queries.profiles import PERSONAL_KINDS
from profiles.queries.sides import find_sides
from profiles.queries.trait_rules import read_rules
from profiles.services.traits import Meta, Traits, apply_ruled, micros, normal_form

# Of a person with more events, what each side gets is not worked out beforehand: the page has to answer at once.
MOST_EVENTS = 50_000
MOST_IDENTIFIERS = 30
COUNT = """
SELECT identifiers[1] = ANY(%s::bigint[]), count(*) FROM profiles_event WHERE profile_id = %s GROUP BY 1
"""
STATED = """
SELECT identifiers[1], source_id, occurred_at, received_at, traits::text FROM profiles_event
WHERE profile_id = %s AND type = %s AND name = '' AND traits IS NOT NULL ORDER BY received_at, id
"""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two people. `events` is None where that was not worked out, and then no traits are."""

    uuid: str
    identifiers: list[tuple[str, str]]
    more: int
    events: int | None
    traits: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Preview:
    """What stays, what becomes a profile of its own again, how many links are blocked; `restricted`: nothing may."""

    staying: Side
    leaving: Side
    blocked: int
    restricted: bool

    @property
    def both(self) -> tuple[Side, Side]:
        """The side that stays, and the one that leaves."""
        return self.staying, self.leaving

    @property
    def trait_rows(self) -> list[tuple[str, Any, Any]]:
        """Names of traits with what each side has."""
        names = sorted({*self.staying.traits, *self.leaving.traits})
        return [(name, self.staying.traits.get(name), self.leaving.traits.get(name)) for name in names]


def preview_undo(*, merge: Merge, principal: Principal) -> Preview | None:
    """Return both people; None if the merge cannot be undone."""
    absorbed = AbsorbedId.objects.filter(uuid=merge.absorbed_uuid, merge=merge).select_related("profile").first()
    if absorbed is None or merge.undone_at is not None:
        return None
    with connection.cursor() as cursor:
        sides = find_sides(cursor, merge=merge, profile_id=absorbed.profile_id)
        if sides is None:
            return None
        counts, traits = _events(cursor, absorbed.profile_id, sides.leaving)
    both = [
        _side(uuid, held, counts.get(is_leaving) if counts else None, traits[is_leaving], principal)
        for uuid, held, is_leaving in (
            (str(absorbed.profile.uuid), sides.staying, False),
            (str(merge.absorbed_uuid), sides.leaving, True),
        )
    ]
    return Preview(both[0], both[1], len(sides.blocked), absorbed.profile.restricted)


def _events(cursor: Any, profile_id: int, leaving: set[int]) -> tuple[dict[bool, int], dict[bool, Traits]]:
    """Return how many events and which traits each side gets, by whether it leaves."""
    traits: dict[bool, Traits] = {False: {}, True: {}}
    activity = Activity.objects.filter(pk=profile_id).first()
    if activity is not None and activity.event_count > MOST_EVENTS:
        return {}, traits
    cursor.execute(COUNT, [int_array(leaving), profile_id])
    counts = {False: 0, True: 0, **dict(cursor.fetchall())}
    meta: dict[bool, Meta] = {False: {}, True: {}}
    rules = read_rules(cursor)
    cursor.execute(STATED, [profile_id, int(EventType.IDENTIFY)])
    for identifier, source_id, occurred_at, received_at, stated in cursor.fetchall():
        side = identifier in leaving
        stamp = [source_id, micros(occurred_at), micros(received_at)]
        # What a rule cannot tell one statement at a time is shown as far as it can.
        apply_ruled(rules, traits[side], meta[side], normal_form(orjson.loads(stated)), stamp, set())
    return counts, traits


def _side(uuid: str, held: set[int], events: int | None, traits: Traits, principal: Principal) -> Side:
    rows = Identifier.objects.filter(pk__in=held).select_related("type").order_by("type__priority", "id")
    shown = [
        (one.type.name, show(principal, one.value, PERSONAL_KINDS.get(one.type.key, "text")))
        for one in rows[:MOST_IDENTIFIERS]
    ]
    seen = {name: show(principal, value, PERSONAL_KINDS.get(name, "text")) for name, value in traits.items()}
    return Side(uuid, shown, len(held) - len(shown), events, seen)
