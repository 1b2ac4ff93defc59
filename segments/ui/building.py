"""The builder: conditions in rows, with count, sample, sentence and SQL while they are edited.

The page previews and saves through REST, as everybody else does: with the session and its CSRF token.
"""

from dataclasses import asdict
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from cdp.core.ui.shell import show_page, signed_in
from segments.models import Segment
from segments.queries.segments import get_segment, read_definitions
from segments.queries.suggestions import read_property_names, read_suggestions

EMPTY = {"version": 1, "timezone": "installation", "match": {"type": "all", "of": []}}
MAX_NAME = 200


@require_safe
def create(request: HttpRequest) -> HttpResponse:
    """Build a new segment."""
    signed_in(request, "segments:write")
    return _builder(request, "New segment", None, EMPTY)


@require_safe
def change(request: HttpRequest, key: str) -> HttpResponse:
    """Change a segment."""
    signed_in(request, "segments:write")
    row = get_segment(key=key)
    return _builder(request, f"Change {row.name}", row, read_definitions([row])[row.pk])


@require_safe
def property_names(request: HttpRequest) -> HttpResponse:
    """Answer the names of an event's properties, for the builder."""
    signed_in(request, "segments:write")
    event = request.GET.get("event", "").replace("\0", "")[:MAX_NAME]
    return JsonResponse({"properties": read_property_names(event=event)})


def _builder(request: HttpRequest, title: str, row: Segment | None, definition: Any) -> HttpResponse:
    data = {
        "segment": None
        if row is None
        else {
            "key": row.key,
            "name": row.name,
            "status": row.status,
            "purpose": row.purpose,
            "channel": row.channel,
        },
        "definition": definition,
        "offers": asdict(read_suggestions()),
    }
    return show_page(request, "segments/builder.html", title=title, segment=row, data=data)
