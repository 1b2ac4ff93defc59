"""The identifier graph of a person, the evidence of each link, and what must not be linked."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from cdp.core.access import Principal, show
from cdp.core.api.pagination import fetch_from, key_from
from cdp.core.queries.sizes import count_list
from cdp.core.ui.shell import read_list, show_page, show_part, signed_in
from profiles.models import Edge, Identifier
from profiles.queries.graph import (
    Evidence,
    find_ends,
    get_edge,
    list_blocked,
    list_edges_of,
    present_edge,
    read_graph,
)
from profiles.queries.pages import tell_block, tell_link
from profiles.queries.people import any_restricted, get_by_uuid
from profiles.queries.profiles import PERSONAL_KINDS, read_source_names
from profiles.services.blocking import block_edge, declare_different, lift_block
from profiles.ui.drawing import draw, shorten
from profiles.ui.revealing import signed_in_for

LISTED = 8


class ReasonForm(forms.Form):
    """Why something is blocked."""

    reason = forms.CharField(max_length=1000)


class DifferentForm(ReasonForm):
    """Which other profile is somebody else."""

    other_id = forms.UUIDField()


@require_safe
def graph(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Answer the drawn graph of a person's identifiers, with the links that matter most in words."""
    principal = signed_in_for(request, public_id, "profiles:read", "identity:read")
    person = get_by_uuid(public_id=str(public_id))
    found = read_graph(profile_id=person.profile_id)
    sources = read_source_names()
    # The weakest first: it is what the confidence is about.
    listed = sorted(found.edges, key=lambda edge: (edge.strength, edge.id))[:LISTED]
    if found.weakest is not None:
        listed = [found.weakest, *(edge for edge in listed if edge.id != found.weakest.id)][:LISTED]
    drawing = draw(edges=found.edges, weakest=found.weakest)
    ids = {spot.id for spot in drawing.spots} | {one for edge in listed for one in (edge.a, edge.b)}
    held = Identifier.objects.filter(pk__in=ids).select_related("type").only("value", "type__key")
    shown = {
        one.pk: (one.type.key, show(principal, one.value, PERSONAL_KINDS.get(one.type.key, "text"))) for one in held
    }
    for spot in drawing.spots:
        spot.label = shorten(shown[spot.id][1]) if spot.count == 1 and spot.id in shown else f"{spot.count} of them"
    return show_part(
        request,
        "profiles/identity_graph.html",
        person=person,
        drawing=drawing,
        confidence=None if found.confidence is None else round(100 * found.confidence),
        graph=found,
        listed=[
            {
                "edge": edge,
                "ends": [shown[one] for one in (edge.a, edge.b) if one in shown],
                "told": tell_link(edge.evidence, sources=sources),
                "is_weakest": found.weakest is not None and edge.id == found.weakest.id,
            }
            for edge in listed
        ],
        more=max(len(found.edges) - len(listed), 0),
    )


@require_safe
def links(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """List every link of a person's identifiers, oldest first."""
    principal = signed_in_for(request, public_id, "profiles:read", "identity:read")
    person = get_by_uuid(public_id=str(public_id))
    rows = list_edges_of(profile_id=person.profile_id)
    page = read_list(request, fetch=fetch_from(rows, "id"), key=key_from("id"))
    return show_page(
        request,
        "profiles/links.html",
        title="Links of a profile",
        person=person,
        page=page,
        edges=_shown(page.rows, principal),
        size=count_list(rows),
    )


@require_safe
def edge(request: HttpRequest, edge_id: int) -> HttpResponse:
    """Show the evidence of one link, and let it be blocked or lifted."""
    principal = signed_in(request, "identity:read")
    found = get_edge(edge_id=edge_id)
    one = _shown([found], principal)[0]
    return show_page(
        request,
        "profiles/edge.html",
        title="Link between two identifiers",
        one=one,
        restricted=any_restricted(one["profiles"]),
    )


@require_POST
def block(request: HttpRequest, edge_id: int) -> HttpResponse:
    """Block a link."""
    principal = signed_in(request, "identity:write")
    form = ReasonForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Nothing was blocked: say why the link is wrong.")
        return redirect("edge", edge_id)
    blocked = block_edge(edge_id=edge_id, reason=form.cleaned_data["reason"], actor=principal.actor, now=timezone.now())
    told = (
        "The link is blocked, and the profile is two again: each has its own events, traits and consents."
        if blocked.separated
        else "The link is blocked. Other links still hold the profile together."
    )
    messages.success(request, told)
    return redirect("edge", edge_id)


@require_safe
def blocks(request: HttpRequest) -> HttpResponse:
    """List what is blocked, newest first."""
    principal = signed_in(request, "identity:read")
    rows = list_blocked()
    page = read_list(request, fetch=fetch_from(rows, "-id"), key=key_from("id"))
    return show_page(
        request,
        "profiles/blocks.html",
        title="Blocked links",
        page=page,
        blocks=_shown(page.rows, principal),
        size=count_list(rows),
    )


@require_POST
def lift(request: HttpRequest, edge_id: int) -> HttpResponse:
    """Lift a block."""
    principal = signed_in(request, "identity:write")
    lift_block(edge_id=edge_id, actor=principal.actor, now=timezone.now())
    messages.success(request, "The block is lifted. Nothing is joined by that: the next message that says so does.")
    return redirect("blocks")


@require_POST
def different(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Declare two profiles to be different people."""
    principal = signed_in(request, "identity:write")
    form = DifferentForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Nothing was declared: say why the two are different people.")
        return redirect("merge_profile", public_id)
    declare_different(
        public_ids=(str(public_id), str(form.cleaned_data["other_id"])),
        reason=form.cleaned_data["reason"],
        actor=principal.actor,
        now=timezone.now(),
    )
    messages.success(request, "No message will join these two from now on, until the block is lifted.")
    return redirect("blocks")


def _shown(edges: Sequence[Edge], principal: Principal) -> list[dict[str, Any]]:
    ends, sources = find_ends(edges=edges), read_source_names()
    shown = []
    for found in edges:
        one = present_edge(found, ends=ends, sources=sources, principal=principal)
        types = sorted((ends[end].type for end in (found.a, found.b) if end in ends), key=lambda kind: kind.priority)
        evidence = Evidence(
            found.kind,
            found.rule,
            found.source_id,
            found.created_at,
            types[-1].key if types else "",
            types[0].key if types else "",
        )
        one["told"] = "" if found.kind == Edge.APART else tell_link(evidence, sources=sources)
        one["because"] = tell_block(found) if found.state == Edge.State.BLOCKED else ""
        one["profiles"] = sorted({end["profile_id"] for end in one["identifiers"] if end is not None})
        shown.append(one)
    return shown
