"""What officers write down about a request, sealed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from cdp.core.errors import FieldError, InvalidInput
from cdp.core.secrets import seal, unseal
from cdp.core.services.audit import record
from consent.models import PrivacyRequest
from consent.request_models import RequestNote

CONTEXT = "consent.request_note"
LONGEST = 10_000


@dataclass(frozen=True, slots=True)
class Note:
    """A note as it is read."""

    text: str
    author: str
    created_at: datetime


def add_note(*, request: PrivacyRequest, text: str, actor: str, now: datetime) -> RequestNote:
    """Keep a note.

    Raises
    ------
    InvalidInput
        If it is empty or too long.
    """
    text = text.strip()
    if not text or len(text) > LONGEST:
        message = f"A note has 1 to {LONGEST} characters."
        raise InvalidInput(message, errors=[FieldError("text", "invalid", message)])
    with transaction.atomic():
        note = RequestNote.objects.create(
            request=request, sealed=seal(text.encode(), context=CONTEXT), author=actor, created_at=now
        )
        record(actor=actor, action="privacy_request.noted", object=f"privacy_request:{request.pk}", now=now)
    return note


def read_notes(*, request: PrivacyRequest) -> Sequence[Note]:
    """Return the notes of a request, newest first."""
    rows = RequestNote.objects.filter(request=request).order_by("-id")
    return [Note(unseal(bytes(row.sealed), context=CONTEXT).decode(), row.author, row.created_at) for row in rows]
