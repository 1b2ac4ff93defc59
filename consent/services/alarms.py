"""Warning the officers before a request is due, and once it is late: by mail, once per reason."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Coalesce

from cdp.core.access import COMPLIANCE_OFFICER
from cdp.core.models import User
from cdp.core.services.mail import queue_mail
from consent import life
from consent.deadlines import URGENT_DAYS
from consent.models import PrivacyRequest
from consent.request_models import RequestAlarm

SOON, LATE, CONFIRM, STUCK = "soon", "late", "confirm", "stuck"
TEXTS = {
    SOON: "has to be answered soon",
    LATE: "is late",
    CONFIRM: "has to be confirmed to the person soon",
    STUCK: "is carried out for longer than a day",
}


def warn_of_requests(now: datetime) -> None:
    """Write to every compliance officer about requests that need them, each reason once.

    A mail names the request by its number and kind only.
    """
    for request, reason in _needing(now):
        with transaction.atomic():
            _, made = RequestAlarm.objects.get_or_create(request=request, reason=reason, defaults={"created_at": now})
            if made:
                _write(request, reason, now=now)


def _needing(now: datetime) -> list[tuple[PrivacyRequest, str]]:
    # The clock of a request that waits for the person stands still.
    rows = PrivacyRequest.objects.exclude(status__in=[*life.OVER, life.AWAITING_IDENTITY])
    rows = rows.annotate(last_at=Coalesce("extended_to", "due_at"))
    found: list[tuple[PrivacyRequest, str]] = [(row, LATE) for row in rows.filter(last_at__lt=now)]
    soon = now + timedelta(days=URGENT_DAYS)
    found += [(row, SOON) for row in rows.filter(last_at__gte=now, last_at__lt=soon)]
    unanswered = rows.filter(confirm_at__lt=now + timedelta(days=3), letters__isnull=True, status__in=life.WAITING)
    found += [(row, CONFIRM) for row in unanswered]
    found += [
        (row, STUCK)
        for row in rows.filter(status__in=life.MOVING, clean_at=None, approved_at__lt=now - timedelta(days=1))
    ]
    return found


def _write(request: PrivacyRequest, reason: str, *, now: datetime) -> None:
    officers = User.objects.filter(is_active=True, groups__name=COMPLIANCE_OFFICER).order_by("pk")
    if not officers.exists():
        officers = User.objects.filter(is_active=True, is_superuser=True).order_by("pk")
    due = (request.extended_to or request.due_at).date().isoformat()
    body = (
        f"The {request.get_type_display().lower()} request {request.pk} {TEXTS[reason]}.\n\n"
        f"Answer by: {due}\n{settings.CDP_BASE_URL}/privacy-requests/{request.pk}\n"
    )
    for officer in officers:
        queue_mail(to=officer.email, subject=f"A privacy request {TEXTS[reason]}", body=body, now=now)
