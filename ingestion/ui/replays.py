"""Replays: made, watched, run, paused; and one quarantined message processed again."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import messages as notes
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from cdp.core.api.pagination import fetch_from, key_from
from cdp.core.ui.shell import read_list, show_page, show_part, signed_in
from ingestion.models import Outcome, Quarantined, Replay
from ingestion.queries.sources import read_source_keys
from ingestion.queries.traffic import find_messages
from ingestion.services.quarantine import rerun_one
from ingestion.services.replays import Selection, change_replay, create_replay, get_replay
from ingestion.ui.messages import NoSuchMessage

MAX_HOURS = 24 * 366
# What of the counts a person has to know, in this order.
ARCHIVE_WORDS = {
    "changed": "would change|changed",
    "content": "of these: what the event says",
    "identity": "of these: whose it is, or what links it to whom",
    "merges": "profiles would be joined|profiles were joined",
    "unchanged": "stay as they are",
    "kept": "would be refused, suppressed or held today, and stay as they are",
    "gone": "erased or taken out since",
    "failed": "could not be processed, and stay as they are",
}
QUARANTINE_WORDS = {
    "accepted": "would pass|were accepted",
    "quarantined": "would stay in quarantine|stay in quarantine",
    "rejected": "would be filtered out|were filtered out",
    "suppressed": "would be suppressed|were suppressed",
    "held": "would be held for consent|are held for consent",
    "duplicate": "are copies of accepted messages",
    "failed": "could not be processed, and stay in quarantine",
}
# What takes a message out of the quarantine.
MOVES = ("accepted", "rejected", "suppressed", "held", "duplicate")


class ReplayForm(forms.Form):
    """What to replay."""

    kind = forms.ChoiceField(choices=[(kind.value, kind.value) for kind in Replay.Kind])
    source = forms.SlugField(required=False, max_length=64)
    code = forms.CharField(required=False, max_length=100)
    hours = forms.IntegerField(required=False, min_value=1, max_value=MAX_HOURS)


@require_http_methods(["GET", "HEAD", "POST"])
def replays(request: HttpRequest) -> HttpResponse:
    """List the replays, newest first, and make one."""
    writes = request.method == "POST"
    principal = signed_in(request, "sources:write" if writes else "sources:read")
    form = ReplayForm(request.POST if writes else None)
    if writes and form.is_valid():
        given = form.cleaned_data
        now = timezone.now()
        since = now - timedelta(hours=given["hours"]) if given["hours"] else None
        selection = Selection(given["source"], given["code"], since)
        made = create_replay(kind=given["kind"], selection=selection, actor=principal.actor, now=now)
        return redirect("replay", made.pk)
    page = read_list(request, fetch=fetch_from(Replay.objects.select_related("source"), "-id"), key=key_from("id"))
    return show_page(
        request,
        "ingestion/replays.html",
        title="Replays",
        page=page,
        replays=page.rows,
        sources=sorted(read_source_keys().values()),
        form=form,
        status=422 if writes else 200,
    )


@require_safe
def replay(request: HttpRequest, replay_id: int) -> HttpResponse:
    """Show one with its progress."""
    signed_in(request, "sources:read")
    return show_page(request, "ingestion/replay.html", title="Replay", **_context(replay_id))


@require_safe
def progress(request: HttpRequest, replay_id: int) -> HttpResponse:
    """Answer the progress alone."""
    signed_in(request, "sources:read")
    return show_part(request, "ingestion/replay_progress.html", **_context(replay_id))


@require_POST
def change(request: HttpRequest, replay_id: int, act: str) -> HttpResponse:
    """Run, pause, resume or cancel one."""
    principal = signed_in(request, "sources:write")
    change_replay(replay_id=replay_id, act=act, actor=principal.actor, now=timezone.now())
    return redirect("replay", replay_id)


@require_POST
def retry(request: HttpRequest, row_id: int) -> HttpResponse:
    """Process one quarantined message again and show what became of it."""
    signed_in(request, "sources:write")
    row = Quarantined.objects.filter(pk=row_id).first()
    if row is None:
        text = "Nothing in the quarantine has this id. Maybe the message was sent again meanwhile."
        raise NoSuchMessage(text)
    found = rerun_one(row_id=row_id, now=timezone.now())
    if Outcome.QUARANTINED.label in found:
        notes.warning(request, "It still has a fault, and stays in quarantine.")
        return redirect("quarantined", row_id)
    notes.success(request, "It was processed again.")
    rows = [one for one in find_messages(message_id=row.message_id) if one.source_id == row.source_id]
    return redirect("message", rows[0].pk) if rows else redirect("quarantine")


def _context(replay_id: int) -> dict[str, Any]:
    found = get_replay(replay_id=replay_id)
    is_over = found.status in {Replay.Status.DONE, Replay.Status.RUNNING, Replay.Status.PAUSED}
    is_over = is_over or (found.status == Replay.Status.CANCELLED and bool(found.results))
    counts = found.results if is_over else found.expected
    words = QUARANTINE_WORDS if found.kind == Replay.Kind.QUARANTINE else ARCHIVE_WORDS
    return {
        "replay": found,
        "moves": found.status in {Replay.Status.COUNTING, Replay.Status.RUNNING},
        "percent": 100 if not found.total else min(100, round(100 * found.done / found.total)),
        "counts": [
            (text.rpartition("|")[2] if is_over else text.partition("|")[0], counts.get(name, 0))
            for name, text in words.items()
            if counts.get(name) or name in {"changed", "accepted"}
        ],
        "worth_it": bool(
            found.expected.get("changed") or set(found.expected) & (set(QUARANTINE_WORDS) - {"quarantined"})
        ),
    }
