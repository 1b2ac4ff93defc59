"""How REST shows what this app holds."""

from collections.abc import Mapping, Sequence
from typing import Any

from cdp.core.access import Principal, show
from consent.decision import Verdict
from consent.models import Decision, Notice, PrivacyRequest, Purpose, Suppression
from profiles.models import Profile
from profiles.queries.profiles import read_source_names

SOURCE_PREFIX = "source:"


def present_purpose(purpose: Purpose) -> dict[str, Any]:
    """Return a purpose."""
    return {
        "key": purpose.key,
        "name": purpose.name,
        "legal_basis": purpose.legal_basis,
        "channels": purpose.channels,
        "retention_days": purpose.retention_days,
        "recipients": purpose.recipients,
        "consent_categories": purpose.consent_categories,
        "special_category": purpose.special_category,
    }


def present_notice(notice: Notice) -> dict[str, Any]:
    """Return a version of a notice."""
    return {
        "key": notice.key,
        "language": notice.language,
        "version": notice.version,
        "text": notice.text,
        "sha256": notice.sha256,
        "created_at": notice.created_at,
    }


def present_decisions(rows: Sequence[Decision], *, principal: Principal) -> list[dict[str, Any]]:
    """Return decisions, in two statements for any number of them."""
    uuids = dict(Profile.objects.filter(id__in={row.profile_id for row in rows}).values_list("id", "uuid"))
    sources = read_source_names()
    return [
        present_decision(
            row,
            public_id=str(uuids[row.profile_id]) if row.profile_id in uuids else None,
            sources=sources,
            principal=principal,
        )
        for row in rows
    ]


def present_decision(
    row: Decision, *, public_id: str | None, sources: Mapping[int, str], principal: Principal
) -> dict[str, Any]:
    """Return a decision; evidence is masked for whoever may not see personal data."""
    source = row.source
    if source.startswith(SOURCE_PREFIX) and source.removeprefix(SOURCE_PREFIX).isdigit():
        source = sources.get(int(source.removeprefix(SOURCE_PREFIX)), source)
    return {
        "id": str(row.id),
        "profile_id": public_id,
        "purpose": row.purpose.key,
        "channel": row.channel or None,
        "state": row.state,
        "effective_at": row.effective_at,
        "expires_at": row.expires_at,
        "occurred_at": row.occurred_at,
        "recorded_at": row.recorded_at,
        "source": source,
        "actor": row.actor,
        "notice": f"{row.notice.key}/{row.notice.language}" if row.notice is not None else None,
        "notice_version": row.notice.version if row.notice is not None else None,
        "evidence": show(principal, row.evidence),
        "conflict": row.conflict and row.cleared_at is None,
    }


def present_verdict(verdict: Verdict) -> dict[str, Any]:
    """Return the gate's answer."""
    return {
        "allowed": verdict.allowed,
        "state": verdict.state,
        "reason": verdict.reason,
        "decided_by": str(verdict.decided_by) if verdict.decided_by is not None else None,
    }


def present_suppression(row: Suppression) -> dict[str, Any]:
    """Return a suppression; of the identifier nothing but its type is known."""
    return {
        "id": str(row.id),
        "identifier_type": row.identifier_type,
        "reason": row.reason,
        "request_id": str(row.request_id) if row.request_id is not None else None,
        "created_at": row.created_at,
    }


def present_request(request: PrivacyRequest, *, principal: Principal) -> dict[str, Any]:
    """Return a privacy request."""
    return {
        "id": str(request.id),
        "type": request.type,
        "status": request.status,
        "identities": [
            {"type": one["type"], "value": show(principal, one["value"], one["type"])} for one in request.identities
        ],
        "regulation": request.regulation,
        "received_at": request.received_at,
        "due_at": request.due_at,
        "extended_to": request.extended_to,
        "verified_by": request.verified_by,
        "steps": request.steps,
        "recipients": request.recipients,
        "reason": request.reason,
        "completed_at": request.completed_at,
    }
