"""The privacy desk: requests of people, erasure with its proof, suppressions."""

from datetime import datetime, time
from uuid import UUID

from django.conf import settings
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
from consent.letters.compose import compose
from consent.models import PrivacyRequest
from consent.queries.desk import find_strongest_identifier
from consent.queries.matrix import Cell, Held, build_matrix, count_kept, find_held
from consent.queries.queue import (
    ALL,
    LATE,
    OPEN,
    VIEWS,
    chart_weeks,
    count_weeks,
    find_next,
    list_queue,
    read_clock,
)
from consent.queries.queue import WAITING as QUEUE_WAITING
from consent.queries.requests import get_request
from consent.queries.suppressions import RAW, list_suppressions
from consent.services.details import read_details
from consent.services.erasure import preview_erasure
from consent.services.fulfilling import COPIES
from consent.services.letters import facts_of, read_letter
from consent.services.lifting import is_lifted
from consent.services.notes import read_notes
from consent.services.packages import find_package
from consent.services.recipient_states import present_recipients
from consent.services.requests import (
    NewRequest,
    approve_request,
    create_request,
    extend_request,
    reject_request,
)
from consent.services.suppressions import lift_suppression, suppress_hash, suppress_identifier
from consent.ui.forms import (
    LETTER_KINDS,
    CorrectionForm,
    LetterForm,
    NoteForm,
    ParticularsForm,
    ReasonForm,
    RequestByIdentifierForm,
    RequestForm,
    SuppressionForm,
)
from consent.words.choosing import LANGUAGES
from profiles.errors import NoSuchProfile
from profiles.queries.people import Named, get_by_uuid, name_identifier

READ = ["GET", "HEAD", "POST"]
Status = PrivacyRequest.Status
WAITING = frozenset({Status.RECEIVED, Status.AWAITING_IDENTITY, Status.OPEN})
MOVING = frozenset({Status.APPROVED, Status.RUNNING})


@require_safe
def privacy_requests(request: HttpRequest) -> HttpResponse:
    """List requests, the next due first: `?show=` open, late, waiting or all, `?type=` one kind."""
    signed_in(request, "privacy:read")
    now = timezone.now()
    shown = request.GET.get("show", OPEN)
    shown = shown if shown in VIEWS else OPEN
    type_ = request.GET.get("type", "")
    rows = list_queue(view=shown, now=now, type=type_ if type_ in PrivacyRequest.Type.values else "")
    order = ("-received_at", "-id") if shown == ALL else ("last_at", "id")
    first = order[0].lstrip("-")
    page = read_list(request, fetch=fetch_from(rows, *order), key=lambda row: (getattr(row, first), str(row.id)))
    weeks = count_weeks(now=now)
    return show_page(
        request,
        "consent/privacy_requests.html",
        title="Privacy requests",
        page=page,
        lines=[(row, read_clock(row, now=now)) for row in page.rows],
        size=count_list(rows),
        shown=shown,
        type=type_,
        types=PrivacyRequest.Type.choices,
        late=list_queue(view=LATE, now=now).count(),
        waiting=list_queue(view=QUEUE_WAITING, now=now).count(),
        chart=chart_weeks(weeks),
        weeks=weeks,
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
    """Show a request: what it is about, what would go or went, and the next step.

    `?letter=KIND&language=` shows a letter of that kind to be changed and sent.
    """
    principal = signed_in(request, "privacy:read")
    row = get_request(request_id=str(request_id))
    if principal.sees_personal_data and row.identities:
        note_read(actor=principal.actor, object=f"privacy_request:{row.id}")
    now = timezone.now()
    details = read_details(request=row)
    sees = principal.sees_personal_data
    return show_page(
        request,
        "consent/privacy_request.html",
        title=f"{row.get_type_display()} request",
        asked=row,
        clock=read_clock(row, now=now),
        identities=_identities(row, principal),
        waits=row.status in WAITING,
        moves=row.status in MOVING and row.clean_at is None,
        unverified=row.status in (Status.RECEIVED, Status.AWAITING_IDENTITY),
        can_approve=row.status in (Status.OPEN, Status.PARTIAL) and row.clean_at is None,
        four_eyes=settings.CDP_FOUR_EYES,
        approved_by_me=principal.actor in row.approvals,
        details=details,
        contact=show(principal, details.contact, "email"),
        message=details.message if sees else "",
        corrections=[(one["trait"], show(principal, one["value"])) for one in details.corrections],
        particulars=ParticularsForm(initial={"contact": details.contact if sees else "", "language": row.language}),
        correction=CorrectionForm(),
        note=NoteForm(),
        notes=read_notes(request=row) if sees else [],
        letters=[(letter, *read_letter(letter)) for letter in row.letters.order_by("-id")] if sees else [],
        letter=_new_letter(request, row) if sees else None,
        letter_kinds=LETTER_KINDS,
        languages=LANGUAGES.values(),
        recipients=present_recipients(request_id=str(row.pk)) if row.type != PrivacyRequest.Type.ERASURE else [],
        package=find_package(request_id=row.pk, now=now),
        is_copy=row.type in COPIES,
        restricts=row.type == PrivacyRequest.Type.RESTRICTION and row.status == Status.COMPLETED and not is_lifted(row),
        form=ReasonForm(),
        following=find_next(besides=row, now=now),
        now=now,
    )


@require_safe
def preview(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """Answer what an erasure would take, store by store, and who else holds the identifiers."""
    principal = signed_in(request, "privacy:read")
    row = get_request(request_id=str(request_id))
    cells: list[Cell] = []
    held: list[Held] = []
    if row.type == PrivacyRequest.Type.ERASURE and row.status in WAITING:
        cells = build_matrix(counts=preview_erasure(request=row), withheld=count_kept(request=row, now=timezone.now()))
        held = find_held(request=row)
    return show_part(
        request,
        "consent/preview.html",
        asked=row,
        cells=cells,
        total=sum(cell.found for cell in cells),
        erased=sum(cell.erase for cell in cells),
        withheld=sum(cell.withhold for cell in cells),
        held=[(one, show(principal, one.value, one.type), one.digest in row.shared) for one in held],
        any_shared=any(one.is_shared for one in held),
    )


@require_safe
def progress(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """Answer how far a request is; the page asks again while it moves."""
    signed_in(request, "privacy:read")
    row = get_request(request_id=str(request_id))
    moves = row.status in MOVING and row.clean_at is None
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


def _new_letter(request: HttpRequest, row: PrivacyRequest) -> LetterForm | None:
    """Return the letter that was chosen, put together from its template."""
    kind, language = request.GET.get("letter", ""), request.GET.get("language", row.language)
    if kind not in LETTER_KINDS or language not in LANGUAGES:
        return None
    text = compose(kind=kind, language=language, facts=facts_of(row)).body
    return LetterForm(initial={"kind": kind, "language": language, "text": text})
