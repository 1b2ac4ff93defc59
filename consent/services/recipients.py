"""Telling recipients that a person was erased, each with its state on the request.

References
----------
GDPR Art. 19. The states are those of mParticle's OpenDSR extension: pending, sent, in_progress, completed, skipped,
failed.
"""

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import SystemRandom
from typing import Any

import orjson
from django.db import transaction
from django.db.models import Q
from standardwebhooks.webhooks import Webhook

from cdp.core import outgoing
from cdp.core.errors import CdpError, FieldError, InvalidInput, NotFound
from cdp.core.secrets import seal, unseal
from cdp.core.services.audit import record
from cdp.core.services.wakeups import wake
from consent.disclosure_models import DisclosureTerms
from consent.models import PrivacyRequest
from consent.proof_models import RecipientAddress, RecipientNotice
from consent.queries.disclosures import find_recipients
from consent.services.closure import Closure
from consent.services.processors import ASK_AGAIN, UNSUPPORTED, ask_how_it_stands, ask_processor, seal_login
from consent.services.recipient_states import show_states
from consent.services.removals import begin_removals, follow_removals

TASK = "consent.tell_recipients"
EVENT_TYPE = "privacy.erasure"
SECRET, BODY = "secret of a recipient", "notice of erasure"
SECRET_BYTES = 32
SPACE, LAST_ASCII = 0x20, 0x7E
TIMEOUT_SECONDS = 10.0
PAUSES = (5, 30, 120, 600, 3600)
BATCH = 100
BY_HAND = "No address is known: tell this recipient and mark it as told."
# The recipient of an export for which nobody else was named.
IN_HOUSE = "the person who exports"
Status = RecipientNotice.Status
Answer = RecipientNotice.Answer
Kind = DisclosureTerms.Kind
NOT_TOLD = (Answer.IMPOSSIBLE.value, Answer.DISPROPORTIONATE.value)


class UnknownRecipient(NotFound):
    """The request has no such recipient."""

    code = "recipient.unknown"

    def __init__(self) -> None:
        super().__init__("This request has no such recipient.")


class UnknownAddress(NotFound):
    """No recipient has an address of this id."""

    code = "recipient.unknown_address"

    def __init__(self) -> None:
        super().__init__("No recipient has an address with this number.")


def note_recipients(*, closure: Closure, request: PrivacyRequest, now: datetime) -> None:
    """Write down who received data of the person and has to be told, in the caller's transaction.

    Before anything is deleted: the register of disclosures goes with the person. Whoever received data through a
    destination is sent a removal there when the person's rows go, and that is followed; whoever has an address besides
    is told there, too.
    """
    told = [one for one in find_recipients(profile_ids=closure.profile_ids) if one.kind != Kind.REMOVAL]
    delivered = [one for one in told if one.kind == Kind.DELIVERY and one.destination]
    others = {one.recipient for one in told if one.kind != Kind.DELIVERY or not one.destination}
    addresses = RecipientAddress.objects.filter(recipient__in={one.recipient for one in told})
    addressed = set(addresses.values_list("recipient", flat=True))
    names = others | addressed
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
                body_sealed=seal(body, context=BODY) if name in addressed else None,
                created_at=now,
                **_begin(name, is_addressed=name in addressed),
            )
            for name in sorted(names)
        ]
        + begin_removals(told=delivered, request_id=str(request.id), now=now),
        ignore_conflicts=True,
    )
    if addressed:
        wake(TASK)


def tell_recipients(*, clock: Callable[[], datetime]) -> int:
    """Send what is due and return how many recipients were told. Outside of any transaction.

    A worker that dies after sending sends again, with the same id. Processors that were asked by OpenDSR and have not
    said for a while how it stands are asked, and removals at destinations are followed.
    """
    now = clock()
    follow_removals(now=now)
    due = RecipientNotice.objects.filter(Q(retry_at=None) | Q(retry_at__lte=now), status=Status.PENDING, destination="")
    told = 0
    for notice in due.order_by("id")[:BATCH]:
        address = RecipientAddress.objects.filter(recipient=notice.recipient).first()
        fault = _tell(notice, address, now=clock())
        told += fault is None
        _note(notice, fault, address=address, now=clock())
    quiet = RecipientNotice.objects.filter(status__in=[Status.SENT, Status.IN_PROGRESS], retry_at__lte=now)
    for notice in quiet.order_by("id")[:BATCH]:
        address = RecipientAddress.objects.filter(recipient=notice.recipient).first()
        if address is not None:
            ask_how_it_stands(notice, address, now=clock())
    return told


@dataclass(frozen=True, slots=True)
class Told:
    """What an officer says of a recipient of an erased person's data.

    Attributes
    ----------
    destination : str or None
        One way in which it got the person; None: every way that is still open.
    not_told_because : str
        One of `NOT_TOLD`; empty: it was told.
    """

    recipient: str
    destination: str | None = None
    not_told_because: str = ""


def mark_told(*, request_id: str, told: Told, actor: str, now: datetime) -> None:
    """Note that an officer has told a recipient by other means, or why nobody tells it.

    Raises
    ------
    UnknownRecipient
        If the request has none of this name.
    """
    with transaction.atomic():
        # The request's row first, as everybody does who writes notices of destinations.
        PrivacyRequest.objects.select_for_update().filter(id=request_id).first()
        named = RecipientNotice.objects.filter(request_id=request_id, recipient=told.recipient)
        if told.destination is not None:
            named = named.filter(destination=told.destination)
        rows = list(named.select_for_update().order_by("id"))
        if not rows:
            raise UnknownRecipient
        for row in [row for row in rows if row.status != Status.COMPLETED and not row.answer] or rows:
            _answer(row, because=told.not_told_because, actor=actor, now=now)
        show_states(request_id, now=now)


@dataclass(frozen=True, slots=True)
class NewAddress:
    """Where a recipient is told, and how.

    Attributes
    ----------
    domain : str
        What a processor calls itself by OpenDSR; empty: the host of its address.
    authorization : str
        The value of the header Authorization for OpenDSR; empty keeps the one that is known.
    """

    recipient: str
    url: str
    protocol: str = RecipientAddress.Protocol.WEBHOOK
    domain: str = ""
    authorization: str = ""


def save_address(*, new: NewAddress, actor: str, now: datetime) -> RecipientAddress:
    """Set where a recipient is told; the secret is made with the first address.

    Raises
    ------
    OutgoingRefused
        If the address may not be called.
    InvalidInput
        Without a recipient.
    """
    if not new.recipient.strip():
        message = "Name the recipient as the register of disclosures does."
        raise InvalidInput(message)
    if any(ord(char) < SPACE or ord(char) > LAST_ASCII for char in new.authorization):
        message = "The header Authorization holds visible ASCII characters only."
        raise InvalidInput(message, errors=[FieldError("authorization", "invalid", message)])
    host = outgoing.check_url(new.url).host
    fields: dict[str, Any] = {
        "url": new.url,
        "protocol": new.protocol,
        "domain": (new.domain or host).lower() if new.protocol == RecipientAddress.Protocol.OPENDSR else "",
        "certificate": "",
    }
    if new.authorization:
        fields["login_sealed"] = seal_login(new.authorization)
    secret = "whsec_" + b64encode(SystemRandom().randbytes(SECRET_BYTES)).decode()
    with transaction.atomic():
        row, _ = RecipientAddress.objects.update_or_create(
            recipient=new.recipient,
            defaults=fields,
            create_defaults={**fields, "secret_sealed": seal(secret.encode(), context=SECRET), "created_at": now},
        )
        record(actor=actor, action="recipient.addressed", object=f"recipient:{row.pk}", now=now)
    return row


def remove_address(*, address_id: int, actor: str, now: datetime) -> None:
    """Forget where a recipient is told; notices that wait for it become somebody's to do.

    Raises
    ------
    UnknownAddress
        If there is none with this id.
    """
    with transaction.atomic():
        row = RecipientAddress.objects.select_for_update().filter(pk=address_id).first()
        if row is None:
            raise UnknownAddress
        row.delete()
        record(actor=actor, action="recipient.address_removed", object=f"recipient:{address_id}", now=now)


def present_address(row: RecipientAddress, *, with_secret: bool) -> Mapping[str, Any]:
    """Return an address; with the secret for those who may set it."""
    shown = {"recipient": row.recipient, "url": row.url, "protocol": row.protocol}
    if row.protocol == RecipientAddress.Protocol.OPENDSR:
        return {**shown, "domain": row.domain}
    return {**shown, "secret": unseal(bytes(row.secret_sealed), context=SECRET).decode()} if with_secret else shown


def _answer(row: RecipientNotice, *, because: str, actor: str, now: datetime) -> None:
    """Write down what an officer says of one notice."""
    if because:
        row.status, row.answer, row.status_message = Status.SKIPPED, because, Answer(because).label
    else:
        row.status, row.answer, row.status_message, row.told_at = Status.COMPLETED, "", "told by hand", now
    row.body_sealed, row.retry_at = None, None
    row.save()
    record(
        actor=actor,
        action="recipient.not_told" if because else "recipient.told",
        object=f"privacy_request:{row.request_id}",
        detail={"recipient": row.pk, **({"because": because} if because else {})},
        now=now,
    )


def _begin(name: str, *, is_addressed: bool) -> dict[str, str]:
    """Return how the notice of a recipient begins that got data otherwise than through a destination."""
    if is_addressed:
        return {"status": Status.PENDING}
    if name == IN_HOUSE:
        return {"status": Status.SKIPPED, "answer": Answer.IN_HOUSE, "status_message": Answer.IN_HOUSE.label}
    return {"status": Status.SKIPPED, "status_message": BY_HAND}


def _tell(notice: RecipientNotice, address: RecipientAddress | None, *, now: datetime) -> str | None:
    """Tell a recipient, and return the fault, if any."""
    if address is None:
        return BY_HAND
    body = unseal(bytes(notice.body_sealed or b""), context=BODY)
    if address.protocol == RecipientAddress.Protocol.OPENDSR:
        return ask_processor(notice, address, body=body, now=now)
    return _send(notice, address, body=body, now=now)


def _send(notice: RecipientNotice, address: RecipientAddress, *, body: bytes, now: datetime) -> str | None:
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


def _note(notice: RecipientNotice, fault: str | None, *, address: RecipientAddress | None, now: datetime) -> None:
    by_opendsr = address is not None and address.protocol == RecipientAddress.Protocol.OPENDSR
    with transaction.atomic():
        row = RecipientNotice.objects.select_for_update().get(pk=notice.pk)
        if row.status != Status.PENDING:
            # It has answered already, or somebody has told it.
            return
        row.attempts += 1
        if fault is None and by_opendsr:
            # It says itself when it is done.
            row.status, row.status_message, row.body_sealed, row.retry_at = Status.SENT, "", None, now + ASK_AGAIN
        elif fault is None:
            row.status, row.status_message, row.told_at, row.body_sealed = Status.COMPLETED, "", now, None
        elif fault in (BY_HAND, UNSUPPORTED) or row.attempts > len(PAUSES):
            row.status = Status.SKIPPED if fault in (BY_HAND, UNSUPPORTED) else Status.FAILED
            row.status_message, row.body_sealed = fault, None
        else:
            row.status_message, row.retry_at = fault, now + timedelta(seconds=PAUSES[row.attempts - 1])
        row.save()
        show_states(str(row.request_id), now=now)
