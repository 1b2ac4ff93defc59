"""Pages of the records: register of processing, data map, retention, disclosures, self-check."""

import json

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from cdp.core.api.pagination import fetch_from
from cdp.core.queries.sizes import count_list
from cdp.core.spreadsheets import csv_lines
from cdp.core.ui.shell import read_list, show_page, signed_in
from cdp.site.forms import RetentionForm
from cdp.site.lineage import draw, name_flows, read_lineage
from cdp.site.records import COLUMNS, HEADINGS, export_register, present_rows, read_register, register_rows
from cdp.site.self_check import find_gaps, read_last_check
from consent.disclosure_models import Disclosure
from consent.queries.desk import name_profiles
from consent.retention_models import RegisterEdition, RetentionRule, RetentionRun
from consent.services.retention import delete_rule, get_rule, save_rule, try_rule

READ = ["GET", "HEAD", "POST"]
EDITIONS = 20
# Of six lines each on a telephone.
DISCLOSURES = 20


@require_safe
def records(request: HttpRequest) -> HttpResponseBase:
    """Show the register of processing activities and its dated editions; `?format=csv` gives it as a table."""
    signed_in(request, "privacy:read")
    document = read_register(now=timezone.now())
    if request.GET.get("format") == "csv":
        answer = StreamingHttpResponse(csv_lines(COLUMNS, register_rows(document)), content_type="text/csv")
        answer["Content-Disposition"] = 'attachment; filename="processing-register.csv"'
        return answer
    return show_page(
        request,
        "site/records.html",
        title="Records of processing",
        register=document,
        headings=HEADINGS,
        rows=present_rows(document),
        editions=RegisterEdition.objects.order_by("-id")[:EDITIONS],
        findings=find_gaps(),
        last_check=read_last_check(),
    )


@require_POST
def make_edition(request: HttpRequest) -> HttpResponse:
    """Keep a dated edition of the register."""
    principal = signed_in(request, "privacy:write")
    export_register(actor=principal.actor, now=timezone.now())
    messages.success(request, "The edition is kept.")
    return redirect("records")


@require_safe
def edition(request: HttpRequest, edition_id: int) -> HttpResponse:
    """Answer a dated edition as a file."""
    signed_in(request, "privacy:read")
    row = RegisterEdition.objects.filter(pk=edition_id).first()
    if row is None:
        return redirect("records")
    answer = HttpResponse(json.dumps(row.document, indent=2), content_type="application/json")
    answer["Content-Disposition"] = f'attachment; filename="processing-register-{row.made_at:%Y-%m-%d}.json"'
    return answer


@require_safe
def data_map(request: HttpRequest) -> HttpResponse:
    """Draw where data comes from and where it goes."""
    signed_in(request, "privacy:read")
    nodes, flows = read_lineage(now=timezone.now())
    return show_page(
        request,
        "site/data_map.html",
        title="Data map",
        drawing=draw(nodes, flows),
        flows=name_flows(nodes, flows),
    )


@require_http_methods(READ)
def retention(request: HttpRequest) -> HttpResponse:
    """List retention schedules and what they deleted, and save one."""
    writes = request.method == "POST"
    principal = signed_in(request, "privacy:write" if writes else "privacy:read")
    form = RetentionForm(request.POST if writes else None)
    if writes and form.is_valid():
        given = form.cleaned_data
        save_rule(
            kind=given["kind"],
            name=given["name"],
            fields={"keep_days": given["keep_days"], "reason": given["reason"]},
            actor=principal.actor,
            now=timezone.now(),
        )
        messages.success(request, "Saved. It is carried out each night; try it first.")
        return redirect("retention")
    rows = RetentionRun.objects.all()
    return show_page(
        request,
        "site/retention.html",
        title="Retention",
        form=form,
        rules=RetentionRule.objects.order_by("kind", "name"),
        page=read_list(request, fetch=fetch_from(rows, "-id"), key=lambda row: (row.pk,)),
        size=count_list(rows),
        status=422 if writes else 200,
    )


@require_POST
def try_retention(request: HttpRequest, kind: str, name: str) -> HttpResponse:
    """Count what a schedule would delete."""
    signed_in(request, "privacy:write")
    run = try_rule(rule=get_rule(kind=kind, name=name), now=timezone.now())
    messages.info(request, f"It would take {run.rows} rows of {run.profiles} people. Nothing was deleted.")
    return redirect("retention")


@require_POST
def end_retention(request: HttpRequest, kind: str, name: str) -> HttpResponse:
    """End a schedule."""
    principal = signed_in(request, "privacy:write")
    delete_rule(kind=kind, name=name, actor=principal.actor, now=timezone.now())
    messages.success(request, "The schedule has ended; its proofs stay.")
    return redirect("retention")


@require_safe
def disclosures(request: HttpRequest) -> HttpResponse:
    """List who received data, when and for what; people by their public ids."""
    signed_in(request, "privacy:read")
    rows = Disclosure.objects.select_related("terms")
    recipient = request.GET.get("recipient", "").replace("\0", "")
    if recipient:
        rows = rows.filter(terms__recipient=recipient)
    page = read_list(request, fetch=fetch_from(rows, "-at", "-id"), key=lambda row: (row.at, row.id), rows=DISCLOSURES)
    names = name_profiles({row.profile_id for row in page.rows})
    return show_page(
        request,
        "site/disclosures.html",
        title="Disclosures",
        page=page,
        size=count_list(rows),
        shown=[(row, names.get(row.profile_id, "")) for row in page.rows],
        recipient=recipient,
    )
