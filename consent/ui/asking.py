"""The officer's pages for the ways in: hosted forms, and the links of people."""

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from cdp.core.api.pagination import fetch_from, key_from
from cdp.core.queries.sizes import count_list
from cdp.core.ui.shell import read_list, show_page, signed_in
from consent.asking_models import Form, Link
from consent.queries.links import get_form, list_forms, list_links
from consent.services.forms import change_form, create_form
from consent.services.links import NewLink, create_link, revoke_link
from consent.ui.forms import ConsentFormForm, NewConsentFormForm, PreferenceLinkForm, write_asks, write_words
from consent.words.choosing import choose_words

READ = ["GET", "HEAD", "POST"]


@require_safe
def forms(request: HttpRequest) -> HttpResponse:
    """List the hosted forms."""
    signed_in(request, "consents:read")
    page = read_list(request, fetch=fetch_from(list_forms(), "key"), key=key_from("key"))
    return show_page(request, "consent/forms.html", title="Consent forms", page=page, base_url=settings.CDP_BASE_URL)


@require_http_methods(READ)
def create(request: HttpRequest) -> HttpResponse:
    """Set a form up."""
    principal = signed_in(request, "consents:write")
    form = NewConsentFormForm(request.POST or None)
    if form.is_valid():
        fields = dict(form.cleaned_data)
        key = fields.pop("key")
        create_form(key=key, fields=fields, actor=principal.actor, now=timezone.now())
        messages.success(request, "The form is set up.")
        return redirect("consent_form", key)
    return show_page(
        request,
        "consent/form.html",
        title="New consent form",
        form=form,
        row=None,
        status=422 if form.is_bound else 200,
    )


@require_http_methods(READ)
def one_form(request: HttpRequest, key: str) -> HttpResponse:
    """Show a form's settings and its address, and change it."""
    writes = request.method == "POST"
    principal = signed_in(request, "consents:write" if writes else "consents:read")
    row = get_form(key=key)
    form = ConsentFormForm(request.POST if writes else None, initial=_initial(row))
    if writes and form.is_valid():
        change_form(key=key, fields=form.cleaned_data, actor=principal.actor, now=timezone.now())
        messages.success(request, "Saved.")
        return redirect("consent_form", key)
    return show_page(
        request,
        "consent/form.html",
        title=row.name,
        form=form,
        row=row,
        url=f"{settings.CDP_BASE_URL}/forms/{row.key}",
        status=422 if writes else 200,
    )


@require_safe
def links(request: HttpRequest) -> HttpResponse:
    """List the links of people, newest first; their addresses are not known."""
    signed_in(request, "consents:read")
    rows = list_links()
    page = read_list(request, fetch=fetch_from(rows, "-id"), key=key_from("id"))
    return show_page(
        request,
        "consent/links.html",
        title="Preference links",
        page=page,
        links=[{"row": row, "asks": write_asks(row.asks)} for row in page.rows],
        size=count_list(rows),
        now=timezone.now(),
    )


@require_POST
def make_link(request: HttpRequest, public_id: str) -> HttpResponse:
    """Make a link for a person, and show its address, this once."""
    principal = signed_in(request, "consents:write")
    form = PreferenceLinkForm(request.POST)
    if not form.is_valid():
        messages.error(request, "No link was made: choose what it is for.")
        return redirect("profile", public_id)
    given = form.cleaned_data
    link, token = create_link(
        new=NewLink(
            kind=given["kind"],
            created_by=principal.actor,
            profile_uuid=str(public_id),
            asks=given["asks"] if given["kind"] == Link.Kind.UNSUBSCRIBE else [],
            language=given["language"],
        ),
        words=choose_words(asked=given["language"]),
        now=timezone.now(),
    )
    return show_page(
        request,
        "consent/link_made.html",
        title="Link made",
        link=link,
        url=f"{settings.CDP_BASE_URL}/{link.kind}/{token}",
        public_id=public_id,
        status=201,
    )


@require_POST
def revoke(request: HttpRequest, link_id: int) -> HttpResponse:
    """Make a link useless."""
    principal = signed_in(request, "consents:write")
    revoke_link(link_id=link_id, actor=principal.actor, now=timezone.now())
    messages.success(request, "The link does not work any more.")
    return redirect("preference_links")


def _initial(row: Form) -> dict[str, object]:
    texts = {
        code: {"name": own.get("title", ""), "description": own.get("intro", "")} for code, own in row.texts.items()
    }
    return {
        "name": row.name,
        "asks": write_asks(row.asks),
        "notice_key": row.notice_key,
        "languages": row.languages,
        "texts": write_words(texts),
        "identifier_type": row.identifier_type,
        "double_opt_in": row.double_opt_in,
        "enabled": row.enabled,
    }
