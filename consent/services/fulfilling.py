"""What an approved request really does, kind by kind; erasure is carried out by `consent.services.erasure`."""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime

from django.db import connection, transaction

from cdp.core.errors import CdpError
from cdp.core.locks import IDENTITY, take
from cdp.core.services.audit import record
from consent import decision as rules
from consent import life
from consent.errors import RequestTakenOver
from consent.life import Act, Role
from consent.models import PrivacyRequest, Purpose
from consent.services.decisions import NewDecision, record_decision
from consent.services.details import read_details
from consent.services.leases import LEASE
from consent.services.ledger import add_work
from consent.services.letters import send_letter
from consent.services.packages import make_package
from consent.services.recipient_states import present_recipients
from consent.services.telling import note_change
from profiles.models import Profile
from profiles.queries.people import find_by_identifier, name_identifier
from profiles.services.correcting import correct_trait

log = logging.getLogger("cdp.privacy")

Type = PrivacyRequest.Type
COPIES = frozenset({Type.ACCESS, Type.PORTABILITY})
# A contract or a legal obligation cannot be objected to.
OBJECTABLE = (rules.CONSENT, rules.LEGITIMATE_INTERESTS, rules.PUBLIC_TASK)


def fulfil_request(*, request_id: str, fence: int, clock: Callable[[], datetime]) -> None:
    """Carry out an approved request that is no erasure.

    Parameters
    ----------
    fence : int
        The number that the worker took with its lease.

    Raises
    ------
    RequestTakenOver
        If another worker has it now; nothing of this one's work stands.
    """
    request = PrivacyRequest.objects.get(id=request_id)
    if request.type in COPIES:

        def keep_alive() -> None:
            rows = PrivacyRequest.objects.filter(id=request_id, fence=fence, status=life.RUNNING)
            if not rows.update(lease_until=clock() + LEASE):
                raise RequestTakenOver

        count = make_package(request=request, keep_alive=keep_alive, now=clock())
        with transaction.atomic():
            _finish(_hold(request_id, fence), count=count, now=clock())
        return
    try:
        with transaction.atomic():
            held = _hold(request_id, fence)
            _finish(held, count=ACTS[Type(held.type)](request=held, now=clock()), now=clock())
    except RequestTakenOver:
        raise
    except CdpError as fault:
        # What cannot be done now must not be tried for ever, with every other request behind it.
        log.warning("a privacy request could not be carried out", extra={"request": request_id, "fault": fault.code})
        with transaction.atomic():
            _fall_short(_hold(request_id, fence), code=fault.code, now=clock())


def restrict_people(*, request: PrivacyRequest, now: datetime) -> int:
    """Freeze the profiles of a request: stored, and used for nothing.

    References
    ----------
    GDPR Art. 18.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            # Or a merge drops the profile between the look-up and the write.
            take(cursor, IDENTITY)
        people = sorted(find_people(request=request))
        count = Profile.objects.filter(id__in=people).update(restricted=True)
        # Who is restricted belongs to no segment; `created` concerns them all.
        add_work(names={profile_id: ["created"] for profile_id in people}, now=now, message_ids={})
        note_change(request=request, now=now)
    return count


def correct_people(*, request: PrivacyRequest, now: datetime) -> int:
    """Put right what the person says is wrong; no later message reverts it.

    References
    ----------
    GDPR Art. 16.
    """
    corrections = read_details(request=request).corrections
    with transaction.atomic():
        with connection.cursor() as cursor:
            take(cursor, IDENTITY)
        people = find_people(request=request)
        note_change(request=request, corrections=corrections, now=now)
        for public_id in people.values():
            for one in corrections:
                correct_trait(
                    public_id=public_id,
                    trait=one["trait"],
                    value=one["value"],
                    reason=f"privacy request {request.pk}",
                    actor="system",
                    now=now,
                )
    return len(people) * len(corrections)


def object_for_people(*, request: PrivacyRequest, now: datetime) -> int:
    """Record the person's objection to what they named, else to all that it can concern.

    Returns
    -------
    int
        How many decisions were recorded.

    References
    ----------
    GDPR Art. 21. CCPA §1798.120: an opt-out of sale and sharing concerns the purposes that Global Privacy Control
    opts out of; where none is marked so, nobody said which data is sold, and it concerns all.
    """
    purposes = Purpose.objects.filter(legal_basis__in=OBJECTABLE).order_by("key")
    named = read_details(request=request).purposes
    if named:
        purposes = purposes.filter(key__in=named)
    elif request.type == Type.OPT_OUT and purposes.filter(gpc=True).exists():
        purposes = purposes.filter(gpc=True)
    keys = list(purposes.values_list("key", flat=True))
    people = find_people(request=request)
    with transaction.atomic():
        for public_id in people.values():
            for key in keys:
                new = NewDecision(
                    purpose=key,
                    channel=None,
                    state=rules.OBJECTED,
                    recorded_by="system",
                    profile_uuid=public_id,
                    occurred_at=request.received_at,
                    source="privacy_request",
                    evidence={"privacy_request": str(request.id)},
                )
                record_decision(new=new, now=now)
    return len(people) * len(keys)


ACTS: Mapping[Type, Callable[..., int]] = {
    Type.RESTRICTION: restrict_people,
    Type.RECTIFICATION: correct_people,
    Type.OBJECTION: object_for_people,
    Type.OPT_OUT: object_for_people,
}


def find_people(*, request: PrivacyRequest) -> dict[int, str]:
    """Return the profiles that the identities lead to, with their public ids."""
    found: dict[int, str] = {}
    for one in request.identities:
        person = find_by_identifier(named=name_identifier(type=one["type"], value=one["value"]))
        if person is not None:
            found[person.profile_id] = person.uuid
    return found


def _hold(request_id: str, fence: int) -> PrivacyRequest:
    request = PrivacyRequest.objects.select_for_update().get(id=request_id)
    if request.fence != fence or request.status != life.RUNNING:
        raise RequestTakenOver
    return request


def _fall_short(request: PrivacyRequest, *, code: str, now: datetime) -> None:
    request.status = life.follow(status=request.status, act=Act.FALL_SHORT, role=Role.SYSTEM) or request.status
    request.lease_until = None
    request.steps = [{"store": f"{request.type}: {code}", "before": 1, "erased": 0, "withheld": 0, "remaining": 1}]
    request.save(update_fields=["status", "lease_until", "steps"])
    record(actor="system", action="privacy_request.partial", object=f"privacy_request:{request.pk}", now=now)


def _finish(request: PrivacyRequest, *, count: int, now: datetime) -> None:
    request.status = life.follow(status=request.status, act=Act.FINISH, role=Role.SYSTEM) or request.status
    request.completed_at = now
    request.lease_until = None
    request.steps = [{"store": request.type, "before": count, "erased": 0, "withheld": 0, "remaining": 0}]
    request.recipients = present_recipients(request_id=str(request.pk))
    request.save(update_fields=["status", "completed_at", "lease_until", "steps", "recipients"])
    if request.type not in COPIES and read_details(request=request).contact:
        send_letter(request=request, kind="done", actor="system", now=now)
    record(actor="system", action="privacy_request.completed", object=f"privacy_request:{request.pk}", now=now)
