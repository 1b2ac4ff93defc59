"""Forwarding of a source: where to, on which basis, how it goes."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from cdp.core.ui.shell import show_page, show_part
from consent.queries.purposes import list_purposes
from ingestion.models import Forwarding, Source
from ingestion.queries.forwarding import read_forwarding_state
from ingestion.services.forwarding import (
    ForwardingSettings,
    discard_copies,
    find_forwarding,
    get_forwarding,
    remove_forwarding,
    replay_copies,
    set_forwarding,
    try_forwarding,
)
from ingestion.ui.opening import open_source

SAME_CONTROLLER = "same_controller"
OWN = (SAME_CONTROLLER, "It is our own old system")


class ForwardingForm(forms.Form):
    """What a source forwards."""

    url = forms.CharField(
        max_length=2048,
        label="URL of the other system",
        help_text="Up to and with /v1, for example https://api.segment.io/v1. Paths such as /track go behind it.",
    )
    write_key = forms.CharField(
        max_length=255,
        required=False,
        label="Its write key",
        help_text="Kept sealed. Leave it empty to keep the one that is known.",
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )
    basis = forms.ChoiceField(
        label="Why data may go there",
        help_text="Personal data leaves this system. Name the purpose that each person must allow, or state that the "
        "receiver is your own organisation's system, which collected the same until now. The statement is kept in the "
        "audit trail with your name.",
    )
    enabled = forms.BooleanField(required=False, label="Forward", help_text="Off: nothing is copied or sent.")

    def __init__(self, *args: Any, is_new: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if is_new:
            self.fields["write_key"].required = True
            self.fields["write_key"].help_text = "Kept sealed."
        purposes = [(one.key, f"Only with consent to: {one.name}") for one in list_purposes().order_by("key")]
        self.fields["basis"].choices = [("", "Choose one"), OWN, *purposes]  # type: ignore[attr-defined]
        for name in ("url", "write_key", "basis"):
            self.fields[name].widget.attrs["class"] = "input"

    def wanted(self) -> ForwardingSettings:
        """Return what was filled in."""
        given = self.cleaned_data
        own = given["basis"] == SAME_CONTROLLER
        return ForwardingSettings(
            url=given["url"],
            write_key=given["write_key"],
            purpose="" if own else given["basis"],
            same_controller=own,
            enabled=given["enabled"],
        )


@require_http_methods(["GET", "HEAD", "POST"])
def forwarding(request: HttpRequest, key: str) -> HttpResponse:
    """Show what a source forwards and how that goes; change it."""
    writes = request.method == "POST"
    principal, source = open_source(request, key, "sources:write" if writes else "sources:read")
    row = find_forwarding(key=key)
    form = ForwardingForm(request.POST if writes else None, initial=_initial(row), is_new=row is None)
    if writes and form.is_valid():
        set_forwarding(key=key, wanted=form.wanted(), actor=principal.actor, now=timezone.now())
        messages.success(request, "Saved. Requests are copied within five seconds.")
        return redirect("forwarding", key)
    return show_page(
        request,
        "ingestion/forwarding.html",
        title=f"{source.name}: forwarding",
        form=form,
        status=422 if writes else 200,
        **_context(source, row),
    )


@require_safe
def forwarding_state(request: HttpRequest, key: str) -> HttpResponse:
    """Answer the numbers alone."""
    _, source = open_source(request, key)
    return show_part(request, "ingestion/forwarding_state.html", **_context(source, get_forwarding(key=key)))


@require_POST
def try_it(request: HttpRequest, key: str) -> HttpResponse:
    """Send one event of nobody to the other system, and say what it answered."""
    open_source(request, key, "sources:write")
    tested = try_forwarding(key=key, now=timezone.now())
    if tested.works:
        messages.success(request, f"The other system took the test event: {tested.status}, {tested.took_ms} ms.")
    elif tested.status is not None:
        messages.error(request, f"The other system answered {tested.status}. Look at its URL and write key.")
    else:
        messages.error(request, tested.error)
    return redirect("forwarding", key)


@require_POST
def replay(request: HttpRequest, key: str) -> HttpResponse:
    """Put what was given up back into the line."""
    principal, _ = open_source(request, key, "sources:write")
    count = replay_copies(key=key, actor=principal.actor, now=timezone.now())
    messages.success(request, f"{count:,} request{'' if count == 1 else 's'} will be sent again.")
    return redirect("forwarding", key)


@require_POST
def discard(request: HttpRequest, key: str) -> HttpResponse:
    """Delete what was given up."""
    principal, _ = open_source(request, key, "sources:write")
    count = discard_copies(key=key, actor=principal.actor, now=timezone.now())
    messages.success(request, f"{count:,} request{'' if count == 1 else 's'} deleted.")
    return redirect("forwarding", key)


@require_POST
def remove(request: HttpRequest, key: str) -> HttpResponse:
    """Forward nothing any more."""
    principal, _ = open_source(request, key, "sources:write")
    remove_forwarding(key=key, actor=principal.actor, now=timezone.now())
    messages.success(request, "Nothing is forwarded any more; the copies that waited are deleted.")
    return redirect("forwarding", key)


def _initial(row: Forwarding | None) -> dict[str, Any]:
    if row is None:
        return {"enabled": True}
    return {"url": row.url, "basis": row.purpose or SAME_CONTROLLER, "enabled": row.enabled}


def _context(source: Source, row: Forwarding | None) -> dict[str, Any]:
    if row is None:
        return {"source": source, "forwarding": None}
    state = read_forwarding_state(forwarding=row, now=timezone.now())
    return {
        "source": source,
        "forwarding": row,
        "state": state,
        "left_out": [
            ("The person is erased or suppressed", row.suppressed_messages),
            ("The person does not allow it, or is not known", row.refused_messages),
            ("The message cannot be read", row.unreadable_messages),
        ],
    }
