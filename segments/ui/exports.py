"""Pages of exports and their schedules."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from cdp.core.access import Principal
from cdp.core.api.pagination import fetch_from, key_from
from cdp.core.reauthentication import recently_authenticated
from cdp.core.ui.shell import open_one, read_list, show_page, show_part, signed_in
from segments.queries.exports import (
    find_failed_jobs,
    get_export,
    get_exported_segment,
    get_schedule,
    list_schedules,
)
from segments.queries.rights import changeable_segments, visible_exports, visible_segments
from segments.sending_models import Export
from segments.services.sending.exports import NewExport, create_export, delete_export, open_file
from segments.services.sending.filing import CSV_TYPE, PARQUET_TYPE
from segments.services.sending.schedules import NewSchedule, create_schedule, delete_schedule, switch_schedule
from segments.ui.sending_forms import ExportForm, ScheduleForm

READ = ["GET", "HEAD", "POST"]


@require_safe
def exports(request: HttpRequest) -> HttpResponse:
    """List exports, newest first."""
    principal = signed_in(request)
    if not principal.may("segments:read") and not visible_segments(principal=principal).exists():
        signed_in(request, "segments:read")
    rows = visible_exports(principal=principal)
    page = read_list(request, fetch=fetch_from(rows, "-pk"), key=key_from("pk"))
    failed = find_failed_jobs(exports=page.rows)
    told = [{"row": row, "status": _status(row, failed)} for row in page.rows]
    return show_page(request, "segments/exports.html", title="Exports", page=page, exports=told)


@require_http_methods(READ)
@recently_authenticated
def create(request: HttpRequest) -> HttpResponse:
    """Make an export; somebody with rights on single segments chooses among these."""
    principal = signed_in(request)
    segments = changeable_segments(principal=principal)
    if not principal.may("segments:write") and not segments.exists():
        signed_in(request, "segments:write")
    form = ExportForm(request.POST or None, segments=segments, initial={"segment": request.GET.get("segment", "")})
    if form.is_valid():
        made = create_export(new=_asked(form.cleaned_data), principal=principal, now=timezone.now())
        return redirect("export", made.pk)
    return show_page(
        request,
        "segments/create_export.html",
        title="New export",
        form=form,
        masked=not principal.sees_personal_data,
        status=422 if form.is_bound else 200,
    )


@require_safe
def export(request: HttpRequest, export_id: int) -> HttpResponse:
    """Show how far an export is, and who was left out."""
    _, row = _open(request, export_id)
    return show_page(request, "segments/export.html", title=f"Export of {row.segment_key}", **_context(row))


@require_safe
def progress(request: HttpRequest, export_id: int) -> HttpResponse:
    """Answer the numbers alone."""
    _, row = _open(request, export_id)
    return show_part(request, "segments/export_progress.html", **_context(row))


@require_safe
@recently_authenticated
def fetch(request: HttpRequest, export_id: int) -> HttpResponse:
    """Hand out the file; each person in it passes the gate once more."""
    principal, row = _open(request, export_id, "segments:write")
    pieces = open_file(export=row, principal=principal, now=timezone.now())
    kind = PARQUET_TYPE if row.format == Export.Format.PARQUET else CSV_TYPE
    name = f"{row.segment_key}-{row.pk}.{row.format}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    # Django's type of a streaming answer is no subclass of the plain one.
    answer: Any = StreamingHttpResponse(pieces, content_type=kind, headers=headers)
    return answer


@require_POST
def delete(request: HttpRequest, export_id: int) -> HttpResponse:
    """Delete an export with its file."""
    principal, row = _open(request, export_id, "segments:write")
    delete_export(export=row, actor=principal.actor, now=timezone.now())
    messages.success(request, "The export and its file are deleted.")
    return redirect("exports")


@require_safe
def schedules(request: HttpRequest) -> HttpResponse:
    """List schedules."""
    signed_in(request, "segments:read")
    page = read_list(request, fetch=fetch_from(list_schedules(), "pk"), key=key_from("pk"))
    return show_page(request, "segments/export_schedules.html", title="Export schedules", page=page)


@require_http_methods(READ)
@recently_authenticated
def schedule(request: HttpRequest) -> HttpResponse:
    """Set a schedule up."""
    principal = signed_in(request, "segments:write")
    form = ScheduleForm(request.POST or None)
    if form.is_valid():
        given = form.cleaned_data
        new = NewSchedule(
            name=given["name"],
            export=_asked(given),
            every=given["every"],
            at=given["at"],
            weekday=given["weekday"] or 0,
            day=given["day"] or 1,
        )
        create_schedule(new=new, principal=principal, now=timezone.now())
        messages.success(request, "The schedule is set up.")
        return redirect("export_schedules")
    return show_page(
        request,
        "segments/create_export.html",
        title="New schedule",
        form=form,
        is_schedule=True,
        masked=not principal.sees_personal_data,
        status=422 if form.is_bound else 200,
    )


@require_POST
def act_on_schedule(request: HttpRequest, schedule_id: int, act: str) -> HttpResponse:
    """Pause a schedule, let it go on, or delete it."""
    principal = signed_in(request, "segments:write")
    found, now = get_schedule(schedule_id=schedule_id), timezone.now()
    if act == "delete":
        delete_schedule(schedule=found, actor=principal.actor, now=now)
    else:
        switch_schedule(schedule=found, enabled=act == "resume", principal=principal, now=now)
    messages.success(request, {"delete": "Deleted.", "resume": "It goes on."}.get(act, "Paused."))
    return redirect("export_schedules")


def _open(request: HttpRequest, export_id: int, scope: str = "segments:read") -> tuple[Principal, Export]:
    """Return who looks and the export: by their role, or by a right on its segment."""
    principal = signed_in(request)
    if not principal.may(scope):
        open_one(request, lambda: get_exported_segment(export_id=export_id), scope)
    return principal, get_export(export_id=export_id)


def _asked(given: Any) -> NewExport:
    return NewExport(
        segment=given["segment"],
        format=given["format"],
        preset=given["preset"],
        columns=given["columns"],
        purpose=given["purpose"],
        channel=given["channel"],
        recipient=given["recipient"],
    )


def _status(row: Export, failed: dict[int, str]) -> str:
    return Export.Status.FAILED if row.pk in failed else row.status


def _context(row: Export) -> dict[str, Any]:
    failed = find_failed_jobs(exports=[row])
    skipped = sorted(row.skipped.items(), key=lambda one: -one[1])
    done = row.rows + sum(count for _, count in skipped)
    return {
        "export": row,
        "stage": _status(row, failed),
        "fault": row.fault or failed.get(row.pk, ""),
        "skipped": skipped,
        "done": done,
        "percent": min(round(100 * done / row.members), 100) if row.members else 0,
    }
