"""Banners are set up by the officer, one for each browser source."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from cdp.core.errors import FieldError, InvalidInput
from cdp.core.services.audit import record
from consent.asking_models import Banner
from consent.queries.banners import get_banner
from consent.queries.purposes import get_notice, get_purpose

FIELDS = ("purposes", "notice_key", "policy_url", "enabled")
# Anything else would be a script in the page of whoever carries the banner.
SCHEMES = ("https://", "http://")


def put_banner(*, source_id: int, fields: Mapping[str, Any], actor: str, now: datetime) -> tuple[Banner, bool]:
    """Set up the banner of a source, or change it.

    Returns
    -------
    (Banner, bool)
        Whether it is new.

    Raises
    ------
    UnknownPurpose, UnknownNotice
        If it asks about what does not exist.
    InvalidInput
        Without a purpose, or with an address that is none of the web.
    """
    purposes = list(dict.fromkeys(fields["purposes"]))
    if not purposes:
        message = "A banner asks for at least one purpose."
        raise InvalidInput(message, errors=[FieldError("purposes", "required", message)])
    for key in purposes:
        get_purpose(key=key)
    get_notice(key=fields["notice_key"])
    policy_url = fields.get("policy_url", "")
    if policy_url and not policy_url.startswith(SCHEMES):
        message = "The privacy policy's address begins with https://."
        raise InvalidInput(message, errors=[FieldError("policy_url", "invalid", message)])
    values = {
        "purposes": purposes,
        "notice_key": fields["notice_key"],
        "policy_url": policy_url,
        "enabled": fields.get("enabled", True),
    }
    with transaction.atomic():
        banner, created = Banner.objects.update_or_create(
            source_id=source_id, defaults=values, create_defaults={**values, "created_at": now}
        )
        action = "consent_banner.created" if created else "consent_banner.changed"
        record(actor=actor, action=action, object=f"source:{source_id}", detail={"purposes": purposes}, now=now)
    return banner, created


def delete_banner(*, source_id: int, actor: str, now: datetime) -> None:
    """Take the banner off a source: pages that carry the script show none from then on.

    Raises
    ------
    UnknownBanner
        If it has none.
    """
    with transaction.atomic():
        get_banner(source_id=source_id).delete()
        record(actor=actor, action="consent_banner.deleted", object=f"source:{source_id}", now=now)
