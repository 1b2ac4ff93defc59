"""The debugger of a source: its last messages as they arrive."""

import hashlib
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from cdp.core.ui.shell import show_page, show_part
from ingestion.models import Source
from ingestion.queries.tail import OUTCOMES, PENDING, TailRow, count_waiting, find_latest, read_wanted
from ingestion.ui.forms import LookupForm
from ingestion.ui.opening import open_source

FILTERS = ("outcome", "event", "property")
NO_CONTENT = 204


@require_safe
def debugger(request: HttpRequest, key: str) -> HttpResponse:
    """Show the last messages; `?outcome=`, `?event=` and `?property=` narrow, `?paused=1` stops the clock."""
    _, source = open_source(request, key)
    return show_page(
        request,
        "ingestion/debugger.html",
        title=f"Debugger: {source.name}",
        outcomes=[PENDING, *OUTCOMES],
        given={name: request.GET.get(name, "") for name in FILTERS},
        form=LookupForm(),
        **_tail(request, source),
    )


@require_safe
def debugger_rows(request: HttpRequest, key: str) -> HttpResponse:
    """Answer the list alone; nothing if it is as the page has it."""
    _, source = open_source(request, key)
    context = _tail(request, source)
    if request.GET.get("seen") == context["seen"]:
        return HttpResponse(status=NO_CONTENT)
    return show_part(request, "ingestion/debugger_rows.html", **context)


def _tail(request: HttpRequest, source: Source) -> dict[str, Any]:
    given = {name: request.GET.get(name, "") for name in FILTERS}
    rows = find_latest(source_id=source.pk, wanted=read_wanted(**given))
    waiting = count_waiting(source_id=source.pk)
    filters = {name: value for name, value in given.items() if value}
    seen = _signature(rows, waiting)
    address = reverse("debugger_rows", args=[source.key])
    return {
        "rows": rows,
        "waiting": waiting,
        "paused": bool(request.GET.get("paused")),
        "filtered": bool(filters),
        "wanted_outcome": given["outcome"],
        "seen": seen,
        "poll": f"{address}?{urlencode({**filters, 'seen': seen})}",
        "pause": f"?{urlencode({**filters, 'paused': '1'})}",
        "go_on": f"?{urlencode(filters)}",
        "source": source,
    }


def _signature(rows: list[TailRow], waiting: int) -> str:
    """Return what changes whenever the list does."""
    text = repr([(row.row_id, row.outcome, row.copies) for row in rows]) + str(waiting)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
