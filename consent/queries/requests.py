"""Privacy requests as they are read."""

from django.db.models import QuerySet

from consent.errors import UnknownRequest
from consent.models import PrivacyRequest


def list_requests(*, status: str | None = None, type: str | None = None) -> QuerySet[PrivacyRequest]:
    """Return privacy requests, narrowed; the caller orders them."""
    rows = PrivacyRequest.objects.all()
    if status is not None:
        rows = rows.filter(status=status)
    if type is not None:
        rows = rows.filter(type=type)
    return rows


def get_request(*, request_id: str) -> PrivacyRequest:
    """Return a privacy request.

    Raises
    ------
    UnknownRequest
        If there is none.
    """
    found = PrivacyRequest.objects.filter(id=request_id).first()
    if found is None:
        raise UnknownRequest
    return found


def count_open_requests() -> int:
    """Return how many requests wait for somebody or something."""
    over = (
        PrivacyRequest.Status.COMPLETED,
        PrivacyRequest.Status.REJECTED,
        PrivacyRequest.Status.CANCELLED,
    )
    return PrivacyRequest.objects.exclude(status__in=over).count()
