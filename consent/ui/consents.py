"""Purposes with how people stand to them, the ledger, conflicts, notices."""

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from cdp.core.access import Principal, show
from cdp.core.api.pagination import fetch_from, key_from
from cdp.core.queries.rights import rows_within_rights
from cdp.core.queries.sizes import count_list
from cdp.core.ui.shell import open_one, read_list, show_page, show_part, signed_in
from consent.decision import GRANTED, STATES, SUBJECT
from consent.models import Current, Decision, Purpose
from consent.queries.desk import Standing, count_standings, list_conflicts, name_profiles
from consent.queries.ledger import list_decisions
from consent.queries.purposes import get_notice, get_purpose, list_notices, list_purposes
from consent.services.decisions import NewDecision, record_decision, settle_conflict
from consent.services.purposes import change_purpose, create_notice, create_purpose
from consent.ui.forms import DecisionForm, EvidenceForm, NewPurposeForm, NoticeForm, PurposeForm, write_words

COLOURS = {
    "granted": "--color-green-600",
    "denied": "--color-red-400",
    "withdrawn": "--color-red-600",
    "objected": "--color-red-800",
    "pending": "--color-blue-500",
    "expired": "--color-orange-500",
    "unknown": "--color-base-400",
}
READ = ["GET", "HEAD", "POST"]


@require_safe
def purposes(request: HttpRequest) -> HttpResponse:
    """List the purposes; how people stand to them is counted by a request of its own."""
    principal = signed_in(request)
    rows = list(rows_within_rights(list_purposes(), principal=principal, scope="consents:read").order_by("name", "id"))
    if not rows:
        # Whoever was given none learns which right is missing.
        signed_in(request, "consents:read")
    return show_page(
        request,
        "consent/purposes.html",
        title="Consent",
        purposes=rows,
        conflicts=count_list(list_conflicts()) if principal.may("consents:read") else None,
    )


@require_safe
def standings(request: HttpRequest) -> HttpResponse:
    """Answer the chart of how people stand to each purpose."""
    signed_in(request, "consents:read")
    found, counted_now = count_standings(now=timezone.now())
    return show_part(
        request, "consent/standings.html", standings=found, chart=_chart(found), counted_now=counted_now, states=STATES
    )


@require_http_methods(READ)
def create(request: HttpRequest) -> HttpResponse:
    """Set up a purpose."""
    principal = signed_in(request, "consents:write")
    form = NewPurposeForm(request.POST or None)
    if form.is_valid():
        fields = dict(form.cleaned_data)
        key = fields.pop("key")
        create_purpose(key=key, fields=fields, actor=principal.actor, now=timezone.now())
        messages.success(request, "The purpose is set up.")
        return redirect("purpose", key)
    return show_page(
        request,
        "consent/purpose_form.html",
        title="New purpose",
        form=form,
        back="purposes",
        status=422 if form.is_bound else 200,
    )


@require_http_methods(READ)
def change(request: HttpRequest, key: str) -> HttpResponse:
    """Change a purpose."""
    principal, row = _open(request, key, "consents:write")
    initial = {name: getattr(row, name) for name in PurposeForm.base_fields}
    for name in ("channels", "recipients", "consent_categories"):
        initial[name] = ", ".join(initial[name])
    initial["tcf_purposes"] = ", ".join(map(str, row.tcf_purposes))
    initial["words"] = write_words(row.words)
    form = PurposeForm(request.POST or None, initial=initial)
    if form.is_valid():
        change_purpose(key=key, fields=form.cleaned_data, actor=principal.actor, now=timezone.now())
        messages.success(request, "Saved.")
        return redirect("purpose", key)
    return show_page(
        request, "consent/purpose_form.html", title=row.name, form=form, status=422 if form.is_bound else 200
    )


@require_safe
def purpose(request: HttpRequest, key: str) -> HttpResponse:
    """Show a purpose with its ledger, newest first."""
    principal, row = _open(request, key)
    # A right on the purpose is none on the decisions of people.
    sees_ledger = principal.may("consents:read")
    rows = list_decisions(purpose=key) if sees_ledger else list_decisions(purpose=key).none()
    page = read_list(request, fetch=fetch_from(rows, "-id"), key=key_from("id"))
    return show_page(
        request,
        "consent/purpose.html",
        title=row.name,
        purpose=row,
        page=page,
        ledger=show_ledger(page.rows, principal),
        size=count_list(rows) if sees_ledger else None,
    )


def _open(request: HttpRequest, key: str, scope: str = "consents:read") -> tuple[Principal, Purpose]:
    return open_one(request, lambda: get_purpose(key=key), scope)


@require_safe
def conflicts(request: HttpRequest) -> HttpResponse:
    """List what an officer has to settle, by the internal order of the cells."""
    principal = signed_in(request, "consents:read")
    rows = list_conflicts().select_related("purpose", "decision")
    page = read_list(request, fetch=fetch_from(rows, "-id"), key=key_from("id"))
    return show_page(
        request,
        "consent/conflicts.html",
        title="Consents in conflict",
        page=page,
        conflicts=_conflicts(page.rows, principal),
        size=count_list(list_conflicts()),
    )


@require_POST
def settle(request: HttpRequest, decision_id: int) -> HttpResponse:
    """Attach evidence to a grant in conflict."""
    principal = signed_in(request, "consents:write")
    form = EvidenceForm(request.POST)
    evidence = {"note": form.cleaned_data["evidence"]} if form.is_valid() else {}
    settle_conflict(decision_id=decision_id, evidence=evidence, recorded_by=principal.actor, now=timezone.now())
    messages.success(request, "The evidence is recorded, and the grant counts.")
    return redirect("consent_conflicts")


@require_POST
def record(request: HttpRequest, public_id: str) -> HttpResponse:
    """Record a decision of one person."""
    principal = signed_in(request, "consents:write")
    form = DecisionForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Nothing was recorded: choose a purpose and what was decided.")
        return redirect("profile", public_id)
    given = form.cleaned_data
    record_decision(
        new=NewDecision(
            purpose=given["purpose"],
            channel=given["channel"] or None,
            state=given["state"],
            recorded_by=principal.actor,
            profile_uuid=str(public_id),
            actor=given["actor"],
            source="desk",
            evidence={"note": given["evidence"]} if given["evidence"] else {},
        ),
        now=timezone.now(),
    )
    messages.success(request, "The decision is recorded.")
    return redirect("profile", public_id)


@require_http_methods(READ)
def notices(request: HttpRequest) -> HttpResponse:
    """List versions of notices, and make one."""
    writes = request.method == "POST"
    principal = signed_in(request, "consents:write" if writes else "consents:read")
    form = NoticeForm(request.POST if writes else None)
    if writes and form.is_valid():
        made, is_new = create_notice(**form.cleaned_data, actor=principal.actor, now=timezone.now())
        said = f"Version {made.version} is kept." if is_new else "This is the text of the latest version already."
        messages.success(request, said)
        return redirect("notices")
    page = read_list(request, fetch=fetch_from(list_notices(), "-id"), key=key_from("id"))
    return show_page(
        request, "consent/notices.html", title="Notices", form=form, page=page, status=422 if writes else 200
    )


@require_safe
def notice(request: HttpRequest, key: str, language: str, version: int) -> HttpResponse:
    """Show the text of one version."""
    signed_in(request, "consents:read")
    row = get_notice(key=key, language=language, version=version)
    return show_page(request, "consent/notice.html", title=f"{key} ({language}), version {version}", notice=row)


def show_ledger(rows: Sequence[Decision], principal: Principal) -> list[dict[str, Any]]:
    """Return decisions with the public ids of their people, evidence as it may be seen."""
    public_ids = name_profiles({row.profile_id for row in rows})
    return [
        {"row": row, "profile": public_ids.get(row.profile_id), "evidence": show(principal, row.evidence)}
        for row in rows
    ]


def _conflicts(rows: Sequence[Current], principal: Principal) -> list[dict[str, Any]]:
    public_ids = name_profiles({row.profile_id for row in rows})
    return [
        {
            "row": row,
            "profile": public_ids.get(row.profile_id),
            "evidence": show(principal, row.decision.evidence),
            "can_settle": row.decision.state == GRANTED and row.decision.actor != SUBJECT,
        }
        for row in rows
    ]


def _chart(found: Sequence[Standing]) -> dict[str, Any]:
    return {
        "type": "bar",
        "stacked": True,
        "horizontal": True,
        "labels": [one.label for one in found],
        "series": [
            {"label": state, "values": [one.counts[state] for one in found], "colour": COLOURS[state]}
            for state in STATES
        ],
    }
