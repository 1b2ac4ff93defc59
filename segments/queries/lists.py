"""Finding static lists, and the people that the lines of an upload name."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection
from django.db.models import QuerySet

from profiles.errors import BadIdentifier
from profiles.models import Identifier, IdentifierType
from profiles.queries.people import name_identifier
from segments.errors import NoSuchList, NoSuchUpload
from segments.models import ListMember, ListUpload, ListUploadRow, StaticList

UUID_PATTERN = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
BY_UUID = """
SELECT t.u, coalesce(p.id, a.profile_id) FROM unnest(%s::text[]) AS t(u)
LEFT JOIN profiles_profile p ON p.uuid = CASE WHEN t.u ~ %s THEN t.u::uuid END
LEFT JOIN profiles_absorbedid a ON a.uuid = CASE WHEN t.u ~ %s THEN t.u::uuid END
WHERE p.id IS NOT NULL OR a.profile_id IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class Line:
    """One line: a public id, or an identifier as type and value. Both empty: a blank line."""

    profile_id: str = ""
    type: str = ""
    value: str = ""

    @property
    def is_blank(self) -> bool:
        """Whether it names nobody."""
        return not self.profile_id.strip() and not self.value.strip()


def list_lists() -> QuerySet[StaticList]:
    """Return all static lists; the caller orders them."""
    return StaticList.objects.all()


def get_list(*, key: str) -> StaticList:
    """Return a list.

    Raises
    ------
    NoSuchList
        If none has this key.
    """
    found = StaticList.objects.filter(key=key).first()
    if found is None:
        raise NoSuchList(key)
    return found


def list_list_members(*, chosen: StaticList) -> QuerySet[ListMember]:
    """Return who is on a list; the caller orders them."""
    return ListMember.objects.filter(list=chosen)


def list_identifier_types() -> list[str]:
    """Return the keys of all identifier types, strongest first."""
    return list(IdentifierType.objects.order_by("priority", "key").values_list("key", flat=True))


def get_upload(*, key: str, upload_id: int) -> ListUpload:
    """Return a file that was put on a list.

    Raises
    ------
    NoSuchList
        If there is no such list.
    NoSuchUpload
        If the list has no such file.
    """
    found = ListUpload.objects.filter(list=get_list(key=key), pk=upload_id).first()
    if found is None:
        raise NoSuchUpload(key)
    return found


def list_uploads(*, chosen: StaticList) -> QuerySet[ListUpload]:
    """Return the files that were put on a list; the caller orders them."""
    return ListUpload.objects.filter(list=chosen)


def list_upload_rows(*, upload: ListUpload, outcome: str = "") -> QuerySet[ListUploadRow]:
    """Return what became of the rows of a file, all or those of one outcome; the caller orders them."""
    rows = ListUploadRow.objects.filter(upload=upload)
    numbers = {choice.label: choice.value for choice in ListUploadRow.Outcome}
    return rows.filter(outcome=numbers.get(outcome, 0)) if outcome else rows


def find_people(*, lines: Sequence[Line]) -> list[tuple[int, int] | None]:
    """Return, for each line, the internal id of its person and the identifier that named them (0: the public id).

    Two statements for any number of lines.
    """
    lookups = {line: _lookup(line) for line in lines if not line.profile_id.strip() and not line.is_blank}
    wanted = [lookup for lookup in lookups.values() if lookup is not None]
    by_lookup = {
        bytes(lookup): (profile_id, identifier_id)
        for lookup, profile_id, identifier_id in Identifier.objects.filter(lookup__in=wanted).values_list(
            "lookup", "profile_id", "id"
        )
    }
    with connection.cursor() as cursor:
        named = [line.profile_id.strip().lower() for line in lines if line.profile_id.strip()]
        cursor.execute(BY_UUID, [named, UUID_PATTERN, UUID_PATTERN])
        by_uuid: dict[str, int] = dict(cursor.fetchall())
    found: list[tuple[int, int] | None] = []
    for line in lines:
        profile_id = by_uuid.get(line.profile_id.strip().lower())
        if line.profile_id.strip():
            found.append(None if profile_id is None else (profile_id, 0))
        else:
            found.append(by_lookup.get(lookups.get(line) or b""))
    return found


def _lookup(line: Line) -> bytes | None:
    try:
        return name_identifier(type=line.type.strip(), value=line.value.strip()).lookup
    except BadIdentifier:
        return None
