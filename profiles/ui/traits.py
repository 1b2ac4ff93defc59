"""The traits on a profile's page: as believed on a day, what was said of one, corrections by hand."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import orjson
from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from cdp.core.access import Principal
from cdp.core.api.times import read_time
from cdp.core.ui.shell import show_part, signed_in
from profiles.errors import BadCorrection
from profiles.models import Profile
from profiles.queries.beliefs import find_belief, find_history, present_belief, present_told
from profiles.queries.people import Person, all_internal_ids, get_by_uuid
from profiles.queries.profiles import present_profiles, read_source_names
from profiles.services.correcting import LARGEST_VALUE, LONGEST_NAME, LONGEST_REASON, correct_trait, lift_correction
from profiles.ui.revealing import signed_in_for

MOST_SHOWN = 100
DAY_LENGTH = 10


class CorrectionForm(forms.Form):
    """What a person types to put a trait right."""

    trait = forms.CharField(max_length=LONGEST_NAME)
    value = forms.CharField(required=False, max_length=LARGEST_VALUE, strip=True)
    is_empty = forms.BooleanField(required=False)
    reason = forms.CharField(max_length=LONGEST_REASON)


def read_traits(
    request: HttpRequest,
    *,
    profile_id: int,
    shown: Mapping[str, Any],
    principal: Principal,
    sources: Mapping[int, str],
) -> dict[str, Any]:
    """Read what the panel of traits shows: those of now or of `?as_of=`, and the statements about `?trait=`."""
    now = timezone.now()
    first_at = shown["first_seen_at"]
    moment = read_day(request, now=now)
    context: dict[str, Any] = {
        "person": shown,
        "traits": shown["traits"],
        "as_of": None,
        "as_of_day": "",
        "first_day": min(first_at, now).date().isoformat(),
        "today": now.date().isoformat(),
    }
    if moment is not None:
        ids = all_internal_ids(profile_id=profile_id)
        belief = find_belief(profile_id=profile_id, profile_ids=ids, moment=moment, opens=principal.sees_personal_data)
        context |= {
            "traits": present_belief(belief, sources=sources, principal=principal),
            "as_of": moment,
            "as_of_day": moment.date().isoformat(),
            "rules_version": belief.rules_version,
        }
    trait = request.GET.get("trait", "").replace("\0", "")[:LONGEST_NAME]
    if trait:
        context |= _read_statements(profile_id, trait, moment or now, principal, sources)
    return context


def read_day(request: HttpRequest, *, now: datetime) -> datetime | None:
    """Return the end of the day that `?as_of=` names, or the moment; None for the present."""
    text = request.GET.get("as_of", "")
    moment = read_time(text, path="as_of")
    if moment is None:
        return None
    if len(text.strip()) == DAY_LENGTH:
        moment += timedelta(days=1, microseconds=-1)
    return moment if moment < now else None


def _read_statements(
    profile_id: int, trait: str, moment: datetime, principal: Principal, sources: Mapping[int, str]
) -> dict[str, Any]:
    ids = all_internal_ids(profile_id=profile_id)
    history = find_history(
        profile_id=profile_id, profile_ids=ids, trait=trait, moment=moment, opens=principal.sees_personal_data
    )
    told = [present_told(one, trait=trait, sources=sources, principal=principal) for one in history.told[:MOST_SHOWN]]
    return {"history": history, "told": told, "more": len(history.told) - len(told)}


@require_safe
def believed(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Answer the traits as believed on a day, and the statements about one if it is named."""
    principal = signed_in_for(request, public_id, "profiles:read")
    person = get_by_uuid(public_id=str(public_id))
    context = _context_of(request, person, principal)
    response = show_part(request, "profiles/believed.html", **context)
    given = {key: value for key, value in request.GET.items() if key in {"as_of", "trait"} and value}
    query = f"?{urlencode(given)}" if given else ""
    response["HX-Replace-Url"] = f"{reverse('profile', args=[person.uuid])}{query}"
    return response


@require_safe
def statements(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Answer what was said of one trait."""
    principal = signed_in_for(request, public_id, "profiles:read")
    person = get_by_uuid(public_id=str(public_id))
    return show_part(request, "profiles/statements.html", **_context_of(request, person, principal))


def _context_of(request: HttpRequest, person: Person, principal: Principal) -> dict[str, Any]:
    sources = read_source_names()
    shown = present_profiles([person.profile_id], principal=principal, now=timezone.now(), sources=sources)[0]
    return read_traits(request, profile_id=person.profile_id, shown=shown, principal=principal, sources=sources)


@require_POST
def correct(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Put a trait right by hand."""
    principal = signed_in(request, "profiles:write")
    person = get_by_uuid(public_id=str(public_id))
    form = CorrectionForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Nothing was corrected: give the trait, the value and why it is right.")
        return redirect(_address(person, request.POST.get("trait", "")[:LONGEST_NAME]))
    given = form.cleaned_data
    correct_trait(
        public_id=person.uuid,
        trait=given["trait"],
        value=None if given["is_empty"] else _read_value(person, given["trait"], given["value"]),
        reason=given["reason"],
        actor=principal.actor,
        now=timezone.now(),
    )
    messages.success(
        request, f"“{given['trait']}” was put right. No message changes it until the correction is lifted."
    )
    return redirect(_address(person, given["trait"]))


@require_POST
def lift(request: HttpRequest, public_id: UUID, correction_id: int) -> HttpResponse:
    """Let messages decide about a trait again."""
    principal = signed_in(request, "profiles:write")
    lifted = lift_correction(
        public_id=str(public_id), correction_id=correction_id, actor=principal.actor, now=timezone.now()
    )
    messages.success(request, f"Messages decide about “{lifted.trait}” again.")
    return redirect(_address(get_by_uuid(public_id=str(public_id)), lifted.trait))


def _read_value(person: Person, trait: str, text: str) -> Any:
    """Return what was typed as the kind of value that the trait has: text, or else JSON.

    Raises
    ------
    BadCorrection
        If nothing was typed, or it is no JSON where the trait is no text.
    """
    if not text:
        message = "Nothing was corrected: type a value, or tick that the trait is to stay empty."
        raise BadCorrection(message)
    present = Profile.objects.values_list("traits", flat=True).get(pk=person.profile_id).get(trait)
    if present is None or isinstance(present, str):
        return text
    return _read_json(text)


def _read_json(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        message = (
            'Nothing was corrected: this trait is no text. Type a number, true, false, or JSON such as ["a", "b"].'
        )
        raise BadCorrection(message) from error


def _address(person: Person, trait: str) -> str:
    return f"{reverse('profile', args=[person.uuid])}?{urlencode({'trait': trait})}#statements"
