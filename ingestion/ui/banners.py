"""The banner of a browser source: what it asks, the snippet for the site, and a look at it."""

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from cdp.core.ui.policy import strict_policy
from cdp.core.ui.shell import show_page, signed_in
from consent.asking_models import Banner
from consent.errors import UnknownBanner
from consent.queries.banners import find_banner, list_banners
from consent.queries.purposes import list_notices, list_purposes
from consent.services.banners import delete_banner, put_banner
from ingestion.errors import UnknownSource
from ingestion.models import Source
from ingestion.queries.traffic import list_sources
from ingestion.queries.write_keys import read_write_key
from ingestion.ui.forms import INPUT

SNIPPET = '<script src="{url}/banner.js" data-key="{key}"{mode}></script>'
HELD = '<script type="text/plain" data-cdp-purpose="{purpose}" data-src="https://tags.example/tag.js"></script>'
AGAIN = '<a href="#" data-cdp-consent>Privacy settings</a>'


class BannerForm(forms.Form):
    """What a banner asks."""

    purposes = forms.MultipleChoiceField(help_text="In the order of their names; each can be chosen by itself.")
    notice_key = forms.ChoiceField(
        label="Notice", help_text="Its latest version in the visitor's language is shown. A new version asks again."
    )
    policy_url = forms.URLField(
        required=False, max_length=500, label="Privacy policy", assume_scheme="https", help_text="https://…"
    )
    enabled = forms.BooleanField(required=False, initial=True, label="The banner is shown")

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        purposes = list(list_purposes().filter(legal_basis="consent").order_by("name", "id"))
        others = list(list_purposes().filter(gpc=True).exclude(legal_basis="consent").order_by("name", "id"))
        self.fields["purposes"].choices = [(one.key, one.name) for one in [*purposes, *others]]  # type: ignore[attr-defined]
        keys = sorted(set(list_notices().values_list("key", flat=True)))
        self.fields["notice_key"].choices = [(key, key) for key in keys]  # type: ignore[attr-defined]
        for name in ("purposes", "notice_key", "policy_url"):
            self.fields[name].widget.attrs.update(INPUT)


@require_safe
def banners(request: HttpRequest) -> HttpResponse:
    """List the browser sources and whether they have a banner."""
    signed_in(request, "consents:read")
    found = list_banners()
    sources = list_sources().filter(kind=Source.Kind.BROWSER).order_by("key", "id")
    return show_page(
        request,
        "ingestion/banners.html",
        title="Consent banners",
        sources=[(source, found.get(source.pk)) for source in sources],
    )


@require_http_methods(["GET", "HEAD", "POST"])
def banner(request: HttpRequest, key: str) -> HttpResponse:
    """Set a banner up, show the snippet and a preview."""
    writes = request.method == "POST"
    principal = signed_in(request, "consents:write" if writes else "consents:read")
    source = _get(key)
    row = find_banner(source_id=source.pk)
    form = BannerForm(request.POST if writes else None, initial=_initial(row) if row is not None else None)
    if writes and form.is_valid():
        put_banner(source_id=source.pk, fields=form.cleaned_data, actor=principal.actor, now=timezone.now())
        messages.success(request, "Saved. Sites show it within a minute.")
        return redirect("banner", key)
    write_key = read_write_key(source)
    return show_page(
        request,
        "ingestion/banner.html",
        title=f"Banner of {source.key}",
        source=source,
        row=row,
        form=form,
        snippet=SNIPPET.format(url=settings.CDP_BASE_URL, key=write_key, mode=""),
        snippet_mode=SNIPPET.format(url=settings.CDP_BASE_URL, key=write_key, mode=" data-consent-mode"),
        held=HELD.format(purpose=row.purposes[0] if row is not None else "PURPOSE"),
        again=AGAIN,
        status=422 if writes else 200,
    )


@strict_policy
@require_safe
def preview(request: HttpRequest, key: str) -> HttpResponse:
    """Show the banner on a page of its own, as visitors see it; what is chosen here is not recorded."""
    signed_in(request, "consents:read")
    source = _get(key)
    if find_banner(source_id=source.pk) is None:
        raise UnknownBanner
    language = request.GET.get("language", "en")
    context = {"source": source, "write_key": read_write_key(source), "language": language}
    return render(request, "ingestion/banner_preview.html", context)


@require_POST
def remove(request: HttpRequest, key: str) -> HttpResponse:
    """Take a banner away."""
    principal = signed_in(request, "consents:write")
    delete_banner(source_id=_get(key).pk, actor=principal.actor, now=timezone.now())
    messages.success(request, "The banner is taken away.")
    return redirect("banner", key)


def _get(key: str) -> Source:
    """Return a source whose key anyone can read: a server's must not stand in a page."""
    source = Source.objects.filter(key=key, kind=Source.Kind.BROWSER).first()
    if source is None:
        message = "There is no browser source with this key."
        raise UnknownSource(message)
    return source


def _initial(row: Banner) -> dict[str, object]:
    return {
        "purposes": row.purposes,
        "notice_key": row.notice_key,
        "policy_url": row.policy_url,
        "enabled": row.enabled,
    }
