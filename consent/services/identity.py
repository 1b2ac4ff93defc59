"""Whether somebody is who they say: a link and a code by mail, and what becomes of requests that nobody confirms.

References
----------
GDPR Art. 12(6). OWASP ASVS 5.0, 6.6.2 and 6.6.3: codes of six digits need a limit of tries.
"""

import hmac
import secrets
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction

from cdp.core.digests import derived_key
from cdp.core.services.mail import queue_mail
from consent import life
from consent.errors import LinkGone, NoContact
from consent.letters.compose import compose
from consent.life import Role
from consent.models import PrivacyRequest
from consent.queries.links import digest_token
from consent.request_models import IdentityCheck, RequestDetails
from consent.services.details import read_details
from consent.services.letters import facts_of, send_letter
from consent.services.requests import cancel_request, doubt_identity, hold_request, step, verify_request

TOKEN_BYTES = 32
CODE_DIGITS = 6
# One in 200 000 to guess a code, and a new code needs a new mail.
MOST_FAILURES = 5
VALID_DAYS = 7
# What nobody confirms is no request of anybody's.
FORGOTTEN_DAYS = 30


def ask_identity(
    *, request_id: str | UUID, actor: str, now: datetime, role: Role = Role.OFFICER
) -> tuple[PrivacyRequest, str]:
    """Send the person a link and a code by which they show that the address is theirs.

    Returns
    -------
    (PrivacyRequest, str)
        And the ticket under which the code is entered; it opens nothing by itself.

    Raises
    ------
    NoContact
        If no e-mail address of the person is known.
    WrongStatus
        If the request is decided.
    """
    with transaction.atomic():
        request = hold_request(request_id=str(request_id))
        step(request=request, act=life.Act.ASK_IDENTITY, role=role)
        contact = read_details(request=request).contact
        if not contact:
            raise NoContact
        doubt_identity(request=request, actor=actor, role=role, now=now)
        # An earlier mail opens nothing any more.
        IdentityCheck.objects.filter(request=request).delete()
        token = secrets.token_urlsafe(TOKEN_BYTES)
        code = f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}d}"
        check = IdentityCheck.objects.create(
            request=request,
            token_digest=digest_token(token),
            code_digest=_code_digest(digest_token(token), code),
            created_at=now,
            expires_at=now + timedelta(days=VALID_DAYS),
        )
        link = f"{settings.CDP_BASE_URL}/privacy/confirm/{token}"
        facts = facts_of(request, link=link, code=code, days=VALID_DAYS)
        letter = compose(kind="identity", language=request.language, facts=facts)
        queue_mail(to=contact, subject=letter.subject, body=letter.body, now=now)
    return request, bytes(check.token_digest).hex()


def find_check(*, token: str, now: datetime) -> IdentityCheck:
    """Return the question that a link answers.

    Raises
    ------
    LinkGone
        If there is none, it was answered, or it is too old: which of these, nobody is told.
    """
    found = IdentityCheck.objects.select_related("request").filter(token_digest=digest_token(token)).first()
    if found is None or found.used_at is not None or found.expires_at <= now:
        raise LinkGone
    return found


def confirm_by_link(*, token: str, now: datetime) -> PrivacyRequest:
    """Take a link as proof of identity; it works once.

    Raises
    ------
    LinkGone
        As `find_check`; also if the request is over.
    """
    with transaction.atomic():
        check = find_check(token=token, now=now)
        return _pass(check.pk, by="link", now=now)


def confirm_by_code(*, ticket: str, code: str, now: datetime) -> PrivacyRequest | None:
    """Take a code as proof of identity.

    Returns
    -------
    PrivacyRequest or None
        None: the code is wrong, or locked after too many tries, or the ticket leads nowhere. Nobody is told which.
    """
    try:
        digest = bytes.fromhex(ticket)
    except ValueError:
        return None
    with transaction.atomic():
        check = IdentityCheck.objects.select_for_update().filter(token_digest=digest).first()
        if check is None or check.used_at is not None or check.expires_at <= now or check.failures >= MOST_FAILURES:
            return None
        given = _code_digest(digest, "".join(char for char in code if char.isdecimal()))
        if not hmac.compare_digest(given, bytes(check.code_digest)):
            check.failures += 1
            check.save(update_fields=["failures"])
            return None
        return _pass(check.pk, by="code", now=now)


def forget_unconfirmed(now: datetime) -> None:
    """Cancel requests that wait for a confirmation for a month, and forget whom they named."""
    before = now - timedelta(days=FORGOTTEN_DAYS)
    old = PrivacyRequest.objects.filter(status=life.AWAITING_IDENTITY, identity_asked_at__lt=before, came_by="form")
    for request_id in old.values_list("id", flat=True)[:1000]:
        with transaction.atomic():
            cancel_request(
                request_id=str(request_id), reason="not confirmed", actor="system", now=now, role=Role.SYSTEM
            )
            PrivacyRequest.objects.filter(id=request_id).update(identities=[])
            RequestDetails.objects.filter(request_id=request_id).delete()


def _pass(check_id: int, *, by: str, now: datetime) -> PrivacyRequest:
    # Of two at once the second waits here, and finds it used.
    if not IdentityCheck.objects.filter(pk=check_id, used_at=None).update(used_at=now):
        raise LinkGone
    check = IdentityCheck.objects.select_related("request").get(pk=check_id)
    if check.request.status not in (life.RECEIVED, life.AWAITING_IDENTITY):
        raise LinkGone
    request = verify_request(
        request_id=str(check.request_id), verified_by=by, actor="subject", now=now, role=Role.SUBJECT
    )
    send_letter(request=request, kind="received", actor="system", now=now)
    return request


def _code_digest(token_digest: bytes, code: str) -> bytes:
    """Return a code's digest under a key: a million codes are tried in a moment without one."""
    return hmac.digest(derived_key("identity_code"), token_digest + code.encode(), "sha256")
