"""Finding and listing profiles."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from cdp.core.access import Principal
from cdp.core.api.pagination import fetch_from, key_from
from cdp.core.errors import InvalidInput
from cdp.core.queries.sizes import count_list
from cdp.core.ui.shell import read_list, show_page, show_part, signed_in
from profiles.models import Profile
from profiles.queries.pages import display_name, list_by_ids
from profiles.queries.profiles import list_profiles, present_profiles
from profiles.queries.search import search_profiles


@require_safe
def profiles(request: HttpRequest) -> HttpResponse:
    """List profiles, newest first, under the search box."""
    principal = signed_in(request, "profiles:read")
    page = read_list(request, fetch=fetch_from(list_profiles(), "-id"), key=key_from("id"))
    return show_page(
        request,
        "profiles/profiles.html",
        title="Profiles",
        page=page,
        people=_people(page.rows, principal),
        size=count_list(list_profiles()),
    )


@require_POST
def search(request: HttpRequest) -> HttpResponse:
    """Find people. What was typed travels in the body: no address, and so no log or history, ever holds it."""
    principal = signed_in(request, "profiles:read")
    text = request.POST.get("text", "")
    before = request.POST.get("before", "")
    found = search_profiles(text=text, before=_number(before) if before else None)
    people = list_by_ids(profile_ids=found.profile_ids)
    if len(people) == 1 and found.go_on_before is None and not before:
        return redirect("profile", people[0].uuid)
    shown: dict[str, Any] = {"text": text, "found": found, "people": _people(people, principal)}
    if request.headers.get("HX-Request"):
        return show_part(request, "profiles/found.html", **shown)
    return show_page(request, "profiles/search.html", title="Search", **shown)


def _people(rows: list[Profile], principal: Principal) -> list[dict[str, object]]:
    shown = present_profiles([row.pk for row in rows], principal=principal, now=timezone.now())
    return [{**one, "display_name": display_name(one)} for one in shown]


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        message = "The place to go on from is not one that this page gave. Start the search again."
        raise InvalidInput(message)
    return int(text)
