"""Static lists: people chosen by hand or by upload."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from django.db import connection, transaction

from cdp.core import locks
from cdp.core.copying import copy_rows, int_array
from cdp.core.services.audit import record
from cdp.core.services.wakeups import wake
from segments.errors import KeyTaken, SegmentInUse
from segments.models import AbsorbedListMember, ListMember, ListUpload, ListUploadRow, StaticList
from segments.queries.following import find_users_of
from segments.queries.lists import Line, find_people, get_list
from segments.queries.segments import get_segment
from segments.tables import FIRST_ROW, PROFILE_ID, Table

Outcome = ListUploadRow.Outcome

FOLLOWERS = "segments.follow_changes"
ADD = """
INSERT INTO segments_listmember (list_id, profile_id, identifier_id, added_at)
SELECT %(list)s, t.profile_id, coalesce(nullif(t.identifier_id, 0), (
    SELECT i.id FROM profiles_identifier i JOIN profiles_identifiertype y ON y.id = i.type_id
    WHERE i.profile_id = t.profile_id ORDER BY y.priority, i.first_seen_at, i.id LIMIT 1)), %(now)s
FROM unnest(%(profiles)s::bigint[], %(identifiers)s::bigint[]) AS t(profile_id, identifier_id)
ON CONFLICT DO NOTHING RETURNING profile_id
"""
SNAPSHOT = """
INSERT INTO segments_listmember (list_id, profile_id, identifier_id, added_at)
SELECT %(list)s, m.profile_id, (
    SELECT i.id FROM profiles_identifier i JOIN profiles_identifiertype y ON y.id = i.type_id
    WHERE i.profile_id = m.profile_id ORDER BY y.priority, i.first_seen_at, i.id LIMIT 1), %(now)s
FROM segments_membership m WHERE m.segment_id = %(segment)s
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
    with transaction.atomic():
        return _add(get_list(key=key), lines, actor=actor, now=now)[0]


def upload_list(*, key: str, table: Table, actor: str, now: datetime) -> ListUpload:
    """Put the people of a file on a list, and keep what became of each row.

    Parameters
    ----------
    table : Table
        The file as read (`segments.tables`).

    Raises
    ------
    NoSuchList
        If none has this key.
    """
    by_id = table.type == PROFILE_ID
    lines = [Line(profile_id=value) if by_id else Line(type=table.type, value=value) for value in table.values]
    with transaction.atomic(), connection.cursor() as cursor:
        chosen = get_list(key=key)
        upload, outcomes = _add(chosen, lines, actor=actor, now=now)
        made = ListUpload.objects.create(
            list=chosen,
            column=table.column,
            type=table.type,
            counts=asdict(upload),
            created_at=now,
            created_by=actor,
        )
        rows = [f"{made.pk}\t{number}\t{int(outcome)}\n" for number, outcome in enumerate(outcomes, FIRST_ROW)]
        copy_rows(cursor, ListUploadRow._meta.db_table, "upload_id, row, outcome", rows)
    return made


def _add(chosen: StaticList, lines: Sequence[Line], *, actor: str, now: datetime) -> tuple[Upload, list[Outcome]]:
    people = find_people(lines=lines)
    found: dict[int, int] = {}
    outcomes = []
    for line, person in zip(lines, people, strict=True):
        if line.is_blank:
            outcomes.append(Outcome.BLANK)
        elif person is None:
            outcomes.append(Outcome.UNMATCHED)
        elif person[0] in found:
            outcomes.append(Outcome.DUPLICATE)
        else:
            found[person[0]] = person[1]
            outcomes.append(Outcome.ADDED)
    with connection.cursor() as cursor:
        identifiers = int_array(found.values())
        cursor.execute(ADD, {"list": chosen.pk, "now": now, "profiles": int_array(found), "identifiers": identifiers})
        added = {row[0] for row in cursor.fetchall()}
        _note(cursor, chosen.key, sorted(added), now)
    outcomes = [
        Outcome.KNOWN if outcome == Outcome.ADDED and person is not None and person[0] not in added else outcome
        for outcome, person in zip(outcomes, people, strict=True)
    ]
    count = Counter(outcomes)
    upload = Upload(*(count[outcome] for outcome in Outcome))
    detail = {
        "added": upload.added,
        "unmatched": upload.unmatched,
        "duplicate": upload.duplicate,
        "blank": upload.blank,
    }
    record(actor=actor, action="list.extended", object=f"list:{chosen.key}", detail=detail, now=now)
    return upload, outcomes


def snapshot_segment(*, segment_key: str, key: str, name: str, actor: str, now: datetime) -> tuple[StaticList, bool]:
    """Keep who is in a segment now as a list; the same key again changes nothing.

    Returns
    -------
    (StaticList, bool)
        Whether it is new.

    Raises
    ------
    NoSuchSegment
        If there is none.
    KeyTaken
        If the key belongs to a list of another name.
    """
    segment = get_segment(key=segment_key)
    with transaction.atomic(), connection.cursor() as cursor:
        made, created = create_list(key=key, name=name or f"{segment.name}, {now:%Y-%m-%d}", actor=actor, now=now)
        if created:
            cursor.execute(SNAPSHOT, {"list": made.pk, "segment": segment.pk, "now": now})
            detail = {"segment": segment_key, "added": cursor.rowcount}
            record(actor=actor, action="list.extended", object=f"list:{key}", detail=detail, now=now)
    return made, created


def delete_list(*, key: str, actor: str, now: datetime) -> None:
    """Delete a list with its places.

    Raises
    ------
    NoSuchList
        If none has this key.
    SegmentInUse
        If segments ask for it.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        locks.take(cursor, locks.SEGMENTS)
        chosen = get_list(key=key)
        users = find_users_of(f"list:{key}")
        if users:
            raise SegmentInUse(key, users)
        for table in (ListMember, AbsorbedListMember, ListUploadRow):
            field = "upload__list" if table is ListUploadRow else "list"
            table._default_manager.filter(**{field: chosen}).delete()
        chosen.delete()
        record(actor=actor, action="list.deleted", object=f"list:{key}", now=now)


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
