"""How the recipients of an erasure stand, and where the request's readers look for it."""

from typing import Any

from consent.models import PrivacyRequest
from consent.proof_models import RecipientNotice


def present_recipients(*, request_id: str) -> list[dict[str, Any]]:
    """Return the recipients of a request with their states."""
    return [
        {
            "name": row.recipient,
            "status": row.status,
            "status_message": row.status_message,
            "told_at": row.told_at.isoformat() if row.told_at else None,
        }
        for row in RecipientNotice.objects.filter(request_id=request_id).order_by("recipient", "id")
    ]


def show_states(request_id: str) -> None:
    """Write the states where the request's readers look."""
    PrivacyRequest.objects.filter(id=request_id).update(recipients=present_recipients(request_id=request_id))
