"""Values in quarantine and mega-profiles, as pages."""

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from cdp.core.api.pagination import fetch_from, key_from
from cdp.core.queries.sizes import count_list
from cdp.core.services.audit import note_read
from cdp.core.ui.shell import read_list, show_page, signed_in
from profiles.queries.rules import (
    list_mega_profiles,
    list_quarantined,
    name_mega_profiles,
    present_quarantined,
    read_mega_limits,
)
from profiles.services.rules import set_mega_limits
from profiles.services.rules_runs import lift_quarantine


class LimitsForm(forms.Form):
    """From how many on a profile is listed."""

    identifiers = forms.IntegerField(
        min_value=2, max_value=1_000_000, widget=forms.NumberInput(attrs={"class": "input", "min": "2"})
    )
    events = forms.IntegerField(
        min_value=2, max_value=1_000_000_000, widget=forms.NumberInput(attrs={"class": "input", "min": "2"})
    )


@require_safe
def quarantined_values(request: HttpRequest) -> HttpResponse:
    """List the values that join nothing, newest first."""
    principal = signed_in(request, "identity:read")
    rows = list_quarantined()
    page = read_list(
        request,
        fetch=fetch_from(rows, "-quarantined_at", "-identifier_id"),
        key=key_from("quarantined_at", "identifier_id"),
    )
    if page.rows and principal.sees_personal_data:
        note_read(actor=principal.actor, object="identity:quarantined")
    return show_page(
        request,
        "profiles/quarantined_values.html",
        title="Quarantined values",
        page=page,
        values=[present_quarantined(row, principal=principal) for row in page.rows],
        size=count_list(rows),
    )


@require_POST
def lift(request: HttpRequest, identifier_id: int) -> HttpResponse:
    """Let a value join again."""
    principal = signed_in(request, "identity:write")
    run = lift_quarantine(identifier_id=identifier_id, actor=principal.actor, now=timezone.now())
    messages.success(request, "The value joins again from the next messages on. What had asserted it is joined now.")
    return redirect("rules_run", run.pk)


@require_http_methods(["GET", "HEAD", "POST"])
def mega_profiles(request: HttpRequest) -> HttpResponse:
    """List the profiles with most identifiers and events; set from how many on."""
    writes = request.method == "POST"
    principal = signed_in(request, "identity:write" if writes else "identity:read")
    form = LimitsForm(request.POST) if writes else LimitsForm(initial={**read_mega_limits()})
    if writes and form.is_valid():
        set_mega_limits(**form.cleaned_data, actor=principal.actor, now=timezone.now())
        messages.success(request, "Set. The list follows within the hour.")
        return redirect("mega_profiles")
    rows = list_mega_profiles()
    page = read_list(
        request, fetch=fetch_from(rows, "-identifiers", "-profile_id"), key=key_from("identifiers", "profile_id")
    )
    return show_page(
        request,
        "profiles/mega_profiles.html",
        title="Mega-profiles",
        page=page,
        profiles=name_mega_profiles(page.rows),
        limits=read_mega_limits(),
        size=count_list(rows),
        form=form,
        status=422 if writes else 200,
    )
