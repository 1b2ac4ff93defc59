"""Public pages on which people ask for their rights, show who they are, and take their copy."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone

from cdp.core.downloads import download
from consent.deadlines import CCPA, GDPR
from consent.letters.compose import write_day
from consent.models import PrivacyRequest
from consent.services.identity import confirm_by_code, confirm_by_link, find_check
from consent.services.intake import Sent, empty_ticket, may_send, take_in
from consent.services.letters import facts_of
from consent.services.packages import get_by_token, take_by_token
from consent.ui.forms import find_email
from consent.ui.public import TRAP, public, show, words_for
from consent.ui.sender import truncated_address
from consent.words.catalogue import Words
from consent.words.intake import INTAKE
from profiles.queries.people import Named


@public
def ask(request: HttpRequest) -> HttpResponse:
    """Show the form; take it in by POST. The answer is the same whoever is named."""
    words = words_for(request)
    given = request.POST
    if request.method != "POST":
        return _page("ask", words, request, chosen=request.GET.get("type", ""))
    now = timezone.now()
    email = find_email(given.get("email", ""))
    fault = _fault(words, given.get("type", ""), email)
    status = 422
    if fault is None and not may_send(address=truncated_address(request), now=now):
        fault, status = words.form_busy, 429
    if fault is not None or email is None:
        return _page("ask", words, request, status=status, fault=fault, chosen=given.get("type", ""))
    ticket = empty_ticket()
    # Machines fill in every field; a person never sees this one.
    if not given.get(TRAP):
        sent = Sent(
            type=given["type"],
            regulation=CCPA if given.get("ccpa") else GDPR,
            email=email,
            message=given.get("message", ""),
            language=words.code,
        )
        ticket = take_in(sent=sent, now=now)
    return _page("sent", words, request, ticket=ticket)


@public
def enter_code(request: HttpRequest) -> HttpResponse:
    """Take the code of the mail; whoever only looks, by a language's link for example, begins at the form."""
    if request.method != "POST":
        return redirect(f"{reverse('ask_for_rights')}?{request.GET.urlencode()}".rstrip("?"))
    words = words_for(request)
    ticket = request.POST.get("ticket", "")
    found = confirm_by_code(ticket=ticket, code=request.POST.get("code", ""), now=timezone.now())
    if found is None:
        return _page("sent", words, request, status=422, ticket=ticket, fault=INTAKE[words.code].code_wrong)
    return _confirmed(words, request, found)


@public
def confirm(request: HttpRequest, token: str) -> HttpResponse:
    """Show what is to be confirmed; confirm it by POST, once."""
    now = timezone.now()
    check = find_check(token=token, now=now)
    words = words_for(request, default=check.request.language)
    if request.method == "POST":
        return _confirmed(words, request, confirm_by_link(token=token, now=now))
    return _page("confirm", words, request, wish=INTAKE[words.code].types[check.request.type])


@public
def take_copy(request: HttpRequest, token: str) -> HttpResponseBase:
    """Show that a copy is there; hand it out by POST, once."""
    now = timezone.now()
    package = get_by_token(token=token, now=now)
    if request.method != "POST":
        words = words_for(request, default=package.request.language)
        return _page("copy", words, request)
    taken, file = take_by_token(token=token, now=now)
    return download(file, name=f"data-{taken.request_id}.zip", size=taken.size, content_type="application/zip")


def _confirmed(words: Words, request: HttpRequest, found: PrivacyRequest) -> HttpResponse:
    day = write_day(language=words.code, day=facts_of(found).due_on)
    text = INTAKE[words.code].confirmed.format(day=day, number=found.pk)
    return _page("confirmed", words, request, text=text)


def _page(name: str, words: Words, request: HttpRequest, *, status: int = 200, **context: Any) -> HttpResponse:
    return show(
        f"public/privacy_{name}.html",
        words,
        here=request.path,
        status=status,
        intake=INTAKE[words.code],
        trap=TRAP,
        **context,
    )


def _fault(words: Words, type: str, email: Named | None) -> str | None:
    if email is None:
        return words.form_fault_identifier
    return None if type in INTAKE[words.code].types else words.form_fault_choice
