"""Reconciliations: two sources chosen, how far it is, who is where, and where they disagree."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from cdp.core.api.pagination import fetch_from, key_from
from cdp.core.services.audit import note_read
from cdp.core.ui.shell import read_list, show_page, show_part, signed_in
from ingestion.queries.reconciliations import (
    FIELD_STATES,
    SIDES,
    csv_people,
    get_reconciliation,
    list_people,
    list_reconciliations,
    present_people,
    sorted_fields,
)
from ingestion.queries.sources import read_source_keys
from ingestion.reconciliation_models import Reconciliation
from ingestion.services.reconciling import MOST_EXAMPLES, cancel_reconciliation, create_reconciliation
from profiles.queries.pages import display_name

DATE = forms.DateInput(attrs={"class": "input", "type": "date"})


class ReconciliationForm(forms.Form):
    """Two sources and a period."""

    a = forms.ChoiceField(label="Source A")
    b = forms.ChoiceField(label="Source B")
    since = forms.DateField(required=False, label="From", widget=DATE, help_text="Without it: from the beginning.")
    until = forms.DateField(required=False, label="Until", widget=DATE, help_text="This day included, in UTC.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        keys = sorted(read_source_keys().values())
        for name, first in (("a", 0), ("b", 1)):
            field = self.fields[name]
            field.choices = [(key, key) for key in keys]  # type: ignore[attr-defined]
            field.widget.attrs["class"] = "input"
            field.initial = keys[first] if len(keys) > first else None


@require_http_methods(["GET", "HEAD", "POST"])
def reconciliations(request: HttpRequest) -> HttpResponse:
    """List the reconciliations, newest first, and begin one."""
    writes = request.method == "POST"
    principal = signed_in(request, "profiles:read", "sources:write" if writes else "sources:read")
    form = ReconciliationForm(request.POST if writes else None)
    if writes and form.is_valid():
        given = form.cleaned_data
        made = create_reconciliation(
            a=given["a"],
            b=given["b"],
            since=_start(given["since"]),
            until=_start(given["until"] + timedelta(days=1)) if given["until"] else None,
            actor=principal.actor,
            now=timezone.now(),
        )
        return redirect("reconciliation", made.pk)
    page = read_list(request, fetch=fetch_from(list_reconciliations(), "-id"), key=key_from("id"))
    return show_page(
        request,
        "ingestion/reconciliations.html",
        title="Reconciliation",
        page=page,
        form=form,
        can_compare=len(form.fields["a"].choices) > 1,  # type: ignore[attr-defined]
        status=422 if writes else 200,
    )


@require_safe
def reconciliation(request: HttpRequest, reconciliation_id: int) -> HttpResponse:
    """Show one: who is where, and each field."""
    signed_in(request, "sources:read", "profiles:read")
    found = get_reconciliation(reconciliation_id=reconciliation_id)
    title = f"{found.a.key} and {found.b.key}"
    return show_page(request, "ingestion/reconciliation.html", title=title, **_context(found))


@require_safe
def reconciliation_progress(request: HttpRequest, reconciliation_id: int) -> HttpResponse:
    """Answer what was found so far, for the page that shows it."""
    signed_in(request, "sources:read", "profiles:read")
    found = get_reconciliation(reconciliation_id=reconciliation_id)
    return show_part(request, "ingestion/reconciliation_result.html", **_context(found))


@require_safe
def reconciled_people(request: HttpRequest, reconciliation_id: int) -> HttpResponse:
    """List the people of one side, or those who disagree in a field, with both values."""
    principal = signed_in(request, "sources:read", "profiles:read")
    found = get_reconciliation(reconciliation_id=reconciliation_id)
    field = request.GET.get("field", "")
    state = request.GET.get("state", FIELD_STATES[0] if field else SIDES[0])
    people = list_people(found=found, state=state, field=field)
    page = read_list(request, fetch=fetch_from(people, "id"), key=key_from("id"))
    shown = present_people(page.rows, found=found, field=field, principal=principal, now=timezone.now())
    if principal.sees_personal_data:
        note_read(actor=principal.actor, object=f"reconciliation:{found.pk}:people")
    counts = found.fields[field] if field else {side: getattr(found, side) for side in SIDES}
    return show_page(
        request,
        "ingestion/reconciled_people.html",
        title=f"{found.a.key} and {found.b.key}",
        one=found,
        field=field,
        state=state,
        choices=[(name, _say(name, found), counts.get(name, 0)) for name in (FIELD_STATES if field else SIDES)],
        count=counts.get(state, 0),
        most=MOST_EXAMPLES,
        is_cut=bool(field) and counts.get(state, 0) > MOST_EXAMPLES,
        people=[{**one, "display_name": display_name(one["profile"])} for one in shown],
        page=page,
    )


@require_safe
def reconciled_csv(request: HttpRequest, reconciliation_id: int) -> StreamingHttpResponse:
    """Give a list of people as a file."""
    principal = signed_in(request, "sources:read", "profiles:read")
    found = get_reconciliation(reconciliation_id=reconciliation_id)
    field = request.GET.get("field", "")
    state = request.GET.get("state", "")
    # Refused here, before the answer has begun.
    list_people(found=found, state=state, field=field)
    if principal.sees_personal_data:
        note_read(actor=principal.actor, object=f"reconciliation:{found.pk}:people")
    lines = csv_people(found=found, state=state, field=field, principal=principal, now=timezone.now())
    name = f"reconciliation-{found.pk}-{state}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8", headers=headers)


@require_POST
def stop_reconciliation(request: HttpRequest, reconciliation_id: int) -> HttpResponse:
    """Cancel one that runs."""
    principal = signed_in(request, "sources:write", "profiles:read")
    cancel_reconciliation(reconciliation_id=reconciliation_id, actor=principal.actor, now=timezone.now())
    return redirect("reconciliation", reconciliation_id)


def _start(day: Any) -> datetime | None:
    return datetime.combine(day, time(), UTC) if day else None


def _say(state: str, found: Reconciliation) -> str:
    return {
        "only_a": f"only {found.a.key}",
        "only_b": f"only {found.b.key}",
        "different": "different",
        "form": "same but for its form",
    }[state]


def _context(found: Reconciliation) -> dict[str, Any]:
    moves = found.status == Reconciliation.Status.RUNNING
    return {
        "one": found,
        "moves": moves,
        "percent": 100 if not found.total else min(100, round(100 * found.done / found.total)),
        "fields": [
            {"name": name, "agree": _share(counts), "compared": _compared(counts), **counts}
            for name, counts in sorted_fields(found)
        ],
        "everybody": found.both + found.only_a + found.only_b,
    }


def _compared(counts: dict[str, int]) -> int:
    return counts["same"] + counts["form"] + counts["different"]


def _share(counts: dict[str, int]) -> int | None:
    """Return the percentage of people with the same value among those of whom both sources state one."""
    compared = _compared(counts)
    if not compared:
        return None
    share = 100 * counts["same"] / compared
    # 99.9 % is not all of them.
    return 99 if 99 < share < 100 else round(share)
