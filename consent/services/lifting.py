"""Ending a restriction of processing: the person is told before, and what was frozen is used again."""

from datetime import datetime

from django.db import connection, transaction

from cdp.core.errors import FieldError, InvalidInput
from cdp.core.locks import IDENTITY, take
from cdp.core.services.audit import record
from consent import life
from consent.errors import PersonNotTold, WrongStatus
from consent.models import PrivacyRequest
from consent.request_models import Letter
from consent.services.details import read_details
from consent.services.fulfilling import find_people
from consent.services.ledger import add_work
from consent.services.letters import note_sent, send_letter
from consent.services.requests import hold_request
from profiles.models import Profile

LIFTING = "lifting"
Type = PrivacyRequest.Type


def lift_restriction(*, request_id: str, reason: str, person_told: bool, actor: str, now: datetime) -> PrivacyRequest:
    """End what a request for restriction began, for profiles that no other request restricts.

    Parameters
    ----------
    person_told : bool
        Whether the person was told otherwise; needed where no e-mail address of theirs is known.

    Raises
    ------
    InvalidInput
        Without a reason.
    WrongStatus
        If it is no restriction in force.
    PersonNotTold
        If nobody has told the person, and the product cannot.

    References
    ----------
    GDPR Art. 18(3): the person is informed before the restriction is lifted.
    """
    if not reason.strip():
        message = "A reason is needed: the person must be told."
        raise InvalidInput(message, errors=[FieldError("reason", "required", message)])
    with transaction.atomic():
        request = hold_request(request_id=request_id)
        if request.type != Type.RESTRICTION or request.status != life.COMPLETED or is_lifted(request):
            raise WrongStatus(status="no restriction in force", allowed="a completed restriction")
        if not read_details(request=request).contact and not person_told:
            raise PersonNotTold
        request.reason = reason.strip()
        request.save(update_fields=["reason"])
        letter = send_letter(request=request, kind=LIFTING, actor=actor, now=now)
        if letter.state != Letter.State.SENT:
            note_sent(letter, by_mail=False, actor=actor, now=now)
        with connection.cursor() as cursor:
            take(cursor, IDENTITY)
        others = PrivacyRequest.objects.filter(type=Type.RESTRICTION, status=life.COMPLETED).exclude(pk=request.pk)
        others = others.exclude(letters__kind=LIFTING, letters__state=Letter.State.SENT)
        kept = {profile_id for other in others for profile_id in find_people(request=other)}
        people = sorted(set(find_people(request=request)) - kept)
        Profile.objects.filter(id__in=people).update(restricted=False)
        add_work(names={profile_id: ["created"] for profile_id in people}, now=now, message_ids={})
        record(
            actor=actor,
            action="privacy_request.restriction_lifted",
            object=f"privacy_request:{request.pk}",
            detail={"profiles": len(people)},
            now=now,
        )
    return request


def is_lifted(request: PrivacyRequest) -> bool:
    """Tell whether a restriction was lifted: the letter that says so is what remains of it."""
    return request.letters.filter(kind=LIFTING, state=Letter.State.SENT).exists()
