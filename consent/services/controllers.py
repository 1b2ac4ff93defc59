"""Requests that controllers send by OpenDSR: taken in, followed, cancelled, and rehearsed."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from cdp.core.services.audit import record
from consent import life
from consent.deadlines import GDPR
from consent.errors import WrongStatus
from consent.models import PrivacyRequest
from consent.opendsr import answers
from consent.opendsr.answers import CANCELLED, COMPLETED, IN_PROGRESS, PENDING, STATES, State
from consent.opendsr.wire import Asked, BadMessage, read_request
from consent.queries.controllers import find_controller_request, name_identities
from consent.request_models import Callback, ControllerRequest
from consent.services.packages import find_package
from consent.services.processor_key import processor_domain
from consent.services.requests import NewRequest, cancel_request, create_request, end_of_period
from consent.services.suppressions import suppress_hash

# A rehearsal goes through its states by itself.
REHEARSAL_STEP = timedelta(seconds=5)
NO_SUCH = "There is no request with this subject_request_id."


@dataclass(frozen=True, slots=True)
class Received:
    """A body as it came, from whom, and at which address."""

    raw: bytes
    controller_id: str
    actor: str
    version: str
    stub: bool = False


def take_in(*, received: Received, now: datetime) -> ControllerRequest:
    """Open a privacy request for a controller, which vouches for the person's identity.

    Its id is the controller's own. Identities that are hashed lead to those who have them; where none leads to
    anybody, an erasure keeps the hashes out for the future, and anything else is cancelled at once.

    Raises
    ------
    BadMessage
        400 where the body is wrong or the number was used before; 409 while the same is asked already.
    """
    asked = read_request(
        received.raw, version=received.version, default_regulation=settings.CDP_OPENDSR_DEFAULT_REGULATION
    )
    if asked.submitted_at > now + timedelta(minutes=5):
        raise BadMessage("submitted_time", "submitted_time lies in the future.")
    with transaction.atomic():
        if _is_taken(asked.subject_request_id):
            raise BadMessage("subject_request_id", "A request with this subject_request_id already exists.")
        asked_at = min(asked.submitted_at, now)
        row = ControllerRequest(
            subject_request_id=asked.subject_request_id,
            stub=received.stub,
            controller_id=received.controller_id,
            api_version=asked.api_version,
            regulation=asked.regulation,
            type=asked.type,
            group_id=asked.group_id,
            callbacks=list(asked.callbacks),
            digest=hashlib.sha256(received.raw).digest(),
            received_at=now,
            due_at=end_of_period(type=asked.type, regulation=asked.regulation, received_at=asked_at),
        )
        if not received.stub:
            _open_request(row, asked, received=received, asked_at=asked_at, now=now)
        row.save(force_insert=True)
        tell_controller(row, now=now)
    return row


def get_controller_request(*, subject_request_id: UUID, stub: bool) -> ControllerRequest:
    """Return a request by the controller's number.

    Raises
    ------
    BadMessage
        404 if there is none.
    """
    row = find_controller_request(subject_request_id=subject_request_id, stub=stub)
    if row is None:
        raise BadMessage("subject_request_id", NO_SUCH, code=404, domain="NotFound")
    return row


def cancel(*, subject_request_id: UUID, actor: str, stub: bool, now: datetime) -> ControllerRequest:
    """Cancel a request that is still pending.

    Raises
    ------
    BadMessage
        400 if it is not pending any more, 404 if there is none.
    """
    with transaction.atomic():
        row = get_controller_request(subject_request_id=subject_request_id, stub=stub)
        row = ControllerRequest.objects.select_for_update(of=("self",)).select_related("request").get(pk=row.pk)
        if state_of(row, now=now).state != PENDING:
            raise BadMessage("request_status", "Only a pending request can be cancelled.")
        if row.request is not None:
            try:
                reason = "cancelled by the controller"
                row.request = cancel_request(request_id=str(row.pk), reason=reason, actor=actor, now=now)
            except WrongStatus as error:
                raise BadMessage("request_status", "Only a pending request can be cancelled.") from error
        row.cancelled_at = now
        row.save(update_fields=["cancelled_at"])
        tell_controller(row, now=now)
    return row


def tell_controller(row: ControllerRequest, *, now: datetime) -> int:
    """Queue what a controller is told where the state has changed since; return to how many addresses."""
    state = state_of(row, now=now).state
    # A state never goes back: what was partial and is tried again is still in progress.
    if row.told_status == state or (row.told_status and _place(state) < _place(row.told_status)):
        return 0
    # What was carried out between two looks was in progress all the same: each change is told, in this order.
    passed = [IN_PROGRESS] if (row.told_status, state) == (PENDING, COMPLETED) else []
    row.told_status = state
    row.save(update_fields=["told_status"])
    made = [
        Callback(controller_request=row, url=url, state=one, created_at=now, retry_at=now)
        for one in [*passed, state]
        for url in row.callbacks
    ]
    Callback.objects.bulk_create(made)
    return len(made)


def state_of(row: ControllerRequest, *, now: datetime) -> State:
    """Return how a request stands, as the controller is told."""
    request = row.request
    state, reason = _rehearsed(row, now) if row.stub else _followed(row)
    extensions: dict[str, Any] = {}
    if reason:
        extensions["reason"] = reason
    if request is not None and request.recipients:
        extensions["distribution_status"] = request.recipients
    if failed := _dead_addresses(row):
        extensions["undelivered_callbacks"] = failed
    package = find_package(request_id=request.pk, now=now) if request is not None and state == COMPLETED else None
    address = f"{settings.CDP_BASE_URL}/api/v1/privacy-requests/{row.pk}/package" if package is not None else None
    return State(
        subject_request_id=str(row.pk),
        controller_id=row.controller_id,
        state=state,
        due_at=(request.extended_to or request.due_at) if request is not None else row.due_at,
        api_version=row.api_version,
        results_url=address,
        results_count=1 if package is not None else None,
        group_id=row.group_id,
        extensions={processor_domain(): extensions} if extensions else None,
    )


def _followed(row: ControllerRequest) -> tuple[str, str]:
    if row.request is None:
        # Hashes that nobody has were kept out at once: nothing is left to be done.
        return (CANCELLED, answers.NO_MATCH) if row.cancelled_at is not None else (COMPLETED, "")
    status = row.request.status
    return STATES[status], answers.REFUSED if status == life.REJECTED else ""


def _rehearsed(row: ControllerRequest, now: datetime) -> tuple[str, str]:
    if row.cancelled_at is not None:
        return CANCELLED, ""
    steps = int((now - row.received_at) / REHEARSAL_STEP)
    return (PENDING, IN_PROGRESS, COMPLETED)[min(max(steps, 0), 2)], ""


def _open_request(
    row: ControllerRequest, asked: Asked, *, received: Received, asked_at: datetime, now: datetime
) -> None:
    named, unknown = name_identities(identities=asked.identities)
    if asked.type == PrivacyRequest.Type.ERASURE:
        for one in unknown:
            suppress_hash(
                type=one.type,
                form=one.format,
                hashed=one.value.lower(),
                reason="erasure asked by a controller",
                actor=received.actor,
                now=now,
            )
    if not named:
        kept_out = asked.type == PrivacyRequest.Type.ERASURE and bool(unknown)
        row.cancelled_at = None if kept_out else now
        record(
            actor=received.actor,
            action="privacy_request.hash_kept_out" if kept_out else "privacy_request.no_match",
            object=f"privacy_request:{asked.subject_request_id}",
            now=now,
        )
        return
    identities = sorted(({"type": one.type, "value": one.value} for one in named), key=lambda one: one["type"])
    same = PrivacyRequest.objects.filter(type=asked.type).exclude(status__in=life.OVER)
    for other in same.filter(identities__contains=identities[:1], controller_request__isnull=False):
        if sorted(other.identities, key=lambda one: one["type"]) == identities:
            raise BadMessage("subject_identities", "The same is asked for already and not done.", code=409)
    row.request = create_request(
        new=NewRequest(
            type=asked.type,
            identities=named,
            regulation=asked.regulation or GDPR,
            received_at=asked_at,
            verified_by="api",
            actor=received.actor,
            came_by="opendsr",
            id=asked.subject_request_id,
        ),
        now=now,
    )


def _is_taken(subject_request_id: UUID) -> bool:
    return (
        ControllerRequest.objects.filter(pk=subject_request_id).exists()
        or PrivacyRequest.objects.filter(pk=subject_request_id).exists()
    )


def _dead_addresses(row: ControllerRequest) -> list[dict[str, str]]:
    dead = row.sent_callbacks.filter(delivered_at=None, retry_at=None).order_by("id")
    return [{"url": one.url, "status": one.state, "answer": one.answer} for one in dead[:10]]


def _place(state: str) -> int:
    return answers.ORDER.index(state)
