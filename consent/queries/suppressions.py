"""Which identifiers must not come back."""

from collections.abc import Sequence

from django.db import connection
from django.db.models import QuerySet

from consent.errors import UnknownSuppression
from consent.models import Suppression


def find_suppressed(digests: Sequence[bytes]) -> set[bytes]:
    """Return those of the digests that are suppressed (one statement).

    Parameters
    ----------
    digests : sequence of bytes
        32-byte digests of `cdp.core.digests.identifier_digest`.

    Notes
    -----
    Called by the processor under the lock `IDENTITY`, after it took the lock: whatever an erasure has committed is
    seen, and none can commit in between. A failure is an error, never "not suppressed".
    """
    if not digests:
        return set()
    with connection.cursor() as cursor:
        cursor.execute("SELECT digest FROM consent_suppression WHERE digest = ANY(%s::bytea[])", [list(digests)])
        return {bytes(row[0]) for row in cursor.fetchall()}


def list_suppressions() -> QuerySet[Suppression]:
    """Return all suppressions; the caller orders them."""
    return Suppression.objects.all()


def find_by_digest(*, digest: bytes) -> QuerySet[Suppression]:
    """Return the suppression of one digest, if there is one."""
    return Suppression.objects.filter(digest=digest)


def get_suppression(*, suppression_id: int) -> Suppression:
    """Return a suppression.

    Raises
    ------
    UnknownSuppression
        If there is none.
    """
    found = Suppression.objects.filter(id=suppression_id).first()
    if found is None:
        raise UnknownSuppression
    return found
