"""Static lists: all of them, one with its files and what became of their rows; snapshots and parts of segments."""

from decimal import Decimal, InvalidOperation
from typing import Any

from django.contrib import messages
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from cdp.core.api.pagination import fetch_from, key_from
from cdp.core.errors import CdpError, FieldError
from cdp.core.ui.shell import read_list, show_page, signed_in
from segments.errors import BadTable, SegmentError
from segments.models import ListUploadRow, Segment
from segments.queries.lists import (
    get_list,
    get_upload,
    list_identifier_types,
    list_lists,
    list_upload_rows,
    list_uploads,
)
from segments.queries.segments import list_segments
from segments.services.lists import create_list, delete_list, snapshot_segment, upload_list
from segments.services.splitting import Part, split_segment
from segments.tables import MOST_BYTES, read_table
from segments.ui.forms import ListForm, SnapshotForm, SplitForm

UPLOADS = 20
UNPROCESSABLE = 422


@require_http_methods(["GET", "HEAD", "POST"])
def static_lists(request: HttpRequest) -> HttpResponse:
    """List the lists; by POST make one, of nobody yet or of who is in a segment now, or split a segment."""
    principal = signed_in(request, "segments:write" if request.method == "POST" else "segments:read")
    if request.method != "POST":
        return _show_lists(request)
    act = request.POST.get("act", "")
    form = {"snapshot": SnapshotForm, "split": SplitForm}.get(act, ListForm)(request.POST)
    if not form.is_valid():
        faults = [f"{name}: {text}" for name, texts in form.errors.items() for text in texts]
        return _show_lists(request, faults=faults)
    made, fault = _make(act, form.cleaned_data, actor=principal.actor)
    if fault:
        return _show_lists(request, faults=[fault])
    if made is None:
        messages.success(request, "The parts are segments now.")
        return redirect("segments")
    return redirect("static_list", made)


def _make(act: str, given: dict[str, Any], *, actor: str) -> tuple[str | None, str]:
    """Return the key of the new list, None for parts of a segment, and what is wrong in a sentence."""
    try:
        if act == "split":
            parts = _parts(given["parts"])
            split_segment(key=given["segment"], parts=parts, salt=given["salt"], actor=actor, clock=timezone.now)
            return None, ""
        if act == "snapshot":
            made, _ = snapshot_segment(
                segment_key=given["segment"], key=given["key"], name=given["name"], actor=actor, now=timezone.now()
            )
        else:
            made, _ = create_list(key=given["key"], name=given["name"], actor=actor, now=timezone.now())
    except CdpError as error:
        return None, str(error)
    return made.key, ""


@require_safe
def static_list(request: HttpRequest, key: str) -> HttpResponse:
    """Show a list with the files that were put on it."""
    signed_in(request, "segments:read")
    return _show_list(request, key)


@require_POST
def change_static_list(request: HttpRequest, key: str) -> HttpResponse:
    """Put the people of a file on a list, or delete the list."""
    principal = signed_in(request, "segments:write")
    deletes = request.POST.get("act") == "delete"
    column, kind = request.POST.get("column", "")[:200], request.POST.get("type", "")
    file = request.FILES.get("file")
    upload, fault = _change(key, None if deletes else (file, column, kind), actor=principal.actor)
    if fault:
        return _show_list(request, key, fault=fault, status=UNPROCESSABLE)
    return redirect("static_lists") if upload is None else redirect("static_list_upload", key, upload)


def _change(key: str, given: tuple[Any, str, str] | None, *, actor: str) -> tuple[int | None, str]:
    """Put a file with its column and type on a list, or delete the list; return the upload, and what is wrong."""
    now = timezone.now()
    try:
        if given is None:
            delete_list(key=key, actor=actor, now=now)
            return None, ""
        file, column, kind = given
        if file is None or (file.size or 0) > MOST_BYTES:
            raise BadTable(f"Choose a file of at most {MOST_BYTES // 1_000_000} MB.")
        table = read_table(file.read(), types=list_identifier_types(), column=column, type=kind)
        return upload_list(key=key, table=table, actor=actor, now=now).pk, ""
    except CdpError as error:
        return None, str(error)


@require_safe
def static_list_upload(request: HttpRequest, key: str, upload_id: int) -> HttpResponse:
    """Show what became of each row of a file."""
    signed_in(request, "segments:read")
    upload = get_upload(key=key, upload_id=min(upload_id, 2**63 - 1))
    outcome = request.GET.get("outcome", "")
    rows = list_upload_rows(upload=upload, outcome=outcome)
    page = read_list(request, fetch=fetch_from(rows, "row"), key=key_from("row"), rows=200)
    return show_page(
        request,
        "segments/list_upload.html",
        title=f"File of {upload.list.name}",
        upload=upload,
        page=page,
        outcome=outcome,
        counts=[(label, upload.counts.get(label, 0)) for label in ListUploadRow.Outcome.labels],
        total=sum(upload.counts.values()),
    )


def _show_lists(request: HttpRequest, *, faults: list[str] | None = None) -> HttpResponse:
    rows = list_lists().annotate(count=Count("members__profile_id")).order_by("name", "id")
    return show_page(
        request,
        "segments/lists.html",
        title="Lists",
        status=UNPROCESSABLE if faults else 200,
        lists=rows,
        segments=list_segments().filter(status=Segment.Status.LIVE).order_by("name", "id"),
        faults=faults or [],
        given=request.POST,
    )


def _show_list(request: HttpRequest, key: str, *, fault: str = "", status: int = 200) -> HttpResponse:
    chosen = get_list(key=key)
    return show_page(
        request,
        "segments/list.html",
        title=chosen.name,
        status=status,
        list=chosen,
        count=chosen.members.count(),
        uploads=list_uploads(chosen=chosen).order_by("-id")[:UPLOADS],
        types=["profile_id", *list_identifier_types()],
        fault=fault,
        most=MOST_BYTES // 1_000_000,
    )


def _parts(text: str) -> list[Part]:
    """Read parts, one a line: key, percent."""
    parts = []
    for line in text.splitlines():
        words = line.replace(",", " ").replace("%", " ").split()
        if not words:
            continue
        try:
            parts.append(Part(words[0], "", Decimal(words[1])))
        except (IndexError, InvalidOperation) as error:
            message = f"“{line}” is not a key and a percentage, such as: holdout 10"
            raise SegmentError(message, errors=[FieldError("parts", "invalid_value", message)]) from error
    return parts
