"""Static lists: people chosen by hand or by upload."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction

from cdp.core.copying import int_array
from cdp.core.services.audit import record
from cdp.core.services.wakeups import wake
from segments.errors import KeyTaken
from segments.models import StaticList
from segments.queries.lists import Line, find_people, get_list

FOLLOWERS = "segments.follow_changes"
ADD = """
INSERT INTO segments_listmember (list_id, profile_id, identifier_id, added_at)
SELECT %(list)s, t.profile_id, coalesce(nullif(t.identifier_id, 0), (
    SELECT i.id FROM profiles_identifier i JOIN profiles_identifiertype y ON y.id = i.type_id
    WHERE i.profile_id = t.profile_id ORDER BY y.priority, i.first_seen_at, i.id LIMIT 1)), %(now)s
FROM unnest(%(profiles)s::bigint[], %(identifiers)s::bigint[]) AS t(profile_id, identifier_id)
ON CONFLICT DO NOTHING RETURNING profile_id
"""
REMOVE = "DELETE FROM segments_listmember WHERE list_id = %s AND profile_id = ANY(%s::bigint[]) RETURNING profile_id"
REMOVE_ABSORBED = "DELETE FROM segments_absorbedlistmember WHERE list_id = %s AND profile_id = ANY(%s::bigint[])"
NOTE = """
INSERT INTO profiles_work (profile_id, names, since, message_id)
SELECT p, ARRAY[%s], %s, '' FROM unnest(%s::bigint[]) AS p
"""


@dataclass(frozen=True, slots=True)
class Upload:
    """What became of the lines of an upload: nothing is dropped without being counted."""

    added: int
    known: int
    unmatched: int
    duplicate: int
    blank: int


def create_list(*, key: str, name: str, actor: str, now: datetime) -> tuple[StaticList, bool]:
    """Create a list; the same again changes nothing.

    Returns
    -------
    (StaticList, bool)
        Whether it is new.

    Raises
    ------
    KeyTaken
        If the key belongs to a list of another name.
    """
    with transaction.atomic():
        found, created = StaticList.objects.get_or_create(key=key, defaults={"name": name, "created_at": now})
        if created:
            record(actor=actor, action="list.created", object=f"list:{key}", now=now)
    if found.name != name:
        raise KeyTaken(key)
    return found, created


def add_to_list(*, key: str, lines: Sequence[Line], actor: str, now: datetime) -> Upload:
    """Put people on a list and say what became of each line.

    Raises
    ------
    NoSuchList
        If none has this key.
    """
    people = find_people(lines=lines)
    found: dict[int, int] = {}
    blank = unmatched = duplicate = 0
    for line, person in zip(lines, people, strict=True):
        if line.is_blank:
            blank += 1
        elif person is None:
            unmatched += 1
        elif person[0] in found:
            duplicate += 1
        else:
            found[person[0]] = person[1]
    with transaction.atomic(), connection.cursor() as cursor:
        chosen = get_list(key=key)
        cursor.execute(
            ADD,
            {
                "list": chosen.pk,
                "now": now,
                "profiles": int_array(found),
                "identifiers": int_array(found.values()),
            },
        )
        added = [row[0] for row in cursor.fetchall()]
        _note(cursor, key, added, now)
        upload = Upload(len(added), len(found) - len(added), unmatched, duplicate, blank)
        detail = {"added": upload.added, "unmatched": unmatched, "duplicate": duplicate, "blank": blank}
        record(actor=actor, action="list.extended", object=f"list:{key}", detail=detail, now=now)
    return upload


def remove_from_list(*, key: str, lines: Sequence[Line], actor: str, now: datetime) -> int:
    """Take people off a list and return how many were on it.

    Raises
    ------
    NoSuchList
        If none has this key.
    """
    people = {person[0] for person in find_people(lines=lines) if person is not None}
    with transaction.atomic(), connection.cursor() as cursor:
        chosen = get_list(key=key)
        cursor.execute(REMOVE_ABSORBED, [chosen.pk, int_array(people)])
        cursor.execute(REMOVE, [chosen.pk, int_array(people)])
        removed = [row[0] for row in cursor.fetchall()]
        _note(cursor, key, removed, now)
        detail = {"removed": len(removed)}
        record(actor=actor, action="list.reduced", object=f"list:{key}", detail=detail, now=now)
    return len(removed)


def _note(cursor: object, key: str, profile_ids: list[int], now: datetime) -> None:
    if profile_ids:
        cursor.execute(NOTE, [f"list:{key}", now, int_array(profile_ids)])  # type: ignore[attr-defined]
        wake(FOLLOWERS)
