"""The register of processing activities, put together from what is configured.

References
----------
GDPR Art. 30(1): (a) controller, (b) purposes, (c) categories of people and data, (d) recipients, (e) transfers,
(f) limits for erasure, (g) security measures.
"""

import hashlib
import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.conf import settings

from cdp.core.services.audit import record
from cdp.site.outlets import list_outlets
from consent.disclosure_models import DisclosureTerms
from consent.field_models import FieldTag
from consent.models import Notice, Purpose
from consent.proof_models import LegalHold
from consent.queries.organisation import read_organisation
from consent.retention_models import RegisterEdition, RetentionRule
from ingestion.queries.inventory import list_inventory
from segments.models import Segment

# What the product itself does; an organisation adds its own in its records.
MEASURES = (
    "Roles and scopes, masked personal data without the right to see it, second factors for people",
    "Secrets and stored files encrypted (AES-256-GCM), identifiers found by keyed digests",
    "Acts and reads of personal data in a chained, signed audit trail",
    "Suppression of erased people, erasure proven by a search, ledger of erasures outside the database",
    "Backups encrypted, kept a stated time, erasures repeated on restore",
)
COLUMNS = ("purpose", "legal_basis", "people", "data", "recipients", "retention", "sources")
HEADINGS = ("Purpose", "Legal basis", "People", "Data", "Recipients", "Kept", "Sources")
# What stands between the words of a name: the export has names, the page words.
JOINTS = {"Legal basis": "_", "Data": ":"}


def read_register(*, now: datetime) -> dict[str, Any]:
    """Return the register as JSON: the controller, one activity per purpose, and what concerns all of them."""
    organisation = read_organisation()
    inventory = list_inventory(now=now)
    terms = list(DisclosureTerms.objects.order_by("recipient", "id"))
    outlets = sorted((one for one in list_outlets() if one.enabled), key=lambda one: (one.recipient, one.key))
    tags = list(FieldTag.objects.order_by("kind", "name"))
    segments = list(Segment.objects.exclude(purpose="").order_by("key").values("key", "purpose"))
    notices = sorted(set(Notice.objects.values_list("key", flat=True)))
    activities = []
    for purpose in Purpose.objects.order_by("key"):
        fields = sorted(
            {f"{tag.kind}:{tag.name}" for tag in tags if tag.purposes is None or purpose.key in tag.purposes}
        )
        disclosed = sorted(
            {name for one in terms if one.purpose == purpose.key for name in one.fields}
            | {name for one in outlets if one.purpose == purpose.key for name in one.fields}
        )
        recipients = _unique(
            purpose.recipients,
            (one.recipient for one in terms if one.purpose == purpose.key),
            (one.recipient for one in outlets if one.purpose == purpose.key),
        )
        activities.append(
            {
                "purpose": purpose.key,
                "name": purpose.name,
                "legal_basis": purpose.legal_basis,
                "people": ["customers and visitors"],
                "special_category": purpose.special_category,
                "data": _unique(fields, disclosed),
                "channels": purpose.channels,
                "recipients": recipients,
                "retention_days": purpose.retention_days,
                "sources": sorted(one.source.key for one in inventory if one.source.required_purpose == purpose.key),
                "segments": [one["key"] for one in segments if one["purpose"] == purpose.key],
            }
        )
    return {
        "made_at": now.isoformat(),
        "controller": {
            "name": organisation.name,
            "address": organisation.address,
            "contact": organisation.contact,
            "email": organisation.email,
            "phone": organisation.phone,
            "authority": organisation.authority,
            "storage_locations": organisation.storage_locations,
        },
        "activities": activities,
        "collection": [
            {
                "source": one.source.key,
                "owner": one.source.owner,
                "stated_purpose": one.source.purpose,
                "identifiers": one.identifiers,
                "traits": one.traits,
                "events": one.event_names,
            }
            for one in inventory
        ],
        "outlets": [
            {
                "kind": one.key.split(":")[0],
                "name": one.name,
                "recipient": one.recipient,
                "purpose": one.purpose,
                "segment": one.segment,
                "source": one.source,
                "fields": list(one.fields),
            }
            for one in outlets
        ],
        "erasure_limits": {
            "schedules": [
                {"kind": row.kind, "name": row.name, "keep_days": row.keep_days, "reason": row.reason}
                for row in RetentionRule.objects.filter(enabled=True).order_by("kind", "name")
            ],
            "legal_holds": [
                {"name": row.name, "legal_basis": row.legal_basis, "keep_days": row.keep_days}
                for row in LegalHold.objects.filter(enabled=True).order_by("key")
            ],
            "backups_days": settings.CDP_BACKUP_DAYS,
            "raw_messages_days": settings.CDP_ARCHIVE_DAYS,
            "changes_days": settings.CDP_CHANGE_DAYS,
        },
        "notices": notices,
        "security_measures": list(MEASURES),
    }


def export_register(*, actor: str, now: datetime) -> RegisterEdition:
    """Keep a dated edition of the register as it is now; the audit trail says who made it."""
    document = read_register(now=now)
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
    row = RegisterEdition.objects.create(made_at=now, actor=actor, sha256=digest, document=document)
    record(actor=actor, action="register.exported", object=f"register:{row.pk}", detail={"sha256": digest}, now=now)
    return row


def register_rows(document: dict[str, Any]) -> Iterable[list[str]]:
    """Yield the activities as rows of a table, in the order of `COLUMNS`."""
    for one in document["activities"]:
        days = one["retention_days"]
        yield [
            one["name"],
            one["legal_basis"],
            ", ".join(one["people"]),
            ", ".join(one["data"]),
            ", ".join(one["recipients"]),
            f"{days} days" if days is not None else "not stated",
            ", ".join(one["sources"]),
        ]


def present_rows(document: dict[str, Any]) -> list[list[tuple[str, str]]]:
    """Return the activities as a page shows them: each cell with its heading, names as words."""
    return [
        [(heading, cell.replace(JOINTS.get(heading, " "), " ")) for heading, cell in pairs]
        for pairs in (zip(HEADINGS, row, strict=True) for row in register_rows(document))
    ]


def _unique(*lists: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(one for names in lists for one in names))
