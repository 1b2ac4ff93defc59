"""Saying who answers for the data."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from cdp.core.services.audit import record
from consent.organisation_models import Organisation
from consent.queries.organisation import read_organisation

FIELDS = (
    "name",
    "address",
    "contact",
    "email",
    "phone",
    "jurisdiction",
    "authority",
    "storage_locations",
    "notice_url",
)


def change_organisation(*, fields: Mapping[str, Any], actor: str, now: datetime) -> Organisation:
    """Change what is said of the organisation; receipts made before stay as they are."""
    with transaction.atomic():
        row = read_organisation()
        changed = sorted(name for name in FIELDS if name in fields and fields[name] != getattr(row, name))
        for name in changed:
            setattr(row, name, fields[name])
        if changed:
            row.changed_at = now
            row.save()
            detail = {"fields": changed}
            record(actor=actor, action="organisation.changed", object="organisation", detail=detail, now=now)
    return row
