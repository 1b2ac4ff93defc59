"""Requests of controllers as they are read, and people found by the hash of an identifier."""

import hashlib
from collections.abc import Iterable
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet

from consent.opendsr.wire import Identity
from consent.request_models import ControllerRequest
from profiles.errors import BadIdentifier
from profiles.models import Identifier
from profiles.queries.people import Named, name_identifier

# Of normalised values; controllers fold case before they hash, so both forms are tried.
BY_SHA256 = """
SELECT i.value FROM profiles_identifier i JOIN profiles_identifiertype t ON t.id = i.type_id
WHERE t.key = %(type)s AND %(value)s IN (
    encode(sha256(convert_to(i.value, 'UTF8')), 'hex'), encode(sha256(convert_to(lower(i.value), 'UTF8')), 'hex'))
LIMIT 100
"""
BY_MD5 = """
SELECT i.value FROM profiles_identifier i JOIN profiles_identifiertype t ON t.id = i.type_id
WHERE t.key = %(type)s AND %(value)s IN (md5(i.value), md5(lower(i.value)))
LIMIT 100
"""
BY_HASH = {"sha256": BY_SHA256, "md5": BY_MD5}
ROWS = 10_000


def find_controller_request(*, subject_request_id: UUID, stub: bool) -> ControllerRequest | None:
    """Return a request by the controller's number."""
    rows = ControllerRequest.objects.select_related("request").filter(stub=stub)
    return rows.filter(subject_request_id=subject_request_id).first()


def list_group(*, group_id: str, controller_id: str, stub: bool) -> QuerySet[ControllerRequest]:
    """Return the requests that a controller put into one group."""
    rows = ControllerRequest.objects.select_related("request").filter(stub=stub, controller_id=controller_id)
    return rows.filter(group_id=group_id).order_by("received_at", "subject_request_id")


def name_identities(*, identities: Iterable[Identity]) -> tuple[list[Named], list[Identity]]:
    """Return the identifiers that are meant, and the hashes that nobody has.

    A raw identity is an identifier whether anybody has it or not; a hash is one only if somebody has it.
    """
    named: list[Named] = []
    unknown: list[Identity] = []
    for one in identities:
        found = _raw(one.type, [one.value]) if one.format == "raw" else _hashed(one)
        named += found
        if not found and one.format != "raw":
            unknown.append(one)
    return list({(one.type, one.value): one for one in named}.values()), unknown


def _raw(type: str, values: Iterable[str]) -> list[Named]:
    found = []
    for value in values:
        try:
            found.append(name_identifier(type=type, value=value))
        except BadIdentifier:
            continue
    return found


def _hashed(one: Identity) -> list[Named]:
    wanted = one.value.lower()
    if one.format == "sha1":
        return _raw(one.type, _find_by_sha1(one.type, wanted))
    with connection.cursor() as cursor:
        cursor.execute(BY_HASH[one.format], {"type": one.type, "value": wanted})
        return _raw(one.type, [row[0] for row in cursor.fetchall()])


def _find_by_sha1(type: str, wanted: str) -> list[str]:
    """Look through all identifiers of a type: PostgreSQL has no SHA-1 of its own."""
    values = Identifier.objects.filter(type__key=type).values_list("value", flat=True)
    return [
        value
        for value in values.iterator(chunk_size=ROWS)
        if wanted in {hashlib.sha1(form.encode(), usedforsecurity=False).hexdigest() for form in (value, value.lower())}
    ]
