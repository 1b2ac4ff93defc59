"""Carrying out approved privacy requests, one after the other; the rows own all progress."""

import logging
from collections.abc import Callable
from datetime import datetime

from django.db import connection

from consent.errors import RequestTakenOver
from consent.models import PrivacyRequest
from consent.services.details import forget_details_of_erased
from consent.services.erasure import LeaseLost, erase_person
from consent.services.fulfilling import fulfil_request
from consent.services.leases import LEASE, kept_lease

log = logging.getLogger("cdp.privacy")

Status = PrivacyRequest.Status
Type = PrivacyRequest.Type

CLAIM = """
UPDATE consent_privacyrequest SET status = 'running', fence = fence + 1, lease_until = %(until)s
WHERE id = (
    SELECT id FROM consent_privacyrequest
    WHERE clean_at IS NULL
      AND (status = 'approved' OR (status = 'running' AND (lease_until IS NULL OR lease_until <= %(now)s)))
    ORDER BY (id = ANY(%(tried)s::uuid[])), approved_at, id FOR UPDATE SKIP LOCKED LIMIT 1)
  AND NOT id = ANY(%(tried)s::uuid[])
RETURNING id::text, fence
"""


def run_privacy_requests(*, clock: Callable[[], datetime]) -> int:
    """Carry out what is approved and nobody works on.

    Parameters
    ----------
    clock : callable
        The present.

    Returns
    -------
    int
        How many requests were worked on. One that waits for the inbox is left for the next sweep.
    """
    tried: list[str] = []
    while (claim := _claim(tried, now=clock())) is not None:
        request_id, fence = claim
        tried.append(request_id)
        try:
            with kept_lease(request_id=request_id, fence=fence, clock=clock):
                _carry_out(request_id, fence, clock=clock)
        except (LeaseLost, RequestTakenOver):
            log.info("privacy request taken over by another worker", extra={"request": request_id})
    return len(tried)


def count_waiting() -> int:
    """Return how many requests are approved and not yet carried out; recipients are told by themselves."""
    return PrivacyRequest.objects.filter(status__in=[Status.APPROVED, Status.RUNNING], clean_at=None).count()


def _claim(tried: list[str], *, now: datetime) -> tuple[str, int] | None:
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, {"now": now, "until": now + LEASE, "tried": tried})
        row: tuple[str, int] | None = cursor.fetchone()
    return row


def _carry_out(request_id: str, fence: int, *, clock: Callable[[], datetime]) -> None:
    request = PrivacyRequest.objects.get(id=request_id)
    if request.type == Type.ERASURE:
        erase_person(request_id=request_id, fence=fence, clock=clock)
        forget_details_of_erased(clock())
        return
    fulfil_request(request_id=request_id, fence=fence, clock=clock)
