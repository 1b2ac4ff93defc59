"""What surrounds a request on the desk: identity, particulars, shared identifiers, notes, letters, copies."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_POST

from cdp.core.access import PERSONAL_DATA
from cdp.core.downloads import download
from cdp.core.reauthentication import recently_authenticated
from cdp.core.ui.shell import signed_in
from consent.queries.matrix import find_held
from consent.queries.requests import get_request
from consent.services.identity import ask_identity
from consent.services.letters import dispatch_letter, draft_letter
from consent.services.lifting import lift_restriction
from consent.services.notes import add_note
from consent.services.packages import remake_package, take_package
from consent.services.requests import amend_request, cancel_request, verify_request
from consent.ui.forms import CorrectionForm, LetterForm, NoteForm, ParticularsForm, ReasonForm, read_or_refuse
from profiles.queries.people import name_identifier


@require_POST
def ask_who(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """Mail the person a link and a code."""
    principal = signed_in(request, "privacy:write")
    ask_identity(request_id=request_id, actor=principal.actor, now=timezone.now())
    messages.success(request, "A mail with a link and a code is on its way. The clock stands still until they answer.")
    return redirect("privacy_request", request_id)


@require_POST
@recently_authenticated
def verify(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """Note that the officer has made sure who the person is."""
    principal = signed_in(request, "privacy:write")
    verify_request(request_id=str(request_id), verified_by=principal.actor, actor=principal.actor, now=timezone.now())
    return redirect("privacy_request", request_id)


@require_POST
def cancel(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """End a request that the person took back."""
    principal = signed_in(request, "privacy:write")
    given = read_or_refuse(ReasonForm, request.POST)
    cancel_request(request_id=str(request_id), reason=given["reason"], actor=principal.actor, now=timezone.now())
    messages.success(request, "The request is cancelled.")
    return redirect("privacy_request", request_id)


@require_POST
@recently_authenticated
def lift_freeze(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """End a restriction of processing."""
    principal = signed_in(request, "privacy:write")
    given = read_or_refuse(ReasonForm, request.POST)
    lift_restriction(
        request_id=str(request_id),
        reason=given["reason"],
        person_told=bool(request.POST.get("person_told")),
        actor=principal.actor,
        now=timezone.now(),
    )
    messages.success(request, "The restriction has ended; the person's data is used again.")
    return redirect("privacy_request", request_id)


@require_POST
def change(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """Change where letters go and in which language."""
    principal = signed_in(request, "privacy:write")
    given = read_or_refuse(ParticularsForm, request.POST)
    return _amend(request, request_id, principal.actor, given)


@require_POST
def correct(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """Say what a trait should be."""
    principal = signed_in(request, "privacy:write", PERSONAL_DATA)
    given = read_or_refuse(CorrectionForm, request.POST)
    return _amend(request, request_id, principal.actor, {"correct": given})


@require_POST
def share(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """Decide which identifiers are other people's as well."""
    principal = signed_in(request, "privacy:write")
    ticked = set(request.POST.getlist("shared"))
    held = find_held(request=get_request(request_id=str(request_id)))
    shared = [name_identifier(type=one.type, value=one.value) for one in held if one.digest in ticked]
    return _amend(request, request_id, principal.actor, {"shared": shared})


@require_POST
def note(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """Write something down."""
    principal = signed_in(request, "privacy:write")
    given = read_or_refuse(NoteForm, request.POST)
    row = get_request(request_id=str(request_id))
    add_note(request=row, text=given["text"], actor=principal.actor, now=timezone.now())
    return redirect("privacy_request", request_id)


@require_POST
def write_letter(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """Keep a letter, and send it where that was asked."""
    principal = signed_in(request, "privacy:write", PERSONAL_DATA)
    given = read_or_refuse(LetterForm, request.POST)
    now = timezone.now()
    row = get_request(request_id=str(request_id))
    letter = draft_letter(
        request=row,
        kind=given["kind"],
        language=given["language"],
        text=given["text"],
        actor=principal.actor,
        now=now,
    )
    if "send" in request.POST:
        dispatch_letter(letter_id=letter.pk, request_id=row.pk, by_mail=True, actor=principal.actor, now=now)
        messages.success(request, "The letter is on its way.")
    return redirect("privacy_request", request_id)


@require_POST
def send_draft(request: HttpRequest, request_id: UUID, letter_id: int) -> HttpResponse:
    """Send a letter by mail, or note that it went another way."""
    principal = signed_in(request, "privacy:write", PERSONAL_DATA)
    dispatch_letter(
        letter_id=letter_id,
        request_id=request_id,
        by_mail=request.POST.get("by") == "mail",
        actor=principal.actor,
        now=timezone.now(),
    )
    return redirect("privacy_request", request_id)


@require_POST
@recently_authenticated
def take_copy(request: HttpRequest, request_id: UUID) -> HttpResponseBase:
    """Hand the copy out, once."""
    principal = signed_in(request, "privacy:read", PERSONAL_DATA)
    package, file = take_package(request_id=request_id, actor=principal.actor, now=timezone.now())
    return download(file, name=f"data-{request_id}.zip", size=package.size, content_type="application/zip")


@require_POST
@recently_authenticated
def make_copy(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """Make the copy once more."""
    principal = signed_in(request, "privacy:write", PERSONAL_DATA)
    remake_package(request_id=str(request_id), actor=principal.actor, now=timezone.now())
    messages.success(request, "The copy is being made again; reload this page in a moment.")
    return redirect("privacy_request", request_id)


def _amend(request: HttpRequest, request_id: UUID, actor: str, changes: dict[str, Any]) -> HttpResponse:
    amend_request(request_id=str(request_id), changes=changes, actor=actor, now=timezone.now())
    messages.success(request, "Saved.")
    return redirect("privacy_request", request_id)
