"""Making, revoking and noting the use of API keys."""

import secrets
import threading
import time
from collections.abc import Iterable
from datetime import datetime

from django.db import connection, transaction

from cdp.core.access import check_scopes
from cdp.core.errors import Conflict, InvalidInput, NotFound
from cdp.core.models import ApiKey
from cdp.core.queries.api_keys import KnownKey, digest_key, forget_keys
from cdp.core.services import audit

KEY_PREFIX = "cdp_"
KEY_RANDOM_BYTES = 32
SHOWN_CHARACTERS = 12
NOTED_EVERY_SECONDS = 60.0


class KeyNameTaken(Conflict):
    """A key with this name exists; its text cannot be shown again."""

    code = "api_key.name_taken"


class BadKeyName(InvalidInput):
    """The name of a key is not a slug."""

    code = "api_key.bad_name"


def create_api_key(
    *, name: str, scopes: Iterable[str], actor: str, now: datetime, expires_at: datetime | None = None
) -> str:
    """Make a key and return its text, which is kept nowhere.

    Parameters
    ----------
    name : str
        A slug that the audit trail names the key by.
    scopes : iterable of str
        Scopes or roles.
    expires_at : datetime or None
        When it stops working; None for never.

    Raises
    ------
    UnknownScope
        If a scope is neither a scope nor a role.
    KeyNameTaken
        If the name is in use, also by a revoked key: the audit trail must stay unambiguous.
    BadKeyName
        If the name is not a slug.
    """
    wanted = check_scopes(scopes)
    if not name or len(name) > 64 or not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
        message = "The name of a key is 1 to 64 letters, digits, hyphens or underscores."
        raise BadKeyName(message)
    key = KEY_PREFIX + secrets.token_urlsafe(KEY_RANDOM_BYTES)
    with transaction.atomic():
        _, created = ApiKey.objects.get_or_create(
            name=name,
            defaults={
                "prefix": key[:SHOWN_CHARACTERS],
                "digest": digest_key(key),
                "scopes": wanted,
                "created_at": now,
                "expires_at": expires_at,
            },
        )
        if not created:
            message = f"An API key named {name} exists. Its text cannot be shown again; use another name."
            raise KeyNameTaken(message)
        audit.record(
            actor=actor, action="api_key.created", object=f"api_key:{name}", detail={"scopes": wanted}, now=now
        )
    forget_keys()
    return key


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
