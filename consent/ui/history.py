"""The timeline behind one cell of a person's consents, on both clocks."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django import forms
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from cdp.core.access import show
from cdp.core.services.audit import note_read
from cdp.core.ui.shell import show_page, signed_in
from consent.models import Notice
from consent.queries.ledger import list_decisions
from consent.queries.purposes import check_channel, get_purpose, read_latest_notices
from consent.services.gate import check_consent
from consent.ui.forms import StyledForm
from profiles.queries.people import get_by_uuid

MOST = 500


class AsOfForm(StyledForm):
    """Another time."""

    as_of = forms.DateTimeField(
        required=False,
        label="As it counted at",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}),
        help_text="By the time from which decisions hold.",
    )
    known_at = forms.DateTimeField(
        required=False,
        label="As it was known here at",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}),
        help_text="By the time at which decisions were recorded.",
    )


@require_safe
def consent_history(request: HttpRequest, public_id: UUID, key: str) -> HttpResponse:
    """Show every decision that weighs in one cell, newest first, and what stands, stood, or was known."""
    principal = signed_in(request, "consents:read")
    person = get_by_uuid(public_id=str(public_id))
    purpose = get_purpose(key=key)
    channel = request.GET.get("channel", "")[:32] or None
    check_channel(purpose=purpose, channel=channel)
    if principal.sees_personal_data:
        note_read(actor=principal.actor, object=f"profile:{person.uuid}")
    form = AsOfForm(request.GET if {"as_of", "known_at"} & set(request.GET) else None)
    asked: dict[str, datetime | None] = {}
    if form.is_valid():
        asked = {name: form.cleaned_data[name] for name in ("as_of", "known_at")}
    verdict = check_consent(
        profile_id=person.profile_id, purpose=key, channel=channel, now=timezone.now(), **_given(asked)
    )
    rows = list_decisions(profile_ids=[person.profile_id], purpose=key).filter(Q(channel="") | Q(channel=channel or ""))
    found, latest = list(rows.order_by("-id")[:MOST]), read_latest_notices()
    return show_page(
        request,
        "consent/history.html",
        title=f"{purpose.name}, {channel or 'all channels'}",
        person=person,
        purpose=purpose,
        channel=channel or "",
        form=form,
        verdict=verdict,
        is_past=bool(_given(asked)),
        decisions=[
            {"row": row, "evidence": show(principal, row.evidence), "newer": _newer(row.notice, latest)}
            for row in found
        ],
    )


def _newer(notice: Notice | None, latest: Mapping[tuple[str, str], int]) -> int | None:
    """Return the version that is out since, if there is one."""
    version = latest[notice.key, notice.language] if notice is not None else None
    return version if notice is not None and version != notice.version else None


def _given(asked: dict[str, datetime | None]) -> dict[str, Any]:
    return {name: moment for name, moment in asked.items() if moment is not None}
