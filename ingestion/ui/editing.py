"""The editor of a source's transformations, plan or cleaning: text, check, versions, messages before and after."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone

from cdp.core.access import Principal
from cdp.core.api.pagination import fetch_from, key_from
from cdp.core.services.audit import note_read
from cdp.core.ui.shell import read_list, show_page, signed_in
from ingestion.models import Source, TreatmentKind
from ingestion.queries.findings import read_findings
from ingestion.queries.presenting import PLAIN
from ingestion.queries.treatments import find_version, get_version, list_versions
from ingestion.services.examining import EMPTY, Edit, Examined, edit_treatment, examine, write_definition
from ingestion.services.treatments import MAX_NOTE_CHARACTERS
from ingestion.services.trying import Tried
from ingestion.spec.differences import ABSENT, Difference, find_differences
from ingestion.treatment.cleaning import RAW
from ingestion.treatment.shapes import safe_name, shape_of
from ingestion.ui.opening import open_source

SHOWN = 10
VERSIONS = 10
HOURS = {"24": "24 hours", "168": "7 days", "2160": "90 days"}
UNPROCESSABLE, CONFLICT, OK = 422, 409, 200


class EditForm(forms.Form):
    """What an editor sends."""

    text = forms.CharField(required=False, strip=False)
    note = forms.CharField(required=False, max_length=MAX_NOTE_CHARACTERS)
    checked = forms.CharField(required=False, max_length=64)
    accept_losses = forms.BooleanField(required=False)


@dataclass(frozen=True, slots=True)
class Shown:
    """One recent message before and after, as a caller may see it."""

    received_at: datetime
    name: str
    aside: str
    is_stopped: bool
    findings: list[str]
    differences: list[dict[str, Any]]


def answer_editor(
    request: HttpRequest, *, key: str, kind: TreatmentKind, template: str, title: str, **more: Any
) -> HttpResponse:
    """Show the editor; by POST check what was typed, or save it.

    Checking needs `sources:read`, as the previews of REST do; saving `sources:write`.
    """
    if request.method != "POST":
        _, source = open_source(request, key)
        return show_editor(request, source=source, kind=kind, template=template, title=title, **more)
    saves = request.POST.get("act") == "save"
    principal, source = open_source(request, key, "sources:write" if saves else "sources:read")
    form = EditForm(request.POST)
    form.is_valid()
    given = form.cleaned_data
    edit = Edit(
        given.get("text", ""), given.get("note", ""), given.get("checked", ""), given.get("accept_losses", False)
    )
    if saves and not form.errors:
        examined = edit_treatment(source=source, kind=kind, edit=edit, actor=principal.actor, now=timezone.now())
    else:
        examined = examine(source=source, kind=kind, text=edit.text)
    if examined.saved is not None:
        messages.success(request, f"Version {examined.saved} is in force from the next messages on.")
        return redirect(request.path)
    return show_editor(
        request,
        source=source,
        kind=kind,
        template=template,
        title=title,
        examined=examined,
        note=edit.note,
        asked_to_save=saves,
        changed_since=saves and examined.can_be_saved and edit.checked != examined.digest,
        status=_status(examined, saves=saves or bool(form.errors)),
        note_faults=form.errors.get("note"),
        **more,
    )


def _status(examined: Examined, *, saves: bool) -> int:
    if not examined.can_be_saved:
        return UNPROCESSABLE
    return CONFLICT if saves else OK


def show_editor(
    request: HttpRequest,
    *,
    source: Source,
    kind: TreatmentKind,
    template: str,
    title: str,
    examined: Examined | None = None,
    **more: Any,
) -> HttpResponse:
    """Show the page of a kind: the editor with what was examined, what was found, the versions."""
    principal = signed_in(request)
    in_force = find_version(source=source, kind=kind)
    wanted = request.GET.get("version", "")
    number = int(wanted) if wanted.isdecimal() and len(wanted) < len(str(2**31)) else None
    shown = in_force if number is None else get_version(source=source, kind=kind, version=number)
    if examined is not None and examined.tried and principal.sees_personal_data:
        note_read(actor=principal.actor, object=f"source:{source.key}")
    rows = list_versions(source=source, kind=kind).defer("definition")
    hours = request.GET.get("hours", "24")
    hours = hours if hours in HOURS else "24"
    context: dict[str, Any] = {
        "source": source,
        "kind": kind.value,
        "in_force": in_force,
        "loaded": shown if number is not None and shown != in_force else None,
        "text": examined.text if examined else write_definition(shown.definition if shown else EMPTY[kind]),
        "examined": examined,
        "examples": show_tried(principal, examined.tried) if examined else [],
        "page": read_list(request, fetch=fetch_from(rows, "-version"), key=key_from("version"), rows=VERSIONS),
        "hours": hours,
        "windows": HOURS,
        "most_note": MAX_NOTE_CHARACTERS,
        **more,
    }
    if kind != TreatmentKind.TRANSFORMATIONS:
        context["findings"] = read_findings(source=source, kind=kind, hours=int(hours), now=timezone.now())
    return show_page(request, template, title=f"{title}: {source.name}", **context)


def show_tried(principal: Principal, tried: Any) -> list[Shown]:
    """Return the messages that would change, those that would be stopped first; only shapes of what is personal."""
    changed = [one for one in tried if one.is_changed or one.findings]
    changed.sort(key=lambda one: not one.is_newly_stopped)
    return [_show(principal, one) for one in changed[:SHOWN]]


def _show(principal: Principal, one: Tried) -> Shown:
    message = one.sample.message
    found = find_differences(message, one.after) if one.after is not None else ()
    event = message.get("event")
    return Shown(
        received_at=one.sample.received_at,
        name=" · ".join(str(part) for part in (message.get("type"), event) if isinstance(part, str) and part),
        aside=one.sample.aside,
        is_stopped=one.after is None,
        findings=[f"{finding.path or 'the event'}: {finding.rule} ({finding.action})" for finding in one.findings],
        differences=[
            _show_difference(principal, difference)
            for difference in found
            if not _is_note(difference, message.get("context"))
        ],
    )


def _is_note(difference: Difference, context: Any) -> bool:
    """Tell whether it is where cleaning notes what was sent, which the other differences show."""
    if difference.path == "context" and not context and isinstance(difference.after, Mapping):
        return set(difference.after) == {RAW}
    return difference.path.startswith(f"context.{RAW}")


def _show_difference(principal: Principal, difference: Difference) -> dict[str, Any]:
    """As in the debugger, but shapes in place of masks: what a change does shows in them."""
    plain = principal.sees_personal_data or difference.path.partition(".")[0] in PLAIN
    path = difference.path
    if not principal.sees_personal_data:
        path = ".".join(part if part.isdecimal() and len(part) < 4 else safe_name(part) for part in path.split("."))
    shown: dict[str, Any] = {"path": path, "kind": difference.kind}
    for side, value in (("before", difference.before), ("after", difference.after)):
        if value is not ABSENT:
            shown[side] = value if plain else shape_of(value)
    return shown
