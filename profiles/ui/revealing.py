"""Showing masked personal data of one profile for some minutes, to somebody who says what for.

What was revealed is kept in the session with its end, so that it is masked again by itself and when the person signs
out. The audit trail has who, whom and what for.
"""

from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_POST

from cdp.core.access import PERSONAL_DATA, Principal
from cdp.core.errors import FieldError, InvalidInput, NotAllowed
from cdp.core.reauthentication import recently_authenticated
from cdp.core.services.audit import record
from cdp.core.ui.shell import signed_in
from profiles.errors import RestrictedProfile
from profiles.queries.people import any_restricted, get_by_uuid

REVEALED = "revealed_profiles"
# Chosen, not written: a text of the person's own could hold personal data, and the audit trail keeps everything.
REASONS = {
    "contact": "I am in contact with this person",
    "quality": "I am checking what a source sends",
    "identity": "I am checking whether records are one person",
    "audience": "I am checking why somebody is in an audience",
}


def signed_in_for(request: HttpRequest, public_id: UUID, *scopes: str) -> Principal:
    """Return who looks at a profile, with the right to see personal data while it is revealed to them."""
    principal = signed_in(request, *scopes)
    if principal.sees_personal_data or seconds_left(request, public_id) <= 0:
        return principal
    return Principal(principal.actor, principal.scopes | {PERSONAL_DATA}, principal.user_id)


def seconds_left(request: HttpRequest, public_id: UUID) -> int:
    """Return how long a profile is still revealed; 0 if it is not."""
    until = request.session.get(REVEALED, {}).get(str(public_id), 0) if hasattr(request, "session") else 0
    return max(0, int(until - timezone.now().timestamp()))


@require_POST
@recently_authenticated
def reveal(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Show the personal data of a profile for some minutes."""
    principal = signed_in(request, "profiles:read")
    reason = request.POST.get("reason", "")
    if not settings.CDP_REVEAL_MINUTES:
        message = "Revealing is switched off in this installation (CDP_REVEAL_MINUTES)."
        raise NotAllowed(message)
    if reason not in REASONS:
        message = "Choose what you need the data for."
        raise InvalidInput(message, errors=[FieldError("reason", "required", message)])
    person = get_by_uuid(public_id=str(public_id))
    if any_restricted([person.uuid]):
        raise RestrictedProfile
    now = timezone.now()
    detail = {"reason": reason, "minutes": settings.CDP_REVEAL_MINUTES}
    record(
        actor=principal.actor, action="personal_data.revealed", object=f"profile:{person.uuid}", detail=detail, now=now
    )
    _keep(request, person.uuid, now, now.timestamp() + 60 * settings.CDP_REVEAL_MINUTES)
    messages.success(request, f"Shown for {settings.CDP_REVEAL_MINUTES} minutes. The audit trail has it.")
    return redirect("profile", person.uuid)


@require_POST
def mask_again(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Mask a profile before its time is up."""
    signed_in(request, "profiles:read")
    _keep(request, str(public_id), timezone.now(), 0)
    return redirect("profile", public_id)


def _keep(request: HttpRequest, public_id: str, now: datetime, until: float) -> None:
    revealed = {**request.session.get(REVEALED, {}), public_id: until}
    request.session[REVEALED] = {one: end for one, end in revealed.items() if end > now.timestamp()}
