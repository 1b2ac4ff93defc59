"""Two segments side by side, in any trait."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from cdp.core.ui.shell import show_page, signed_in
from segments.models import Segment
from segments.queries.comparing import Comparison, compare_segments
from segments.queries.groups import shown_size, smallest_group
from segments.queries.preview import Trial
from segments.queries.segments import get_segment, has_match, list_segments, parsed, read_definitions
from segments.queries.suggestions import read_trait_names

MAX_NAME = 200
CHARTED = 10


@require_safe
def compare(request: HttpRequest) -> HttpResponse:
    """Compare two segments in a trait: shares of its values, and the course of its numbers."""
    principal = signed_in(request, "segments:read")
    rows = list(list_segments().exclude(status=Segment.Status.ARCHIVED).order_by("name", "id"))
    definitions = read_definitions(rows)
    asked = {name: request.GET.get(name, "").replace("\0", "")[:MAX_NAME] for name in ("left", "right", "trait")}
    context: dict[str, Any] = {
        "choices": [row for row in rows if has_match(definitions[row.pk])],
        "asked": asked,
        "traits": sorted(read_trait_names()),
    }
    if all(asked.values()):
        left, right = get_segment(key=asked["left"]), get_segment(key=asked["right"])
        found = compare_segments(
            left=_trial(left, definitions),
            right=_trial(right, definitions),
            trait=asked["trait"],
            smallest=smallest_group(principal),
        )
        context |= {"left": left, "right": right, "found": found, "rows": _rows(found)}
        context |= {
            "sizes": [shown_size(principal, size) for size in found.counts],
            "chart": _chart(found, left, right),
        }
        context |= {"smallest": settings.CDP_SMALLEST_GROUP}
    return show_page(request, "segments/compare.html", title="Compare two segments", **context)


def _trial(row: Segment, definitions: dict[int, object]) -> Trial:
    # What is saved was checked when it was.
    definition = definitions.get(row.pk) or read_definitions([row])[row.pk]
    return Trial(parsed(definition), timezone.now(), {})


def _rows(found: Comparison) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = [
        {
            "value": "not known" if value is None else value,
            "left": left,
            "right": right,
            "left_share": _share(left, found.counts[0]),
            "right_share": _share(right, found.counts[1]),
        }
        for value, left, right in found.values
    ]
    if any(found.others):
        shares = {"left_share": _share(found.others[0], found.counts[0])}
        shares["right_share"] = _share(found.others[1], found.counts[1])
        rows.append({"value": "others", "left": found.others[0], "right": found.others[1], **shares})
    return rows


def _share(part: int, whole: int) -> float:
    return round(100 * part / whole, 1) if whole else 0.0


def _chart(found: Comparison, left: Segment, right: Segment) -> dict[str, object]:
    rows = _rows(found)[:CHARTED]
    return {
        "type": "bar",
        "horizontal": True,
        "labels": [str(row["value"])[:40] for row in rows],
        "series": [
            {"label": left.name, "values": [row["left_share"] for row in rows], "colour": "--color-primary-500"},
            {"label": right.name, "values": [row["right_share"] for row in rows], "colour": "--color-orange-500"},
        ],
    }
