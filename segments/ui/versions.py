"""The versions of a definition: what differs between two, going back to one, and the definition as a file."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from cdp.core.ui.shell import show_page
from segments.models import Segment, SegmentVersion
from segments.queries.segments import list_versions, read_definitions
from segments.queries.versions import compare_definitions, get_version
from segments.services.definitions import change_segment
from segments.ui.opening import may_change, open_segment
from segments.ui.words import read_number, tell_versions

MOST = 200


@require_safe
def versions(request: HttpRequest, key: str) -> HttpResponse:
    """Show all versions, and what differs between two of them."""
    principal, row = open_segment(request, key)
    rows = list(list_versions(segment=row).order_by("-version")[:MOST])
    after = _chosen(request, "to", row, rows[0])
    before = _chosen(request, "from", row, next((one for one in rows if one.version < after.version), after))
    return show_page(
        request,
        "segments/versions.html",
        title=f"Versions of {row.name}",
        segment=row,
        versions=tell_versions(rows),
        before=before,
        after=after,
        lines=compare_definitions(before=before.definition, after=after.definition),
        may_change=may_change(principal, row),
    )


@require_POST
def restore(request: HttpRequest, key: str) -> HttpResponse:
    """Go back to an earlier definition: it becomes the latest version, and nothing is lost."""
    principal, row = open_segment(request, key, "segments:write")
    text = request.POST.get("version", "")
    version = get_version(
        segment=row, version=int(text) if text.isascii() and text.isdecimal() and len(text) < 7 else 0
    )
    fields = {"definition": version.definition}
    made = change_segment(key=row.key, fields=fields, actor=principal.actor, clock=timezone.now)
    messages.success(request, f"Version {version.version} is the definition again, as version {made.version}.")
    return redirect("segment", row.key)


@require_safe
def definition(request: HttpRequest, key: str) -> HttpResponse:
    """Answer name and definition as a file."""
    _, row = open_segment(request, key)
    whole = {"name": row.name, "tags": row.tags, "definition": read_definitions([row])[row.pk]}
    response = JsonResponse(whole, json_dumps_params={"indent": 2, "ensure_ascii": False})
    response["Content-Disposition"] = f'attachment; filename="{row.key}.json"'
    return response


def _chosen(request: HttpRequest, name: str, row: Segment, usual: SegmentVersion) -> SegmentVersion:
    text = request.GET.get(name, "")
    return get_version(segment=row, version=read_number(text)) if text else usual
