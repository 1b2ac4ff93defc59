"""Imports: a file in, what becomes of its columns, a trial, how far it is, and what became of its rows."""

from typing import Any

import orjson
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from cdp.core.access import Principal, show
from cdp.core.api.pagination import fetch_from, key_from
from cdp.core.sealed_files import open_sealed
from cdp.core.services.audit import note_read
from cdp.core.ui.shell import read_list, show_page, show_part, signed_in
from ingestion.imports.cells import plain
from ingestion.imports.reading import read_sample
from ingestion.models import Import, RowOutcome
from ingestion.queries.imports import ROW_OUTCOMES, csv_rows, get_import, list_imports, rows_from
from ingestion.services.import_trial import Trial, try_import
from ingestion.services.import_undo import OVER, undo_import
from ingestion.services.imports import Upload, cancel_import, shape_of, start_import, upload_file
from ingestion.ui.import_forms import MappingForm, UploadForm

SAMPLES = 3
SHOWN_CHARACTERS = 40
TRIED_ROWS = 20_000
MOVING = (Import.Status.QUEUED, Import.Status.RUNNING, Import.Status.UNDOING)


@require_http_methods(["GET", "HEAD", "POST"])
def imports(request: HttpRequest) -> HttpResponse:
    """List the imports; take a new file in."""
    writes = request.method == "POST"
    principal = signed_in(request, "sources:write" if writes else "sources:read")
    form = UploadForm(request.POST, request.FILES) if writes else UploadForm()
    if writes and form.is_valid():
        file = form.cleaned_data["file"]
        made = upload_file(upload=Upload(file.chunks(), file.name or ""), actor=principal.actor, now=timezone.now())
        return redirect("import", made.pk)
    page = read_list(request, fetch=fetch_from(list_imports(), "-id"), key=key_from("id"))
    return show_page(
        request, "ingestion/imports.html", title="Imports", page=page, form=form, status=422 if writes else 200
    )


@require_http_methods(["GET", "HEAD", "POST"])
def one_import(request: HttpRequest, import_id: int) -> HttpResponse:
    """Show an import; while it waits for its mapping, ask for that, try it, or start it."""
    writes = request.method == "POST"
    principal = signed_in(request, "sources:write" if writes else "sources:read")
    found = get_import(import_id=import_id)
    if found.status != Import.Status.UPLOADED:
        return _show_rows(request, principal, found)
    form = MappingForm(found, request.POST if writes else None)
    trial: Trial | None = None
    if writes and form.is_valid():
        source = form.cleaned_data["source"]
        if "start" in request.POST:
            start_import(
                import_id=found.pk, source_key=source, mapping=form.mapping, actor=principal.actor, now=timezone.now()
            )
            messages.success(request, "The import has begun.")
            return redirect("import", found.pk)
        trial = _try(found, source, form)
    return show_page(
        request,
        "ingestion/map_import.html",
        title=f"Import of {found.file_name or found.pk}",
        one=found,
        form=form,
        columns=form.column_rows(_samples(found, principal)),
        trial=trial,
        outcomes=[(name, trial.counts[name]) for name in ROW_OUTCOMES if trial.counts[name]] if trial else [],
        status=422 if writes and trial is None else 200,
    )


@require_safe
def import_progress(request: HttpRequest, import_id: int) -> HttpResponse:
    """Answer how far an import is, for the page that shows it."""
    signed_in(request, "sources:read")
    found = get_import(import_id=import_id)
    answer = show_part(request, "ingestion/import_progress.html", one=found, **_progress(found))
    if found.status not in MOVING:
        # The page around it shows other things now.
        answer.headers["HX-Refresh"] = "true"
    return answer


@require_POST
def stop_import(request: HttpRequest, import_id: int) -> HttpResponse:
    """Cancel an import."""
    principal = signed_in(request, "sources:write")
    cancel_import(import_id=import_id, actor=principal.actor, now=timezone.now())
    messages.success(request, "The import was cancelled.")
    return redirect("import", import_id)


@require_POST
def take_back_import(request: HttpRequest, import_id: int) -> HttpResponse:
    """Undo an import."""
    principal = signed_in(request, "sources:write")
    undo_import(import_id=import_id, actor=principal.actor, now=timezone.now())
    messages.success(request, "The import is being taken back.")
    return redirect("import", import_id)


@require_safe
def import_rows(request: HttpRequest, import_id: int) -> StreamingHttpResponse:
    """Give what became of the rows as a file."""
    principal = signed_in(request, "sources:read")
    found = get_import(import_id=import_id)
    if principal.sees_personal_data:
        note_read(actor=principal.actor, object=f"import:{found.pk}:rows")
    outcome = request.GET.get("outcome", "")
    lines = csv_rows(found, outcome=outcome if outcome in ROW_OUTCOMES else "", principal=principal)
    headers = {
        "Content-Disposition": f'attachment; filename="import-{found.pk}-rows.csv"',
        "Cache-Control": "no-store",
    }
    return StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8", headers=headers)


def _show_rows(request: HttpRequest, principal: Principal, found: Import) -> HttpResponse:
    outcome = request.GET.get("outcome", "rejected")
    wanted = outcome if outcome in ROW_OUTCOMES else ""
    page = read_list(request, fetch=rows_from(import_id=found.pk, outcome=wanted), key=lambda row: (row["row"],))
    rows = [
        {**row, "values": show(principal, orjson.loads(row["payload"])) if row["payload"] else None}
        for row in page.rows
    ]
    return show_page(
        request,
        "ingestion/import.html",
        title=f"Import of {found.file_name or found.pk}",
        one=found,
        page=page,
        rows=rows,
        outcome=wanted,
        outcome_names=ROW_OUTCOMES,
        can_undo=found.status in OVER and found.began_at is not None and found.rows > 0,
        **_progress(found),
    )


def _progress(found: Import) -> dict[str, Any]:
    return {
        "moves": found.status in MOVING,
        "counts": [(one.label, getattr(found, one.label)) for one in RowOutcome],
    }


def _samples(found: Import, principal: Principal) -> list[list[str]]:
    """Return the first values of each column as they may be seen."""
    with open_sealed(found.file) as file:
        rows = read_sample(file, shape_of(found)).rows
    samples = []
    for place in range(len(found.shape["columns"])):
        values = [row[place] for row in rows if row[place] not in (None, "")][:SAMPLES]
        shown = [show(principal, plain(value)) for value in values]
        samples.append([_short(value) for value in shown])
    return samples


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"


def _try(found: Import, source: str, form: MappingForm) -> Trial:
    with open_sealed(found.file) as file:
        return try_import(
            file=file,
            shape=shape_of(found),
            types=found.types,
            source_key=source,
            mapping=form.mapping,
            now=timezone.now(),
            most_rows=TRIED_ROWS,
        )
