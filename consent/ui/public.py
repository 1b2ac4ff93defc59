"""Pages for the people themselves, without signing in: forms, confirmation, preferences, unsubscribing.

They stand alone, set no cookie, load nothing from elsewhere, and a GET changes nothing: scanners of mails follow every
link. What a POST may do comes from the token in the address alone, never from a cookie, so there is nothing that
another site could abuse and no CSRF token; a one-click unsubscribe could not send one anyway.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from cdp.core.errors import NotFound
from cdp.core.ui.policy import strict_policy
from consent.asking_models import Form, Link
from consent.queries.asking import Ask, find_notice, form_text, list_choices, put_in_words
from consent.queries.links import get_form, get_holder, get_link
from consent.services.choosing import hash_text
from consent.services.forms import Submission, note_use, submit_form
from consent.services.links import change_preferences, confirm, unsubscribe
from consent.services.receipts import issue_receipt
from consent.ui.sender import evidence_of, truncated_address
from consent.words.catalogue import Words
from consent.words.choosing import LANGUAGES, choose_words
from profiles.errors import BadIdentifier
from profiles.queries.people import Named, name_identifier

READ = ["GET", "HEAD", "POST"]
# The day since which the product does what this says.
GPC_SUPPORT = {"gpc": True, "lastUpdate": "2026-11-22"}
ONE_CLICK = "One-Click"
TRAP = "website"

View = Callable[..., HttpResponseBase]


def public(view: View) -> View:
    """Make a view a public page: the one handler of their errors, which shows people the same whatever was wrong."""

    @wraps(view)
    def page(*args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            response = view(*args, **kwargs)
        except NotFound:
            # Unknown, revoked, used or expired: which of these stays unsaid.
            response = show("public/gone.html", words_for(args[0]), here=args[0].path, status=404)
        # The address is a key: it must not travel to other sites, nor into an index or a cache.
        response["Referrer-Policy"] = "no-referrer"
        response["X-Robots-Tag"] = "noindex, nofollow"
        response["Cache-Control"] = "no-store"
        return response

    return csrf_exempt(strict_policy(require_http_methods(READ)(page)))


def words_for(request: HttpRequest, *, default: str = "", offered: list[str] | None = None) -> Words:
    """Return the words of the language that a person chose on the page, that of the link, or of their browser."""
    asked = request.GET.get("language") or default or None
    return choose_words(asked=asked, accept=request.headers.get("Accept-Language", ""), offered=offered or [])


def show(template: str, words: Words, *, here: str, status: int = 200, **context: Any) -> HttpResponse:
    """Answer a page in a language, whose address is `here`; without a session, so that no cookie is set."""
    offered = context.pop("offered", None) or list(LANGUAGES)
    languages = [LANGUAGES[code] for code in offered if code in LANGUAGES]
    whole = {"words": words, "languages": languages, "here": here, **context}
    return HttpResponse(render_to_string(template, whole), status=status)


@public
def preferences(request: HttpRequest, token: str) -> HttpResponse:
    """Show what a person allows; change it by POST."""
    now = timezone.now()
    link = get_link(token=token, kind=Link.Kind.PREFERENCES, now=now)
    words = words_for(request, default=link.language)
    saved = request.method == "POST"
    if saved:
        allowed = [] if "withdraw" in request.POST else request.POST.getlist("allow")
        change_preferences(
            token=token,
            shown=request.POST.getlist("shown"),
            allowed=allowed,
            words=words,
            evidence=evidence_of(request),
            now=now,
        )
    choices = list_choices(profile_id=get_holder(link=link).profile_id, words=words, now=timezone.now())
    purposes: dict[str, list[Any]] = {}
    for choice in choices:
        purposes.setdefault(choice.ask.purpose.key, []).append(choice)
    shown = list(purposes.values())
    receipt = reverse("public_receipt", args=[token])
    return show("public/preferences.html", words, here=request.path, purposes=shown, saved=saved, receipt=receipt)


@public
def receipt(request: HttpRequest, token: str) -> HttpResponse:
    """Give the person a signed receipt of what they decided."""
    now = timezone.now()
    person = get_holder(link=get_link(token=token, kind=Link.Kind.PREFERENCES, now=now))
    words = words_for(request)
    found = issue_receipt(
        profile_id=person.profile_id, public_id=person.uuid, withdrawal=words.preferences_title, now=now
    )
    name = f"receipt-{now:%Y-%m-%d}.json"
    return JsonResponse(
        found,
        json_dumps_params={"ensure_ascii": False, "indent": 2},
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@public
def one_unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """Ask whether to unsubscribe; do it by POST, which mail programs send without asking (RFC 8058)."""
    now = timezone.now()
    link = get_link(token=token, kind=Link.Kind.UNSUBSCRIBE, now=now)
    words = words_for(request, default=link.language)
    if request.method == "POST":
        method = "one_click" if request.POST.get("List-Unsubscribe") == ONE_CLICK else "unsubscribe_page"
        unsubscribe(token=token, method=method, words=words, evidence=evidence_of(request), now=now)
    asks = put_in_words(asks=link.asks, words=words)
    done = request.method == "POST"
    return show("public/unsubscribe.html", words, here=request.path, asks=asks, done=done)


@public
def one_confirm(request: HttpRequest, token: str) -> HttpResponse:
    """Show what is to be confirmed; confirm it by POST, once."""
    now = timezone.now()
    link = get_link(token=token, kind=Link.Kind.CONFIRM, now=now)
    words = words_for(request, default=link.language)
    if request.method == "POST":
        confirm(token=token, words=words, evidence=evidence_of(request), now=now)
    asks = put_in_words(asks=link.asks, words=words)
    done = request.method == "POST"
    return show("public/confirm.html", words, here=request.path, asks=asks, notice=link.notice, done=done)


@public
def one_form(request: HttpRequest, key: str) -> HttpResponse:
    """Show a form; take it in by POST. The answer is the same whoever is named."""
    form = get_form(key=key, enabled_only=True)
    words = words_for(request, offered=form.languages)
    asks = put_in_words(asks=form.asks, words=words)
    notice = find_notice(key=form.notice_key, language=words.code)
    context: dict[str, Any] = {
        "form": form,
        "asks": asks,
        "notice": notice,
        "texts": form.texts.get(words.code, {}),
        "text_hash": hash_text(form_text(form=form, asks=asks, notice=notice, words=words)),
        "offered": form.languages,
        "trap": TRAP,
        "here": request.path,
    }
    if request.method != "POST":
        return show("public/form.html", words, **context)
    given = request.POST
    ticked = [ask for ask in asks if ask.cell in given.getlist("allow")]
    named = read_identifier(form, given.get("identifier", ""))
    fault = find_fault(named, ticked, words)
    if fault is None and given.get("text_hash") != context["text_hash"]:
        # The text changed while they read: they agree to what they saw, or to nothing.
        fault = words.form_fault_title
    if fault is None and not note_use(form=form, address=truncated_address(request), now=timezone.now()):
        return show("public/form.html", words, status=429, fault=words.form_busy, ticked=ticked, **context)
    if fault is not None:
        return show("public/form.html", words, status=422, fault=fault, ticked=ticked, **context)
    # Machines fill in every field; a person never sees this one.
    if named is not None and not given.get(TRAP):
        submission = Submission(form, named, ticked, notice, words, evidence_of(request))
        submit_form(submission=submission, now=timezone.now())
    return show("public/form_sent.html", words, here=request.path, form=form, offered=form.languages)


def read_identifier(form: Form, value: str) -> Named | None:
    """Return what somebody typed as an identifier; None if it is none."""
    try:
        return name_identifier(type=form.identifier_type, value=value.strip())
    except BadIdentifier:
        return None


def find_fault(named: Named | None, ticked: list[Ask], words: Words) -> str | None:
    """Return what is missing in a form, in words."""
    if named is None:
        return words.form_fault_identifier
    return None if ticked else words.form_fault_choice


@require_safe
def gpc_support(request: HttpRequest) -> JsonResponse:  # noqa: ARG001 - Django's signature
    """Say that this installation heeds Global Privacy Control."""
    return JsonResponse(GPC_SUPPORT)
