"""Trying definitions by REST: what each row does, who is in and why, whom channels reach, how two groups differ."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.core.access import Principal, need
from cdp.core.api.principal import principal_of
from cdp.core.errors import FieldError, InvalidInput
from profiles.queries.people import get_by_uuid
from profiles.queries.profiles import present_by_id
from segments.api import fields, trying_fields
from segments.api.present import present_tree, told_size
from segments.api.segments import SegmentView
from segments.errors import NowNotAllowed
from segments.language.reading import Fault, read_path
from segments.queries.comparing import Comparison, compare_segments
from segments.queries.groups import shown_difference, shown_size, smallest_group
from segments.queries.history import MOST_DAYS, read_sizes
from segments.queries.people import explain_definition
from segments.queries.preview import SAMPLE, Trial, find_members, read_trial
from segments.queries.reach import read_reach
from segments.queries.segments import get_segment, installation_zone, read_definitions
from segments.queries.suggestions import read_values
from segments.queries.unreadable import Unreadable, by_path, count_unreadable
from segments.queries.variations import RowCounts, count_variations

MAX_NAME = 200
SIDES = ("left", "right")
REACHED = ("matching", "has_address", "consented", "not_suppressed")


class PreviewRows(APIView):
    """Counts what each row of a definition does."""

    scopes = {"POST": "segments:read"}

    @extend_schema(
        operation_id="segments_preview_rows",
        request=fields.PreviewRequest,
        responses=trying_fields.RowsAnswer,
    )
    def post(self, request: Request) -> Response:
        """Answer, for each row, who fulfils it, who is left after it, and who would be found without it."""
        trial = trial_of(fields.read_input(fields.PreviewRequest, request.data))
        principal = principal_of(request)
        count, rows = count_variations(trial=trial)
        unread = by_path(count_unreadable(trial=trial))
        told = [present_row(row, count, unread.get(row.path, ()), principal=principal) for row in rows]
        return Response({"count": shown_size(principal, count), "rows": told, "now": trial.now})


class PreviewPeople(APIView):
    """Explains a definition on people: on those asked for, else on some of its members."""

    scopes = {"POST": "segments:read"}

    @extend_schema(
        operation_id="segments_preview_people",
        request=trying_fields.PeopleRequest,
        responses=trying_fields.PeopleAnswer,
    )
    def post(self, request: Request) -> Response:
        """Answer each person with the result of every row; needs `profiles:read` too."""
        principal = principal_of(request)
        need(principal, "profiles:read")
        given = fields.read_input(trying_fields.PeopleRequest, request.data)
        named = given.pop("profile_ids", None)
        trial = trial_of(given)
        if named is None:
            ids = find_members(trial=trial, most=SAMPLE)
        else:
            ids = list(dict.fromkeys(get_by_uuid(public_id=str(one)).profile_id for one in named))
        shown = present_by_id(ids, principal=principal, now=trial.now)
        people = [
            {"profile": shown[profile_id], "member": member, "tree": present_tree(tree, principal=principal)}
            for profile_id, member, tree in explain_definition(trial=trial, profile_ids=ids)
        ]
        return Response({"people": people, "now": trial.now})


class PreviewReach(APIView):
    """Counts whom channels reach of those whom a definition finds."""

    scopes = {"POST": "segments:read"}

    @extend_schema(
        operation_id="segments_preview_reach",
        request=trying_fields.ReachRequest,
        responses=trying_fields.ReachAnswer,
    )
    def post(self, request: Request) -> Response:
        """Answer, for each purpose and channel, how many are left after each question."""
        given = fields.read_input(trying_fields.ReachRequest, request.data)
        purpose = given.pop("purpose", None) or None
        trial = trial_of(given)
        principal = principal_of(request)
        count, channels = read_reach(trial=trial, purpose=purpose)
        told = [
            {
                "purpose": each.purpose,
                "channel": each.channel or None,
                **{name: shown_size(principal, getattr(each, name)) for name in REACHED},
            }
            for each in channels
        ]
        return Response({"count": shown_size(principal, count), "channels": told, "now": trial.now})


class CompareSegments(APIView):
    """Compares two segments, or definitions, in a trait."""

    scopes = {"POST": "segments:read"}

    @extend_schema(
        operation_id="segments_compare",
        request=trying_fields.CompareRequest,
        responses=trying_fields.CompareAnswer,
    )
    def post(self, request: Request) -> Response:
        """Answer the shares of the trait's values, and the course of its numbers."""
        given = fields.read_input(trying_fields.CompareRequest, request.data)
        now = timezone.now()
        principal = principal_of(request)
        found = compare_segments(
            left=_side(given["left"], "left", now),
            right=_side(given["right"], "right", now),
            trait=given["trait"],
            smallest=smallest_group(principal),
        )
        return Response({"trait": given["trait"], **present_comparison(found, principal=principal)})


class SuggestValues(APIView):
    """Suggests the values that a trait, or a property of an event, mostly has."""

    scopes = {"GET": "segments:read"}

    @extend_schema(
        operation_id="segments_values",
        parameters=[
            OpenApiParameter("trait", description="A trait's path"),
            OpenApiParameter("event", description="An event's name, with property"),
            OpenApiParameter("property", description="A property's path"),
            OpenApiParameter("q", description="Text that values contain"),
        ],
        responses=trying_fields.ValuesAnswer,
    )
    def get(self, request: Request) -> Response:
        """Answer values with how many of the latest people have them."""
        asked = {name: _text(request, name) for name in ("trait", "event", "property", "q")}
        if bool(asked["trait"]) == bool(asked["event"] and asked["property"]):
            message = "Give trait, or event and property."
            raise InvalidInput(message, errors=[FieldError("trait", "missing_key", message)])
        found = read_values(
            path=_path(asked["trait"] or asked["property"], "trait" if asked["trait"] else "property"),
            event=asked["event"] or None,
            text=asked["q"],
            smallest=smallest_group(principal_of(request)),
        )
        return Response({"values": [{"value": value, "count": count} for value, count in found]})


class SegmentSizes(SegmentView):
    """Tells how large a segment was, day by day."""

    scopes = {"GET": "segments:read"}

    @extend_schema(
        operation_id="segments_sizes",
        parameters=[OpenApiParameter("days", int, description=f"1 to {MOST_DAYS}; 30 without it")],
        responses=trying_fields.SizesAnswer,
    )
    def get(self, request: Request, key: str) -> Response:
        """Answer size, entries and exits of each day, oldest first."""
        asked = request.query_params.get("days", "30")
        if not (asked.isascii() and asked.isdecimal() and len(asked) <= 4 and 1 <= int(asked) <= MOST_DAYS):
            message = f"days is a whole number from 1 to {MOST_DAYS}."
            raise InvalidInput(message, errors=[FieldError("days", "invalid_value", message)])
        today = timezone.localtime(timezone.now()).replace(hour=0, minute=0, second=0, microsecond=0)
        days = read_sizes(segment=get_segment(key=key), zone=installation_zone(), today=today, count=int(asked))
        names = ("size", "entered", "left")
        principal = principal_of(request)
        told = [
            {"date": day.date, **{name: told_size(principal, getattr(day, name)) for name in names}} for day in days
        ]
        return Response({"days": told})


def trial_of(given: dict[str, Any]) -> Trial:
    """Return the definition that a request tries; another `now` is for development only.

    Raises
    ------
    NowNotAllowed
        In production.
    """
    asked = given.get("now")
    if asked and settings.CDP_ENV != "development":
        raise NowNotAllowed
    now = fields.read_moment(asked) if asked else timezone.now()
    return read_trial(definition=given["definition"], now=now, inline=bool(asked), key=given.get("key"))


def present_row(row: RowCounts, whole: int, unread: Sequence[Unreadable], *, principal: Principal) -> dict[str, Any]:
    """Return what a row does, and what it could not read."""
    without = shown_difference(principal, row.without, whole)
    return {
        "path": row.path,
        "sentence": row.sentence,
        "count": shown_size(principal, row.count),
        "left_after": None if row.left_after is None else shown_size(principal, row.left_after),
        "without": without,
        "difference": None if without is None else without - whole,
        "uncastable": [
            {
                "field": each.field,
                "cast": each.cast,
                "events": each.events or None,
                "count": shown_size(principal, each.count),
            }
            for each in unread
        ],
    }


def present_comparison(found: Comparison, *, principal: Principal) -> dict[str, Any]:
    """Return a comparison with shares."""
    left_size, right_size = found.counts
    rows = []
    for value, left, right in found.values:
        shown = _pair((left, right), principal)
        shares = {
            "left_share": None if shown["left"] is None else _share(left, left_size),
            "right_share": None if shown["right"] is None else _share(right, right_size),
        }
        rows.append({"value": value, **shown, **shares})
    numbers = None
    if found.numbers is not None:
        told = [{**asdict(each), "known": shown_size(principal, each.known)} for each in found.numbers]
        numbers = dict(zip(SIDES, told, strict=True))
    return {
        "counts": _pair(found.counts, principal),
        "values": rows,
        "others": _pair(found.others, principal),
        "numbers": numbers,
    }


def _pair(sizes: tuple[int, int], principal: Principal) -> dict[str, int | None]:
    return {side: shown_size(principal, size) for side, size in zip(SIDES, sizes, strict=True)}


def _share(part: int, whole: int) -> float:
    return round(part / whole, 6) if whole else 0.0


def _side(given: dict[str, Any], path: str, now: datetime) -> Trial:
    key, definition = given.get("key"), given.get("definition")
    if (key is None) == (definition is None):
        message = f"{path} needs key or definition."
        raise InvalidInput(message, errors=[FieldError(path, "missing_key", message)])
    if key is not None:
        row = get_segment(key=key)
        definition = read_definitions([row])[row.pk]
    return read_trial(definition=definition, now=now, key=key)


def _text(request: Request, name: str) -> str:
    return request.query_params.get(name, "").replace("\0", "")[:MAX_NAME]


def _path(text: str, name: str) -> tuple[str, ...]:
    try:
        return read_path(text, name)
    except Fault as fault:
        raise InvalidInput(str(fault), errors=fault.errors) from fault
