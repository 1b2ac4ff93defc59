"""Computed traits: the list, and one of them: defined by a form or as JSON, tried before it is saved."""

import json
from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from cdp.core.access import Principal, show
from cdp.core.errors import CdpError, FieldError
from cdp.core.ui.shell import show_page, signed_in
from profiles.queries.pages import display_name
from profiles.queries.profiles import present_by_id
from segments.models import ComputedTrait
from segments.queries.computed_traits import (
    TraitPreview,
    find_trait,
    get_trait,
    list_traits,
    preview_trait,
    summarise_values,
    trait_sentence,
)
from segments.queries.groups import shown_size, smallest_group
from segments.queries.segments import parsed_trait
from segments.queries.suggestions import read_suggestions
from segments.services.computed_traits import NewTrait, change_trait, create_trait, delete_trait
from segments.ui.computing_forms import KINDS, SPARE_ROWS, definition_of, fill, read_form

LIVE = ComputedTrait.Status.LIVE
OK, UNPROCESSABLE = 200, 422


@require_safe
def computed_traits(request: HttpRequest) -> HttpResponse:
    """List the computed traits by name."""
    signed_in(request, "segments:read")
    rows = [(row, trait_sentence(parsed_trait(row.definition))) for row in list_traits().order_by("key")]
    return show_page(request, "segments/computed_traits.html", title="Computed traits", rows=rows)


@require_http_methods(["GET", "HEAD", "POST"])
def create_computed_trait(request: HttpRequest) -> HttpResponse:
    """Define a new one; by POST try it, or save it."""
    principal = signed_in(request, "segments:write")
    kind = request.GET.get("kind", "summary")
    if request.method != "POST":
        return _form(request, principal, None, fill(kind if kind in KINDS else "summary", None))
    return _posted(request, principal, None)


@require_http_methods(["GET", "HEAD", "POST"])
def computed_trait(request: HttpRequest, key: str) -> HttpResponse:
    """Show one; by POST try another definition, save it, put it in or out of use, or delete it."""
    principal = signed_in(request, "segments:write" if request.method == "POST" else "segments:read")
    row = get_trait(key=key)
    if request.method == "POST":
        return _posted(request, principal, row)
    kind = row.definition["compute"]["type"]
    return _form(request, principal, row, {**fill(kind, row.definition), "key": row.key, "name": row.name})


def _posted(request: HttpRequest, principal: Principal, row: ComputedTrait | None) -> HttpResponse:
    act = request.POST.get("act", "")
    given = read_form(request.POST)
    done, faults = _act(act, row, given, principal)
    if faults:
        # Into the form: what was typed must not be lost.
        return _form(request, principal, row, given, faults=faults)
    if isinstance(done, TraitPreview):
        return _form(request, principal, row, given, preview=done)
    if done is None:
        messages.success(request, f"{row.name if row else 'It'} is deleted.")
        return redirect("computed_traits")
    messages.success(request, f"{done.name} is saved{' and computed' if done.status == LIVE else ' as a draft'}.")
    return redirect("computed_trait", done.key)


def _act(
    act: str, row: ComputedTrait | None, given: Mapping[str, Any], principal: Principal
) -> tuple[ComputedTrait | TraitPreview | None, list[FieldError]]:
    """Delete (None), try or save a trait; return what came of it, and what is wrong."""
    try:
        if row is not None and act == "delete":
            delete_trait(key=row.key, actor=principal.actor, now=timezone.now())
            return None, []
        definition = definition_of(given)
        if act == "try":
            return preview_trait(definition=definition, now=timezone.now(), smallest=smallest_group(principal)), []
        return _save(row, given, definition, act, principal), []
    except CdpError as error:
        return None, error.errors or [FieldError("", error.code, str(error))]


def _save(
    row: ComputedTrait | None, given: Mapping[str, Any], definition: Any, act: str, principal: Principal
) -> ComputedTrait:
    status = {"live": LIVE, "draft": ComputedTrait.Status.DRAFT}.get(act, row.status if row else LIVE)
    name = given["name"] or given["key"]
    if row is not None:
        fields = {"name": name, "definition": definition, "status": status}
        return change_trait(key=row.key, fields=fields, actor=principal.actor, clock=timezone.now)
    new = NewTrait(key=given["key"], name=name, definition=definition, status=status)
    return create_trait(new=new, actor=principal.actor, clock=timezone.now)[0]


def _form(
    request: HttpRequest,
    principal: Principal,
    row: ComputedTrait | None,
    given: Mapping[str, Any],
    **more: Any,
) -> HttpResponse:
    preview = more.get("preview")
    summary = preview.summary if preview else None
    if row is not None and summary is None and row.status == LIVE:
        summary = summarise_values(trait=row, smallest=smallest_group(principal))
    sample = _people(preview, principal) if preview and principal.may("profiles:read") else []
    return show_page(
        request,
        "segments/computed_trait.html",
        title=row.name if row else "New computed trait",
        status=UNPROCESSABLE if more.get("faults") else OK,
        trait=row,
        given=given,
        kinds=KINDS,
        offers=read_suggestions(),
        sentence=preview.sentence if preview else trait_sentence(parsed_trait(row.definition)) if row else "",
        summary=summary,
        size=shown_size(principal, summary.count) if summary else None,
        sample=sample,
        faults=more.get("faults", []),
        tried=preview,
        spare=SPARE_ROWS,
        taken=row is None and bool(given.get("key")) and find_trait(key=given["key"]) is not None,
    )


def _people(preview: Any, principal: Principal) -> list[dict[str, Any]]:
    shown = present_by_id(preview.summary.sample_ids, principal=principal, now=preview.now)
    found = []
    for profile_id, profile in shown.items():
        value = preview.values.get(profile_id)
        told = show(principal, value) if isinstance(value, str | list) else value
        text = told if isinstance(told, str) else json.dumps(told, ensure_ascii=False)
        found.append({"id": profile["id"], "name": display_name(profile), "value": text})
    return found
