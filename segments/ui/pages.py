"""Segments: the list, one of them with its people and its history, and why somebody is in it."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from cdp.core.access import Principal
from cdp.core.api.pagination import fetch_from, key_from
from cdp.core.queries.sizes import count_list
from cdp.core.ui.shell import read_list, show_page, show_part, signed_in
from profiles.models import Profile
from profiles.queries.pages import display_name, name_profile
from profiles.queries.people import get_by_uuid
from profiles.queries.profiles import present_by_id
from profiles.queries.search import search_profiles
from segments.models import Segment
from segments.queries.catalogue import Wanted, list_tags, search_segments
from segments.queries.groups import shown_size
from segments.queries.history import read_sizes
from segments.queries.overlap import read_overlap
from segments.queries.people import explain_membership
from segments.queries.preview import Trial
from segments.queries.rights import list_rights, list_staff, within_sight
from segments.queries.segments import (
    has_match,
    installation_zone,
    list_members,
    list_membership_changes,
    list_versions,
    parsed,
    read_definitions,
    read_latest,
)
from segments.queries.unreadable import count_unreadable
from segments.services.definitions import change_segment
from segments.services.rights import may_share
from segments.ui.forms import RightForm, StatusForm
from segments.ui.opening import may_change, open_segment
from segments.ui.words import tell, tell_changes, tell_observed, tell_people, tell_versions

FEW = 10
VERSIONS = 5
MOST_FOUND = 20
MAX_TEXT = 200
PERIODS = (30, 90, 365)


@require_safe
def segments(request: HttpRequest) -> HttpResponse:
    """List the segments by name, narrowed by words, tag, status and owner."""
    principal = signed_in(request)
    given = {name: request.GET.get(name, "").replace("\0", "")[:MAX_TEXT] for name in ("q", "tag", "status", "owner")}
    status = given["status"] if given["status"] in Segment.Status.values else ""
    wanted = Wanted(text=given["q"], tag=given["tag"], status=status, mine=given["owner"] == "me")
    rows = list(search_segments(wanted=wanted, principal=principal).order_by("name", "id"))
    if not rows and not principal.may("segments:read"):
        # Whoever was given no segment at all learns which right is missing.
        signed_in(request, "segments:read")
    definitions = read_definitions(rows)
    return show_page(
        request,
        "segments/segments.html",
        title="Segments",
        segments=[(row, tell(definitions[row.pk]), shown_size(principal, row.member_count)) for row in rows],
        wanted=wanted,
        tags=list_tags(principal=principal),
        statuses=Segment.Status.values,
        narrowed=any(given.values()),
    )


@require_safe
def segment(request: HttpRequest, key: str) -> HttpResponse:
    """Show a segment: its sentence, some members, the latest entries and exits, its versions, who may change it."""
    principal, row = open_segment(request, key)
    versions = list(list_versions(segment=row).order_by("-version")[:VERSIONS])
    members = list(list_members(segment=row).order_by("profile_id")[:FEW])
    changes = list(list_membership_changes(segment=row).order_by("-at", "-id")[:FEW])
    shares = may_share(principal, row)
    return show_page(
        request,
        "segments/segment.html",
        title=row.name,
        segment=row,
        size=shown_size(principal, row.member_count),
        sentence=tell(versions[0].definition),
        versions=tell_versions(versions),
        members=tell_people(members, principal),
        changes=tell_changes(changes, principal),
        may_change=may_change(principal, row),
        rights=list_rights(segment=row),
        right_form=RightForm() if shares else None,
        staff=list_staff() if shares else (),
    )


@require_safe
def members(request: HttpRequest, key: str) -> HttpResponse:
    """List all members."""
    principal, row = open_segment(request, key)
    signed_in(request, "profiles:read")
    rows = list_members(segment=row)
    page = read_list(request, fetch=fetch_from(rows, "profile_id"), key=key_from("profile_id"))
    return show_page(
        request,
        "segments/members.html",
        title=f"Members of {row.name}",
        segment=row,
        page=page,
        members=tell_people(page.rows, principal),
        size=count_list(rows),
    )


@require_safe
def changes(request: HttpRequest, key: str) -> HttpResponse:
    """List all entries and exits, newest first."""
    principal, row = open_segment(request, key)
    signed_in(request, "profiles:read")
    rows = list_membership_changes(segment=row)
    page = read_list(request, fetch=fetch_from(rows, "-at", "-id"), key=key_from("at", "id"))
    return show_page(
        request,
        "segments/changes.html",
        title=f"History of {row.name}",
        segment=row,
        page=page,
        changes=tell_changes(page.rows, principal),
        size=count_list(rows),
    )


@require_safe
def sizes(request: HttpRequest, key: str) -> HttpResponse:
    """Answer the charts of the last days: size, entries and exits. Small groups have no curve that tells of them."""
    principal, row = open_segment(request, key)
    asked = request.GET.get("days", "")
    count = int(asked) if asked in map(str, PERIODS) else PERIODS[0]
    today = timezone.localtime(timezone.now()).replace(hour=0, minute=0, second=0, microsecond=0)
    days = read_sizes(segment=row, zone=installation_zone(), today=today, count=count)
    if any(shown_size(principal, number) is None for day in days for number in (day.size, day.entered, day.left)):
        return show_part(request, "segments/sizes.html", segment=row, hidden=True)
    labels = [day.label for day in days]
    size = {"label": "members", "values": [day.size for day in days], "colour": "--color-primary-500"}
    moves = [
        {"label": "entered", "values": [day.entered for day in days], "colour": "--color-green-500"},
        {"label": "left", "values": [-day.left for day in days], "colour": "--color-red-500"},
    ]
    return show_part(
        request,
        "segments/sizes.html",
        segment=row,
        days=days,
        chart={"type": "line", "labels": labels, "series": [size]},
        moves={"type": "bar", "stacked": True, "labels": labels, "series": moves},
        chosen=count,
        periods=PERIODS,
    )


@require_safe
def overlap(request: HttpRequest, key: str) -> HttpResponse:
    """Answer what a segment shares with the other live ones."""
    principal, row = open_segment(request, key)
    others = [
        {**other, "shared": shown_size(principal, other["shared"]), "count": shown_size(principal, other["count"])}
        for other in within_sight(read_overlap(segment=row), principal=principal)[:FEW]
    ]
    return show_part(request, "segments/overlap.html", segment=row, others=others)


@require_safe
def unreadable(request: HttpRequest, key: str) -> HttpResponse:
    """Answer which values the definition could not read, and for how many people or events."""
    principal, row = open_segment(request, key)
    definition = read_definitions([row])[row.pk]
    found = count_unreadable(trial=Trial(parsed(definition), timezone.now(), {})) if has_match(definition) else []
    told = [each.words(shown_size(principal, each.count), settings.CDP_SMALLEST_GROUP) for each in found]
    return show_part(request, "segments/unreadable.html", found=told)


@require_safe
def explain(request: HttpRequest, key: str, public_id: str) -> HttpResponse:
    """Say condition by condition why a person is in a segment, or not."""
    principal, row = open_segment(request, key)
    signed_in(request, "profiles:read")
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
                "observed": tell_observed(line.observed, principal),
            }
            for line in tree
        ],
    )


@require_http_methods(["GET", "HEAD", "POST"])
def find_to_explain(request: HttpRequest, key: str) -> HttpResponse:
    """Find a person, to see why they are in or not. What is looked for is posted: an address must not name a person."""
    principal, row = open_segment(request, key)
    signed_in(request, "profiles:read")
    text = request.POST.get("text", "").replace("\0", "")[:MAX_TEXT]
    found = search_profiles(text=text).profile_ids[:MOST_FOUND] if text.strip() else []
    shown = list(present_by_id(found, principal=principal, now=timezone.now()).values())
    if len(shown) == 1:
        return redirect("explain_membership", row.key, shown[0]["id"])
    people: list[dict[str, Any]] = [{**one, "display_name": display_name(one)} for one in shown]
    return show_page(
        request,
        "segments/find_to_explain.html",
        title=f"Why is somebody in {row.name}, or not?",
        segment=row,
        people=people,
        asked=bool(text.strip()),
    )


@require_POST
def change_status(request: HttpRequest, key: str) -> HttpResponse:
    """Make a segment live, a draft again, or put it into the archive."""
    principal, row = open_segment(request, key, "segments:write")
    form = StatusForm(request.POST)
    if form.is_valid():
        status = form.cleaned_data["status"]
        made = change_segment(key=row.key, fields={"status": status}, actor=principal.actor, clock=timezone.now)
        messages.success(request, _said(made, principal))
    return redirect("segment", row.key)


def _said(made: Segment, principal: Principal) -> str:
    if made.status != Segment.Status.LIVE:
        return f"Now {made.status}."
    size = shown_size(principal, made.member_count)
    return "Live." if size is None else f"Live, with {size} members."
