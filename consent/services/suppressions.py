"""Keeping identifiers out after an erasure, and letting them in again. Both hold the lock `IDENTITY`."""

from collections.abc import Iterable
from datetime import datetime

from django.db import connection, transaction

from cdp.core.errors import FieldError, InvalidInput
from cdp.core.locks import IDENTITY, take
from cdp.core.services.audit import record
from consent.models import Suppression
from consent.queries.suppressions import get_suppression
from consent.services.erasure_ledger import note_lifted, note_suppressed
from profiles.queries.people import Named


def suppress(*, named: Iterable[Named], reason: str, request_id: str | None, now: datetime) -> int:
    """Write suppressions; those that exist stay as they are.

    The caller holds the lock `IDENTITY`, taken as a statement of its own before anything was read: that is what
    keeps a message from slipping in between the look-up of suppressions and its write.

    Returns
    -------
    int
        How many identifiers were given.
    """
    rows = {
        one.digest: Suppression(
            digest=one.digest,
            identifier_type=one.type,
            reason=reason,
            request_id=request_id,
            created_at=now,
        )
        for one in named
    }
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
        note_lifted(suppression=row, now=now)
        row.delete()
        record(
            actor=actor,
            action="suppression.lifted",
            object=f"suppression:{suppression_id}",
            detail={"identifier_type": row.identifier_type, "reason": reason},
            now=now,
        )


def lift(*, digest: bytes) -> None:
    """Delete the suppression of a digest, if there is one; the caller holds the lock `IDENTITY`."""
    Suppression.objects.filter(digest=digest).delete()


def _need_reason(reason: str) -> None:
    if not reason.strip():
        message = "A reason is needed."
        raise InvalidInput(message, errors=[FieldError("reason", "required", message)])
