"""Purposes are set up by the officer; notices are written once, each text a version of its own."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from cdp.core.services.audit import record
from consent.errors import PurposeExists
from consent.models import Notice, Purpose
from consent.queries.purposes import get_purpose

FIELDS = (
    "name",
    "legal_basis",
    "channels",
    "retention_days",
    "recipients",
    "consent_categories",
    "special_category",
)


def create_purpose(*, key: str, fields: Mapping[str, Any], actor: str, now: datetime) -> tuple[Purpose, bool]:
    """Create a purpose; the same again changes nothing.

    Returns
    -------
    (Purpose, bool)
        Whether it is new.

    Raises
    ------
    PurposeExists
        If there is one with this key and other properties.
    """
    with transaction.atomic():
        purpose, created = Purpose.objects.get_or_create(key=key, defaults={**fields, "created_at": now})
        if created:
            record(actor=actor, action="purpose.created", object=f"purpose:{key}", now=now)
    if not created and any(getattr(purpose, name) != value for name, value in fields.items()):
        raise PurposeExists(key)
    return purpose, created


def change_purpose(*, key: str, fields: Mapping[str, Any], actor: str, now: datetime) -> Purpose:
    """Change properties of a purpose; decisions already recorded stay as they are.

    Raises
    ------
    UnknownPurpose
        If there is none with this key.
    """
    with transaction.atomic():
        purpose = get_purpose(key=key)
        changed = sorted(name for name, value in fields.items() if getattr(purpose, name) != value)
        for name in changed:
            setattr(purpose, name, fields[name])
        if changed:
            purpose.save(update_fields=changed)
            record(actor=actor, action="purpose.changed", object=f"purpose:{key}", detail={"fields": changed}, now=now)
    return purpose


def create_notice(*, key: str, language: str, text: str, actor: str, now: datetime) -> tuple[Notice, bool]:
    """Make a version of a notice from a text; the very text of the latest version makes none.

    Returns
    -------
    (Notice, bool)
        Whether it is new. The text is kept byte for byte, and `sha256` is that of its UTF-8 form.

    References
    ----------
    GDPR Art. 7(1): consent must be demonstrable, hence the exact text that was shown.
    """
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    with transaction.atomic():
        with connection.cursor() as cursor:
            # Two versions made at once must get two numbers.
            cursor.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"consent.notice:{key}:{language}"]
            )
        latest = Notice.objects.filter(key=key, language=language).order_by("-version").first()
        if latest is not None and latest.sha256 == sha256:
            return latest, False
        notice = Notice.objects.create(
            key=key,
            language=language,
            version=latest.version + 1 if latest is not None else 1,
            text=text,
            sha256=sha256,
            created_at=now,
        )
        detail = {"language": language, "version": notice.version, "sha256": sha256}
        record(actor=actor, action="notice.created", object=f"notice:{key}", detail=detail, now=now)
    return notice, True
