"""Keeping identifiers out after an erasure, and letting them in again. Both hold the lock `IDENTITY`."""

from collections.abc import Iterable
from datetime import datetime
from string import hexdigits
from typing import Any

from django.db import connection, transaction

from cdp.core.digests import identifier_digest
from cdp.core.errors import FieldError, InvalidInput
from cdp.core.locks import IDENTITY, take
from cdp.core.services.audit import record
from consent.queries.suppressions import HASHES, RAW, get_suppression, hash_value, hashed_digest
from consent.services.erasure_ledger import note_lifted, note_suppressed
from consent.suppression_models import SuppressedForm, Suppression
from profiles.models import IdentifierType
from profiles.queries.people import Named

HOLDERS_OF_HASH = {
    "sha256": "SELECT value FROM profiles_identifier WHERE type_id = %s"
    " AND encode(sha256(convert_to(value, 'UTF8')), 'hex') = %s",
    "md5": "SELECT value FROM profiles_identifier WHERE type_id = %s AND md5(value) = %s",
}
HASHED = "#"
VALUES = "SELECT value FROM profiles_identifier WHERE type_id = %s"


def suppress(*, named: Iterable[Named], reason: str, request_id: str | None, now: datetime) -> int:
    """Write suppressions; those that exist stay as they are.

    The caller holds the lock `IDENTITY`, taken as a statement of its own before anything was read: that is what
    keeps a message from slipping in between the look-up of suppressions and its write.

    Parameters
    ----------
    named : iterable of Named
        Of a hash the type is written ``TYPE#FORM``, as the ledger of erasures keeps it.

    Returns
    -------
    int
        How many identifiers were given.
    """
    rows = {}
    for one in named:
        kind, _, form = one.type.partition(HASHED)
        if form:
            SuppressedForm.objects.get_or_create(identifier_type=kind, form=form)
        rows[one.digest] = Suppression(
            digest=one.digest,
            identifier_type=kind,
            form=form or RAW,
            reason=reason,
            request_id=request_id,
            created_at=now,
        )
    Suppression.objects.bulk_create(rows.values(), ignore_conflicts=True, batch_size=1000)
    return len(rows)


def suppress_identifier(*, named: Named, reason: str, actor: str, now: datetime) -> Suppression:
    """Suppress one identifier without an erasure."""
    _need_reason(reason)
    with transaction.atomic():
        with connection.cursor() as cursor:
            take(cursor, IDENTITY)
        suppress(named=[named], reason=reason, request_id=None, now=now)
        note_suppressed(named=[named], now=now)
        row = Suppression.objects.get(digest=named.digest)
        record(
            actor=actor,
            action="suppression.created",
            object=f"suppression:{row.id}",
            detail={"identifier_type": named.type},
            now=now,
        )
    return row


def suppress_hash(*, type: str, form: str, hashed: str, reason: str, actor: str, now: datetime) -> Suppression:
    """Suppress an identifier of which only a hash of the normal form is known, and whoever has it now.

    Parameters
    ----------
    form : str
        A key of `HASHES`.
    hashed : str
        Hexadecimal.

    Notes
    -----
    Identifiers held now are hashed by the database, once; what comes later is hashed where it is looked up.
    """
    _need_reason(reason)
    lowered = hashed.strip().lower()
    if len(lowered) != HASHES[form] or not set(lowered) <= set(hexdigits):
        message = f"A {form} has {HASHES[form]} hexadecimal digits."
        raise InvalidInput(message, errors=[FieldError("identifier.value", "invalid", message)])
    known_type = IdentifierType.objects.filter(key=type).first()
    if known_type is None:
        message = "There is no identifier of this type."
        raise InvalidInput(message, errors=[FieldError("identifier.type", "unknown", message)])
    with transaction.atomic(), connection.cursor() as cursor:
        take(cursor, IDENTITY)
        digest = hashed_digest(type, form, lowered)
        created = not Suppression.objects.filter(digest=digest).exists()
        if created:
            held = [
                Named(type, value, identifier_digest(type, value))
                for value in _known_values(cursor, known_type.pk, form, lowered)
            ]
            named = [Named(f"{type}{HASHED}{form}", lowered, digest), *held]
            of_holders = Suppression.objects.filter(digest__in=[one.digest for one in held])
            known = set(of_holders.values_list("pk", flat=True))
            suppress(named=named, reason=reason, request_id=None, now=now)
            note_suppressed(named=named, now=now)
        row = Suppression.objects.get(digest=digest)
        if created:
            # Those that were kept out before stay so when the hash is lifted.
            of_holders.exclude(pk__in=known).update(stands_for=row)
            detail = {"identifier_type": type, "form": form, "known": len(held)}
            record(actor=actor, action="suppression.created", object=f"suppression:{row.pk}", detail=detail, now=now)
    return row


def lift_suppression(*, suppression_id: int, reason: str, actor: str, now: datetime) -> None:
    """Let an identifier in again: the one way by which an erased person returns.

    Raises
    ------
    UnknownSuppression
        If there is none with this id.
    InvalidInput
        Without a reason.
    """
    _need_reason(reason)
    with transaction.atomic():
        with connection.cursor() as cursor:
            take(cursor, IDENTITY)
        row = get_suppression(suppression_id=suppression_id)
        for one in [row, *row.known.all()]:
            note_lifted(suppression=one, now=now)
        row.delete()
        record(
            actor=actor,
            action="suppression.lifted",
            object=f"suppression:{suppression_id}",
            detail={"identifier_type": row.identifier_type, "form": row.form, "reason": reason},
            now=now,
        )


def lift(*, digest: bytes) -> None:
    """Delete the suppression of a digest, if there is one; the caller holds the lock `IDENTITY`."""
    Suppression.objects.filter(digest=digest).delete()


def _known_values(cursor: Any, type_id: int, form: str, hashed: str) -> list[str]:
    """Return the identifiers held now that have this hash; PostgreSQL itself knows no SHA-1."""
    if form in HOLDERS_OF_HASH:
        cursor.execute(HOLDERS_OF_HASH[form], [type_id, hashed])
        return [value for (value,) in cursor.fetchall()]
    cursor.execute(VALUES, [type_id])
    return [value for (value,) in cursor if hash_value(value, form) == hashed]


def _need_reason(reason: str) -> None:
    if not reason.strip():
        message = "A reason is needed."
        raise InvalidInput(message, errors=[FieldError("reason", "required", message)])
