"""Making, revoking and noting the use of API keys."""

import ipaddress
import secrets
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction

from cdp.core.access import Principal, check_scopes, expand_scopes, need
from cdp.core.errors import Conflict, FieldError, InvalidInput, NotFound
from cdp.core.models import ApiKey
from cdp.core.queries.api_keys import KnownKey, digest_key, forget_keys
from cdp.core.services import audit

KEY_PREFIX = "cdp_"
KEY_RANDOM_BYTES = 32
SHOWN_CHARACTERS = 12
NOTED_EVERY_SECONDS = 60.0
MOST_OVERLAP_HOURS = 720


class KeyNameTaken(Conflict):
    """A key with this name exists; its text cannot be shown again."""

    code = "api_key.name_taken"


class BadKeyName(InvalidInput):
    """The name of a key is not a slug."""

    code = "api_key.bad_name"


class BadKeyLimits(InvalidInput):
    """The limits of a key cannot be read: an address, a date, an overlap."""

    code = "api_key.bad_limits"


class KeyEnded(Conflict):
    """The key is revoked or expired; it can only be replaced by another."""

    code = "api_key.ended"


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """What narrows a key beyond its scopes.

    Attributes
    ----------
    expires_at : datetime or None
        When it stops working; None for never.
    sources : tuple of str
        Keys of sources; the key then works for their addresses only. Empty for no limit.
    addresses : tuple of str
        Addresses or networks that it may be used from. Empty for any.
    """

    expires_at: datetime | None = None
    sources: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


NO_LIMITS = KeyLimits()


def create_api_key(
    *, name: str, scopes: Iterable[str], actor: str, now: datetime, limits: KeyLimits = NO_LIMITS
) -> str:
    """Make a key and return its text, which is kept nowhere.

    Parameters
    ----------
    name : str
        A slug that the audit trail names the key by.
    scopes : iterable of str
        Scopes or roles.

    Raises
    ------
    UnknownScope
        If a scope is neither a scope nor a role.
    KeyNameTaken
        If the name is in use, also by a revoked key: the audit trail must stay unambiguous.
    BadKeyName, BadKeyLimits
        If the name is not a slug, or a limit cannot be read.
    """
    wanted = check_scopes(scopes)
    if not name or len(name) > 64 or not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
        message = "The name of a key is 1 to 64 letters, digits, hyphens or underscores."
        raise BadKeyName(message)
    addresses = check_networks(limits.addresses)
    if limits.expires_at is not None and limits.expires_at <= now:
        message = "The key would have expired already."
        raise BadKeyLimits(message, errors=[FieldError(path="expires_at", code="past", message=message)])
    key = _new_text()
    with transaction.atomic():
        _, created = ApiKey.objects.get_or_create(
            name=name,
            defaults={
                "prefix": key[:SHOWN_CHARACTERS],
                "digest": digest_key(key),
                "scopes": wanted,
                "sources": sorted(set(limits.sources)),
                "addresses": addresses,
                "created_at": now,
                "expires_at": limits.expires_at,
            },
        )
        if not created:
            message = f"An API key named {name} exists. Its text cannot be shown again; use another name."
            raise KeyNameTaken(message)
        audit.record(
            actor=actor,
            action="api_key.created",
            object=f"api_key:{name}",
            detail={"scopes": wanted, "sources": sorted(set(limits.sources)), "limited_to_addresses": bool(addresses)},
            now=now,
        )
    forget_keys()
    return key


def rotate_api_key(*, name: str, overlap_hours: float, actor: str, now: datetime) -> str:
    """Give a key a new text and return it; the old one goes on working for a while, so that nothing stands still.

    Parameters
    ----------
    overlap_hours : float
        How long the old text works; 0 ends it at once. The text of an earlier rotation ends at once in any case.

    Raises
    ------
    NotFound
        If there is no key of this name.
    KeyEnded
        If it is revoked or expired.
    BadKeyLimits
        If the overlap is not between 0 hours and 30 days.
    """
    if not 0 <= overlap_hours <= MOST_OVERLAP_HOURS:
        message = f"The old text may go on working for 0 to {MOST_OVERLAP_HOURS} hours."
        raise BadKeyLimits(message, errors=[FieldError(path="overlap_hours", code="range", message=message)])
    text = _new_text()
    with transaction.atomic():
        key = ApiKey.objects.select_for_update().filter(name=name).first()
        if key is None:
            message = f"There is no API key named {name}."
            raise NotFound(message)
        if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= now):
            message = f"The API key {name} is revoked or expired. Make another."
            raise KeyEnded(message)
        key.previous_digest = bytes(key.digest) if overlap_hours else None
        key.previous_until = now + timedelta(hours=overlap_hours) if overlap_hours else None
        key.digest, key.prefix, key.rotated_at = digest_key(text), text[:SHOWN_CHARACTERS], now
        key.save(update_fields=["previous_digest", "previous_until", "digest", "prefix", "rotated_at"])
        audit.record(
            actor=actor,
            action="api_key.rotated",
            object=f"api_key:{name}",
            detail={"overlap_hours": overlap_hours},
            now=now,
        )
    forget_keys()
    return text


def check_networks(texts: Iterable[str]) -> list[str]:
    """Return addresses and networks in one way of writing, without repetition.

    Raises
    ------
    BadKeyLimits
        Naming the first that is neither.
    """
    found = []
    for text in texts:
        try:
            found.append(str(ipaddress.ip_network(text.strip(), strict=False)))
        except ValueError as error:
            message = f"{text.strip()!r} is no address or network, such as 198.51.100.7 or 198.51.100.0/24."
            fault = FieldError(path="addresses", code="invalid", message=message)
            raise BadKeyLimits(message, errors=[fault]) from error
    return list(dict.fromkeys(found))


def check_grant(giver: Principal, scopes: Iterable[str]) -> None:
    """Refuse to give a key more than its maker has.

    Raises
    ------
    MissingScope
        Naming the first scope that the maker lacks.
    """
    for scope in sorted(expand_scopes(check_scopes(scopes))):
        need(giver, scope)


def _new_text() -> str:
    return KEY_PREFIX + secrets.token_urlsafe(KEY_RANDOM_BYTES)


def revoke_api_key(*, name: str, actor: str, now: datetime) -> None:
    """Stop a key from working: here at once, in other processes within 5 seconds. Repeating changes nothing.

    Raises
    ------
    NotFound
        If there is no key of this name.
    """
    with transaction.atomic():
        revoked = ApiKey.objects.filter(name=name, revoked_at__isnull=True).update(revoked_at=now)
        if revoked:
            audit.record(actor=actor, action="api_key.revoked", object=f"api_key:{name}", now=now)
        elif not ApiKey.objects.filter(name=name).exists():
            message = f"There is no API key named {name}."
            raise NotFound(message)
    forget_keys()


_used: dict[int, datetime] = {}
_used_lock = threading.Lock()
_next_write = time.monotonic()


def note_use(known: KnownKey, *, now: datetime) -> None:
    """Remember that a key was used; written at most once a minute per process, in one statement."""
    global _next_write  # noqa: PLW0603 - one buffer per process
    with _used_lock:
        _used[known.id] = now
        if time.monotonic() < _next_write:
            return
        _next_write = time.monotonic() + NOTED_EVERY_SECONDS
        uses = dict(_used)
        _used.clear()
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE core_apikey SET last_used_at = used.at"
            " FROM unnest(%s::int[], %s::timestamptz[]) AS used (id, at) WHERE core_apikey.id = used.id",
            [list(uses), list(uses.values())],
        )
