"""Finding the profile that a request speaks of, and the internal ids that belong to a person."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from django.db import connection

from cdp.core.digests import LOOKUP_BYTES, identifier_digest
from cdp.core.registries import identifier_normalisers
from profiles.errors import BadIdentifier, NoSuchProfile

ANY_RESTRICTED = """
SELECT EXISTS (SELECT FROM profiles_profile WHERE restricted AND uuid = ANY(%(ids)s::uuid[]))
    OR EXISTS (SELECT FROM profiles_absorbedid x JOIN profiles_profile p ON p.id = x.profile_id
               WHERE p.restricted AND x.uuid = ANY(%(ids)s::uuid[]))
"""


@dataclass(frozen=True, slots=True)
class Named:
    """An identifier in its normal form, with the digest under which it is found and suppressed."""

    type: str
    value: str
    digest: bytes

    @property
    def lookup(self) -> bytes:
        """The part of the digest that finds the identifier row."""
        return self.digest[:LOOKUP_BYTES]


@dataclass(frozen=True, slots=True)
class Person:
    """A profile found: its ids, and the identifier that it was found by (None if by its own id)."""

    profile_id: int
    uuid: str
    identifier_id: int | None


def name_identifier(*, type: str, value: str) -> Named:
    """Return an identifier in its normal form.

    Raises
    ------
    BadIdentifier
        If the value is none of its type.
    """
    for normalise in identifier_normalisers:
        normal = normalise(type, value)
        if normal is not None:
            return Named(type=type, value=normal, digest=identifier_digest(type, normal))
    message = f"The value is no identifier of type {type}."
    raise BadIdentifier(message)


FIND_BY_UUID = """
SELECT p.id, p.uuid::text, NULL::bigint FROM profiles_profile p WHERE p.uuid = %(uuid)s
UNION ALL
SELECT p.id, p.uuid::text, NULL::bigint FROM profiles_absorbedid a JOIN profiles_profile p ON p.id = a.profile_id
WHERE a.uuid = %(uuid)s
LIMIT 1
"""
FIND_BY_LOOKUP = """
SELECT p.id, p.uuid::text, i.id FROM profiles_identifier i JOIN profiles_profile p ON p.id = i.profile_id
WHERE i.lookup = %s
"""


def find_by_uuid(*, public_id: str) -> Person | None:
    """Return the profile with this public id, the survivor for an absorbed one."""
    try:
        wanted = uuid.UUID(public_id)
    except ValueError:
        return None
    with connection.cursor() as cursor:
        cursor.execute(FIND_BY_UUID, {"uuid": str(wanted)})
        row = cursor.fetchone()
    return Person(*row) if row else None


def find_by_identifier(*, named: Named) -> Person | None:
    """Return the profile that holds an identifier."""
    with connection.cursor() as cursor:
        cursor.execute(FIND_BY_LOOKUP, [named.lookup])
        row = cursor.fetchone()
    return Person(*row) if row else None


def get_by_uuid(*, public_id: str) -> Person:
    """Return the profile with this public id, the survivor for an absorbed one.

    Raises
    ------
    NoSuchProfile
        If there is none, or it was erased.
    """
    person = find_by_uuid(public_id=public_id)
    if person is None:
        message = "No profile has this id."
        raise NoSuchProfile(message)
    return person


# History of the most recent merges is what somebody looks at; each id more costs a search in every partition.
MOST_IDS = 100


def all_internal_ids(*, profile_id: int) -> list[int]:
    """Return the profile's internal id and those that its last merges dropped: history was written under all of them.

    Of `MOST_IDS` merges at most; an export or an erasure of the person follows them all (`consent.services.closure`).
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT dropped_id FROM profiles_absorbedid WHERE profile_id = %s ORDER BY merge_id DESC LIMIT %s",
            [profile_id, MOST_IDS],
        )
        return [profile_id, *(row[0] for row in cursor.fetchall())]


def event_ids(*, profile_id: int) -> list[int]:
    """Return the internal ids under which the profile's events are: its own, and those of merges that still move some.

    One id lets the index give the events in their order.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT x.dropped_id FROM profiles_absorbedid x JOIN profiles_merge m ON m.id = x.merge_id "
            "WHERE x.profile_id = %s AND m.state = 2",
            [profile_id],
        )
        return [profile_id, *(row[0] for row in cursor.fetchall())]


def any_restricted(public_ids: Iterable[object]) -> bool:
    """Tell whether processing is restricted of anybody among these public ids, absorbed ones included."""
    ids = [str(one) for one in public_ids if one is not None]
    with connection.cursor() as cursor:
        cursor.execute(ANY_RESTRICTED, {"ids": ids})
        found: bool = cursor.fetchone()[0]
    return found
