"""The page of what goes out about consent: who is named on receipts, and which systems are told of decisions."""

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from cdp.core.ui.shell import show_page, signed_in
from consent.queries.organisation import read_organisation
from consent.queries.purposes import list_purposes
from consent.queries.webhooks import get_webhook, list_webhooks
from consent.services.organisation import FIELDS, change_organisation
from consent.services.webhooks import change_webhook, create_webhook, delete_webhook, read_secret
from consent.ui.forms import ListField, StyledForm


class OrganisationForm(StyledForm):
    """The controller."""

    name = forms.CharField(max_length=200, required=False)
    address = forms.CharField(max_length=1000, required=False, widget=forms.Textarea(attrs={"rows": 3}))
    contact = forms.CharField(max_length=200, required=False, help_text="Whom people write to about their data.")
    email = forms.EmailField(required=False, label="E-mail")
    phone = forms.CharField(max_length=50, required=False)
    jurisdiction = forms.CharField(max_length=100, required=False, help_text="Whose law applies, for example DE.")
    authority = forms.CharField(max_length=200, required=False, help_text="Where people can complain.")
    storage_locations = ListField(help_text="Countries or places, separated by commas.")
    notice_url = forms.URLField(max_length=500, required=False, assume_scheme="https", label="Privacy notice (address)")


class WebhookForm(StyledForm):
    """A system to be told."""

    url = forms.URLField(max_length=500, assume_scheme="https", label="Address")
    purposes = forms.MultipleChoiceField(required=False, help_text="None chosen: decisions on every purpose.")

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        known = list(list_purposes().order_by("name", "id").values_list("key", "name"))
        self.fields["purposes"].choices = known  # type: ignore[attr-defined]


@require_safe
def outward(request: HttpRequest) -> HttpResponse:
    """Show both."""
    signed_in(request, "consents:read")
    return _page(request, OrganisationForm(initial=_initial()), WebhookForm())


@require_POST
def organisation(request: HttpRequest) -> HttpResponse:
    """Save who is named on receipts."""
    principal = signed_in(request, "consents:write")
    form = OrganisationForm(request.POST)
    if not form.is_valid():
        return _page(request, form, WebhookForm(), status=422)
    change_organisation(fields=form.cleaned_data, actor=principal.actor, now=timezone.now())
    messages.success(request, "Saved. Receipts name it from now on.")
    return redirect("consent_outward")


@require_POST
def webhook(request: HttpRequest) -> HttpResponse:
    """Make a webhook and show its secret, this once."""
    principal = signed_in(request, "consents:write")
    form = WebhookForm(request.POST)
    if not form.is_valid():
        return _page(request, OrganisationForm(initial=_initial()), form, status=422)
    made = create_webhook(**form.cleaned_data, actor=principal.actor, now=timezone.now())
    return _page(request, OrganisationForm(initial=_initial()), WebhookForm(), secret=read_secret(made))


@require_POST
def switch_webhook(request: HttpRequest, webhook_id: int) -> HttpResponse:
    """Switch a webhook on or off."""
    principal = signed_in(request, "consents:write")
    enabled = not get_webhook(webhook_id=webhook_id).enabled
    change_webhook(webhook_id=webhook_id, fields={"enabled": enabled}, actor=principal.actor, now=timezone.now())
    messages.success(request, "It is told of decisions again." if enabled else "It is told nothing any more.")
    return redirect("consent_outward")


@require_POST
def remove_webhook(request: HttpRequest, webhook_id: int) -> HttpResponse:
    """Delete a webhook."""
    principal = signed_in(request, "consents:write")
    delete_webhook(webhook_id=webhook_id, actor=principal.actor, now=timezone.now())
    messages.success(request, "The webhook is deleted.")
    return redirect("consent_outward")


def _page(
    request: HttpRequest, about: OrganisationForm, new: WebhookForm, *, secret: str = "", status: int = 200
) -> HttpResponse:
    return show_page(
        request,
        "consent/outward.html",
        title="Receipts and webhooks",
        about=about,
        new=new,
        secret=secret,
        webhooks=list(list_webhooks().order_by("-id")),
        status=status,
    )


def _initial() -> dict[str, object]:
    row = read_organisation()
    return {**{name: getattr(row, name) for name in FIELDS}, "storage_locations": ", ".join(row.storage_locations)}
