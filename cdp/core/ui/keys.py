"""API keys as pages: made, rotated, revoked. The text of a key is on the page that makes it, and nowhere else."""

from datetime import datetime, time
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from cdp.core.access import ALL_SCOPES, ROLE_NAMES
from cdp.core.api.pagination import fetch_from, key_from
from cdp.core.api.principal import principal_of
from cdp.core.errors import CdpError
from cdp.core.queries.api_keys import get_key, list_keys, state_of
from cdp.core.reauthentication import recently_authenticated
from cdp.core.services.api_keys import KeyLimits, check_grant, create_api_key, revoke_api_key, rotate_api_key
from cdp.core.ui.shell import read_list, show_page, signed_in

OVERLAPS = ((0, "ends at once"), (1, "1 hour"), (24, "1 day"), (168, "1 week"), (720, "30 days"))


class KeyForm(forms.Form):
    """A new key."""

    name = forms.CharField(
        max_length=64,
        widget=forms.TextInput(attrs={"class": "input", "autocomplete": "off"}),
        help_text="Letters, digits, hyphens. The audit trail names the key by it; it is never used again.",
    )
    scopes = forms.MultipleChoiceField(
        label="What it may do",
        choices=[*ROLE_NAMES.items(), *[(scope, scope) for scope in sorted(ALL_SCOPES)]],
        widget=forms.SelectMultiple(attrs={"class": "input", "size": 10}),
        help_text="A role stands for all its scopes. Writing includes reading.",
    )
    expires_on = forms.DateField(
        required=False,
        label="Works until the end of",
        widget=forms.DateInput(attrs={"class": "input", "type": "date"}),
        help_text="Empty: until it is revoked.",
    )
    sources = forms.CharField(
        required=False,
        max_length=4000,
        label="Only for sources",
        widget=forms.TextInput(attrs={"class": "input"}),
        help_text="Keys of sources, separated by commas. The key then works for their addresses only.",
    )
    addresses = forms.CharField(
        required=False,
        max_length=4000,
        label="Only from addresses",
        widget=forms.TextInput(attrs={"class": "input"}),
        help_text="Addresses or networks, separated by commas: 198.51.100.7, 2001:db8::/32.",
    )

    def limits(self) -> KeyLimits:
        """Return what was given as limits."""
        given = self.cleaned_data
        until = given["expires_on"]
        end = datetime.combine(until, time.max, tzinfo=timezone.get_current_timezone()) if until else None
        return KeyLimits(
            expires_at=end,
            sources=_listed(given["sources"]),
            addresses=_listed(given["addresses"]),
        )


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


@require_safe
def api_keys(request: HttpRequest) -> HttpResponse:
    """List keys."""
    signed_in(request, "keys:read")
    now = timezone.now()
    page = read_list(request, fetch=fetch_from(list_keys(), "name"), key=key_from("name"))
    rows = [(key, state_of(key, now=now)) for key in page.rows]
    return show_page(request, "account/api_keys.html", title="API keys", page=page, rows=rows)


@never_cache
@require_http_methods(["GET", "POST"])
@recently_authenticated
def create_key(request: HttpRequest) -> HttpResponse:
    """Make a key and show its text, once."""
    principal = signed_in(request, "keys:write")
    form = KeyForm(request.POST or None)
    if form.is_valid():
        check_grant(principal, form.cleaned_data["scopes"])
        text, fault = _try_to_create(form, actor=principal.actor)
        if text is not None:
            return _show_text(request, name=form.cleaned_data["name"], text=text)
        form.add_error(None, fault or "")
    status = 422 if form.is_bound else 200
    return show_page(request, "account/create_key.html", title="New API key", form=form, status=status)


def _try_to_create(form: KeyForm, *, actor: str) -> tuple[str | None, str | None]:
    """Return the key's text, or what is wrong in a sentence."""
    given = form.cleaned_data
    try:
        text = create_api_key(
            name=given["name"], scopes=given["scopes"], actor=actor, now=timezone.now(), limits=form.limits()
        )
    except CdpError as error:
        return None, error.message
    return text, None


@never_cache
@require_http_methods(["GET", "POST"])
@recently_authenticated
def rotate_key(request: HttpRequest, name: str) -> HttpResponse:
    """Give a key a new text and show it, once."""
    principal = signed_in(request, "keys:write")
    key = get_key(name=name)
    if request.method == "POST":
        check_grant(principal, key.scopes)
        chosen = request.POST.get("overlap_hours", "24")
        hours = int(chosen) if chosen in {str(hours) for hours, _ in OVERLAPS} else 24
        text = rotate_api_key(name=name, overlap_hours=hours, actor=principal.actor, now=timezone.now())
        return _show_text(request, name=name, text=text)
    return show_page(request, "account/rotate_key.html", title=f"Rotate {name}", key=key, overlaps=OVERLAPS)


@require_POST
def revoke_key(request: HttpRequest, name: str) -> HttpResponse:
    """Revoke a key."""
    signed_in(request, "keys:write")
    revoke_api_key(name=name, actor=principal_of(request).actor, now=timezone.now())
    messages.success(request, f"{name} is revoked. It stops working everywhere within five seconds.")
    return redirect("api_keys")


def _show_text(request: HttpRequest, **shown: Any) -> HttpResponse:
    return show_page(request, "account/key_shown.html", title="Keep this key now", **shown)
