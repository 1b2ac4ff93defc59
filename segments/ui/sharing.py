"""Copies, tags, the owner of a segment and who else may see or change it."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from cdp.core.ui.shell import show_page, signed_in
from segments.queries.segments import read_definitions
from segments.services.definitions import NewSegment, change_segment, create_segment
from segments.services.rights import give_right, hand_over, take_right
from segments.ui.forms import DuplicateForm, RightForm, TagsForm
from segments.ui.opening import open_segment

MAX_KEY = 64
MAX_NAME = 200


@require_http_methods(["GET", "HEAD", "POST"])
def duplicate(request: HttpRequest, key: str) -> HttpResponse:
    """Make a draft with the same definition under another name."""
    principal = signed_in(request, "segments:write")
    _, row = open_segment(request, key)
    start: dict[str, Any] = {"name": f"{row.name} (copy)"[:MAX_NAME], "key": f"{row.key}-copy"[-MAX_KEY:].lstrip("-_")}
    form = DuplicateForm(request.POST or None, initial=start)
    if request.method == "POST" and form.is_valid():
        new = NewSegment(
            key=form.cleaned_data["key"],
            name=form.cleaned_data["name"],
            definition=read_definitions([row])[row.pk],
            purpose=row.purpose,
            channel=row.channel,
            tags=tuple(row.tags),
            owner_id=principal.user_id,
        )
        made, _ = create_segment(new=new, actor=principal.actor, clock=timezone.now)
        messages.success(request, f"A copy of {row.name}, as a draft.")
        return redirect("change_segment", made.key)
    return show_page(request, "segments/duplicate.html", title=f"Duplicate {row.name}", segment=row, form=form)


@require_POST
def change_tags(request: HttpRequest, key: str) -> HttpResponse:
    """Put other tags on a segment."""
    principal, row = open_segment(request, key, "segments:write")
    form = TagsForm(request.POST)
    if form.is_valid():
        fields = {"tags": form.cleaned_data["tags"]}
        change_segment(key=row.key, fields=fields, actor=principal.actor, clock=timezone.now)
        messages.success(request, "The tags are changed.")
    return redirect("segment", row.key)


@require_POST
def change_rights(request: HttpRequest, key: str) -> HttpResponse:
    """Give a person a right on a segment, take it, or make them its owner."""
    principal, row = open_segment(request, key, "segments:write")
    form = RightForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Choose a person and a right.")
        return redirect("segment", row.key)
    email, right = form.cleaned_data["email"], form.cleaned_data["right"]
    now = timezone.now()
    if right == "owner":
        user = hand_over(segment=row, email=email, by=principal, now=now)
        said = f"{user.get_full_name()} owns it now."
    elif right == "none":
        user = take_right(segment=row, email=email, by=principal, now=now)
        said = f"{user.get_full_name()} has no right of their own on it any more."
    else:
        user = give_right(segment=row, email=email, right=right, by=principal, now=now)
        said = f"{user.get_full_name()} may {'see and change' if right == 'change' else 'see'} it."
    messages.success(request, said)
    return redirect("segment", row.key)
