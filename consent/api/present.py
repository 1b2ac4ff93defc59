"""How REST shows what this app holds."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings

from cdp.core.access import Principal, show
from consent.asking_models import Banner, ConsentImport, ConsentImportRow, Form, Link
from consent.decision import Verdict
from consent.models import Decision, Notice, PrivacyRequest, Purpose
from consent.queries.purposes import read_latest_notices
from consent.services.details import Details, read_details
from consent.suppression_models import Suppression
from consent.tcf.decode import TcString
from consent.tcf.judge import Judgement
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


def present_signals(purpose: Purpose) -> dict[str, Any]:
    """Return what public pages say of a purpose, and what signals mean for it."""
    return {
        "description": purpose.description,
        "words": purpose.words,
        "tcf_purposes": purpose.tcf_purposes,
        "consent_mode": purpose.consent_mode,
        "gpc": purpose.gpc,
    }


def present_tc_string(tc: TcString, judgement: Judgement) -> dict[str, Any]:
    """Return what a consent string says; of vendors how many there are."""
    return {
        "created_at": tc.created_at,
        "updated_at": tc.updated_at,
        "cmp_id": tc.cmp_id,
        "cmp_version": tc.cmp_version,
        "language": tc.language,
        "vendor_list_version": tc.vendor_list_version,
        "policy_version": tc.policy_version,
        "publisher_country": tc.publisher_country,
        "special_features": list(tc.special_features),
        "purposes": list(tc.purposes),
        "legitimate_interests": list(tc.legitimate_interests),
        "vendors": len(tc.vendors),
        "disclosed_vendors": None if tc.disclosed_vendors is None else len(tc.disclosed_vendors),
        "flags": list(judgement.flags),
    }


def present_link(link: Link) -> dict[str, Any]:
    """Return a link, without its token."""
    return {
        "id": str(link.pk),
        "kind": link.kind,
        "asks": link.asks,
        "language": link.language,
        "created_at": link.created_at,
        "expires_at": link.expires_at,
        "used_at": link.used_at,
        "revoked_at": link.revoked_at,
    }


def present_new_link(link: Link, token: str) -> dict[str, Any]:
    """Return a link that was just made, with its address; to unsubscribe, with the headers of a mail (RFC 8058)."""
    url = f"{settings.CDP_BASE_URL}/{link.kind}/{token}"
    shown = {**present_link(link), "url": url}
    if link.kind == Link.Kind.UNSUBSCRIBE:
        one_click = {"List-Unsubscribe": f"<{url}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
        return {**shown, "headers": one_click}
    return shown


def present_form(form: Form) -> dict[str, Any]:
    """Return a hosted form."""
    return {
        "key": form.key,
        "name": form.name,
        "asks": form.asks,
        "notice_key": form.notice_key,
        "languages": form.languages,
        "texts": form.texts,
        "identifier_type": form.identifier_type,
        "double_opt_in": form.double_opt_in,
        "enabled": form.enabled,
        "url": f"{settings.CDP_BASE_URL}/forms/{form.key}",
    }


def present_banner(banner: Banner) -> dict[str, Any]:
    """Return what a banner asks."""
    return {
        "purposes": banner.purposes,
        "notice_key": banner.notice_key,
        "policy_url": banner.policy_url,
        "enabled": banner.enabled,
    }


def present_consent_import(made: ConsentImport) -> dict[str, Any]:
    """Return how far an import of consents is."""
    return {
        "id": str(made.pk),
        "preset": made.preset,
        "status": made.status,
        "fault": made.fault,
        "rows": made.read_rows,
        "recorded": made.recorded,
        "unchanged": made.unchanged,
        "conflicts": made.conflicts,
        "rejected": made.rejected,
        "created_at": made.created_at,
        "finished_at": made.finished_at,
    }


def present_consent_import_row(row: ConsentImportRow) -> dict[str, Any]:
    """Return what became of one decision of a table."""
    return {
        "row": row.row,
        "outcome": row.outcome,
        "reason": row.reason,
        "consent_id": str(row.decision_id) if row.decision_id is not None else None,
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
    """Return decisions, in three statements for any number of them."""
    uuids = dict(Profile.objects.filter(id__in={row.profile_id for row in rows}).values_list("id", "uuid"))
    sources, latest = read_source_names(), read_latest_notices()
    return [
        present_decision(
            row,
            public_id=str(uuids[row.profile_id]) if row.profile_id in uuids else None,
            sources=sources,
            latest=latest,
            principal=principal,
        )
        for row in rows
    ]


def present_decision(
    row: Decision,
    *,
    public_id: str | None,
    sources: Mapping[int, str],
    latest: Mapping[tuple[str, str], int],
    principal: Principal,
) -> dict[str, Any]:
    """Return a decision; evidence is masked for whoever may not see personal data.

    Parameters
    ----------
    latest : mapping
        The latest version of each notice, by key and language: whether a newer text than the one agreed to is out.
    """
    notice = row.notice
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
        "notice": f"{notice.key}/{notice.language}" if notice is not None else None,
        "notice_version": notice.version if notice is not None else None,
        "notice_is_latest": latest[notice.key, notice.language] == notice.version if notice is not None else None,
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
        "format": row.form,
        "reason": row.reason,
        "request_id": str(row.request_id) if row.request_id is not None else None,
        "created_at": row.created_at,
    }


def present_request(request: PrivacyRequest, *, principal: Principal, details: Details | None = None) -> dict[str, Any]:
    """Return a privacy request; `details` are read where they are not given."""
    asked = read_details(request=request) if details is None else details
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
        "verified_at": request.verified_at,
        "confirm_by": request.confirm_at,
        "paused_days": request.paused_days,
        "language": request.language,
        "came_by": request.came_by,
        "approvals": len(request.approvals),
        "corrections": [{"trait": one["trait"], "value": show(principal, one["value"])} for one in asked.corrections],
        "purposes": list(asked.purposes),
        "steps": request.steps,
        "recipients": request.recipients,
        "reason": request.reason,
        "clean_at": request.clean_at,
        "completed_at": request.completed_at,
    }
