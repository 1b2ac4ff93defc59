"""The privacy desk: requests of people, erasure with its proof, suppressions."""

from datetime import datetime, time
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from cdp.core.access import Principal, show
from cdp.core.api.pagination import fetch_from
from cdp.core.queries.sizes import count_list
from cdp.core.reauthentication import recently_authenticated
from cdp.core.services.audit import note_read
from cdp.core.ui.shell import read_list, show_page, show_part, signed_in
from consent.models import PrivacyRequest
from consent.queries.desk import find_strongest_identifier, list_open_requests, list_overdue_requests
from consent.queries.requests import get_request, list_requests
from consent.queries.suppressions import RAW, list_suppressions
from consent.services.erasure import preview_erasure
from consent.services.requests import (
    NewRequest,
    approve_request,
    create_request,
    extend_request,
    reject_request,
)
from consent.services.suppressions import lift_suppression, suppress_hash, suppress_identifier
from consent.ui.forms import ReasonForm, RequestByIdentifierForm, RequestForm, SuppressionForm
from profiles.errors import NoSuchProfile
from profiles.queries.people import Named, get_by_uuid, name_identifier

READ = ["GET", "HEAD", "POST"]
Status = PrivacyRequest.Status
WAITING = frozenset({Status.RECEIVED, Status.AWAITING_IDENTITY, Status.OPEN})
MOVING = frozenset({Status.APPROVED, Status.RUNNING})


@require_safe
def privacy_requests(request: HttpRequest) -> HttpResponse:
    """List the requests that are open; `?show=` overdue or all."""
    signed_in(request, "privacy:read")
    now = timezone.now()
    shown = request.GET.get("show", "open")
    lists = {"overdue": list_overdue_requests(now=now), "all": list_requests()}
    rows = lists.get(shown, list_open_requests())
    page = read_list(
        request,
        fetch=fetch_from(rows, "-received_at", "-id"),
        key=lambda row: (row.received_at, str(row.id)),
    )
    return show_page(
        request,
        "consent/privacy_requests.html",
        title="Privacy requests",
        page=page,
        size=count_list(rows),
        shown=shown if shown in lists else "open",
        now=now,
    )


@require_http_methods(READ)
def create(request: HttpRequest) -> HttpResponse:
    """Open a request for a profile (`?profile=`), or for an identifier that the officer types."""
    principal = signed_in(request, "privacy:write")
    public_id = request.GET.get("profile", "")
    by_profile = get_by_uuid(public_id=public_id) if public_id else None
    form_class = RequestForm if by_profile is not None else RequestByIdentifierForm
    form = form_class(request.POST if request.method == "POST" else None)
    if form.is_valid():
        given = form.cleaned_data
        if by_profile is not None:
            named = _name_profile(by_profile.profile_id)
        else:
            named = name_identifier(type=given["identifier_type"], value=given["value"])
        now = timezone.now()
        made = create_request(
            new=NewRequest(
                type=given["type"],
                identities=[named],
                regulation=given["regulation"],
                received_at=min(_moment(given["received_on"], now), now),
                verified_by=principal.actor,
                actor=principal.actor,
            ),
            now=now,
        )
        return redirect("privacy_request", made.pk)
    return show_page(
        request,
        "consent/create_privacy_request.html",
        title="New privacy request",
        form=form,
        by_profile=by_profile,
        status=422 if form.is_bound else 200,
    )


@require_safe
def privacy_request(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """Show a request: what it is about, what would go or went, and the next step."""
    principal = signed_in(request, "privacy:read")
    row = get_request(request_id=str(request_id))
    if principal.sees_personal_data and row.identities:
        note_read(actor=principal.actor, object=f"privacy_request:{row.id}")
    return show_page(
        request,
        "consent/privacy_request.html",
        title=f"{row.get_type_display()} request",
        asked=row,
        identities=_identities(row, principal),
        waits=row.status in WAITING,
        moves=row.status in MOVING,
        can_approve=row.status in (Status.OPEN, Status.PARTIAL),
        form=ReasonForm(),
        now=timezone.now(),
    )


@require_safe
def preview(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """Answer what an erasure would take, store by store."""
    signed_in(request, "privacy:read")
    row = get_request(request_id=str(request_id))
    stores = preview_erasure(request=row) if row.type == PrivacyRequest.Type.ERASURE and row.status in WAITING else {}
    return show_part(request, "consent/preview.html", stores=stores, total=sum(stores.values()))


@require_safe
def progress(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """Answer how far a request is; the page asks again while it moves."""
    signed_in(request, "privacy:read")
    row = get_request(request_id=str(request_id))
    moves = row.status in MOVING
    answer = show_part(request, "consent/progress.html", asked=row, moves=moves)
    if not moves:
        # The rest of the page shows what the request was before: its identities are gone with it.
        answer["HX-Refresh"] = "true"
    return answer


@require_POST
@recently_authenticated
def approve(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """Approve a request, so that it is carried out."""
    principal = signed_in(request, "privacy:write")
    approve_request(request_id=str(request_id), actor=principal.actor, now=timezone.now())
    return redirect("privacy_request", request_id)


@require_POST
def reject(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """Refuse a request, with the reason that the person is told."""
    principal = signed_in(request, "privacy:write")
    reject_request(request_id=str(request_id), reason=_reason(request), actor=principal.actor, now=timezone.now())
    messages.success(request, "The request is refused.")
    return redirect("privacy_request", request_id)


@require_POST
def extend(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """Extend the period once."""
    principal = signed_in(request, "privacy:write")
    extend_request(request_id=str(request_id), reason=_reason(request), actor=principal.actor, now=timezone.now())
    messages.success(request, "The period is extended. Tell the person why.")
    return redirect("privacy_request", request_id)


@require_http_methods(READ)
def suppressions(request: HttpRequest) -> HttpResponse:
    """List what must not come back, and keep an identifier out."""
    writes = request.method == "POST"
    principal = signed_in(request, "suppressions:write" if writes else "suppressions:read")
    form = SuppressionForm(request.POST if writes else None)
    if writes and form.is_valid():
        given = form.cleaned_data
        actor, now = principal.actor, timezone.now()
        if given["format"] == RAW:
            named = name_identifier(type=given["identifier_type"], value=given["value"])
            suppress_identifier(named=named, reason=given["reason"], actor=actor, now=now)
        else:
            suppress_hash(
                type=given["identifier_type"],
                form=given["format"],
                hashed=given["value"],
                reason=given["reason"],
                actor=actor,
                now=now,
            )
        messages.success(request, "Messages of this identifier are refused from now on.")
        return redirect("suppressions")
    rows = list_suppressions()
    page = read_list(request, fetch=fetch_from(rows, "-id"), key=lambda row: (row.pk,))
    return show_page(
        request,
        "consent/suppressions.html",
        title="Suppressions",
        form=form,
        page=page,
        size=count_list(rows),
        status=422 if writes else 200,
    )


@require_POST
def lift(request: HttpRequest, suppression_id: int) -> HttpResponse:
    """Let an identifier in again, with a reason."""
    principal = signed_in(request, "suppressions:write")
    lift_suppression(suppression_id=suppression_id, reason=_reason(request), actor=principal.actor, now=timezone.now())
    messages.success(request, "The identifier may come in again.")
    return redirect("suppressions")


def _reason(request: HttpRequest) -> str:
    form = ReasonForm(request.POST)
    return str(form.cleaned_data["reason"]) if form.is_valid() else ""


def _identities(row: PrivacyRequest, principal: Principal) -> list[tuple[str, str]]:
    return [(one["type"], show(principal, one["value"], one["type"])) for one in row.identities]


def _name_profile(profile_id: int) -> Named:
    held = find_strongest_identifier(profile_id=profile_id)
    if held is None:
        message = "This profile has no identifier left by which the person could be named."
        raise NoSuchProfile(message)
    return name_identifier(type=held.type.key, value=held.value)


def _moment(day: object, now: datetime) -> datetime:
    """Return the first moment of a day where the installation is; without a day, now."""
    if day is None:
        return now
    return timezone.make_aware(datetime.combine(day, time(0, 0)))  # type: ignore[arg-type]
