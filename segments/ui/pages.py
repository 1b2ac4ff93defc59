"""Segments: the list, one of them with its people and its history, and why somebody is in it."""

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from cdp.core.access import Principal, show
from cdp.core.api.pagination import fetch_from, key_from
from cdp.core.queries.sizes import count_list
from cdp.core.ui.shell import read_list, show_page, show_part, signed_in
from profiles.models import Profile
from profiles.queries.pages import display_name, name_profile
from profiles.queries.people import get_by_uuid
from profiles.queries.profiles import present_by_id
from segments.language.evaluate import sentence
from segments.models import Membership, MembershipChange, Segment
from segments.queries.history import read_sizes, reason_in_words
from segments.queries.overlap import read_overlap
from segments.queries.people import explain_membership
from segments.queries.segments import (
    get_segment,
    has_match,
    installation_zone,
    list_members,
    list_membership_changes,
    list_segments,
    list_versions,
    parsed,
    read_definitions,
    read_latest,
)
from segments.services.definitions import change_segment
from segments.ui.forms import StatusForm

FEW = 10
VERSIONS = 20


@require_safe
def segments(request: HttpRequest) -> HttpResponse:
    """List the segments by name."""
    signed_in(request, "segments:read")
    rows = list(list_segments().order_by("name", "id"))
    definitions = read_definitions(rows)
    return show_page(
        request,
        "segments/segments.html",
        title="Segments",
        segments=[(row, tell(definitions[row.pk])) for row in rows],
    )


@require_safe
def segment(request: HttpRequest, key: str) -> HttpResponse:
    """Show a segment: its sentence, some members, the latest entries and exits, its versions."""
    principal = signed_in(request, "segments:read")
    row = get_segment(key=key)
    versions = list(list_versions(segment=row).order_by("-version")[:VERSIONS])
    members = list(list_members(segment=row).order_by("profile_id")[:FEW])
    changes = list(list_membership_changes(segment=row).order_by("-at", "-id")[:FEW])
    return show_page(
        request,
        "segments/segment.html",
        title=row.name,
        segment=row,
        sentence=tell(versions[0].definition),
        versions=[(one, tell(one.definition)) for one in versions],
        members=_people(members, principal),
        changes=_told(changes),
    )


@require_safe
def members(request: HttpRequest, key: str) -> HttpResponse:
    """List all members."""
    principal = signed_in(request, "segments:read")
    row = get_segment(key=key)
    rows = list_members(segment=row)
    page = read_list(request, fetch=fetch_from(rows, "profile_id"), key=key_from("profile_id"))
    return show_page(
        request,
        "segments/members.html",
        title=f"Members of {row.name}",
        segment=row,
        page=page,
        members=_people(page.rows, principal),
        size=count_list(rows),
    )


@require_safe
def changes(request: HttpRequest, key: str) -> HttpResponse:
    """List all entries and exits, newest first."""
    signed_in(request, "segments:read")
    row = get_segment(key=key)
    rows = list_membership_changes(segment=row)
    page = read_list(request, fetch=fetch_from(rows, "-at", "-id"), key=key_from("at", "id"))
    return show_page(
        request,
        "segments/changes.html",
        title=f"History of {row.name}",
        segment=row,
        page=page,
        changes=_told(page.rows),
        size=count_list(rows),
    )


@require_safe
def sizes(request: HttpRequest, key: str) -> HttpResponse:
    """Answer the chart of the last 30 days."""
    signed_in(request, "segments:read")
    today = timezone.localtime(timezone.now()).replace(hour=0, minute=0, second=0, microsecond=0)
    days = read_sizes(segment=get_segment(key=key), zone=installation_zone(), today=today)
    size = {"label": "members", "values": [day.size for day in days], "colour": "--color-primary-500"}
    chart = {"type": "line", "labels": [day.label for day in days], "series": [size]}
    return show_part(request, "segments/sizes.html", days=days, chart=chart)


@require_safe
def overlap(request: HttpRequest, key: str) -> HttpResponse:
    """Answer what a segment shares with the other live ones."""
    signed_in(request, "segments:read")
    row = get_segment(key=key)
    return show_part(request, "segments/overlap.html", segment=row, others=read_overlap(segment=row)[:FEW])


@require_safe
def explain(request: HttpRequest, key: str, public_id: str) -> HttpResponse:
    """Say condition by condition why a person is in a segment, or not."""
    principal = signed_in(request, "segments:read", "profiles:read")
    row = get_segment(key=key)
    person = get_by_uuid(public_id=str(public_id))
    member, tree = explain_membership(segment=read_latest(key=key), profile_id=person.profile_id, now=timezone.now())
    name = name_profile(Profile.objects.get(pk=person.profile_id), principal=principal)
    return show_page(
        request,
        "segments/explain.html",
        title=f"{name} and {row.name}",
        segment=row,
        public_id=person.uuid,
        member=member,
        name=name,
        lines=[
            {
                "depth": line.path.count(".of"),
                "sentence": line.sentence,
                "result": line.result,
                "observed": _observed(line.observed, principal),
            }
            for line in tree
        ],
    )


@require_POST
def change_status(request: HttpRequest, key: str) -> HttpResponse:
    """Make a segment live, a draft again, or put it into the archive."""
    principal = signed_in(request, "segments:write")
    form = StatusForm(request.POST)
    if form.is_valid():
        status = form.cleaned_data["status"]
        made = change_segment(key=key, fields={"status": status}, actor=principal.actor, clock=timezone.now)
        said = f"Live, with {made.member_count} members." if status == Segment.Status.LIVE else f"Now {status}."
        messages.success(request, said)
    return redirect("segment", key)


def tell(definition: Any) -> str:
    """Return a definition as a sentence; a draft may have none."""
    return sentence(parsed(definition)) if has_match(definition) else "No condition yet."


def _observed(found: Any, principal: Principal) -> Any:
    """Return what a condition found as it may be seen; of a group, how many of its conditions hold."""
    if isinstance(found, dict) and found.keys() == {"true", "of"}:
        return f"{found['true']} of {found['of']}"
    return show(principal, found) if isinstance(found, str | list) else found


def _people(rows: Sequence[Membership], principal: Principal) -> list[dict[str, Any]]:
    since = {row.profile_id: row.since for row in rows}
    shown = present_by_id(list(since), principal=principal, now=timezone.now())
    return [{**one, "display_name": display_name(one), "since": since[pk]} for pk, one in shown.items()]


def _told(rows: Sequence[MembershipChange]) -> list[dict[str, Any]]:
    return [
        {
            "profile": row.profile_uuid,
            "entered": row.kind == MembershipChange.Kind.ENTERED,
            "at": row.at,
            "reason": reason_in_words(row.reason),
            "message_id": row.reason.get("message_id", ""),
        }
        for row in rows
    ]
