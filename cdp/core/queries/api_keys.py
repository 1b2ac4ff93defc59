"""Finding API keys, with a short memory per process."""

import hashlib
import hmac
import ipaddress
import threading
import time
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet

from cdp.core.access import Principal, expand_scopes
from cdp.core.addresses import IpNetwork
from cdp.core.errors import NotFound
from cdp.core.models import ApiKey

# A revocation must hold everywhere within 5 seconds, and a request takes time too.
REMEMBERED_SECONDS = 3.0
MOST_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key as it was a few seconds ago at most."""

    id: int
    digest: bytes
    principal: Principal
    expires_at: datetime | None
    networks: tuple[IpNetwork, ...] = ()

    def may_come_from(self, address: str) -> bool:
        """Tell whether the key may be used from this address; one that cannot be read is none of the list."""
        if not self.networks:
            return True
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        return any(found.version == network.version and found in network for network in self.networks)


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
    row = ApiKey.objects.filter(Q(digest=digest) | Q(previous_digest=digest), revoked_at__isnull=True).first()
    if row is None:
        return None
    principal = Principal(
        actor=f"key:{row.name}",
        scopes=expand_scopes(row.scopes),
        sources=frozenset(row.sources) if row.sources else None,
    )
    # The text before a rotation ends with the overlap, or with the key if that is earlier.
    is_previous = bytes(row.digest) != digest
    ends = [at for at in (row.expires_at, row.previous_until if is_previous else None) if at is not None]
    return KnownKey(
        id=row.pk,
        digest=bytes(row.previous_digest or b"") if is_previous else bytes(row.digest),
        principal=principal,
        expires_at=min(ends, default=None),
        networks=tuple(ipaddress.ip_network(text) for text in row.addresses),
    )


def list_keys() -> QuerySet[ApiKey]:
    """Return all keys, revoked ones too, unordered."""
    return ApiKey.objects.all()


def get_key(*, name: str) -> ApiKey:
    """Return a key by its name.

    Raises
    ------
    NotFound
        If there is none.
    """
    found = ApiKey.objects.filter(name=name).first()
    if found is None:
        message = f"There is no API key named {name}."
        raise NotFound(message)
    return found


def state_of(key: ApiKey, *, now: datetime) -> str:
    """Return ``revoked``, ``expired``, ``rotating`` (two texts work) or ``active``."""
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is not None and key.expires_at <= now:
        return "expired"
    return "rotating" if key.previous_until is not None and key.previous_until > now else "active"
