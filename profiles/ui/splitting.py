"""The identifiers of a person, and splitting some of them off."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from cdp.core.access import Principal
from cdp.core.api.pagination import fetch_from, key_from
from cdp.core.queries.sizes import count_list
from cdp.core.ui.shell import read_list, show_page, signed_in
from profiles.models import Identifier
from profiles.queries.people import any_restricted, get_by_uuid
from profiles.queries.profiles import list_identifiers, present_identifier, read_source_names
from profiles.services.steward import split_profile
from profiles.ui.revealing import signed_in_for

MOST_AT_ONCE = 1_000


@require_safe
def identifiers(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """List every identifier of a person, oldest first, to choose from what is somebody else's."""
    principal = signed_in_for(request, public_id, "profiles:read")
    person = get_by_uuid(public_id=str(public_id))
    rows = list_identifiers(profile_ids=[person.profile_id])
    page = read_list(request, fetch=fetch_from(rows, "id"), key=key_from("id"))
    return show_page(
        request,
        "profiles/identifiers.html",
        title="Identifiers of a profile",
        person=person,
        page=page,
        identifiers=_shown(page.rows, principal),
        restricted=any_restricted([person.uuid]),
        size=count_list(rows),
    )


@require_POST
def compare_split(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Show what would stay and what would leave."""
    principal = signed_in(request, "identity:write", "profiles:read")
    person = get_by_uuid(public_id=str(public_id))
    chosen = _chosen(request, person.profile_id)
    rows = list_identifiers(profile_ids=[person.profile_id])
    total = rows.count()
    if not chosen or len(chosen) == total:
        messages.error(request, "Choose some of the identifiers, but not all of them.")
        return redirect("profile_identifiers", person.uuid)
    staying = rows.exclude(pk__in=[one.pk for one in chosen])[:30]
    return show_page(
        request,
        "profiles/split.html",
        title="Split a profile",
        person=person,
        leaving=_shown(chosen, principal),
        staying=_shown(list(staying), principal),
        more=total - len(chosen) - len(staying),
    )


@require_POST
def split(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Split the chosen identifiers off."""
    principal = signed_in(request, "identity:write")
    person = get_by_uuid(public_id=str(public_id))
    _, new = split_profile(
        public_id=person.uuid,
        identifiers=[(one.type.key, one.value) for one in _chosen(request, person.profile_id)],
        actor=principal.actor,
        now=timezone.now(),
    )
    messages.success(request, "The identifiers are a profile of their own now, with their events, traits and consents.")
    return redirect("profile", new)


def _chosen(request: HttpRequest, profile_id: int) -> list[Identifier]:
    """Return the identifiers whose rows were ticked; by their internal ids, so that no value is in a form."""
    ids = [int(one) for one in request.POST.getlist("identifier") if one.isascii() and one.isdigit() and len(one) < 19]
    return list(list_identifiers(profile_ids=[profile_id]).filter(pk__in=ids[:MOST_AT_ONCE]))


def _shown(rows: list[Identifier], principal: Principal) -> list[dict[str, Any]]:
    sources = read_source_names()
    return [{**present_identifier(one, sources, principal), "pk": one.pk} for one in rows]
