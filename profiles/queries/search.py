"""Finding people by what somebody types: an id, an identifier of any type, or a part of a name."""

import time
from dataclasses import dataclass, field
from uuid import UUID

from django.db import connection

from profiles.errors import BadIdentifier
from profiles.models import IdentifierType, Profile
from profiles.queries.people import find_by_uuid, name_identifier

MOST = 20
CHUNK = 40_000
SCAN_SECONDS = 0.12
MAX_CHARACTERS = 512

FIND_HOLDERS = """
SELECT DISTINCT profile_id FROM profiles_identifier WHERE lookup = ANY(%s::bytea[]) ORDER BY profile_id DESC LIMIT %s
"""
# Only the name is looked at, in all its spellings; traits are read once per row.
SCAN_NAMES = r"""
SELECT id FROM (
    SELECT id, coalesce(nullif(traits->>'name', ''), concat_ws(' ', traits->>'firstName', traits->>'first_name',
        traits->>'lastName', traits->>'last_name')) AS called
    FROM profiles_profile WHERE id < %(before)s AND id >= %(down_to)s
) AS part
WHERE lower(called) LIKE ALL(%(patterns)s::text[])
ORDER BY id DESC LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Found:
    """Internal ids of the profiles found, best first.

    `go_on_before` is where a search by name stopped for want of time or space; None: it saw everybody.
    """

    profile_ids: list[int] = field(default_factory=list)
    by_name: bool = False
    go_on_before: int | None = None


def search_profiles(*, text: str, before: int | None = None) -> Found:
    """Return the profiles that a text leads to.

    Parameters
    ----------
    text : str
        A public id, an identifier's value (of whichever type it is one), ``TYPE:VALUE``, or parts of a name.
    before : int, optional
        Go on with names from this internal id downwards; identifiers are then not looked at again.

    Notes
    -----
    Names have no index, since every change of any trait would have to rewrite it: the newest profiles are read for at
    most 0.12 s, and `go_on_before` says where to go on.
    """
    wanted = text.strip()
    if not wanted or len(wanted) > MAX_CHARACTERS or "\0" in wanted:
        return Found()
    if before is None:
        held = find_holders(text=wanted)
        if held:
            return Found(held)
    return _scan_names(wanted, before)


def find_holders(*, text: str) -> list[int]:
    """Return internal ids of the profiles that a public id or an identifier of any type leads to.

    Parameters
    ----------
    text : str
        As for `search_profiles`, but no name.
    """
    text = text.strip()
    if not text or len(text) > MAX_CHARACTERS or "\0" in text:
        return []
    if _is_uuid(text):
        person = find_by_uuid(public_id=text)
        if person is not None:
            return [person.profile_id]
    keys = list(IdentifierType.objects.order_by("priority", "id").values_list("key", flat=True))
    given, colon, value = text.partition(":")
    pairs = [(given, value)] if colon and given in keys else [(key, text) for key in keys]
    lookups = []
    for key, one in pairs:
        try:
            lookups.append(name_identifier(type=key, value=one).lookup)
        except BadIdentifier:
            continue
    with connection.cursor() as cursor:
        cursor.execute(FIND_HOLDERS, [lookups, MOST])
        return [row[0] for row in cursor.fetchall()]


def _scan_names(text: str, before: int | None) -> Found:
    patterns = [f"%{_escape(word)}%" for word in text.lower().split()]
    top = before if before is not None else _newest() + 1
    deadline = time.monotonic() + SCAN_SECONDS
    found: list[int] = []
    with connection.cursor() as cursor:
        while top > 1 and len(found) < MOST and time.monotonic() < deadline:
            down_to = max(top - CHUNK, 0)
            limit = MOST - len(found)
            cursor.execute(SCAN_NAMES, {"before": top, "down_to": down_to, "patterns": patterns, "limit": limit})
            rows = [row[0] for row in cursor.fetchall()]
            found += rows
            top = rows[-1] if len(rows) == limit else down_to
    return Found(found, by_name=True, go_on_before=top if top > 1 else None)


def _newest() -> int:
    return Profile.objects.order_by("-id").values_list("id", flat=True).first() or 0


def _escape(word: str) -> str:
    return word.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
