"""The builder: conditions in rows, with count, people, reach, sentence and SQL while they are edited.

The page saves through REST, as everybody else does: with the session and its CSRF token. Without JavaScript the same
address takes the definition as JSON, in a form.
"""

from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from cdp.core.access import Principal
from cdp.core.ui.shell import show_page, signed_in
from segments.models import Segment
from segments.queries.catalogue import list_tags
from segments.queries.groups import shown_size
from segments.queries.preview import preview
from segments.queries.rights import within_sight
from segments.queries.segments import read_definitions
from segments.queries.suggestions import read_suggestions
from segments.queries.templates import find_template, list_templates
from segments.queries.versions import get_version
from segments.services.definitions import NewSegment, change_segment, create_segment
from segments.ui.forms import DefinitionForm
from segments.ui.opening import open_segment
from segments.ui.words import read_number

EMPTY = {"version": 1, "timezone": "installation", "match": {"type": "all", "of": []}}


@require_http_methods(["GET", "HEAD", "POST"])
def create(request: HttpRequest) -> HttpResponse:
    """Build a new segment: from nothing, or from a template."""
    principal = signed_in(request, "segments:write")
    template = find_template(key=request.GET.get("template", ""))
    start: dict[str, Any] = {"definition": EMPTY}
    if template is not None:
        start = {"name": template.name, "key": template.key, "definition": template.definition, "tags": template.tags}
    if request.method == "POST":
        return _take_form(request, principal, None, start)
    return _builder(request, "New segment", None, start)


@require_http_methods(["GET", "HEAD", "POST"])
def change(request: HttpRequest, key: str) -> HttpResponse:
    """Change a segment; `?version=` begins with an earlier definition."""
    principal, row = open_segment(request, key, "segments:write")
    definition = read_definitions([row])[row.pk]
    earlier = request.GET.get("version", "")
    if earlier:
        definition = get_version(segment=row, version=read_number(earlier)).definition
    start = {"name": row.name, "key": row.key, "definition": definition, "tags": row.tags}
    if request.method == "POST":
        return _take_form(request, principal, row, start)
    return _builder(request, f"Change {row.name}", row, start)


@require_safe
def templates(request: HttpRequest) -> HttpResponse:
    """Offer definitions to start from."""
    signed_in(request, "segments:write")
    return show_page(request, "segments/templates.html", title="Start from a template", templates=list_templates())


def _builder(request: HttpRequest, title: str, row: Segment | None, start: dict[str, Any], **more: Any) -> HttpResponse:
    principal = signed_in(request)
    offers = {**asdict(read_suggestions()), "tags": list_tags(principal=principal)}
    if not principal.may("segments:read"):
        # Somebody who may change this one segment learns no names of others.
        offers |= {"segments": within_sight(offers["segments"], principal=principal), "lists": []}
    segment = {
        "key": start.get("key", ""),
        "name": start.get("name", ""),
        "tags": list(start.get("tags", ())),
        "status": row.status if row else Segment.Status.DRAFT,
        "purpose": row.purpose if row else "",
        "channel": row.channel if row else "",
        "new": row is None,
    }
    data = {"segment": segment if start.get("name") else None, "definition": start["definition"], "offers": offers}
    return show_page(
        request,
        "segments/builder.html",
        title=title,
        segment=row,
        data=data,
        smallest=settings.CDP_SMALLEST_GROUP,
        plain=more.pop("plain", None) or DefinitionForm(initial=start, existing=row is not None),
        **more,
    )


def _take_form(request: HttpRequest, principal: Principal, row: Segment | None, start: dict[str, Any]) -> HttpResponse:
    """Count or save what was written in the form; a definition that is refused is answered by the page of errors."""
    form = DefinitionForm(request.POST, initial=start, existing=row is not None)
    title = f"Change {row.name}" if row else "New segment"
    if not form.is_valid():
        return _builder(request, title, row, start, plain=form)
    given = form.cleaned_data
    act = request.POST.get("do", "preview")
    if act not in {Segment.Status.DRAFT, Segment.Status.LIVE}:
        found = preview(definition=given["definition"], now=timezone.now(), key=row.key if row else None)
        size = shown_size(principal, found.count)
        words = f"Fewer than {settings.CDP_SMALLEST_GROUP} people." if size is None else f"{size} people."
        return _builder(request, title, row, start, plain=form, found={"words": words, "sentence": found.sentence})
    if row is None:
        new = NewSegment(
            key=given["key"],
            name=given["name"],
            definition=given["definition"],
            status=act,
            tags=given["tags"],
            owner_id=principal.user_id,
        )
        made, _ = create_segment(new=new, actor=principal.actor, clock=timezone.now)
    else:
        fields = {"name": given["name"], "definition": given["definition"], "tags": given["tags"], "status": act}
        made = change_segment(key=row.key, fields=fields, actor=principal.actor, clock=timezone.now)
    return redirect("segment", made.key)
