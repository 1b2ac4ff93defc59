"""How the recipients of an erasure stand, and what the whole request is by that.

References
----------
GDPR Art. 19: each recipient is told, unless this proves impossible or involves disproportionate effort.
"""

from datetime import datetime
from typing import Any

from django.db.models import Q

from cdp.core.services.audit import record
from consent import life
from consent.life import Act, Role
from consent.models import PrivacyRequest
from consent.proof_models import RecipientNotice

Status = RecipientNotice.Status
SETTLED = Q(status=Status.COMPLETED) | ~Q(answer="")
ON_THE_WAY = Q(status__in=[Status.PENDING, Status.SENT, Status.IN_PROGRESS])


def present_recipients(*, request_id: str) -> list[dict[str, Any]]:
    """Return the recipients of a request with their states."""
    return [
        {
            "name": row.recipient,
            "destination": row.destination or None,
            "status": row.status,
            "status_message": row.status_message,
            "answer": row.answer or None,
            "told_at": row.told_at.isoformat() if row.told_at else None,
        }
        for row in RecipientNotice.objects.filter(request_id=request_id).order_by("recipient", "destination", "id")
    ]


def judge(*, request_id: str) -> Act | None:
    """Return what the recipients make of an erasure that has left nothing here; None while some are on their way.

    Nobody else can say that a recipient knows: one that could not be told leaves the request ``partial``.
    """
    unsettled = RecipientNotice.objects.filter(request_id=request_id).exclude(SETTLED)
    if unsettled.filter(ON_THE_WAY).exists():
        return None
    return Act.FALL_SHORT if unsettled.exists() else Act.FINISH


def show_states(request_id: str, *, now: datetime) -> None:
    """Write the states where the request's readers look, and go on with the request, in the caller's transaction."""
    request = PrivacyRequest.objects.select_for_update().filter(id=request_id).first()
    if request is None:
        return
    request.recipients = present_recipients(request_id=request_id)
    act = judge(request_id=request_id) if request.clean_at is not None else None
    after = life.follow(status=request.status, act=act, role=Role.SYSTEM) if act is not None else None
    if after is not None:
        request.status = after
        request.completed_at = now if after == life.COMPLETED else None
        record(actor="system", action=f"privacy_request.{after}", object=f"privacy_request:{request.pk}", now=now)
    request.save(update_fields=["recipients", "status", "completed_at"])
