"""The ledgers of merges and refusals, and what a steward does."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from cdp.core.api.pagination import fetch_from, key_from
from cdp.core.queries.sizes import count_list
from cdp.core.ui.shell import read_list, show_page, signed_in
from profiles.errors import NoSuchMerge
from profiles.models import Merge
from profiles.queries.pages import tell_merges, tell_refusal
from profiles.queries.profiles import read_source_names
from profiles.queries.timeline import list_merges, list_refusals, present_refusal
from profiles.queries.undo_preview import preview_undo
from profiles.services.undoing import undo_merge


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
        merges=tell_merges(page.rows, sources=read_source_names()),
        size=count_list(rows),
    )


@require_safe
def confirm_undo(request: HttpRequest, merge_id: int) -> HttpResponse:
    """Show both people of a merge side by side before it is undone."""
    principal = signed_in(request, "identity:write")
    merge = _get(merge_id)
    return show_page(
        request,
        "profiles/undo_merge.html",
        title="Undo a merge",
        told=tell_merges([merge], sources=read_source_names())[0],
        preview=preview_undo(merge=merge, principal=principal),
    )


@require_POST
def undo(request: HttpRequest, merge_id: int) -> HttpResponse:
    """Undo a merge."""
    principal = signed_in(request, "identity:write")
    merge = undo_merge(merge_id=merge_id, actor=principal.actor, now=timezone.now())
    told = "The merge is undone: both profiles have their own again, and the same link will not join them."
    if merge.state == Merge.State.PENDING:
        told += " Their events are many and still being moved."
    messages.success(request, told)
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
