"""The page of one profile."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_safe

from cdp.core.access import Principal
from cdp.core.api.pagination import Cursor, key_from
from cdp.core.registries import profile_sections
from cdp.core.services.audit import note_read
from cdp.core.ui.shell import ListPage, read_list, show_page, show_part, signed_in
from profiles.models import EventType, Profile
from profiles.queries.groups import read_groups_of
from profiles.queries.pages import display_name, find_event_names, tell_merges, tell_refusal
from profiles.queries.people import all_internal_ids, event_ids, get_by_uuid
from profiles.queries.profiles import present_profiles, read_source_names
from profiles.queries.timeline import (
    EventFilter,
    EventRow,
    find_events,
    list_changes,
    list_merges,
    list_refusals,
    present_change,
    present_event,
    present_refusal,
)
from profiles.ui.revealing import REASONS, seconds_left, signed_in_for
from profiles.ui.traits import read_traits

EVENTS = 25
MOST = 20
SHOWN = 25


@require_safe
def profile(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Show everything that is known of one person; how the profile came about is a request of its own."""
    principal = signed_in_for(request, public_id, "profiles:read")
    row = Profile.objects.select_related("activity").filter(uuid=public_id).first()
    if row is None:
        return redirect("profile", get_by_uuid(public_id=str(public_id)).uuid)
    now = timezone.now()
    sources = read_source_names()
    shown = present_profiles([row.pk], principal=principal, now=now, sources=sources)[0]
    if principal.sees_personal_data:
        note_read(actor=principal.actor, object=f"profile:{row.uuid}")
    left = seconds_left(request, public_id)
    page = show_page(
        request,
        "profiles/profile.html",
        title=display_name(shown),
        restricted=row.restricted,
        events=row.activity.event_count if hasattr(row, "activity") else 0,
        sections=_sections(row.pk, shown, principal, now),
        event_types=[kind.name.lower() for kind in EventType],
        identifiers_shown=SHOWN,
        **read_traits(request, profile_id=row.pk, shown=shown, principal=principal, sources=sources),
        **_timeline(request, event_ids(profile_id=row.pk), principal, sources),
        masked=not principal.sees_personal_data,
        reasons=REASONS if settings.CDP_REVEAL_MINUTES else {},
        minutes=settings.CDP_REVEAL_MINUTES,
        left=left,
        until=timezone.localtime(now + timedelta(seconds=left)),
    )
    if left:
        # Masked again by itself, also where nobody touches the page.
        page.headers["Refresh"] = str(left + 1)
    return page


@require_safe
def origin(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Answer what it belongs to and how a profile came about: its merges, what was not joined, its history."""
    principal = signed_in_for(request, public_id, "profiles:read")
    person = get_by_uuid(public_id=str(public_id))
    ids = all_internal_ids(profile_id=person.profile_id)
    merges = list_merges(profile_uuid=person.uuid).order_by("-id")[:MOST]
    refusals = list_refusals(profile_uuid=person.uuid).order_by("-id")[:MOST]
    sees = principal.may("identity:read")
    return show_part(
        request,
        "profiles/origin.html",
        groups=read_groups_of(profile_ids=[person.profile_id], principal=principal),
        merges=tell_merges(list(merges), sources=read_source_names()) if sees else [],
        refusals=[(present_refusal(one, principal=principal), tell_refusal(one)) for one in refusals] if sees else [],
        changes=[present_change(one) for one in list_changes(profile_ids=ids).order_by("-at", "-id")[:MOST]],
    )


@require_safe
def event_names(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Answer the names that a person's events have, for the filter of the timeline."""
    signed_in(request, "profiles:read")
    person = get_by_uuid(public_id=str(public_id))
    names = find_event_names(profile_ids=event_ids(profile_id=person.profile_id))
    return show_part(request, "profiles/event_names.html", names=names)


@require_safe
def timeline(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Answer a piece of the timeline: the next rows, or the first ones under another filter."""
    principal = signed_in_for(request, public_id, "profiles:read")
    person = get_by_uuid(public_id=str(public_id))
    ids = event_ids(profile_id=person.profile_id)
    return show_part(
        request,
        "profiles/timeline.html",
        person={"id": person.uuid},
        **_timeline(request, ids, principal, read_source_names()),
    )


def _timeline(
    request: HttpRequest, ids: Sequence[int], principal: Principal, sources: Mapping[int, str]
) -> dict[str, Any]:
    wanted = EventFilter(name=request.GET.get("name", "").replace("\0", ""), type=request.GET.get("type", ""))

    def fetch(cursor: Cursor | None, limit: int) -> Sequence[EventRow]:
        after = (cursor.position[0], cursor.position[1]) if cursor is not None else None
        backward = cursor is not None and cursor.backward
        return find_events(
            profile_ids=ids,
            wanted=wanted,
            after=after,
            backward=backward,
            limit=limit,
            opens=principal.sees_personal_data,
        )

    page: ListPage = read_list(request, fetch=fetch, key=key_from("occurred_at", "id"), rows=EVENTS)
    shown = [present_event(row, sources=sources, principal=principal, loads=orjson.loads) for row in page.rows]
    return {"page": page, "timeline": shown, "wanted": wanted}


def _sections(profile_id: int, shown: Mapping[str, Any], principal: Principal, now: datetime) -> list[dict[str, Any]]:
    """Read the parts that other apps give; a part may name the scope that it needs, or ask for the wide column."""
    return [
        {
            "title": section.title,
            "template": section.template,
            "is_wide": getattr(section, "is_wide", False),
            # The profile as shown holds the parts of this name already.
            "found": shown[section.key]
            if section.key in shown
            else section.read(profile_ids=[profile_id], now=now).get(profile_id),
        }
        for section in profile_sections
        if section.template and principal.may(getattr(section, "scope", "profiles:read"))
    ]
