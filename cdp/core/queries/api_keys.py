"""Finding API keys, with a short memory per process."""

import hashlib
import hmac
import threading
import time
from dataclasses import dataclass
from datetime import datetime

from cdp.core.access import Principal, expand_scopes
from cdp.core.models import ApiKey

REMEMBERED_SECONDS = 5.0
MOST_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key as it was a few seconds ago at most."""

    id: int
    digest: bytes
    principal: Principal
    expires_at: datetime | None


_remembered: dict[bytes, tuple[float, KnownKey | None]] = {}
_lock = threading.Lock()


def digest_key(key: str) -> bytes:
    """Return what is stored of a key. A fast hash is enough: keys are 256 random bits."""
    return hashlib.sha256(key.encode("utf-8", "replace")).digest()


def find_key(*, key: str, now: datetime) -> KnownKey | None:
    """Return the usable key of this text, or None if it is unknown, revoked or expired.

    Parameters
    ----------
    key : str
        What the caller sent.
    now : datetime
        Keys expire against it. Revocation by another process is seen within 5 seconds, by this one at once.
    """
    digest = digest_key(key)
    clock = time.monotonic()
    with _lock:
        entry = _remembered.get(digest)
    if entry is None or entry[0] < clock:
        entry = (clock + REMEMBERED_SECONDS, _read_key(digest))
        with _lock:
            if len(_remembered) >= MOST_REMEMBERED:
                _remembered.clear()
            _remembered[digest] = entry
    known = entry[1]
    if known is None or not hmac.compare_digest(known.digest, digest):
        return None
    if known.expires_at is not None and known.expires_at <= now:
        return None
    return known


def forget_keys() -> None:
    """Drop what is remembered, so that this process sees a change at once."""
    with _lock:
        _remembered.clear()


def _read_key(digest: bytes) -> KnownKey | None:
    row = ApiKey.objects.filter(digest=digest, revoked_at__isnull=True).first()
    if row is None:
        return None
    principal = Principal(actor=f"key:{row.name}", scopes=expand_scopes(row.scopes))
    return KnownKey(id=row.pk, digest=bytes(row.digest), principal=principal, expires_at=row.expires_at)
