"""Trying definitions by REST: what each row does, who is in and why, whom channels reach, how two groups differ."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cdp.core.api.principal import principal_of
from cdp.core.errors import FieldError, InvalidInput
from profiles.queries.people import get_by_uuid
from profiles.queries.profiles import present_by_id
from segments.api import fields, trying_fields
from segments.api.present import present_tree
from segments.errors import NowNotAllowed
from segments.language.reading import Fault, read_path
from segments.queries.comparing import Comparison, compare_segments
from segments.queries.groups import smallest_group
from segments.queries.history import MOST_DAYS, read_sizes
from segments.queries.people import explain_definition
from segments.queries.preview import SAMPLE, Trial, find_members, read_trial
from segments.queries.reach import read_reach
from segments.queries.segments import get_segment, installation_zone, read_definitions
from segments.queries.suggestions import read_values
from segments.queries.variations import count_variations

MAX_NAME = 200


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
        count, rows = count_variations(trial=trial)
        told = [{**asdict(row), "difference": row.without - count} for row in rows]
        return Response({"count": count, "rows": told, "now": trial.now})


class PreviewPeople(APIView):
    """Explains a definition on people: on those asked for, else on some of its members."""

    scopes = {"POST": "segments:read"}

    @extend_schema(
        operation_id="segments_preview_people",
        request=trying_fields.PeopleRequest,
        responses=trying_fields.PeopleAnswer,
    )
    def post(self, request: Request) -> Response:
        """Answer each person with the result of every row."""
        given = fields.read_input(trying_fields.PeopleRequest, request.data)
        named = given.pop("profile_ids", None)
        trial = trial_of(given)
        if named is None:
            ids = find_members(trial=trial, most=SAMPLE)
        else:
            ids = list(dict.fromkeys(get_by_uuid(public_id=str(one)).profile_id for one in named))
        principal = principal_of(request)
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
        count, channels = read_reach(trial=trial, purpose=purpose)
        told = [{**asdict(each), "channel": each.channel or None} for each in channels]
        return Response({"count": count, "channels": told, "now": trial.now})


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
        found = compare_segments(
            left=_side(given["left"], "left", now),
            right=_side(given["right"], "right", now),
            trait=given["trait"],
            smallest=smallest_group(principal_of(request)),
        )
        return Response({"trait": given["trait"], **present_comparison(found)})


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


class SegmentSizes(APIView):
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
        told = [{"date": day.date, "size": day.size, "entered": day.entered, "left": day.left} for day in days]
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


def present_comparison(found: Comparison) -> dict[str, Any]:
    """Return a comparison with shares."""
    sizes = dict(zip(("left", "right"), found.counts, strict=True))
    rows = [
        {
            "value": value,
            "left": left,
            "right": right,
            "left_share": _share(left, sizes["left"]),
            "right_share": _share(right, sizes["right"]),
        }
        for value, left, right in found.values
    ]
    numbers = None if found.numbers is None else dict(zip(sizes, map(asdict, found.numbers), strict=True))
    return {
        "counts": sizes,
        "values": rows,
        "others": dict(zip(sizes, found.others, strict=True)),
        "numbers": numbers,
    }


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
