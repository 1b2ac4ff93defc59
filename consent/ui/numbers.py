"""Pages with numbers of consent: over time, per source, who would be lost, and what the officer should look at."""

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from cdp.core.api.pagination import fetch_from, key_from
from cdp.core.queries.sizes import count_list
from cdp.core.registries import source_keys
from cdp.core.ui.shell import read_list, show_page, show_part, signed_in
from consent.decision import LEGAL_BASES, RECORDABLE
from consent.queries.desk import list_conflicts, list_expiring, name_profiles
from consent.queries.purposes import check_channel, get_purpose
from consent.queries.statistics import (
    DAYS,
    Statistics,
    Stricter,
    find_silent_sources,
    preview_stricter,
    read_statistics,
)
from consent.ui.consents import COLOURS
from consent.ui.forms import StyledForm

EXPIRING_DAYS = 30


class StricterForm(StyledForm):
    """What a purpose would ask for."""

    channel = forms.ChoiceField(required=False)
    legal_basis = forms.ChoiceField(
        required=False,
        choices=[("", "as now"), *((one, one.replace("_", " ").capitalize()) for one in LEGAL_BASES)],
    )
    granted_after = forms.DateTimeField(
        required=False, widget=forms.DateInput(attrs={"type": "date"}), help_text="Older grants would not count."
    )
    notice_version = forms.IntegerField(
        required=False, min_value=1, max_value=2_000_000_000, label="Notice, from version"
    )
    by_subject = forms.BooleanField(required=False, label="Only grants by the person")
    double_opt_in = forms.BooleanField(required=False, label="Only grants confirmed by mail")

    def __init__(self, *args: Any, channels: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["channel"].choices = [  # type: ignore[attr-defined]
            ("", "All channels at once"),
            *((one, one) for one in channels),
        ]


@require_safe
def statistics(request: HttpRequest, key: str) -> HttpResponse:
    """Answer the charts of a purpose."""
    signed_in(request, "consents:read")
    found = read_statistics(purpose=get_purpose(key=key), now=timezone.now())
    return show_part(
        request,
        "consent/statistics.html",
        days=DAYS,
        over_time=_over_time(found),
        per_source=_per_source(found),
        sources=found.sources,
        states=RECORDABLE,
    )


@require_safe
def stricter(request: HttpRequest, key: str) -> HttpResponse:
    """Show who would be lost if the purpose became stricter; nothing is changed."""
    signed_in(request, "consents:read")
    purpose = get_purpose(key=key)
    form = StricterForm(request.GET if "ask" in request.GET else None, channels=list(purpose.channels))
    found = None
    if form.is_valid():
        given = dict(form.cleaned_data)
        channel = given.pop("channel") or None
        check_channel(purpose=purpose, channel=channel)
        asked = Stricter(**{**given, "legal_basis": given["legal_basis"] or None})
        found = preview_stricter(purpose=purpose, channel=channel, stricter=asked, now=timezone.now())
    return show_page(
        request,
        "consent/stricter.html",
        title=f"If {purpose.name} were stricter",
        purpose=purpose,
        form=form,
        found=found,
        status=422 if form.is_bound and found is None else 200,
    )


@require_safe
def attention(request: HttpRequest) -> HttpResponse:
    """Show conflicts, grants that end soon, and sources that send no consent."""
    signed_in(request, "consents:read")
    now = timezone.now()
    rows = list_expiring(now=now, days=EXPIRING_DAYS)
    page = read_list(
        request,
        fetch=fetch_from(rows.select_related("purpose"), "expires_at", "id"),
        key=key_from("expires_at", "id"),
    )
    public_ids = name_profiles({row.profile_id for row in page.rows})
    sources = {source_id: key for read in source_keys for source_id, key in read().items()}
    return show_page(
        request,
        "consent/attention.html",
        title="Consent that needs a look",
        conflicts=count_list(list_conflicts()),
        expiring=[(row, public_ids.get(row.profile_id)) for row in page.rows],
        expiring_days=EXPIRING_DAYS,
        page=page,
        size=count_list(rows),
        silent=find_silent_sources(sources=sources, now=now),
        silent_days=DAYS,
    )


def _over_time(found: Statistics) -> dict[str, Any]:
    return {
        "type": "bar",
        "stacked": True,
        "labels": [f"{day:%d %b}" for day, _ in found.days],
        "series": [
            {"label": state, "values": [counts[state] for _, counts in found.days], "colour": COLOURS[state]}
            for state in RECORDABLE
        ],
    }


def _per_source(found: Statistics) -> dict[str, Any]:
    return {
        "type": "bar",
        "stacked": True,
        "horizontal": True,
        "labels": [row["source"] for row in found.sources],
        "series": [
            {"label": state, "values": [row[state] for row in found.sources], "colour": COLOURS[state]}
            for state in RECORDABLE
        ],
    }
