"""Joining two profiles by hand: both are shown field by field before anything is done."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from cdp.core.access import Principal
from cdp.core.ui.shell import show_page, signed_in
from profiles.models import Profile
from profiles.queries.pages import display_name, list_by_ids
from profiles.queries.people import get_by_uuid
from profiles.queries.profiles import present_profiles
from profiles.queries.search import MAX_CHARACTERS, find_holders
from profiles.services.steward import merge_profiles


class OtherForm(forms.Form):
    """Who else is meant."""

    other = forms.CharField(max_length=MAX_CHARACTERS)


class MergeForm(forms.Form):
    """The decision of a steward."""

    other_id = forms.UUIDField()
    reason = forms.CharField(max_length=1000)


@require_http_methods(["GET", "HEAD", "POST"])
def compare(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Ask for the other profile, by a form that keeps it out of addresses; then show both side by side."""
    principal = signed_in(request, "identity:write", "profiles:read")
    person = get_by_uuid(public_id=str(public_id))
    this = Profile.objects.get(pk=person.profile_id)
    form = OtherForm(request.POST if request.method == "POST" else None)
    other = _find_other(form.cleaned_data["other"], this) if form.is_valid() else None
    if form.is_bound and other is None and not form.errors:
        form.add_error("other", "No other profile has this id or identifier.")
    return show_page(
        request,
        "profiles/merge.html",
        title="Join two profiles",
        public_id=person.uuid,
        form=form,
        restricted=this.restricted or (other is not None and other.restricted),
        sides=_side_by_side(this, other, principal) if other is not None else None,
        status=422 if form.errors else 200,
    )


@require_POST
def merge(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Join the two profiles."""
    principal = signed_in(request, "identity:write")
    form = MergeForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Nothing was joined: say why the two are one person.")
        return redirect("merge_profile", public_id)
    made = merge_profiles(
        public_ids=[str(public_id), str(form.cleaned_data["other_id"])],
        reason=form.cleaned_data["reason"],
        actor=principal.actor,
        now=timezone.now(),
    )
    messages.success(request, "The two profiles are one now. The merge can be undone.")
    return redirect("profile", made.survivor_uuid)


def _find_other(text: str, this: Profile) -> Profile | None:
    found = [one for one in list_by_ids(profile_ids=find_holders(text=text)) if one.pk != this.pk]
    return found[0] if found else None


def _side_by_side(this: Profile, other: Profile, principal: Principal) -> dict[str, Any]:
    left, right = present_profiles([this.pk, other.pk], principal=principal, now=timezone.now())
    names = sorted({*left["traits"], *right["traits"]})
    return {
        "left": {**left, "name": display_name(left)},
        "right": {**right, "name": display_name(right)},
        "traits": [(name, left["traits"].get(name), right["traits"].get(name)) for name in names],
    }
