"""Telling recipients that a person was erased, each with its state on the request.

References
----------
GDPR Art. 19. The states are those of mParticle's OpenDSR extension: pending, completed, skipped, failed.
"""

from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from random import SystemRandom
from typing import Any

import orjson
from django.db import transaction
from django.db.models import Q
from standardwebhooks.webhooks import Webhook

from cdp.core import outgoing
from cdp.core.errors import CdpError, InvalidInput, NotFound
from cdp.core.secrets import seal, unseal
from cdp.core.services.audit import record
from cdp.core.services.wakeups import wake
from consent.models import PrivacyRequest
from consent.proof_models import RecipientAddress, RecipientNotice
from consent.queries.disclosures import find_recipients
from consent.services.closure import Closure

TASK = "consent.tell_recipients"
EVENT_TYPE = "privacy.erasure"
SECRET, BODY = "secret of a recipient", "notice of erasure"
SECRET_BYTES = 32
TIMEOUT_SECONDS = 10.0
PAUSES = (5, 30, 120, 600, 3600)
BATCH = 100
BY_HAND = "No address is known: tell this recipient and mark it as told."
Status = RecipientNotice.Status


class UnknownRecipient(NotFound):
    """The request has no such recipient."""

    code = "recipient.unknown"

    def __init__(self) -> None:
        super().__init__("This request has no such recipient.")


def note_recipients(*, closure: Closure, request: PrivacyRequest, now: datetime) -> None:
    """Write down who received data of the person and has to be told, in the caller's transaction.

    Before anything is deleted: the register of disclosures goes with the person.
    """
    names = {one.recipient for one in find_recipients(profile_ids=closure.profile_ids) if one.kind != "removal"}
    if not names:
        return
    addressed = set(RecipientAddress.objects.filter(recipient__in=names).values_list("recipient", flat=True))
    body = orjson.dumps(
        {
            "type": EVENT_TYPE,
            "timestamp": now.isoformat(),
            "data": {
                "request_id": str(request.id),
                "regulation": request.regulation,
                "identities": [{"type": kind, "value": value} for kind, value in closure.identifiers],
            },
        }
    )
    RecipientNotice.objects.bulk_create(
        [
            RecipientNotice(
                request_id=request.id,
                recipient=name,
                status=Status.PENDING if name in addressed else Status.SKIPPED,
                status_message="" if name in addressed else BY_HAND,
                body_sealed=seal(body, context=BODY) if name in addressed else None,
                created_at=now,
            )
            for name in sorted(names)
        ],
        ignore_conflicts=True,
    )
    if addressed:
        wake(TASK)


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


def tell_recipients(*, clock: Callable[[], datetime]) -> int:
    """Send what is due and return how many recipients were told. Outside of any transaction.

    A worker that dies after sending sends again, with the same id.
    """
    now = clock()
    due = RecipientNotice.objects.filter(Q(retry_at=None) | Q(retry_at__lte=now), status=Status.PENDING)
    told = 0
    for notice in due.order_by("id")[:BATCH]:
        address = RecipientAddress.objects.filter(recipient=notice.recipient).first()
        fault = _send(notice, address, now=clock()) if address is not None else BY_HAND
        told += fault is None
        _note(notice, fault, addressed=address is not None, now=clock())
    return told


def mark_told(*, request_id: str, recipient: str, actor: str, now: datetime) -> None:
    """Note that an officer has told a recipient by other means.

    Raises
    ------
    UnknownRecipient
        If the request has none of this name.
    """
    with transaction.atomic():
        row = RecipientNotice.objects.select_for_update().filter(request_id=request_id, recipient=recipient).first()
        if row is None:
            raise UnknownRecipient
        row.status, row.status_message, row.told_at, row.body_sealed = Status.COMPLETED, "told by hand", now, None
        row.save()
        _show(request_id)
        record(actor=actor, action="recipient.told", object=f"privacy_request:{request_id}", now=now)


def save_address(*, recipient: str, url: str, actor: str, now: datetime) -> RecipientAddress:
    """Set where a recipient is told; the secret is made with the first address.

    Raises
    ------
    OutgoingRefused
        If the address may not be called.
    InvalidInput
        Without a recipient.
    """
    if not recipient.strip():
        message = "Name the recipient as the register of disclosures does."
        raise InvalidInput(message)
    outgoing.check_url(url)
    secret = "whsec_" + b64encode(SystemRandom().randbytes(SECRET_BYTES)).decode()
    with transaction.atomic():
        row, _ = RecipientAddress.objects.update_or_create(
            recipient=recipient,
            defaults={"url": url},
            create_defaults={"url": url, "secret_sealed": seal(secret.encode(), context=SECRET), "created_at": now},
        )
        record(actor=actor, action="recipient.addressed", object=f"recipient:{row.pk}", now=now)
    return row


def present_address(row: RecipientAddress, *, with_secret: bool) -> Mapping[str, Any]:
    """Return an address; with the secret for those who may set it."""
    shown = {"recipient": row.recipient, "url": row.url}
    return {**shown, "secret": unseal(bytes(row.secret_sealed), context=SECRET).decode()} if with_secret else shown


def _send(notice: RecipientNotice, address: RecipientAddress, *, now: datetime) -> str | None:
    body = unseal(bytes(notice.body_sealed or b""), context=BODY)
    message_id = f"msg_erasure_{notice.pk}"
    secret = Webhook(unseal(bytes(address.secret_sealed), context=SECRET).decode())
    headers = {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": secret.sign(msg_id=message_id, timestamp=now, data=body.decode()),
    }
    try:
        with outgoing.Line() as line:
            answer = line.send(address.url, headers=headers, body=body, timeout_seconds=TIMEOUT_SECONDS)
    except CdpError as error:
        return error.message
    return None if answer.is_success else f"It answered with status {answer.status}."


def _note(notice: RecipientNotice, fault: str | None, *, addressed: bool, now: datetime) -> None:
    with transaction.atomic():
        row = RecipientNotice.objects.select_for_update().get(pk=notice.pk)
        row.attempts += 1
        if fault is None:
            row.status, row.status_message, row.told_at, row.body_sealed = Status.COMPLETED, "", now, None
        elif not addressed or row.attempts > len(PAUSES):
            row.status = Status.FAILED if addressed else Status.SKIPPED
            row.status_message, row.body_sealed = fault, None
        else:
            row.status_message, row.retry_at = fault, now + timedelta(seconds=PAUSES[row.attempts - 1])
        row.save()
        _show(str(row.request_id))


def _show(request_id: str) -> None:
    """Write the states where the request's readers look."""
    PrivacyRequest.objects.filter(id=request_id).update(recipients=present_recipients(request_id=request_id))
