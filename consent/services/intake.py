"""Requests that people send in themselves; the answer never tells whether somebody is known."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from consent.asking_models import Form
from consent.life import Role
from consent.models import PrivacyRequest
from consent.queries.links import digest_token
from consent.services.details import Details
from consent.services.forms import note_use
from consent.services.identity import ask_identity
from consent.services.requests import NewRequest, create_request
from profiles.queries.people import Named

ACTOR = "form:privacy"
LONGEST_MESSAGE = 5000
# A mail that somebody did not ask for must not become a flood of them.
MOST_A_DAY = 3


@dataclass(frozen=True, slots=True)
class Sent:
    """The form as it was sent in."""

    type: str
    regulation: str
    email: Named
    message: str
    language: str


def may_send(*, address: str, now: datetime) -> bool:
    """Count a use of the form from a network, and tell whether it may be taken."""
    return note_use(form=Form(key=ACTOR), address=address, now=now)


def take_in(*, sent: Sent, now: datetime) -> str:
    """Open a request and ask the person to confirm it by mail.

    Returns
    -------
    str
        The ticket under which the code of the mail is entered. There is always one: where an address gets no further
        mail today, it leads nowhere.
    """
    named = [{"type": sent.email.type, "value": sent.email.value}]
    recent = PrivacyRequest.objects.filter(
        identities__contains=named, came_by="form", received_at__gt=now - timedelta(days=1)
    )
    if recent.count() >= MOST_A_DAY:
        return empty_ticket()
    with transaction.atomic():
        request = create_request(
            new=NewRequest(
                type=sent.type,
                identities=[sent.email],
                regulation=sent.regulation,
                received_at=now,
                verified_by="",
                actor=ACTOR,
                came_by="form",
                language=sent.language,
                details=Details(contact=sent.email.value, message=sent.message.strip()[:LONGEST_MESSAGE]),
            ),
            now=now,
        )
        return ask_identity(request_id=request.pk, actor=ACTOR, role=Role.SYSTEM, now=now)[1]


def empty_ticket() -> str:
    """Return a ticket that leads nowhere and looks like any other."""
    return digest_token(secrets.token_urlsafe(32)).hex()
