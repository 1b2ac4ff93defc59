"""The ledgers of merges and refusals, and what a steward does."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from cdp.core.access import show
from cdp.core.api.pagination import fetch_from, key_from
from cdp.core.queries.sizes import count_list
from cdp.core.ui.shell import read_list, show_page, signed_in
from profiles.errors import NoSuchMerge
from profiles.models import Merge
from profiles.queries.pages import find_sides, tell_merge, tell_refusal
from profiles.queries.profiles import PERSONAL_KINDS
from profiles.queries.timeline import list_merges, list_refusals, present_refusal
from profiles.services.steward import undo_merge


@require_safe
def merges(request: HttpRequest) -> HttpResponse:
    """List the merge ledger, newest first."""
    signed_in(request, "identity:read")
    rows = list_merges()
    page = read_list(request, fetch=fetch_from(rows, "-id"), key=key_from("id"))
    return show_page(
        request,
        "profiles/merges.html",
        title="Merges",
        page=page,
        merges=[tell_merge(merge) for merge in page.rows],
        size=count_list(rows),
    )


@require_safe
def confirm_undo(request: HttpRequest, merge_id: int) -> HttpResponse:
    """Show both sides of a merge before it is undone."""
    principal = signed_in(request, "identity:write")
    merge = _get(merge_id)
    sides = find_sides(merge=merge)
    return show_page(
        request,
        "profiles/undo_merge.html",
        title="Undo a merge",
        told=tell_merge(merge),
        sides=[
            (
                heading,
                public_id,
                [(one.type.name, show(principal, one.value, PERSONAL_KINDS.get(one.type.key, "text"))) for one in held],
            )
            for heading, public_id, held in (
                ("Stays", merge.survivor_uuid, sides.staying),
                ("Becomes a profile of its own again", merge.absorbed_uuid, sides.leaving),
            )
        ]
        if sides is not None
        else [],
    )


@require_POST
def undo(request: HttpRequest, merge_id: int) -> HttpResponse:
    """Undo a merge."""
    principal = signed_in(request, "identity:write")
    merge = undo_merge(merge_id=merge_id, actor=principal.actor, now=timezone.now())
    messages.success(
        request, "The merge is undone: both profiles have their own again, and will not be joined by the same link."
    )
    return redirect("profile", merge.absorbed_uuid)


@require_safe
def refusals(request: HttpRequest) -> HttpResponse:
    """List what was not joined, and why, newest first; `?day=today` only today's."""
    principal = signed_in(request, "identity:read")
    rows = list_refusals()
    today = request.GET.get("day") == "today"
    if today:
        rows = rows.filter(
            created_at__gte=timezone.localtime(timezone.now()).replace(hour=0, minute=0, second=0, microsecond=0)
        )
    page = read_list(request, fetch=fetch_from(rows, "-id"), key=key_from("id"))
    return show_page(
        request,
        "profiles/refusals.html",
        title="Refusals",
        page=page,
        refusals=[(present_refusal(one, principal=principal), tell_refusal(one)) for one in page.rows],
        size=count_list(rows),
        today=today,
    )


def _get(merge_id: int) -> Merge:
    merge = list_merges().filter(pk=merge_id).first()
    if merge is None:
        message = "No merge has this id."
        raise NoSuchMerge(message)
    return merge
