"""What the pages of consent and privacy list and count."""

from datetime import datetime

from django.db.models import QuerySet
from django.db.models.functions import Coalesce

from consent.models import Current, PrivacyRequest

OVER = (PrivacyRequest.Status.COMPLETED, PrivacyRequest.Status.REJECTED, PrivacyRequest.Status.CANCELLED)


def list_open_requests() -> QuerySet[PrivacyRequest]:
    """Return the privacy requests that wait for somebody or something; the caller orders them."""
    return PrivacyRequest.objects.exclude(status__in=OVER)


def list_overdue_requests(*, now: datetime) -> QuerySet[PrivacyRequest]:
    """Return the open requests whose period has ended."""
    return list_open_requests().annotate(last_at=Coalesce("extended_to", "due_at")).filter(last_at__lt=now)


def list_conflicts() -> QuerySet[Current]:
    """Return the cells that an officer has to settle."""
    return Current.objects.filter(conflict=True)
