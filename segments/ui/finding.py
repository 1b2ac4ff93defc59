"""What the builder asks while somebody edits: counts, people and why, reach, values to choose from.

Each answers JSON to the page's own script. A group of people below the smallest one (`CDP_SMALLEST_GROUP`) has no
number for whoever may not see persons (`profiles:read`).
"""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from cdp.core.access import Principal, mask, need
from cdp.core.api.json import load, read_or_none
from cdp.core.errors import InvalidInput
from cdp.core.ui.shell import signed_in
from consent.queries.purposes import list_purposes
from profiles.queries.pages import display_name
from profiles.queries.people import find_by_uuid
from profiles.queries.profiles import present_by_id
from profiles.queries.search import search_profiles
from segments.language.evaluate import Explanation
from segments.queries.cost import estimate_cost
from segments.queries.event_counts import count_events
from segments.queries.groups import shown_difference, shown_size, smallest_group
from segments.queries.overlap import read_overlap_of
from segments.queries.people import explain_definition
from segments.queries.preview import SAMPLE, Trial, find_members, preview, read_trial
from segments.queries.reach import read_reach
from segments.queries.rights import within_sight
from segments.queries.suggestions import read_property_names, read_values
from segments.queries.unreadable import Unreadable, by_path, count_unreadable
from segments.queries.variations import RowCounts, count_variations
from segments.ui.opening import open_segment

MAX_NAME = 200
MAX_PARTS = 10
MOST_WATCHED = 3
MOST_FOUND = 5
MOST_SHARED = 6


@require_POST
def count(request: HttpRequest) -> JsonResponse:
    """Answer how many people a definition finds, its sentence and its SQL."""
    given = _given(request)
    principal = _asking(request, given)
    found = preview(definition=given.get("definition"), now=timezone.now(), key=_text(given, "key") or None)
    return JsonResponse(
        {
            "count": shown_size(principal, found.count),
            "sentence": found.sentence,
            "sql": found.sql,
            "took_ms": found.took_ms,
            "cost": estimate_cost(definition=found.definition, now=found.now).level,
        }
    )


@require_POST
def closer(request: HttpRequest) -> JsonResponse:
    """Answer what each row does, ten members with why they are in, and the people who are watched, row by row."""
    given = _given(request)
    principal = _asking(request, given)
    trial = _trial(given)
    whole, rows = count_variations(trial=trial)
    people: dict[str, Any] = {"sample": [], "pinned": []}
    if principal.may("profiles:read"):
        people = _people(trial, _watched(given), principal)
    unread = by_path(count_unreadable(trial=trial))
    told = [_row(row, whole, unread.get(row.path, ()), principal) for row in rows]
    return JsonResponse({"rows": told, **people})


@require_POST
def around(request: HttpRequest) -> JsonResponse:
    """Answer whom each channel reaches, and what the definition shares with live segments."""
    given = _given(request)
    principal = _asking(request, given)
    trial = _trial(given)
    names = dict(list_purposes().values_list("key", "name"))
    _, channels = read_reach(trial=trial, purpose=_text(given, "purpose") or None)
    reach = [
        {
            "purpose": one.purpose,
            "purpose_name": names.get(one.purpose, one.purpose),
            "channel": one.channel or "any channel",
            "matching": shown_size(principal, one.matching),
            "has_address": shown_size(principal, one.has_address),
            "consented": shown_size(principal, one.consented),
            "reachable": shown_size(principal, one.not_suppressed),
        }
        for one in channels
    ]
    shared = [
        {
            "key": other["key"],
            "name": other["name"],
            "count": shown_size(principal, other["count"]),
            "shared": shown_size(principal, other["shared"]),
        }
        for other in within_sight(read_overlap_of(trial=trial, besides=_text(given, "key")), principal=principal)[
            :MOST_SHARED
        ]
    ]
    return JsonResponse({"reach": reach, "shared": shared})


@require_POST
def people(request: HttpRequest) -> JsonResponse:
    """Find people to watch. By POST: what is looked for names a person, and does not belong into an address."""
    principal = signed_in(request, "segments:read", "profiles:read")
    found = search_profiles(text=_text(_given(request), "text"))
    shown = present_by_id(found.profile_ids[:MOST_FOUND], principal=principal, now=timezone.now())
    return JsonResponse({"people": [_person(one) for one in shown.values()]})


@require_safe
def values(request: HttpRequest) -> JsonResponse:
    """Answer the most frequent values of a trait, or of an event's property."""
    principal = signed_in(request, "segments:read")
    asked = {name: request.GET.get(name, "").replace("\0", "")[:MAX_NAME] for name in ("trait", "event", "property")}
    path = tuple((asked["trait"] or asked["property"]).split("."))
    if not all(path) or len(path) > MAX_PARTS:
        return JsonResponse({"values": []})
    event = None if asked["trait"] else asked["event"]
    found = read_values(path=path, event=event, text="", smallest=smallest_group(principal))
    return JsonResponse({"values": [{"value": value, "note": in_words(people)} for value, people in found]})


@require_safe
def events(request: HttpRequest) -> JsonResponse:
    """Answer the names of events with how often there are."""
    signed_in(request, "segments:read")
    return JsonResponse({"values": [{"value": name, "note": note} for name, note in count_events()]})


@require_safe
def property_names(request: HttpRequest) -> JsonResponse:
    """Answer the names of an event's properties."""
    signed_in(request, "segments:read")
    event = request.GET.get("event", "").replace("\0", "")[:MAX_NAME]
    return JsonResponse({"properties": read_property_names(event=event)})


def in_words(people: int) -> str:
    """Return how many people have a value."""
    return f"{people:,} {'person' if people == 1 else 'people'}".replace(",", "\u202f")


def _row(row: RowCounts, whole: int, unread: Sequence[Unreadable], principal: Principal) -> dict[str, Any]:
    """Return what a row does, and what it could not read."""
    told: dict[str, Any] = {"path": row.path}
    if row.left_after is not None and shown_size(principal, row.left_after) is not None:
        told["left"] = row.left_after
    if shown_difference(principal, row.without, whole) is not None:
        told["without"] = row.without
    if unread:
        told["unread"] = [each.words(shown_size(principal, each.count), settings.CDP_SMALLEST_GROUP) for each in unread]
    return told


def _people(trial: Trial, watched: Sequence[int], principal: Principal) -> dict[str, Any]:
    sample = find_members(trial=trial, most=SAMPLE)
    asked = list(dict.fromkeys([*watched, *sample]))
    shown = present_by_id(asked, principal=principal, now=trial.now)
    told = {pk: (member, tree) for pk, member, tree in explain_definition(trial=trial, profile_ids=asked)}
    return {
        "sample": [
            {**_person(shown[pk]), "why": [_line(line, principal) for line in told[pk][1] if _says(line)]}
            for pk in sample
            if pk in shown and pk in told
        ],
        "pinned": [
            {
                **_person(shown[pk]),
                "member": told[pk][0],
                "rows": [{"path": line.path, "result": line.result, **_line(line, principal)} for line in told[pk][1]],
            }
            for pk in watched
            if pk in shown and pk in told
        ],
    }


def _says(line: Explanation) -> bool:
    """Tell whether a line is a condition that holds; groups only say how their conditions are joined."""
    return line.result and not line.sentence.endswith(":")


def _line(line: Explanation, principal: Principal) -> dict[str, str]:
    return {"sentence": line.sentence, "observed": observed_in_words(line.observed, principal)}


def observed_in_words(found: Any, principal: Principal) -> str:
    """Return what a condition found, as it may be seen, in a few words."""
    if found is None or isinstance(found, bool):
        return ""
    if isinstance(found, dict) and found.keys() == {"true", "of"}:
        return f"{found['true']} of {found['of']}"
    if isinstance(found, dict):
        return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in found.items())
    if isinstance(found, str | list) and not principal.sees_personal_data:
        found = mask(found)
    return ", ".join(map(str, found)) if isinstance(found, list) else str(found)


def _person(shown: dict[str, Any]) -> dict[str, str]:
    held = shown["identifiers"]
    return {"id": shown["id"], "name": display_name(shown), "identifier": held[0]["value"] if held else ""}


def _watched(given: dict[str, Any]) -> list[int]:
    """Return the people who are watched; those who are gone are left out, and so forgotten by the page."""
    found = [find_by_uuid(public_id=one) for one in _texts(given.get("pinned"))[:MOST_WATCHED]]
    return [person.profile_id for person in found if person is not None]


def _texts(given: Any) -> list[str]:
    return [one for one in given if isinstance(one, str)] if isinstance(given, list) else []


def _asking(request: HttpRequest, given: dict[str, Any]) -> Principal:
    """Return who asks: by their role, or because they may change the very segment that the definition is for."""
    if signed_in(request).may("segments:read") or not _text(given, "key"):
        return signed_in(request, "segments:read")
    return open_segment(request, _text(given, "key"), "segments:write")[0]


def _trial(given: dict[str, Any]) -> Trial:
    return read_trial(definition=given.get("definition"), now=timezone.now(), key=_text(given, "key") or None)


def _text(given: dict[str, Any], name: str) -> str:
    value = given.get(name)
    return value.replace("\0", "")[:MAX_NAME] if isinstance(value, str) else ""


def _given(request: HttpRequest) -> dict[str, Any]:
    """Read the JSON of a request.

    Raises
    ------
    NotAuthenticated
        If nobody is signed in: what strangers send is not read.
    MissingScope
        If it cannot be read, and so names no segment on which somebody without the scope has a right.
    InvalidInput
        If it is no object.
    """
    principal = signed_in(request)
    given = read_or_none(request.body) if not principal.may("segments:read") else load(request.body)
    if not isinstance(given, dict):
        need(principal, "segments:read")
        message = "Send a JSON object."
        raise InvalidInput(message)
    return given
