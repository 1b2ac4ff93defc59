"""Which identifiers must not come back."""

import hashlib
from collections.abc import Collection, Iterable

from django.db import connection
from django.db.models import QuerySet

from cdp.core.copying import bytea_array
from cdp.core.digests import identifier_digest
from consent.errors import UnknownSuppression
from consent.suppression_models import SuppressedForm, Suppression
from profiles.queries.people import Named

RAW = "raw"
# Length of each in hexadecimal digits. The last two are weak, and taken because lists of others use them.
HASHES = {"sha256": 64, "sha1": 40, "md5": 32}


def find_suppressed(named: Iterable[tuple[str, str, bytes]]) -> set[bytes]:
    """Return the digests of those identifiers that are suppressed, themselves or by a hash.

    Parameters
    ----------
    named : iterable of (type, normal form, digest)
        As messages bring them; 32-byte digests of `cdp.core.digests.identifier_digest`.

    Notes
    -----
    Called by the processor under the lock `IDENTITY`, after it took the lock: whatever an erasure has committed is
    seen, and none can commit in between. A failure is an error, never "not suppressed". Two statements, three where
    a hash was ever suppressed.
    """
    given = list(named)
    return _found({digest for _, _, digest in given}) | _find_hashed(given)


def hashed_digest(type_key: str, form: str, hashed: str) -> bytes:
    """Return the digest under which a hashed identifier is suppressed."""
    return identifier_digest(f"{type_key}#{form}", hashed)


def _found(digests: Collection[bytes]) -> set[bytes]:
    if not digests:
        return set()
    with connection.cursor() as cursor:
        cursor.execute("SELECT digest FROM consent_suppression WHERE digest = ANY(%s::bytea[])", [bytea_array(digests)])
        return {bytes(row[0]) for row in cursor.fetchall()}


def _find_hashed(named: Collection[tuple[str, str, bytes]]) -> set[bytes]:
    if not named:
        return set()
    forms: dict[str, list[str]] = {}
    for type_key, form in SuppressedForm.objects.order_by("id").values_list("identifier_type", "form"):
        forms.setdefault(type_key, []).append(form)
    if not forms:
        return set()
    behind = {
        hashed_digest(type_key, form, hash_value(value, form)): digest
        for type_key, value, digest in named
        for form in forms.get(type_key, ())
    }
    return {behind[found] for found in _found(behind)}


def find_suppressed_named(named: Iterable[Named]) -> set[bytes]:
    """Return the digests of those identifiers that are suppressed, themselves or by a hash."""
    return find_suppressed((one.type, one.value, one.digest) for one in named)


def hash_value(value: str, form: str) -> str:
    """Return the hash of a normal form, as others make lists of hashed identifiers (lower-case hexadecimal)."""
    return hashlib.new(form, value.encode(), usedforsecurity=False).hexdigest()


def list_suppressions() -> QuerySet[Suppression]:
    """Return all suppressions; the caller orders them."""
    return Suppression.objects.all()


def find_by_name(*, named: Named) -> QuerySet[Suppression]:
    """Return the suppressions of one identifier: its own, and those of its hashes."""
    hashes = [hashed_digest(named.type, form, hash_value(named.value, form)) for form in HASHES]
    return Suppression.objects.filter(digest__in=[named.digest, *hashes])


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
