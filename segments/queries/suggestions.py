"""What the builder of segments offers: names that the data really has, and the values that they mostly have."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from django.core.cache import cache
from django.db import connection
from django.db.models import QuerySet

from consent.models import Purpose
from profiles.models import IdentifierType
from segments.language.computed import COMPUTED_TRAITS
from segments.language.condition_sql import json_path
from segments.language.properties import CONTEXT
from segments.language.scans import PSEUDO_EVENTS, PSEUDO_TABLES
from segments.language.sessions import PROPERTIES as OF_SESSION
from segments.language.sessions import SESSION
from segments.models import Segment, StaticList

Names = TypeVar("Names", list[str], dict[str, str])

REMEMBERED_SECONDS = 60
MOST = 100
# Hops through the index from one name to the next, so that no partition is read as a whole.
EVENT_NAMES = """
WITH RECURSIVE names AS (
    (SELECT name FROM profiles_event WHERE name > '' ORDER BY name LIMIT 1)
    UNION ALL
    SELECT (SELECT e.name FROM profiles_event e WHERE e.name > n.name ORDER BY e.name LIMIT 1) FROM names n
    WHERE n.name IS NOT NULL
)
SELECT name FROM names WHERE name IS NOT NULL LIMIT %s
"""
# The type of JSON, or `date` for a text that begins like one.
KIND = """CASE WHEN jsonb_typeof({0}) = 'string' AND {0} #>> '{{}}' ~ '^[12][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]'
        THEN 'date' ELSE jsonb_typeof({0}) END"""
TRAITS = """
SELECT name, mode() WITHIN GROUP (ORDER BY kind) FROM (
    SELECT t.key AS name, {kind} AS kind
    FROM (SELECT traits FROM profiles_profile ORDER BY id DESC LIMIT 1000) AS part, jsonb_each(part.traits) AS t
) AS seen GROUP BY name ORDER BY count(*) DESC, name LIMIT %s
""".format(kind=KIND.format("t.value"))
PROPERTIES = """
SELECT name, mode() WITHIN GROUP (ORDER BY kind) FROM (
    SELECT p.key AS name, {kind} AS kind
    FROM (SELECT properties FROM profiles_event WHERE name = %s ORDER BY occurred_at DESC LIMIT 200) AS part,
        jsonb_each(part.properties) AS p
) AS seen GROUP BY name ORDER BY count(*) DESC, name LIMIT %s
""".format(kind=KIND.format("p.value"))
PROPERTIES_OF_VIEW = """
SELECT name, mode() WITHIN GROUP (ORDER BY kind) FROM (
    SELECT p.key AS name, {kind} AS kind
    FROM (SELECT properties FROM {table} LIMIT 200) AS part, jsonb_each(part.properties) AS p
) AS seen GROUP BY name ORDER BY count(*) DESC, name LIMIT %s
"""
# Of one name: its values among the latest people or events.
TRAIT_VALUES = """
SELECT value, count(*), 0 FROM (
    SELECT cdp_text(x.v) AS value
    FROM (SELECT traits FROM profiles_profile WHERE NOT restricted ORDER BY id DESC LIMIT {most}) AS part,
        jsonb_path_query(part.traits, %(path)s::jsonpath) AS found(v),
        jsonb_array_elements(cdp_elements(found.v)) AS x(v)
) AS seen WHERE value <> '' AND strpos(cdp_fold(value), cdp_fold(%(text)s)) > 0
GROUP BY value HAVING count(*) >= %(smallest)s ORDER BY count(*) DESC, value LIMIT %(limit)s
"""
PROPERTY_VALUES = """
SELECT value, count(DISTINCT profile_id), 0 FROM (
    SELECT part.profile_id, cdp_text(x.v) AS value
    FROM ({part}) AS part,
        jsonb_path_query(part.{column}, %(path)s::jsonpath) AS found(v),
        jsonb_array_elements(cdp_elements(found.v)) AS x(v)
) AS seen WHERE value <> '' AND strpos(cdp_fold(value), cdp_fold(%(text)s)) > 0
GROUP BY value HAVING count(DISTINCT profile_id) >= %(smallest)s
ORDER BY count(DISTINCT profile_id) DESC, value LIMIT %(limit)s
"""
LATEST_EVENTS = """
SELECT profile_id, properties, context FROM profiles_event WHERE name = %(event)s
ORDER BY occurred_at DESC LIMIT {most}
"""
LATEST_OF_VIEW = "SELECT profile_id, properties, context FROM {table} ORDER BY occurred_at DESC LIMIT {most}"
EXAMINED = 20_000
MOST_VALUES = 50
COMPUTED_KINDS = {name: "date" if name.endswith("_at") else "number" for name in COMPUTED_TRAITS}


@dataclass(frozen=True, slots=True)
class Suggestions:
    """Names to choose from; traits with the type of JSON that they mostly have."""

    events: list[str] = field(default_factory=list)
    traits: dict[str, str] = field(default_factory=dict)
    segments: list[dict[str, str]] = field(default_factory=list)
    lists: list[dict[str, str]] = field(default_factory=list)
    purposes: list[dict[str, object]] = field(default_factory=list)
    identifiers: list[dict[str, str]] = field(default_factory=list)


def read_suggestions() -> Suggestions:
    """Return what can be chosen in the builder; names out of the data are at most a minute old."""
    return Suggestions(
        events=[*_remembered("segments.events", _read_event_names), *PSEUDO_EVENTS],
        traits=read_trait_names(),
        segments=_named(Segment.objects.exclude(status=Segment.Status.ARCHIVED)),
        lists=_named(StaticList.objects.all()),
        purposes=[
            {"key": key, "name": name, "channels": channels}
            for key, name, channels in Purpose.objects.order_by("name", "id").values_list("key", "name", "channels")
        ],
        identifiers=_named(IdentifierType.objects.all()),
    )


def read_trait_names() -> dict[str, str]:
    """Return the traits with the type of JSON that they mostly have; at most a minute old."""
    return {**_remembered("segments.traits", _read_trait_names), **COMPUTED_KINDS}


def read_property_names(*, event: str) -> dict[str, str]:
    """Return the properties of the latest 200 events of a name, most frequent first, with their type of JSON."""
    if event == SESSION:
        return dict(OF_SESSION)
    table = PSEUDO_TABLES.get(event)
    with connection.cursor() as cursor:
        if table is not None:
            cursor.execute(PROPERTIES_OF_VIEW.format(table=table, kind=KIND.format("p.value")), [MOST])
        else:
            cursor.execute(PROPERTIES, [event, MOST])
        return dict(cursor.fetchall())


def read_values(*, path: tuple[str, ...], event: str | None, text: str, smallest: int) -> list[tuple[str, int]]:
    """Return the most frequent values of a trait, or of a property of an event, with how many people have them.

    Parameters
    ----------
    path : tuple of str
        Of a property, the prefix `context` reads the context.
    event : str or None
        The event's name; None asks for a trait.
    text : str
        Only values that contain it, whatever the case; empty for all.
    smallest : int
        Values that fewer people have are left out.

    Notes
    -----
    Counts are of the latest `EXAMINED` people or events. Elements of arrays count as values.
    """
    column = "properties"
    if event is None:
        statement = TRAIT_VALUES.format(most=EXAMINED)
    else:
        if path[0] == CONTEXT and len(path) > 1:
            column, path = "context", path[1:]
        table = PSEUDO_TABLES.get(event)
        part = LATEST_OF_VIEW.format(table=table, most=EXAMINED) if table else LATEST_EVENTS.format(most=EXAMINED)
        statement = PROPERTY_VALUES.format(part=part, column=column)
    parameters = {"path": json_path(path), "event": event, "text": text, "smallest": smallest, "limit": MOST_VALUES}
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return [(value, people) for value, people, _ in cursor.fetchall()]


def _read_event_names() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(EVENT_NAMES, [MOST])
        return [row[0] for row in cursor.fetchall()]


def _read_trait_names() -> dict[str, str]:
    with connection.cursor() as cursor:
        cursor.execute(TRAITS, [MOST])
        return dict(cursor.fetchall())


def _remembered(name: str, read: Callable[[], Names]) -> Names:
    found: Names | None = cache.get(name)
    if found is None:
        found = read()
        cache.set(name, found, REMEMBERED_SECONDS)
    return found


def _named(rows: QuerySet[Any]) -> list[dict[str, str]]:
    return [{"key": key, "name": name} for key, name in rows.order_by("name", "id").values_list("key", "name")]
