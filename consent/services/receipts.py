"""Receipts: what a person decided, in the words of ISO/IEC TS 27560, signed so that it holds without asking us.

A receipt names no identifier's value and no evidence but digests: it shows what was decided when and on which words, to
somebody who holds it already.

References
----------
ISO/IEC TS 27560:2023, as the W3C Data Privacy Vocabulary's guide maps it; states after DPV.
"""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.conf import settings

from cdp.core.digests import derived_key
from cdp.core.signing import sign_document
from consent import decision as rules
from consent.field_models import FieldTag
from consent.models import Decision, Purpose
from consent.organisation_models import Organisation
from consent.queries.current import current_consents
from consent.queries.ledger import list_decisions
from consent.queries.organisation import read_organisation
from profiles.models import Identifier

PURPOSE_OF_SIGNATURE = "consent_receipt"
SCHEMA = "ISO/IEC TS 27560:2023"
CONTROLLER = "controller"
NOT_STATED = "not stated"
STATES = {
    rules.GRANTED: "given",
    rules.DENIED: "refused",
    rules.WITHDRAWN: "withdrawn",
    rules.OBJECTED: "objected",
    rules.PENDING: "requested",
    rules.EXPIRED: "expired",
    rules.UNKNOWN: "unknown",
}
RIGHTS = ("access", "rectification", "erasure", "restriction", "portability", "objection", "withdrawal", "complaint")
SENSITIVE = (FieldTag.Sensitivity.SENSITIVE, FieldTag.Sensitivity.SPECIAL_CATEGORY)


def issue_receipt(*, profile_id: int, public_id: str, withdrawal: str, now: datetime) -> dict[str, Any]:
    """Return a signed receipt of everything that a person decided, in a constant number of statements.

    Parameters
    ----------
    profile_id, public_id
        Internal and public id.
    withdrawal : str
        Where or how the person withdraws, as they would do it.
    now : datetime
        Expiry is read at this instant.
    """
    rows = list(list_decisions(profile_ids=[profile_id]).order_by("id"))
    organisation = read_organisation()
    held = sorted(set(Identifier.objects.filter(profile_id=profile_id).values_list("type__key", flat=True)))
    tags = list(FieldTag.objects.filter(kind=FieldTag.Kind.TRAIT).exclude(purposes=None).order_by("name"))
    standing = {
        (one.decision.purpose.key, one.decision.channel): one
        for one in current_consents(profile_ids=[profile_id], now=now).get(profile_id, [])
    }
    by_cell: dict[tuple[str, str], list[Decision]] = {}
    for row in rows:
        by_cell.setdefault((row.purpose.key, row.channel), []).append(row)
    document = {
        "schema_version": SCHEMA,
        "record_id": _record_id(public_id),
        "receipt_id": str(uuid.uuid4()),
        "pii_principal_id": public_id,
        "issued_at": _time(now),
        "pii_processing": {
            "purposes": [
                {
                    **_purpose(rows, organisation=organisation, held=held, tags=tags, withdrawal=withdrawal),
                    "state": STATES[standing[cell].state] if cell in standing else STATES[rules.UNKNOWN],
                    "conflict": cell in standing and standing[cell].conflict,
                }
                for cell, rows in sorted(by_cell.items())
            ]
        },
        "party_identification": [_controller(organisation)],
    }
    return sign_document(document, purpose=PURPOSE_OF_SIGNATURE, now=now)


def _purpose(
    rows: Sequence[Decision],
    *,
    organisation: Organisation,
    held: Sequence[str],
    tags: Sequence[FieldTag],
    withdrawal: str,
) -> dict[str, Any]:
    last = max(rows, key=lambda row: (row.effective_at, row.recorded_at, row.pk))
    purpose = last.purpose
    retention = f"P{purpose.retention_days}D" if purpose.retention_days else "until withdrawn or erased"
    return {
        "purpose": purpose.name,
        "purpose_key": purpose.key,
        "purpose_type": last.channel or "all channels",
        "purpose_description": purpose.description,
        "lawful_basis": purpose.legal_basis,
        "privacy_notice": _notice(last, organisation),
        "language": last.notice.language if last.notice is not None else str(last.evidence.get("language") or "und"),
        "pii_information": _information(purpose, held, tags),
        "pii_controllers": [CONTROLLER],
        "collection_method": str(last.evidence.get("method") or last.source or NOT_STATED),
        "processing_method": "automated",
        "storage_locations": organisation.storage_locations or [NOT_STATED],
        "retention_period": retention,
        "jurisdiction": organisation.jurisdiction or NOT_STATED,
        "recipient_third_parties": purpose.recipients,
        "withdrawal_method": withdrawal,
        "privacy_rights": list(RIGHTS),
        "authority_party": organisation.authority or NOT_STATED,
        "service": settings.CDP_BASE_URL,
        "events": [_event(row, before) for row, before in zip(rows, [None, *rows], strict=False)],
    }


def _notice(row: Decision, organisation: Organisation) -> dict[str, Any]:
    if row.notice is None:
        shown = row.evidence.get("text_sha256")
        return {"id": NOT_STATED, "url": organisation.notice_url, **({"sha256": str(shown)} if shown else {})}
    return {
        "id": f"{row.notice.key}/{row.notice.language}/{row.notice.version}",
        "version": row.notice.version,
        "sha256": row.notice.sha256,
        "url": organisation.notice_url,
    }


def _information(purpose: Purpose, held: Sequence[str], tags: Sequence[FieldTag]) -> list[dict[str, Any]]:
    """Return the kinds of data: what names the person, and the traits that are tagged for the purpose."""
    named = [
        {"pii_type": kind, "pii_attribute_id": f"identifier:{kind}", "pii_optional": False, **_categories(purpose, "")}
        for kind in held
    ]
    tagged = [
        {
            "pii_type": tag.name,
            "pii_attribute_id": f"trait:{tag.name}",
            "pii_optional": True,
            **_categories(purpose, tag.sensitivity),
        }
        for tag in tags
        if purpose.key in (tag.purposes or ())
    ]
    return [*named, *tagged]


def _categories(purpose: Purpose, sensitivity: str) -> dict[str, bool]:
    special = sensitivity == FieldTag.Sensitivity.SPECIAL_CATEGORY
    return {
        "sensitive_pii_category": sensitivity in SENSITIVE,
        "special_pii_category": special or (not sensitivity and purpose.special_category),
    }


def _event(row: Decision, before: Decision | None) -> dict[str, Any]:
    state = STATES[row.state]
    if row.state == rules.GRANTED and before is not None and before.state == rules.GRANTED:
        state = "renewed"
    by_subject = row.actor == rules.SUBJECT
    return {
        "event_time": _time(row.occurred_at),
        "recorded_time": _time(row.recorded_at),
        "effective_time": _time(row.effective_at),
        "validity_duration": f"until {_time(row.expires_at)}" if row.expires_at is not None else "until withdrawn",
        "entity_id": str(row.recorded_for) if by_subject else row.actor,
        "event_type": "explicit" if by_subject else "regular",
        "event_state": state,
        "method": str(row.evidence.get("method") or row.source or NOT_STATED),
        "text_sha256": str(row.evidence.get("text_sha256") or row.evidence.get("notice_sha256") or ""),
        "unproven": row.conflict and row.cleared_at is None,
    }


def _controller(organisation: Organisation) -> dict[str, str]:
    return {
        "party_id": CONTROLLER,
        "party_name": organisation.name or NOT_STATED,
        "party_address": organisation.address or NOT_STATED,
        "party_contact": organisation.contact or organisation.email or NOT_STATED,
        "party_email": organisation.email,
        "party_phone": organisation.phone,
        "party_type": "organisation",
        "party_role": "PII controller",
    }


def _record_id(public_id: str) -> str:
    """Return the id of a person's record: the same for each receipt, and of version 4 as the standard wants it."""
    namespace = uuid.UUID(bytes=derived_key("consent-record")[:16])
    return str(uuid.UUID(bytes=uuid.uuid5(namespace, public_id).bytes, version=4))


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
