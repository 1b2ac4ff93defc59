"""Making and changing sources."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from cdp.core.secrets import seal
from cdp.core.services import audit
from ingestion.errors import InvalidSource, SourceExists, UnknownSource
from ingestion.models import Source
from ingestion.queries.write_keys import SEALED_AS, digest_write_key, forget_write_keys, read_write_key
from ingestion.spec.limits import MAX_EVENT_BYTES, MAX_REQUEST_BYTES

RANDOM_BYTES = 24
MAX_WRITE_KEY_CHARACTERS = 255
MAX_HOLD_DAYS = 365
MAX_OWNER = 120
MAX_PURPOSE = 300
MAX_EXPECTED_MINUTES = 31 * 24 * 60
# Imports have sources too, but those are made by the import and nobody sends with their key.
KINDS = (Source.Kind.SERVER, Source.Kind.BROWSER, Source.Kind.MOBILE)

_SLUG = re.compile(r"[A-Za-z0-9_-]{1,64}")
# A Basic user name ends at the first colon, and so does X-Write-Key.
_WRITE_KEY = re.compile(rf"[!-9;-~]{{1,{MAX_WRITE_KEY_CHARACTERS}}}")


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """What can be chosen for a source.

    Attributes
    ----------
    name : str
        For people; ``""``: the same as the key.
    required_purpose : str
        Messages are stored only if this purpose is granted; ``""``: collection is not gated.
    hold_days : int
        How long messages wait for a decision, 1 to 365.
    max_event_bytes : int
        Limit of a message's compact JSON, 1 KB to 4 MB.
    ip_storage : str
        Of browsers and apps: ``truncated`` (the network that the address is in), ``full`` or ``none``.
    enabled : bool
        False: its key is answered like an unknown one.
    owner : str
        Who looks after it: a person, a team or an address; ``""``: nobody is named.
    purpose : str
        What its data is for: words, or the key of a purpose.
    expected_every_minutes : int or None
        At least one message comes in each period of this length, up to 31 days; None expects nothing.
    """

    name: str = ""
    required_purpose: str = ""
    hold_days: int = 30
    max_event_bytes: int = MAX_EVENT_BYTES
    ip_storage: str = Source.IpStorage.TRUNCATED
    enabled: bool = True
    owner: str = ""
    purpose: str = ""
    expected_every_minutes: int | None = None


def create_source(
    *, key: str, kind: str, settings: SourceSettings, actor: str, now: datetime, write_key: str | None = None
) -> Source:
    """Make a source; the same again changes nothing.

    Parameters
    ----------
    key : str
        A slug of 1 to 64 characters, by which the source is named everywhere.
    kind : str
        ``server`` (its key is secret), ``browser`` or ``mobile`` (public).
    settings : SourceSettings
        The rest.
    actor : str
        Who acts, for the audit trail.
    now : datetime
        UTC.
    write_key : str or None
        None: one is made.

    Returns
    -------
    Source
        The new one, or the one that was made before in the same way.

    Raises
    ------
    InvalidSource
        A value is not allowed.
    SourceExists
        A source of this name has other settings, or another source has this write key.
    """
    _check(key, kind, settings, write_key)
    with transaction.atomic():
        existing = Source.objects.filter(key=key).first()
        if existing is not None:
            return _same(existing, kind, settings, write_key)
        made = write_key or _make_write_key(kind)
        try:
            with transaction.atomic():
                source = Source.objects.create(
                    key=key,
                    name=settings.name or key,
                    kind=kind,
                    write_key_digest=digest_write_key(made),
                    write_key_sealed=seal(made.encode(), context=SEALED_AS),
                    required_purpose=settings.required_purpose,
                    hold_days=settings.hold_days,
                    max_event_bytes=settings.max_event_bytes,
                    ip_storage=settings.ip_storage,
                    enabled=settings.enabled,
                    owner=settings.owner,
                    purpose=settings.purpose,
                    expected_every_minutes=settings.expected_every_minutes,
                    created_at=now,
                )
        except IntegrityError:
            # Somebody made it at the same moment, or the key belongs to another source.
            existing = Source.objects.filter(key=key).first()
            if existing is not None:
                return _same(existing, kind, settings, write_key)
            message = "Another source has this write key. Every source needs its own."
            raise SourceExists(message) from None
        audit.record(actor=actor, action="source.created", object=f"source:{key}", detail={"kind": kind}, now=now)
    return source


def change_source(*, key: str, changes: Mapping[str, Any], actor: str, now: datetime) -> Source:
    """Change a source's settings. Disabling it stops its key in all processes within 5 seconds.

    Parameters
    ----------
    changes : mapping
        Names of `SourceSettings` → new values; what is not named stays.

    Raises
    ------
    UnknownSource
        There is no such source.
    InvalidSource
        A value is not allowed.
    """
    with transaction.atomic():
        source = Source.objects.select_for_update().filter(key=key).first() if _SLUG.fullmatch(key) else None
        if source is None:
            message = f"There is no source named {key}."
            raise UnknownSource(message)
        before = _settings_of(source)
        settings = replace(before, **changes)
        _check(key, source.kind, settings, None)
        changed = [name for name, value in asdict(settings).items() if value != getattr(before, name)]
        for name in changed:
            setattr(source, name, getattr(settings, name))
        source.name = source.name or key
        source.save()
        if changed:
            audit.record(
                actor=actor, action="source.changed", object=f"source:{key}", detail={"changed": changed}, now=now
            )
    forget_write_keys()
    return source


def is_source_key(text: str) -> bool:
    """Tell whether a text can name a source."""
    return _SLUG.fullmatch(text) is not None


def _same(source: Source, kind: str, settings: SourceSettings, write_key: str | None) -> Source:
    if source.kind != kind:
        message = f"A source named {source.key} exists already, of the kind {source.kind}. Choose another name."
        raise SourceExists(message)
    if write_key is not None and read_write_key(source) != write_key:
        message = f"A source named {source.key} exists already with another write key."
        raise SourceExists(message)
    wanted = {
        "required_purpose": settings.required_purpose,
        "hold_days": settings.hold_days,
        "max_event_bytes": settings.max_event_bytes,
        "ip_storage": settings.ip_storage,
    }
    different = [name for name, value in wanted.items() if getattr(source, name) != value]
    if different:
        message = f"A source named {source.key} exists already with another {' and '.join(different)}."
        raise SourceExists(message)
    return source


def _settings_of(source: Source) -> SourceSettings:
    return SourceSettings(**{field.name: getattr(source, field.name) for field in fields(SourceSettings)})


def _make_write_key(kind: str) -> str:
    prefix = "sk_" if kind == Source.Kind.SERVER else "pk_"
    return prefix + secrets.token_urlsafe(RANDOM_BYTES)


def _check(key: str, kind: str, settings: SourceSettings, write_key: str | None) -> None:
    faults = []
    if not _SLUG.fullmatch(key):
        faults.append(("key", "The name of a source is 1 to 64 letters, digits, hyphens or underscores."))
    if kind not in KINDS:
        faults.append(("kind", f"{kind!r} is not a kind of source. Allowed are: {', '.join(KINDS)}."))
    if write_key is not None and not _WRITE_KEY.fullmatch(write_key):
        limit = MAX_WRITE_KEY_CHARACTERS
        faults.append(("write_key", f"A write key is 1 to {limit} printable ASCII characters without space or colon."))
    if len(settings.name) > 120 or "\0" in settings.name:
        faults.append(("name", "The name has at most 120 characters."))
    if settings.required_purpose and not _SLUG.fullmatch(settings.required_purpose):
        faults.append(("required_purpose", "The required purpose is the key of a purpose."))
    if not 1 <= settings.hold_days <= MAX_HOLD_DAYS:
        faults.append(("hold_days", f"hold_days is a number from 1 to {MAX_HOLD_DAYS}."))
    if not 1024 <= settings.max_event_bytes <= MAX_REQUEST_BYTES:
        faults.append(("max_event_bytes", f"max_event_bytes is a number from 1024 to {MAX_REQUEST_BYTES}."))
    if settings.ip_storage not in Source.IpStorage.values:
        faults.append(("ip_storage", f"ip_storage is one of {', '.join(Source.IpStorage.values)}."))
    if len(settings.owner) > MAX_OWNER or "\0" in settings.owner:
        faults.append(("owner", f"The owner has at most {MAX_OWNER} characters."))
    if len(settings.purpose) > MAX_PURPOSE or "\0" in settings.purpose:
        faults.append(("purpose", f"The purpose has at most {MAX_PURPOSE} characters."))
    expected = settings.expected_every_minutes
    if expected is not None and not 1 <= expected <= MAX_EXPECTED_MINUTES:
        faults.append(("expected_every_minutes", f"This is a number from 1 to {MAX_EXPECTED_MINUTES}, or null."))
    if faults:
        raise InvalidSource(faults)
