"""Letters to people: put together from templates, changed by an officer, sent by mail or noted as sent."""

import hashlib
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson
from django.conf import settings
from django.db import transaction

from cdp.core.errors import FieldError, InvalidInput
from cdp.core.secrets import seal, unseal
from cdp.core.services.audit import record
from cdp.core.services.mail import queue_mail
from consent.errors import UnknownLetter
from consent.letters.compose import Composed, Facts, compose
from consent.models import PrivacyRequest
from consent.request_models import Letter
from consent.services.details import read_details

CONTEXT = "consent.letter"
# A letter that stays on file does not keep a key to what it opened.
LEFT_OUT = "…"


def send_letter(*, request: PrivacyRequest, kind: str, actor: str, now: datetime, **extra: Any) -> Letter:
    """Write a letter from its template; where an address is known it is sent, else it waits for an officer.

    The caller holds the request's row.

    Parameters
    ----------
    **extra
        `Facts` that the request does not tell: ``link``, ``code``, ``days``, ``text``. Links and codes are secrets
        and go into the mail only.
    """
    contact = read_details(request=request).contact
    kept = {name: LEFT_OUT if name in ("link", "code") else value for name, value in extra.items()}
    letter = _keep(
        request=request,
        kind=kind,
        composed=compose(kind=kind, language=request.language, facts=facts_of(request, **kept)),
        author=actor,
        now=now,
    )
    if contact:
        mailed = compose(kind=kind, language=request.language, facts=facts_of(request, **extra))
        queue_mail(to=contact, subject=mailed.subject, body=mailed.body, now=now)
        note_sent(letter, by_mail=True, actor=actor, now=now)
    return letter


def draft_letter(*, request: PrivacyRequest, kind: str, language: str, text: str, actor: str, now: datetime) -> Letter:
    """Keep a letter that an officer wrote or changed, not sent yet.

    Raises
    ------
    InvalidInput
        Without a text.
    """
    if not text.strip():
        message = "A letter needs a text."
        raise InvalidInput(message, errors=[FieldError("text", "required", message)])
    subject = compose(kind=kind, language=language, facts=facts_of(request)).subject
    with transaction.atomic():
        return _keep(
            request=request, kind=kind, composed=Composed(subject, text), author=actor, now=now, language=language
        )


def dispatch_letter(*, letter_id: int, request_id: UUID, by_mail: bool, actor: str, now: datetime) -> Letter:
    """Send a draft by mail, or note that it went another way; a letter that was sent stays as it is.

    Raises
    ------
    UnknownLetter
        If the request has no such letter.
    InvalidInput
        If it is to be mailed and no address is known.
    """
    with transaction.atomic():
        letter = Letter.objects.select_for_update(of=("self",)).filter(pk=letter_id, request_id=request_id).first()
        if letter is None or letter.sealed is None:
            raise UnknownLetter
        if letter.state == Letter.State.SENT:
            return letter
        if by_mail:
            contact = read_details(request=letter.request).contact
            if not contact:
                message = "No e-mail address of the person is known. Send the letter otherwise and note that."
                raise InvalidInput(message, errors=[FieldError("by_mail", "no_address", message)])
            subject, body = read_letter(letter)
            queue_mail(to=contact, subject=subject, body=body, now=now)
        note_sent(letter, by_mail=by_mail, actor=actor, now=now)
    return letter


def read_letter(letter: Letter) -> tuple[str, str]:
    """Return subject and text; of one that an erasure emptied, nothing."""
    if letter.sealed is None:
        return "", ""
    kept = orjson.loads(unseal(bytes(letter.sealed), context=CONTEXT))
    return kept["subject"], kept["body"]


def facts_of(request: PrivacyRequest, **extra: Any) -> Facts:
    """Return what the request itself tells a letter."""
    zone = ZoneInfo(settings.CDP_TIME_ZONE)
    return Facts(
        number=str(request.pk),
        type=request.type,
        received_on=request.received_at.astimezone(zone).date(),
        due_on=(request.extended_to or request.due_at).astimezone(zone).date(),
        reason=request.reason,
        **extra,
    )


def _keep(
    *, request: PrivacyRequest, kind: str, composed: Composed, author: str, now: datetime, language: str | None = None
) -> Letter:
    body = orjson.dumps({"subject": composed.subject, "body": composed.body})
    return Letter.objects.create(
        request=request,
        kind=kind,
        language=language or request.language,
        sealed=seal(body, context=CONTEXT),
        sha256=hashlib.sha256(composed.body.encode()).hexdigest(),
        author=author,
        created_at=now,
    )


def note_sent(letter: Letter, *, by_mail: bool, actor: str, now: datetime) -> None:
    """Note that a letter went out, in the caller's transaction."""
    letter.state, letter.by_mail, letter.sent_at = Letter.State.SENT, by_mail, now
    letter.save(update_fields=["state", "by_mail", "sent_at"])
    record(
        actor=actor,
        action="privacy_request.letter_sent",
        object=f"privacy_request:{letter.request_id}",
        detail={"letter": letter.pk, "kind": letter.kind, "by_mail": by_mail},
        now=now,
    )
