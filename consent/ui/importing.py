"""Tables of consents: upload, progress, what became of the rows."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from cdp.core.api.pagination import fetch_from, key_from
from cdp.core.ui.shell import read_list, show_page, show_part, signed_in
from consent.asking_models import ConsentImport
from consent.queries.importing import get_consent_import, list_consent_imports, list_import_rows
from consent.services.importing import OUTCOMES, REJECTED, NewImport, start_import
from consent.ui.forms import ConsentImportForm


@require_http_methods(["GET", "HEAD", "POST"])
def imports(request: HttpRequest) -> HttpResponse:
    """List the imports of consents; take a table in."""
    writes = request.method == "POST"
    principal = signed_in(request, "consents:write" if writes else "consents:read")
    form = ConsentImportForm(request.POST, request.FILES) if writes else ConsentImportForm()
    if writes and form.is_valid():
        given = form.cleaned_data
        new = NewImport(
            preset=given["preset"],
            actor=principal.actor,
            chunks=given["file"].chunks(),
            purposes=given["purposes"],
            purpose=given["purpose"],
        )
        made = start_import(new=new, now=timezone.now())
        messages.success(request, "The table is being read.")
        return redirect("consent_import", made.pk)
    page = read_list(request, fetch=fetch_from(list_consent_imports(), "-id"), key=key_from("id"))
    return show_page(
        request, "consent/imports.html", title="Import consents", form=form, page=page, status=422 if writes else 200
    )


@require_safe
def one_import(request: HttpRequest, import_id: int) -> HttpResponse:
    """Show an import and its rows, `?outcome=` those with one outcome."""
    signed_in(request, "consents:read")
    made = get_consent_import(import_id=import_id)
    outcome = request.GET.get("outcome", REJECTED)
    rows = list_import_rows(import_id=import_id, outcome=outcome if outcome in OUTCOMES else "")
    page = read_list(request, fetch=fetch_from(rows, "id"), key=key_from("id"))
    return show_page(
        request,
        "consent/import.html",
        title=f"Import of consents {made.pk}",
        made=made,
        page=page,
        outcome=outcome,
        outcomes=OUTCOMES,
        moves=made.status == ConsentImport.Status.QUEUED,
    )


@require_safe
def progress(request: HttpRequest, import_id: int) -> HttpResponse:
    """Answer how far an import is; the page asks again while it moves."""
    signed_in(request, "consents:read")
    made = get_consent_import(import_id=import_id)
    moves = made.status == ConsentImport.Status.QUEUED
    answer = show_part(request, "consent/import_progress.html", made=made, moves=moves)
    if not moves:
        answer.headers["HX-Refresh"] = "true"
    return answer
