"""Pages of what the law asks for beside erasing: legal holds, and recipients that have to be told."""

from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from cdp.core.api.pagination import fetch_from
from cdp.core.queries.sizes import count_list
from cdp.core.reauthentication import recently_authenticated
from cdp.core.ui.shell import read_list, show_page, signed_in
from consent.proof_models import RecipientAddress
from consent.queries.duties import list_addresses, list_holds, list_notices
from consent.services.recipients import (
    NOT_TOLD,
    NewAddress,
    Told,
    mark_told,
    present_address,
    remove_address,
    save_address,
)
from consent.services.withholding import end_hold, save_hold
from consent.ui.forms import SLUG, ListField, StyledForm, read_or_refuse

READ = ["GET", "HEAD", "POST"]


class LegalHoldForm(StyledForm):
    """A duty to keep."""

    key = forms.CharField(max_length=64, validators=[SLUG], help_text="The same key again changes the hold.")
    name = forms.CharField(max_length=200, help_text="For example: Invoices.")
    legal_basis = forms.CharField(max_length=200, help_text="The law that asks for it, for example: AO § 147.")
    event_names = ListField(
        label="Events", help_text="Names of events, separated by commas. None: every event is withheld."
    )
    keep_days = forms.IntegerField(
        label="Keep for (days)", min_value=1, max_value=36500, help_text="From the day of the event."
    )
    is_off = forms.BooleanField(required=False, label="Switched off: erasures do not heed it")


class AddressForm(StyledForm):
    """Where a recipient is told."""

    recipient = forms.CharField(max_length=200, help_text="As the register of disclosures names it.")
    protocol = forms.ChoiceField(choices=RecipientAddress.Protocol.choices, label="How")
    url = forms.URLField(
        max_length=500,
        assume_scheme="https",
        label="Address",
        help_text="Of OpenDSR the base address with the version, such as https://opendsr.example.com/v2.",
    )
    domain = forms.CharField(
        max_length=253,
        required=False,
        help_text="OpenDSR: what the processor calls itself, where that is not the host of the address.",
    )
    authorization = forms.CharField(
        max_length=2000,
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text="OpenDSR: the header Authorization, such as Bearer KEY. Kept encrypted; empty keeps it.",
    )


class TellForm(forms.Form):
    """Who was told, or why not."""

    recipient = forms.CharField(max_length=200)
    destination = forms.CharField(max_length=64, required=False)
    not_told_because = forms.ChoiceField(choices=[(one, one) for one in NOT_TOLD], required=False)


@require_http_methods(READ)
def legal_holds(request: HttpRequest) -> HttpResponse:
    """List legal holds with what they keep, and save one."""
    writes = request.method == "POST"
    principal = signed_in(request, "privacy:write" if writes else "privacy:read")
    form = LegalHoldForm(request.POST if writes else None)
    if form.is_valid():
        given = form.cleaned_data
        key = given.pop("key")
        given["enabled"] = not given.pop("is_off")
        save_hold(key=key, fields=given, actor=principal.actor, now=timezone.now())
        messages.success(request, "Saved. It counts for erasures from now on.")
        return redirect("legal_holds")
    return show_page(
        request,
        "consent/legal_holds.html",
        title="Legal holds",
        form=form,
        holds=list_holds(),
        status=422 if writes else 200,
    )


@require_POST
@recently_authenticated
def end_legal_hold(request: HttpRequest, key: str) -> HttpResponse:
    """End a hold; what it kept is deleted."""
    principal = signed_in(request, "privacy:write")
    count = end_hold(key=key, actor=principal.actor, now=timezone.now())
    messages.success(request, f"The hold has ended; {count} row{'' if count == 1 else 's'} that it kept are gone.")
    return redirect("legal_holds")


@require_http_methods(READ)
def recipients(request: HttpRequest) -> HttpResponse:
    """List recipients of erasures and where they are told, `?show=all` those that know as well; save an address."""
    writes = request.method == "POST"
    principal = signed_in(request, "privacy:write" if writes else "privacy:read")
    form = AddressForm(request.POST if writes else None)
    secret = ""
    if form.is_valid():
        row = save_address(new=NewAddress(**form.cleaned_data), actor=principal.actor, now=timezone.now())
        secret = str(present_address(row, with_secret=True).get("secret", ""))
        messages.success(request, f"{row.recipient} is told there from now on.")
        form = AddressForm()
    shows_all = request.GET.get("show") == "all"
    rows = list_notices(only_open=not shows_all)
    return show_page(
        request,
        "consent/recipients.html",
        title="Recipients",
        form=form,
        secret=secret,
        addresses=list_addresses(),
        page=read_list(request, fetch=fetch_from(rows, "-id"), key=lambda row: (row.pk,)),
        size=count_list(rows),
        shows_all=shows_all,
        status=422 if form.errors else 200,
    )


@require_POST
def remove_recipient(request: HttpRequest, address_id: int) -> HttpResponse:
    """Forget where a recipient is told: from then on somebody has to."""
    principal = signed_in(request, "privacy:write")
    remove_address(address_id=address_id, actor=principal.actor, now=timezone.now())
    messages.success(request, "The address is gone: this recipient has to be told by hand.")
    return redirect("recipients")


@require_POST
def tell_recipient(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """Note that a recipient was told by other means, or why it is not told."""
    principal = signed_in(request, "privacy:write")
    given = read_or_refuse(TellForm, request.POST)
    told = Told(given["recipient"], given["destination"], given["not_told_because"])
    mark_told(request_id=str(request_id), told=told, actor=principal.actor, now=timezone.now())
    messages.success(
        request, f"{told.recipient} {'is not told' if told.not_told_because else 'knows'}: noted on the request."
    )
    return redirect("recipients") if "from_list" in request.POST else redirect("privacy_request", request_id)
