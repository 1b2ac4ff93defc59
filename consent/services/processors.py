"""Erasures passed on by OpenDSR: processors are asked, tell how it stands, and are asked how it stands.

The controller's side. `consent.services.recipients` owns the notices and calls this for recipients of that protocol.

References
----------
OpenDSR 2.0, sections 3 to 6 and 8; docs/decisions/0026-readings-of-opendsr.md.
"""

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.conf import settings
from django.db import transaction
from django.db.models import Q

from cdp.core.authorities import read_authorities
from cdp.core.errors import CdpError
from cdp.core.outgoing import Answer, Line
from cdp.core.secrets import seal, unseal
from cdp.core.services.audit import record
from consent.errors import BadSignature, NotAProcessor
from consent.opendsr.answers import CANCELLED, COMPLETED, IN_PROGRESS, PENDING
from consent.opendsr.asking import (
    Told,
    goes_forward,
    name_for,
    read_created,
    read_discovery,
    read_told,
    write_request,
)
from consent.opendsr.signatures import is_valid
from consent.opendsr.trust import is_trusted
from consent.opendsr.wire import BadMessage
from consent.proof_models import RecipientAddress, RecipientNotice
from consent.services.recipient_states import show_states

CALLBACK_PATH = "opendsr/callbacks"
LOGIN = "login at a processor"
TIMEOUT_SECONDS = 10.0
# Between two questions how a request stands, for processors that do not tell.
ASK_AGAIN = timedelta(hours=6)
FETCH_AGAIN = timedelta(minutes=1)
PREFIXES = ("X-OpenDSR", "X-OpenGDPR")
NOT_FOUND, CREATED = 404, 201
UNSUPPORTED = "It takes none of the kinds of identifiers that this person had: tell it and mark it as told."
UNTRUSTED = "Its certificate is not one of an authority for its domain."
UNSIGNED = "Its answer is not signed by its certificate."
Status = RecipientNotice.Status
STATES: Mapping[str, str] = {
    PENDING: Status.SENT,
    IN_PROGRESS: Status.IN_PROGRESS,
    COMPLETED: Status.COMPLETED,
    CANCELLED: Status.FAILED,
}
KNOWN: Mapping[str, str] = {ours: theirs for theirs, ours in STATES.items()}


class Fault(Exception):
    """Why a processor could not be asked; nothing of the person is in it."""


def callback_url() -> str:
    """Return where processors tell how requests stand."""
    return f"{settings.CDP_BASE_URL}/{CALLBACK_PATH}"


def seal_login(authorization: str) -> bytes | None:
    """Return the value of the header Authorization as it is kept; None without one."""
    return seal(authorization.encode(), context=LOGIN) if authorization else None


def ask_processor(notice: RecipientNotice, address: RecipientAddress, *, body: bytes, now: datetime) -> str | None:
    """Ask a processor to erase a person, and return the fault, if any. Outside of any transaction.

    Parameters
    ----------
    body : bytes
        The notice as webhooks send it: whom it is about, and under which law.

    Notes
    -----
    The number is written down before it is sent. A worker that died after sending asks how that number stands before
    it sends again: processors refuse a number that they know.
    """
    number = notice.subject_request_id or _number(notice)
    said = orjson.loads(body)
    try:
        with Line() as line:
            abilities = read_discovery(_call(line, address, "GET", "/discovery").body)
            trusted = _certificate(line, address, url=abilities.certificate_url, now=now)
            known = _call(line, address, "GET", f"/requests/{number}") if notice.attempts else None
            if known is not None and known.is_success:
                _check(known, trusted)
                return None
            identities = name_for(said["data"]["identities"], abilities=abilities)
            if not identities or "erasure" not in abilities.types:
                return UNSUPPORTED
            request = write_request(
                subject_request_id=number,
                regulation=said["data"]["regulation"],
                submitted_at=datetime.fromisoformat(said["timestamp"]),
                identities=identities,
                callback_url=callback_url(),
            )
            answer = _call(line, address, "POST", "/requests", body=request)
            if answer.status != CREATED:
                return f"It answered with status {answer.status}."
            _check(answer, trusted)
            RecipientNotice.objects.filter(pk=notice.pk).update(due_at=read_created(answer.body))
    except CdpError as error:
        return error.message
    except (Fault, BadMessage) as fault:
        return str(fault)
    return None


def ask_how_it_stands(notice: RecipientNotice, address: RecipientAddress, *, now: datetime) -> None:
    """Ask a processor that has not told for a while. Outside of any transaction; a fault leaves things as they are."""
    try:
        with Line() as line:
            answer = _call(line, address, "GET", f"/requests/{notice.subject_request_id}")
            if answer.is_success:
                _check(answer, address.certificate.encode())
                heed(read_told(answer.body), recipient=address.recipient, now=now)
    except (CdpError, Fault, BadMessage):
        pass
    RecipientNotice.objects.filter(pk=notice.pk).update(retry_at=now + ASK_AGAIN)


def take_callback(raw: bytes, *, headers: Mapping[str, str], now: datetime) -> None:
    """Heed what a processor tells, once its signature was checked; whatever was told before changes nothing.

    Parameters
    ----------
    raw : bytes
        The body exactly as it came.
    headers : mapping
        Of the request, by any case.

    Raises
    ------
    NotAProcessor
        The domain is nobody's who is told by OpenDSR, or has no certificate to be believed.
    BadSignature
        The body was not signed with it, not even with the one that is fetched anew.
    BadMessage
        The body is signed and yet no callback to this address.
    """
    domain, signature = _signed_by(headers)
    address = RecipientAddress.objects.filter(protocol=RecipientAddress.Protocol.OPENDSR, domain=domain).first()
    if address is None or not domain:
        raise NotAProcessor
    pem = address.certificate.encode()
    is_trusted_already = _trusts(pem, address, now=now)
    if not is_trusted_already or not is_valid(raw, signature=signature, certificate_pem=pem):
        fresh = _fetch_again(address, now=now)
        if not fresh and not is_trusted_already:
            raise NotAProcessor
        if not fresh or not is_valid(raw, signature=signature, certificate_pem=fresh):
            raise BadSignature
    told = read_told(raw)
    if told.callback_url != callback_url():
        raise BadMessage("status_callback_url", "This callback is for another address.")
    heed(told, recipient=address.recipient, now=now)


def heed(told: Told, *, recipient: str, now: datetime) -> bool:
    """Write down how a request stands, if that is news; a recipient speaks for its own notices only."""
    with transaction.atomic():
        row = (
            RecipientNotice.objects.select_for_update()
            .filter(subject_request_id=told.subject_request_id, recipient=recipient)
            .first()
        )
        if row is None or not goes_forward(told=told.state, known=_known(row)):
            return False
        row.answer = ""
        row.status, row.body_sealed, row.due_at = STATES[told.state], None, told.due_at or row.due_at
        row.status_message = f"{CANCELLED}: {told.reason or 'no reason given'}" if told.state == CANCELLED else ""
        row.told_at = now if told.state == COMPLETED else None
        row.save()
        show_states(str(row.request_id), now=now)
        record(
            actor="system",
            action="recipient.answered",
            object=f"privacy_request:{row.request_id}",
            detail={"recipient": row.pk, "state": told.state},
            now=now,
        )
    return True


def _known(row: RecipientNotice) -> str:
    """Return the processor's word for how a notice stands; one that was given up may still turn out to be heeded."""
    if row.status == Status.FAILED and not row.status_message.startswith(CANCELLED):
        return PENDING
    return KNOWN.get(row.status, PENDING)


def _number(notice: RecipientNotice) -> uuid.UUID:
    number = uuid.uuid4()
    RecipientNotice.objects.filter(pk=notice.pk).update(subject_request_id=number)
    return number


def _call(line: Line, address: RecipientAddress, method: str, path: str, *, body: bytes = b"") -> Answer:
    headers = {"accept": "application/json"}
    if body:
        headers["content-type"] = "application/json"
    if address.login_sealed is not None:
        headers["authorization"] = unseal(bytes(address.login_sealed), context=LOGIN).decode()
    url = address.url.rstrip("/") + path
    return line.send(url, method=method, headers=headers, body=body, timeout_seconds=TIMEOUT_SECONDS)


def _certificate(line: Line, address: RecipientAddress, *, url: str, now: datetime, anew: bool = False) -> bytes:
    """Return the processor's certificate: the one that is kept while it can be believed, else fetched."""
    kept = address.certificate.encode()
    if not anew and _trusts(kept, address, now=now):
        return kept
    answer = line.send(url, method="GET", timeout_seconds=TIMEOUT_SECONDS)
    if not answer.is_success or not _trusts(answer.body, address, now=now):
        raise Fault(UNTRUSTED)
    address.certificate = answer.body.decode("ascii", "replace")
    RecipientAddress.objects.filter(pk=address.pk).update(certificate=address.certificate)
    return answer.body


def _fetch_again(address: RecipientAddress, *, now: datetime) -> bytes:
    """Fetch the certificate anew, at most once a minute; empty if it cannot be had or believed.

    Whoever sends nonsense in a processor's name makes this installation ask no more often than that.
    """
    claimed = RecipientAddress.objects.filter(pk=address.pk).filter(
        Q(fetched_at=None) | Q(fetched_at__lte=now - FETCH_AGAIN)
    )
    if not claimed.update(fetched_at=now):
        return b""
    try:
        with Line() as line:
            abilities = read_discovery(_call(line, address, "GET", "/discovery").body)
            return _certificate(line, address, url=abilities.certificate_url, now=now, anew=True)
    except (CdpError, Fault, BadMessage):
        return b""


def _trusts(pem: bytes, address: RecipientAddress, *, now: datetime) -> bool:
    return bool(pem) and is_trusted(pem, domain=address.domain, authorities=read_authorities(), now=now)


def _check(answer: Answer, pem: bytes) -> None:
    _, signature = _signed_by(answer.headers)
    if not is_valid(answer.body, signature=signature, certificate_pem=pem):
        raise Fault(UNSIGNED)


def _signed_by(headers: Mapping[str, Any]) -> tuple[str, str]:
    """Return the domain and the signature of a message, in the headers of either version."""
    given = {name.lower(): str(value) for name, value in headers.items()}
    for prefix in PREFIXES:
        signature = given.get(f"{prefix}-Signature".lower())
        if signature:
            return given.get(f"{prefix}-Processor-Domain".lower(), "").strip().lower(), signature
    return "", ""
