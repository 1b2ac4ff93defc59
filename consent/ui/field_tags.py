"""The page on which fields get the purposes that they may serve, and the officer allows what goes against that."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from cdp.core.api.pagination import fetch_from, key_from
from cdp.core.ui.shell import read_list, show_page, signed_in
from consent.field_models import FieldTag
from consent.queries.field_tags import list_field_overrides, list_field_tags, list_uncovered_uses
from consent.queries.purposes import list_purposes
from consent.services.field_tags import (
    NewFieldOverride,
    NewFieldTag,
    allow_field,
    lift_field_override,
    tag_field,
    untag_field,
)
from consent.ui.forms import StyledForm

READ = ("GET", "HEAD", "POST")
ANY, ONLY = "any", "only"
SHOWN_OVERRIDES = 100


class FieldTagForm(StyledForm):
    """A tag."""

    kind = forms.ChoiceField(choices=[("trait", "Trait"), ("event", "Event")], label="Field")
    name = forms.CharField(max_length=255, help_text="Exactly as it is sent: income, Order Completed.")
    sensitivity = forms.ChoiceField(
        choices=[(value, str(value).replace("_", " ").capitalize()) for value in FieldTag.Sensitivity.values],
        initial=FieldTag.Sensitivity.PERSONAL,
        help_text="Special category: health, religion and the like (GDPR Art. 9). Serves only purposes set up for it.",
    )
    serves = forms.ChoiceField(
        choices=[(ANY, "Any purpose"), (ONLY, "Only those chosen; none chosen: no purpose")], label="May serve"
    )
    purposes = forms.MultipleChoiceField(required=False, label="Purposes")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        known = list(list_purposes().order_by("name", "id").values_list("key", "name"))
        self.fields["purposes"] = forms.MultipleChoiceField(
            required=False,
            label="Purposes",
            choices=known,
            widget=forms.SelectMultiple(attrs={"class": "input", "size": min(max(len(known), 2), 8)}),
        )


class FieldOverrideForm(StyledForm):
    """Leave to use a field."""

    used_by = forms.RegexField(r"^segment:[a-z0-9_-]{1,64}$", max_length=80)
    purpose = forms.CharField(max_length=64)
    kind = forms.ChoiceField(choices=FieldTag.Kind.choices)
    name = forms.CharField(max_length=255, strip=False)
    reason = forms.CharField(max_length=2000)


@require_http_methods(READ)
def fields(request: HttpRequest) -> HttpResponse:
    """List tags and what goes against them, and tag a field."""
    writes = request.method == "POST"
    principal = signed_in(request, "consents:write" if writes else "consents:read")
    form = FieldTagForm(request.POST if writes else None)
    if writes and form.is_valid():
        given = form.cleaned_data
        new = NewFieldTag(
            kind=given["kind"],
            name=given["name"],
            purposes=given["purposes"] if given["serves"] == ONLY else None,
            sensitivity=given["sensitivity"],
        )
        tag_field(new=new, actor=principal.actor, now=timezone.now())
        messages.success(request, f"The {new.kind} “{new.name}” is tagged.")
        return redirect("field_tags")
    page = read_list(request, fetch=fetch_from(list_field_tags(), "kind", "name"), key=key_from("kind", "name"))
    return show_page(
        request,
        "consent/field_tags.html",
        title="Fields and purposes",
        form=form,
        page=page,
        uses=list_uncovered_uses(),
        leaves=list(list_field_overrides().filter(lifted_at=None).order_by("-id")[:SHOWN_OVERRIDES]),
        status=422 if writes else 200,
    )


@require_POST
def untag(request: HttpRequest, tag_id: int) -> HttpResponse:
    """Take a tag away."""
    principal = signed_in(request, "consents:write")
    untag_field(tag_id=tag_id, actor=principal.actor, now=timezone.now())
    messages.success(request, "The tag is gone: the field serves any purpose again.")
    return redirect("field_tags")


@require_POST
def allow(request: HttpRequest) -> HttpResponse:
    """Let a segment use a field against its tag."""
    principal = signed_in(request, "consents:write")
    form = FieldOverrideForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Nothing is allowed: name the segment, the field and a reason.")
        return redirect("field_tags")
    allow_field(new=NewFieldOverride(**form.cleaned_data), actor=principal.actor, now=timezone.now())
    messages.success(request, "The segment may use the field. The reason is in the audit trail.")
    return redirect("field_tags")


@require_POST
def lift(request: HttpRequest, override_id: int) -> HttpResponse:
    """End a leave."""
    principal = signed_in(request, "consents:write")
    lift_field_override(override_id=override_id, actor=principal.actor, now=timezone.now())
    messages.success(request, "The leave is ended.")
    return redirect("field_tags")
