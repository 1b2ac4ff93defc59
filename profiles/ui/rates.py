"""The page of exchange rates."""

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from cdp.core.api.pagination import fetch_from, key_from
from cdp.core.queries.sizes import count_list
from cdp.core.ui.shell import read_list, show_page, signed_in
from profiles.queries.rates import find_unconverted, list_rates
from profiles.services.rates import delete_rate, read_rates, read_rates_file, set_rates


class RatesForm(forms.Form):
    """One rate, or a file of many."""

    date = forms.DateField(required=False, widget=forms.DateInput(attrs={"type": "date", "class": "input"}))
    currency = forms.CharField(
        required=False, max_length=3, help_text="Three letters.", widget=forms.TextInput(attrs={"class": "input"})
    )
    rate = forms.CharField(
        required=False, max_length=30, widget=forms.TextInput(attrs={"class": "input", "inputmode": "decimal"})
    )
    file = forms.FileField(
        required=False,
        label="Or a CSV file",
        help_text="With the columns date, currency and rate.",
        widget=forms.FileInput(attrs={"class": "input", "accept": ".csv,text/csv"}),
    )


@require_http_methods(["GET", "HEAD", "POST"])
def exchange_rates(request: HttpRequest) -> HttpResponse:
    """List the rates with what waits for one; take new ones."""
    writes = request.method == "POST"
    principal = signed_in(request, "sources:write" if writes else "sources:read")
    form = RatesForm(request.POST, request.FILES) if writes else RatesForm()
    if writes and form.is_valid():
        file = form.cleaned_data["file"]
        rates = read_rates_file(file.read()) if isinstance(file, UploadedFile) else read_rates([form.cleaned_data])
        done = set_rates(rates=rates, actor=principal.actor, now=timezone.now())
        told = f"{done.created} new, {done.changed} changed, {done.unchanged} as before."
        messages.success(request, f"{told} Orders are converted anew.")
        return redirect("exchange_rates")
    rows = list_rates()
    page = read_list(request, fetch=fetch_from(rows, "-valid_on", "-id"), key=key_from("valid_on", "id"))
    return show_page(
        request,
        "profiles/exchange_rates.html",
        title="Exchange rates",
        page=page,
        size=count_list(rows),
        currency=settings.CDP_CURRENCY,
        unconverted=find_unconverted(),
        form=form,
        status=422 if writes else 200,
    )


@require_POST
def delete_exchange_rate(request: HttpRequest, rate_id: int) -> HttpResponse:
    """Take a rate away."""
    principal = signed_in(request, "sources:write")
    delete_rate(rate_id=rate_id, actor=principal.actor, now=timezone.now())
    messages.success(request, "The rate is gone. Orders in its currency are converted anew.")
    return redirect("exchange_rates")
