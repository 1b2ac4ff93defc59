"""Everything that names a person: identities lead to profiles, profiles to all identifiers and ids."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from django.db import connection

from cdp.core.digests import LOOKUP_BYTES, identifier_digest
from cdp.core.registries import Subject
from cdp.core.secrets import seal, unseal
from profiles.errors import BadIdentifier
from profiles.queries.people import Named, name_identifier

CONTEXT = "consent.closure"

FIND_PROFILES = """
SELECT DISTINCT i.profile_id FROM profiles_identifier i WHERE i.lookup = ANY(%s::bytea[])
"""
HOLD_PROFILES = """
SELECT id, uuid::text, traits FROM profiles_profile WHERE id = ANY(%s::bigint[]) ORDER BY id FOR UPDATE
"""
FIND_ABSORBED = "SELECT uuid::text, dropped_id FROM profiles_absorbedid WHERE profile_id = ANY(%s::bigint[])"
FIND_IDENTIFIERS = """
SELECT i.id, t.key, i.value FROM profiles_identifier i JOIN profiles_identifiertype t ON t.id = i.type_id
WHERE i.profile_id = ANY(%s::bigint[]) ORDER BY i.id
"""


@dataclass(frozen=True, slots=True)
class Closure:
    """A person in every form that a store may hold.

    `spellings` are the ways in which the person's own traits spell the identifiers, where these differ.
    """

    profile_ids: tuple[int, ...] = ()
    uuids: tuple[str, ...] = ()
    identifiers: tuple[tuple[str, str], ...] = ()
    identifier_ids: tuple[int, ...] = ()
    spellings: tuple[str, ...] = ()

    @property
    def named(self) -> list[Named]:
        """The identifiers with their digests."""
        return [_named(kind, value) for kind, value in self.identifiers]

    @property
    def subject(self) -> Subject:
        """The person as the stores take it."""
        return Subject(
            profile_ids=self.profile_ids,
            uuids=self.uuids,
            identifiers=self.identifiers,
            identifier_ids=self.identifier_ids,
            lookups=tuple(one.digest[:LOOKUP_BYTES] for one in self.named),
        )

    def with_all_of(self, other: "Closure") -> "Closure":
        """Return both together, so that a second run still knows what the first one deleted."""
        return Closure(
            profile_ids=_union(self.profile_ids, other.profile_ids),
            uuids=_union(self.uuids, other.uuids),
            identifiers=_union(self.identifiers, other.identifiers),
            identifier_ids=_union(self.identifier_ids, other.identifier_ids),
            spellings=_union(self.spellings, other.spellings),
        )


def find_closure(*, identities: Sequence[Named]) -> Closure:
    """Follow identities to everything that names the person, and hold the rows of the profiles found.

    The caller holds the lock `IDENTITY`.

    Notes
    -----
    A merge that was undone made two people again: only the one that holds an identity now is followed. Ids that
    merges dropped belong to the person, since history was written under them.
    """
    with connection.cursor() as cursor:
        cursor.execute(FIND_PROFILES, [[one.lookup for one in identities]])
        found = [row[0] for row in cursor.fetchall()]
        cursor.execute(HOLD_PROFILES, [found])
        profiles = cursor.fetchall()
        ids = [row[0] for row in profiles]
        cursor.execute(FIND_ABSORBED, [ids])
        absorbed = cursor.fetchall()
        cursor.execute(FIND_IDENTIFIERS, [ids])
        held = cursor.fetchall()
    identifiers = _union([(one.type, one.value) for one in identities], [(row[1], row[2]) for row in held])
    return Closure(
        profile_ids=_union(ids, [row[1] for row in absorbed]),
        uuids=_union([row[1] for row in profiles], [row[0] for row in absorbed]),
        identifiers=identifiers,
        identifier_ids=tuple(row[0] for row in held),
        spellings=_spellings([row[2] for row in profiles], identifiers),
    )


def seal_closure(closure: Closure) -> bytes:
    """Return the closure encrypted, as it is kept while an erasure runs."""
    body = {
        "profile_ids": closure.profile_ids,
        "uuids": closure.uuids,
        "identifiers": closure.identifiers,
        "identifier_ids": closure.identifier_ids,
        "spellings": closure.spellings,
    }
    return seal(orjson.dumps(body), context=CONTEXT)


def unseal_closure(sealed: bytes) -> Closure:
    """Read what `seal_closure` made."""
    body = orjson.loads(unseal(sealed, context=CONTEXT))
    return Closure(
        profile_ids=tuple(body["profile_ids"]),
        uuids=tuple(body["uuids"]),
        identifiers=tuple((kind, value) for kind, value in body["identifiers"]),
        identifier_ids=tuple(body["identifier_ids"]),
        spellings=tuple(body["spellings"]),
    )


def _spellings(traits: Iterable[Any], identifiers: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """Return texts among traits that mean one of the identifiers but are written otherwise."""
    known = set(identifiers)
    found = []
    for value in (inner for own in traits for inner in _texts(_loaded(own))):
        for kind in ("email", "phone"):
            if value not in found and (kind, value) not in known and _normal(kind, value) in known:
                found.append(value)
    return tuple(found)


def _loaded(traits: Any) -> Any:
    # A raw cursor of Django gives jsonb as text.
    return orjson.loads(traits) if isinstance(traits, str) else traits


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _normal(kind: str, value: str) -> tuple[str, str] | None:
    try:
        return kind, name_identifier(type=kind, value=value).value
    except BadIdentifier:
        return None


def _named(kind: str, value: str) -> Named:
    """Return an identifier that is in its normal form already."""
    return Named(type=kind, value=value, digest=identifier_digest(kind, value))


def _union(one: Iterable[Any], other: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys([*one, *other]))
