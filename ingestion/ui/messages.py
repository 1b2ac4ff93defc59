"""Messages and their outcomes, what waits in the inbox, and what was put aside."""

from typing import Any

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from cdp.core.access import Principal, show
from cdp.core.api.pagination import fetch_from, key_from
from cdp.core.errors import NotFound
from cdp.core.queries.sizes import count_list
from cdp.core.services.audit import note_read
from cdp.core.ui.shell import read_list, show_page, signed_in
from ingestion.models import Message, Outcome, Quarantined, Source
from ingestion.queries.presenting import write_curl
from ingestion.queries.sources import read_source_keys
from ingestion.queries.traffic import (
    find_codes,
    find_messages,
    list_messages,
    list_quarantined,
    list_waiting,
    read_waiting,
)
from ingestion.services.strip import follow_message, show_step
from ingestion.ui.forms import LookupForm

OUTCOMES = {outcome.label: outcome.value for outcome in Outcome}


class NoSuchMessage(NotFound):
    """No message has this id."""

    code = "message.not_found"


@require_safe
def messages(request: HttpRequest) -> HttpResponse:
    """List the latest messages with their outcomes; `?source=` and `?outcome=` narrow."""
    signed_in(request, "sources:read")
    keys = read_source_keys()
    source, outcome = request.GET.get("source", ""), request.GET.get("outcome", "")
    source_id = next((one for one, key in keys.items() if key == source), 0) if source else None
    rows = list_messages(source_id=source_id, outcome=OUTCOMES.get(outcome, 0) if outcome else None)
    page = read_list(request, fetch=fetch_from(rows, "-id"), key=key_from("id"))
    return show_page(
        request,
        "ingestion/messages.html",
        title="Messages",
        page=page,
        messages_shown=[(one, keys.get(one.source_id, "")) for one in page.rows],
        sources=sorted(keys.values()),
        outcomes=list(OUTCOMES),
        source=source,
        outcome=outcome,
        form=LookupForm(),
    )


@require_POST
def look_up(request: HttpRequest) -> HttpResponse:
    """Find a message by the id that its sender gave it; the id travels in the body."""
    signed_in(request, "sources:read")
    form = LookupForm(request.POST)
    found = find_messages(message_id=form.cleaned_data["message_id"]) if form.is_valid() else []
    if len(found) == 1:
        return redirect("message", found[0].pk)
    keys = read_source_keys()
    return show_page(
        request,
        "ingestion/found_messages.html",
        title="Messages with this id",
        messages_shown=[(one, keys.get(one.source_id, "")) for one in found],
        form=form,
    )


@require_safe
def message(request: HttpRequest, row_id: int) -> HttpResponse:
    """Show what became of one message, step by step."""
    principal = signed_in(request, "sources:read")
    row = Message.objects.filter(pk=row_id).first()
    source = Source.objects.filter(pk=row.source_id).first() if row is not None else None
    if row is None or source is None:
        text = "No message has this id."
        raise NoSuchMessage(text)
    strip = follow_message(row=row, source=source)
    if principal.sees_personal_data and strip.raw is not None:
        note_read(actor=principal.actor, object=f"message:{row.pk}")
    return show_page(
        request,
        "ingestion/message.html",
        title="Message",
        message=row,
        source=source.key,
        event=strip.event,
        aside=strip.aside is not None,
        steps=[show_step(principal, step) for step in strip.steps],
        curl=write_curl(strip.raw, base_url=settings.CDP_BASE_URL, principal=principal) if strip.raw else "",
    )


@require_safe
def inbox(request: HttpRequest) -> HttpResponse:
    """List the requests that wait for the processor, oldest first."""
    signed_in(request, "sources:read")
    keys = read_source_keys()
    page = read_list(request, fetch=fetch_from(list_waiting(), "id"), key=key_from("id"))
    return show_page(
        request,
        "ingestion/inbox.html",
        title="Inbox",
        page=page,
        waiting=read_waiting(),
        requests=[(one, keys.get(one.source_id, "")) for one in page.rows],
        now=timezone.now(),
    )


@require_safe
def quarantine(request: HttpRequest) -> HttpResponse:
    """List what was put aside, newest first; `?source=` and `?code=` narrow."""
    signed_in(request, "sources:read")
    keys = read_source_keys()
    source, code = request.GET.get("source", ""), request.GET.get("code", "").replace("\0", "")
    rows = list_quarantined()
    if source:
        rows = rows.filter(source_id=next((one for one, key in keys.items() if key == source), 0))
    if code:
        rows = rows.filter(code=code)
    page = read_list(request, fetch=fetch_from(rows, "-row_id"), key=key_from("row_id"))
    return show_page(
        request,
        "ingestion/quarantine.html",
        title="Quarantine",
        page=page,
        quarantined=[(one, keys.get(one.source_id, "")) for one in page.rows],
        size=count_list(rows),
        sources=sorted(keys.values()),
        codes=find_codes(),
        source=source,
        code=code,
    )


@require_safe
def quarantined(request: HttpRequest, row_id: int) -> HttpResponse:
    """Show one message that was put aside, with its fault and payload."""
    principal = signed_in(request, "sources:read")
    row = Quarantined.objects.filter(pk=row_id).first()
    if row is None:
        text = "Nothing in the quarantine has this id."
        raise NoSuchMessage(text)
    return show_page(
        request,
        "ingestion/quarantined.html",
        title="In quarantine",
        row=row,
        source=read_source_keys().get(row.source_id, ""),
        payload=_payload(bytes(row.payload), principal),
    )


def _payload(raw: bytes, principal: Principal) -> Any:
    """Return the payload as it may be seen: JSON where it is some, else text."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        value = raw.decode("utf-8", "replace")
    return show(principal, value)
