"""The audit trail as a page: filters, and export of what they leave."""

from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe

from cdp.core.api.audit import present_entry
from cdp.core.api.pagination import fetch_from
from cdp.core.api.times import read_time
from cdp.core.models import AuditEntry
from cdp.core.queries.audit import find_entries, name_people
from cdp.core.queries.sizes import count_list
from cdp.core.services.audit import record
from cdp.core.spreadsheets import csv_lines
from cdp.core.ui.shell import read_list, show_page, signed_in

COLUMNS = ("seq", "at", "actor", "action", "object", "detail", "hash")
FILTERS = ("actor", "action", "object", "since", "until")
READ_BATCH = 2000
# An entry takes five lines on a telephone.
ROWS = 20


@require_safe
def audit_trail(request: HttpRequest) -> HttpResponseBase:
    """List who did what, newest first; `?format=csv` gives all that the filters leave."""
    principal = signed_in(request, "audit:read")
    given = {name: request.GET.get(name, "").strip().replace("\0", "") for name in FILTERS}
    entries = find_entries(
        actor=given["actor"],
        action=given["action"],
        object=given["object"],
        since=read_time(given["since"] or None, path="since"),
        until=read_time(given["until"] or None, path="until"),
    )
    if request.GET.get("format") == "csv":
        record(actor=principal.actor, action="audit.exported", object="audit:trail", detail={"filters": _used(given)})
        answer = StreamingHttpResponse(csv_lines(COLUMNS, _rows(entries)), content_type="text/csv")
        answer["Content-Disposition"] = 'attachment; filename="audit.csv"'
        return answer
    query = request.GET.copy()
    query["format"] = "csv"
    query.pop("cursor", None)
    page = read_list(request, fetch=fetch_from(entries, "-id"), key=lambda row: (row.pk,), rows=ROWS)
    people = name_people({name for row in page.rows for name in (row.actor, row.object)})
    return show_page(
        request,
        "core/audit.html",
        title="Audit trail",
        page=page,
        shown=[(row, people.get(row.actor, ""), people.get(row.object, "")) for row in page.rows],
        size=count_list(entries),
        given=given,
        export=f"?{query.urlencode()}",
    )


def _used(given: dict[str, str]) -> list[str]:
    return [name for name, value in given.items() if value]


def _rows(entries: Any) -> Iterator[list[Any]]:
    entry: AuditEntry
    for entry in entries.order_by("id").iterator(chunk_size=READ_BATCH):
        shown = present_entry(entry)
        yield [str(shown[name]) if name == "at" else shown[name] for name in COLUMNS]
