"""The page of traits that are stored encrypted."""

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from cdp.core.ui.shell import show_page, signed_in
from profiles.queries.sealed import list_sealed
from profiles.services.sealing_stored import open_trait, seal_trait
from profiles.survivorship.rules import LONGEST_NAME


class SealForm(forms.Form):
    """Which trait to encrypt."""

    name = forms.CharField(
        label="Trait",
        max_length=LONGEST_NAME,
        help_text="Exactly as it is sent, e.g. birthNumber.",
        widget=forms.TextInput(attrs={"class": "input", "autocomplete": "off"}),
    )


@require_http_methods(["GET", "HEAD", "POST"])
def encrypted_traits(request: HttpRequest) -> HttpResponse:
    """List the traits that are stored encrypted; encrypt another."""
    writes = request.method == "POST"
    principal = signed_in(request, "privacy:write" if writes else "profiles:read")
    form = SealForm(request.POST) if writes else SealForm()
    if writes and form.is_valid():
        name = form.cleaned_data["name"]
        if seal_trait(name=name, actor=principal.actor, now=timezone.now()):
            messages.success(request, f"{name} is stored encrypted from now on; what is there already follows.")
        return redirect("encrypted_traits")
    return show_page(
        request,
        "profiles/encrypted_traits.html",
        title="Encrypted traits",
        rows=list_sealed(),
        form=form,
        status=422 if writes else 200,
    )


@require_POST
def decrypt_trait(request: HttpRequest) -> HttpResponse:
    """Store a trait in the clear again."""
    principal = signed_in(request, "privacy:write")
    name = request.POST.get("name", "").replace("\0", "")
    if open_trait(name=name, actor=principal.actor, now=timezone.now()):
        messages.success(request, f"{name} is stored in the clear again; what is there already follows.")
    return redirect("encrypted_traits")
