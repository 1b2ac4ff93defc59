"""The tracking plan of a source: seen, tried, saved, proposed, brought from Segment; and what was discovered."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from cdp.core.api.pagination import fetch_from, key_from
from cdp.core.ui.shell import read_list, show_page
from ingestion.models import TreatmentKind
from ingestion.queries.observed import list_discovered
from ingestion.queries.treatments import find_version
from ingestion.services.examining import Examined, examine_segment_plan, propose_plan
from ingestion.services.treatments import MAX_DEFINITION_BYTES
from ingestion.treatment.segment_plan import export_plan
from ingestion.ui.editing import OK, UNPROCESSABLE, answer_editor, show_editor
from ingestion.ui.opening import open_source

PLAN = TreatmentKind.PLAN
PAGE: dict[str, Any] = {"kind": PLAN, "template": "ingestion/plan.html", "title": "Tracking plan"}
ORDER = ("type", "event", "property")


@require_http_methods(["GET", "HEAD", "POST"])
def plan(request: HttpRequest, key: str) -> HttpResponse:
    """Show the plan with what it found, and change it."""
    return answer_editor(request, key=key, **PAGE)


@require_safe
def propose(request: HttpRequest, key: str) -> HttpResponse:
    """Put a plan that recent messages keep into the editor; nothing is saved."""
    _, source = open_source(request, key)
    return show_editor(request, source=source, examined=propose_plan(source=source), proposed=True, **PAGE)


@require_POST
def bring(request: HttpRequest, key: str) -> HttpResponse:
    """Put Segment's plan into the editor; nothing is saved."""
    _, source = open_source(request, key)
    file = request.FILES.get("file")
    if file is None:
        text = request.POST.get("document", "")
    else:
        text = file.read(MAX_DEFINITION_BYTES + 1).decode("utf-8-sig", "replace")
    found: Examined = examine_segment_plan(source=source, text=text)
    status = UNPROCESSABLE if found.faults else OK
    return show_editor(request, source=source, examined=found, brought=True, status=status, **PAGE)


@require_safe
def give(request: HttpRequest, key: str) -> HttpResponse:
    """Answer the plan in force as a file in Segment's shape."""
    _, source = open_source(request, key)
    row = find_version(source=source, kind=PLAN)
    answer = JsonResponse(export_plan(row.definition if row else {}), json_dumps_params={"indent": 2})
    answer["Content-Disposition"] = f'attachment; filename="{source.key}-tracking-plan.json"'
    return answer


@require_safe
def discovered(request: HttpRequest, key: str) -> HttpResponse:
    """List the events and properties that the source was seen to send; `?event=` and `?unplanned=1` narrow."""
    _, source = open_source(request, key)
    event = request.GET.get("event", "")
    unplanned = bool(request.GET.get("unplanned"))
    rows = list_discovered(source=source, event=event or None, unplanned=unplanned)
    page = read_list(request, fetch=fetch_from(rows, *ORDER), key=key_from(*ORDER))
    return show_page(
        request,
        "ingestion/discovered.html",
        title=f"Discovered: {source.name}",
        source=source,
        page=page,
        event=event,
        unplanned=unplanned,
        has_plan=bool(source.plan_version),
    )
