"""Alerts: what is open, what was, what is watched, and whom it is told."""

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from cdp.core.api.pagination import fetch_from, key_from
from cdp.core.ui.shell import read_list, show_page, signed_in
from ingestion.alerting.detect import KINDS, OUTAGE, SENSITIVITIES
from ingestion.alerting.episodes import OPEN, RESOLVED
from ingestion.alerting.telling import KIND_MEANINGS, KIND_NAMES
from ingestion.queries.alerts import (
    find_checked_at,
    list_alerts,
    list_channels,
    list_mutes,
    list_notices,
    list_source_rules,
    present_alerts,
    read_default_rules,
    read_learning,
)
from ingestion.queries.sources import read_source_keys
from ingestion.services.alerts import (
    RuleSettings,
    acknowledge_alert,
    change_channel,
    create_channel,
    delete_channel,
    delete_rule,
    mute_alert,
    set_rule,
    try_channel,
    unmute,
)
from ingestion.services.delivering import read_secret

MUTE_HOURS = {"1": "1 hour", "8": "8 hours", "24": "1 day", "168": "1 week", "": "until taken away"}
SHOWN_NOTICES = 10
INPUT = {"class": "input"}


class ChannelForm(forms.Form):
    """A new channel."""

    kind = forms.ChoiceField(
        choices=[("email", "E-mail"), ("webhook", "Webhook")], widget=forms.Select(attrs=INPUT), label="Tell by"
    )
    target = forms.CharField(
        max_length=2000,
        widget=forms.TextInput(attrs={**INPUT, "autocomplete": "off"}),
        label="Address",
        help_text="An e-mail address, or a URL that takes signed POST requests.",
    )
    name = forms.CharField(max_length=120, required=False, widget=forms.TextInput(attrs=INPUT))


class RuleForm(forms.Form):
    """A rule for all sources or for one."""

    source = forms.ChoiceField(required=False, widget=forms.Select(attrs=INPUT))
    kind = forms.ChoiceField(choices=[(kind, KIND_NAMES[kind]) for kind in KINDS], widget=forms.Select(attrs=INPUT))
    enabled = forms.BooleanField(required=False)
    sensitivity = forms.ChoiceField(
        choices=[(name, name) for name in SENSITIVITIES], initial="normal", widget=forms.Select(attrs=INPUT)
    )
    channels = forms.TypedMultipleChoiceField(coerce=int, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        keys = sorted(read_source_keys().values())
        self.fields["source"].choices = [("", "all sources"), *((key, key) for key in keys)]  # type: ignore[attr-defined]
        ids = list_channels().order_by("pk").values_list("pk", "name")
        self.fields["channels"].choices = list(ids)  # type: ignore[attr-defined]


@require_safe
def alerts(request: HttpRequest) -> HttpResponse:
    """Show what is open."""
    signed_in(request, "sources:read")
    now = timezone.now()
    rows = list(list_alerts(state=OPEN).order_by("opened_at", "pk"))
    shown = present_alerts(rows, now=now)
    return show_page(
        request,
        "ingestion/alerts.html",
        title="Alerts",
        tab="open",
        alerts=[_shown(one) for one in shown if not one["follows_from"]],
        following=[_shown(one) for one in shown if one["follows_from"]],
        mute_hours=MUTE_HOURS.items(),
        checked_at=find_checked_at(),
        learning=read_learning(now=now),
        has_channels=list_channels().filter(enabled=True).exists(),
    )


@require_safe
def alert_history(request: HttpRequest) -> HttpResponse:
    """Show what is over, newest first."""
    signed_in(request, "sources:read")
    page = read_list(request, fetch=fetch_from(list_alerts(state=RESOLVED), "-id"), key=key_from("id"))
    return show_page(
        request,
        "ingestion/alert_history.html",
        title="Alerts",
        tab="history",
        page=page,
        alerts=[_shown(one) for one in present_alerts(page.rows, now=timezone.now())],
    )


@require_safe
def alert_settings(request: HttpRequest) -> HttpResponse:
    """Show the rules, the channels, the mutes and the last notices."""
    principal = signed_in(request, "sources:read")
    may_write = principal.may("sources:write")
    channels = list(list_channels().order_by("pk"))
    rules = [
        {"rule": rule, "name": KIND_NAMES[rule.kind], "meaning": KIND_MEANINGS[rule.kind]}
        for rule in read_default_rules()
    ]
    return show_page(
        request,
        "ingestion/alert_settings.html",
        title="Alerts",
        tab="settings",
        rules=rules,
        source_rules=[
            {"rule": rule, "name": KIND_NAMES[rule.kind]}
            for rule in list_source_rules().order_by("source__key", "kind")
        ],
        source_kinds=[(kind, KIND_NAMES[kind]) for kind in KINDS if kind != OUTAGE],
        sources=sorted(read_source_keys().values()),
        sensitivities=list(SENSITIVITIES),
        channels=[{"channel": channel, "secret": read_secret(channel) if may_write else ""} for channel in channels],
        channel_form=ChannelForm(),
        mutes=[(mute, KIND_NAMES[mute.kind]) for mute in list_mutes(now=timezone.now()).order_by("-pk")],
        notices=list(list_notices().order_by("-pk")[:SHOWN_NOTICES]),
    )


@require_POST
def acknowledge(request: HttpRequest, alert_id: int) -> HttpResponse:
    """Note that somebody takes care of an alert."""
    principal = signed_in(request, "sources:write")
    reason = request.POST.get("reason", "")
    acknowledge_alert(alert_id=alert_id, reason=reason, actor=principal.actor, now=timezone.now())
    messages.success(request, "Acknowledged: nobody is reminded of this alert.")
    return redirect("alerts")


@require_POST
def mute(request: HttpRequest, alert_id: int) -> HttpResponse:
    """Mute what an alert is about."""
    principal = signed_in(request, "sources:write")
    now = timezone.now()
    hours = request.POST.get("hours", "")
    mute_alert(
        alert_id=alert_id,
        until=_until(hours, now),
        reason=request.POST.get("reason", ""),
        actor=principal.actor,
        now=now,
    )
    messages.success(request, "Muted: nobody is told of this, also not when it comes back.")
    return redirect("alerts")


@require_POST
def remove_mute(request: HttpRequest, mute_id: int) -> HttpResponse:
    """Take a mute away."""
    principal = signed_in(request, "sources:write")
    unmute(mute_id=mute_id, actor=principal.actor, now=timezone.now())
    messages.success(request, "People are told of it again.")
    return redirect("alert_settings")


@require_POST
def save_rule(request: HttpRequest) -> HttpResponse:
    """Set a rule for all sources, or for one."""
    principal = signed_in(request, "sources:write")
    form = RuleForm(request.POST)
    if not form.is_valid():
        messages.error(request, "The rule was not saved: choose a kind, a sensitivity and channels that exist.")
        return redirect("alert_settings")
    given = form.cleaned_data
    set_rule(
        source=given["source"] or None,
        kind=given["kind"],
        settings=RuleSettings(given["enabled"], given["sensitivity"], tuple(given["channels"])),
        actor=principal.actor,
        now=timezone.now(),
    )
    messages.success(request, "Saved.")
    return redirect("alert_settings")


@require_POST
def remove_rule(request: HttpRequest) -> HttpResponse:
    """Let what holds for all sources hold for one again."""
    principal = signed_in(request, "sources:write")
    source, kind = request.POST.get("source", ""), request.POST.get("kind", "")
    delete_rule(source=source, kind=kind, actor=principal.actor, now=timezone.now())
    messages.success(request, "What holds for all sources holds for this one again.")
    return redirect("alert_settings")


@require_POST
def add_channel(request: HttpRequest) -> HttpResponse:
    """Add somebody whom alerts are told."""
    principal = signed_in(request, "sources:write")
    form = ChannelForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Nothing was added: choose e-mail or webhook and give an address.")
        return redirect("alert_settings")
    made = create_channel(**form.cleaned_data, actor=principal.actor, now=timezone.now())
    messages.success(request, f"{made.name} is told from now on. Send a test to see that it arrives.")
    return redirect("alert_settings")


@require_POST
def act_on_channel(request: HttpRequest, channel_id: int, act: str) -> HttpResponse:
    """Try a channel, switch it, or delete it."""
    principal = signed_in(request, "sources:write")
    now = timezone.now()
    if act == "test":
        try_channel(channel_id=channel_id, actor=principal.actor, now=now)
        messages.success(request, "The test is on its way: see the last notices below.")
    elif act == "delete":
        delete_channel(channel_id=channel_id, actor=principal.actor, now=now)
        messages.success(request, "Deleted.")
    else:
        changed = change_channel(channel_id=channel_id, enabled=act == "on", actor=principal.actor, now=now)
        messages.success(request, f"{changed.name} is {'on' if changed.enabled else 'off'}.")
    return redirect("alert_settings")


def _shown(one: dict[str, Any]) -> dict[str, Any]:
    return {**one, "name": KIND_NAMES[one["kind"]]}


def _until(hours: str, now: datetime) -> datetime | None:
    return now + timedelta(hours=int(hours)) if hours in MUTE_HOURS and hours else None
