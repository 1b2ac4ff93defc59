"""What each person should be, computed from scratch: components over the active edges, and what came with them.

It shares no code with the product: rows of edges, events, decisions and places are read as they are recorded, and put
together here. Internal and public ids of profiles are never compared; a person is the set of their identifiers.
"""

import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import connection

ACTIVE, BLOCKED, APART = 1, 3, 6
IDENTIFY = 2
GAP = timedelta(minutes=30)


@dataclass
class Person:
    """A person, by what is known of them."""

    events: list[str] = field(default_factory=list)
    first_at: Any = None
    last_at: Any = None
    traits: dict[str, Any] = field(default_factory=dict)
    decisions: list[int] = field(default_factory=list)
    groups: set[str] = field(default_factory=set)
    lists: set[str] = field(default_factory=set)
    segments: set[str] = field(default_factory=set)


def rows(statement: str) -> list[tuple[Any, ...]]:
    """Return the rows of a statement."""
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


def components(nodes: set[int], edges: list[tuple[int, int]]) -> dict[int, frozenset[int]]:
    """Return the component of each node, found by walking from it."""
    near: dict[int, set[int]] = {node: set() for node in nodes}
    for a, b in edges:
        near[a].add(b)
        near[b].add(a)
    found: dict[int, frozenset[int]] = {}
    for node in nodes:
        if node in found:
            continue
        seen, waiting = {node}, [node]
        while waiting:
            for other in near[waiting.pop()] - seen:
                seen.add(other)
                waiting.append(other)
        for one in seen:
            found[one] = frozenset(seen)
    return found


def names() -> dict[int, str]:
    """Return each identifier as TYPE:VALUE, by id."""
    return dict(
        rows(
            "SELECT i.id, t.key || ':' || i.value FROM profiles_identifier i "
            "JOIN profiles_identifiertype t ON t.id = i.type_id"
        )
    )


def expected() -> dict[frozenset[str], Person]:
    """Return every person by their identifiers, computed from what is recorded."""
    named = names()
    edges = rows(f"SELECT a, b FROM profiles_edge WHERE state = {ACTIVE}")
    part = components(set(named), [(a, b) for a, b in edges])
    people: dict[frozenset[int], Person] = {members: Person() for members in part.values()}
    statements: dict[frozenset[int], dict[str, tuple[Any, Any]]] = {members: {} for members in people}
    for identifiers, message_id, kind, occurred_at, received_at, traits, name in rows(
        "SELECT identifiers, message_id, type, occurred_at, received_at, traits::text, name "
        "FROM profiles_event ORDER BY id"
    ):
        members = part[identifiers[0]]
        person = people[members]
        person.events.append(message_id)
        person.first_at = min(person.first_at or occurred_at, occurred_at)
        person.last_at = max(person.last_at or occurred_at, occurred_at)
        if name == "Bought":
            person.segments.add("buyers")
        if kind == IDENTIFY and traits:
            for trait, value in json.loads(traits).items():
                known = statements[members].get(trait)
                if known is None or known[0] <= (occurred_at, received_at):
                    statements[members][trait] = ((occurred_at, received_at), value)
    for members, person in people.items():
        person.events.sort()
        person.traits = {name: value for name, (_, value) in statements[members].items() if value is not None}
    for decision, identifier in rows("SELECT id, identifier_id FROM consent_decision ORDER BY id"):
        people[part[identifier]].decisions.append(decision)
    for group, identifier in rows(
        "SELECT g.group_id, m.identifier_id FROM profiles_groupmembership m JOIN profiles_group g ON g.id = m.group_id"
    ):
        people[part[identifier]].groups.add(group)
    for table in ("segments_listmember", "segments_absorbedlistmember"):
        for key, identifier in rows(
            f"SELECT s.key, l.identifier_id FROM {table} l JOIN segments_staticlist s ON s.id = l.list_id"
        ):
            people[part[identifier]].lists.add(key)
    return {frozenset(named[one] for one in members): person for members, person in people.items()}


def actual(*, segments: bool) -> dict[frozenset[str], Person]:
    """Return every person by their identifiers, as the product's own tables have them by profile."""
    named = names()
    held: dict[int, set[int]] = {}
    for identifier, profile in rows("SELECT id, profile_id FROM profiles_identifier"):
        held.setdefault(profile, set()).add(identifier)
    people: dict[int, Person] = {}
    for profile, traits in rows("SELECT id, traits::text FROM profiles_profile"):
        people[profile] = Person(traits=json.loads(traits))
    for profile, message_id in rows("SELECT profile_id, message_id FROM profiles_event ORDER BY message_id"):
        people[profile].events.append(message_id)
    for profile, first_at, last_at, count in rows(
        "SELECT profile_id, first_event_at, last_event_at, event_count FROM profiles_activity"
    ):
        people[profile].first_at, people[profile].last_at = first_at, last_at
        assert count == len(people[profile].events)
    for profile, decision in rows("SELECT profile_id, id FROM consent_decision ORDER BY id"):
        people[profile].decisions.append(decision)
    for profile, group in rows(
        "SELECT m.profile_id, g.group_id FROM profiles_groupmembership m JOIN profiles_group g ON g.id = m.group_id"
    ):
        people[profile].groups.add(group)
    for profile, key in rows(
        "SELECT l.profile_id, s.key FROM segments_listmember l JOIN segments_staticlist s ON s.id = l.list_id"
    ):
        people[profile].lists.add(key)
    if segments:
        for profile, key in rows(
            "SELECT m.profile_id, s.key FROM segments_membership m JOIN segments_segment s ON s.id = m.segment_id"
        ):
            people[profile].segments.add(key)
    # No profile without an identifier, and no identifier without a profile.
    assert held.keys() == people.keys()
    return {frozenset(named[one] for one in held[profile]): person for profile, person in people.items()}


def faults() -> list[str]:
    """Return what must never be, in words."""
    found = []
    checks = {
        "a public id is live and absorbed": (
            "SELECT uuid FROM profiles_profile INTERSECT SELECT uuid FROM profiles_absorbedid"
        ),
        "an absorbed id leads nowhere": (
            "SELECT uuid FROM profiles_absorbedid x WHERE NOT EXISTS "
            "(SELECT FROM profiles_profile p WHERE p.id = x.profile_id)"
        ),
        "a dropped internal id is in use": (
            "SELECT x.dropped_id FROM profiles_absorbedid x JOIN profiles_profile p ON p.id = x.dropped_id"
        ),
        "history belongs to nobody": (
            "SELECT profile_id FROM profiles_change c WHERE kind <> 9 AND NOT EXISTS "
            "(SELECT FROM profiles_profile p WHERE p.id = c.profile_id) AND NOT EXISTS "
            "(SELECT FROM profiles_absorbedid x WHERE x.dropped_id = c.profile_id)"
        ),
        "profiles that are apart are one": (
            "SELECT e.id FROM profiles_edge e JOIN profiles_identifier i ON i.id = e.a "
            f"JOIN profiles_identifier j ON j.id = e.b WHERE e.state = {BLOCKED} AND e.kind = {APART} "
            "AND i.profile_id = j.profile_id"
        ),
        "a merge that was not undone has no absorbed id": (
            "SELECT m.id FROM profiles_merge m WHERE undone_at IS NULL AND NOT EXISTS "
            "(SELECT FROM profiles_absorbedid x WHERE x.merge_id = m.id)"
        ),
    }
    for fault, statement in checks.items():
        if rows(statement):
            found.append(fault)
    if kept_sessions() != derived_sessions():
        found.append("sessions are not those of the events")
    return found


def kept_sessions() -> list[tuple[Any, ...]]:
    """Return the sessions as the product keeps them: profile, source, beginning, end, first event, number, campaign."""
    return sorted(
        rows(
            "SELECT profile_id, source_id, occurred_at, ended_at, id, events, coalesce(campaign #>> '{}', '')"
            " FROM profiles_session"
        )
    )


def derived_sessions(gap: timedelta = GAP) -> list[tuple[Any, ...]]:
    """Return the sessions that a walk over the events of each profile and source finds, in the same form."""
    found: list[tuple[Any, ...]] = []
    events = rows(
        "SELECT profile_id, source_id, occurred_at, id, coalesce(context #>> '{campaign}', '') FROM profiles_event"
        " WHERE type IN (1, 3, 4) ORDER BY profile_id, source_id, occurred_at, id"
    )
    for profile_id, source_id, at, event_id, campaign in events:
        if found and found[-1][:2] == (profile_id, source_id) and at - found[-1][3] < gap:
            _, _, began, _, first, number, said = found[-1]
            found[-1] = (profile_id, source_id, began, at, first, number + 1, said)
        else:
            found.append((profile_id, source_id, at, at, event_id, 1, campaign))
    return sorted(found)
