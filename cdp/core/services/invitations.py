"""Invitations: how people come in without anybody else knowing their password."""

import hashlib
import secrets
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from cdp.core.access import ROLE_NAMES
from cdp.core.errors import NotFound
from cdp.core.models import Invitation, User
from cdp.core.services import audit, mail
from cdp.core.services.accounts import EmailTaken, check_email, check_password, check_role, create_user

INVITATION_DAYS = 7
TOKEN_BYTES = 32
GONE = "This invitation was used or has expired. Ask for a new one."


class InvitationGone(NotFound):
    """The invitation was used, withdrawn or has expired."""

    code = "account.invitation_gone"


def invite(*, email: str, role: str, actor: str, now: datetime) -> Invitation:
    """Invite somebody by mail; the link works once, for seven days. Inviting again replaces the earlier link.

    Raises
    ------
    UnknownRole, BadEmail, EmailTaken
        If the input is not usable.
    """
    check_role(role)
    address = check_email(email)
    token = secrets.token_urlsafe(TOKEN_BYTES)
    with transaction.atomic():
        if User.objects.filter(email=address).exists():
            message = "Somebody with this e-mail can sign in already."
            raise EmailTaken(message)
        Invitation.objects.filter(email=address).delete()
        invitation = Invitation.objects.create(
            email=address,
            role=role,
            digest=_digest(token),
            created_at=now,
            expires_at=now + timedelta(days=INVITATION_DAYS),
        )
        mail.queue_mail(
            to=address,
            subject="Your invitation to the Customer Data Platform",
            body=(
                f"You have been invited as {ROLE_NAMES[role].lower()}.\n\n"
                f"Choose a password here, within {INVITATION_DAYS} days:\n"
                f"{settings.CDP_BASE_URL}/invitations/{token}\n"
            ),
            now=now,
        )
        audit.record(
            actor=actor,
            action="user.invited",
            object=f"invitation:{invitation.pk}",
            detail={"role": role},
            now=now,
        )
    return invitation


def find_invitation(*, token: str, now: datetime) -> Invitation:
    """Return the invitation of a link.

    Raises
    ------
    InvitationGone
        If it was used, replaced or has expired.
    """
    found = Invitation.objects.filter(digest=_digest(token), expires_at__gt=now).first()
    if found is None:
        raise InvitationGone(GONE)
    return found


def accept_invitation(*, token: str, name: str, password: str, now: datetime) -> User:
    """Make the invited person's account and use up the invitation.

    Raises
    ------
    InvitationGone
        If it was used, replaced or has expired.
    WeakPassword
        Saying what a password needs.
    """
    with transaction.atomic():
        found = Invitation.objects.select_for_update().filter(digest=_digest(token)).first()
        if found is None or found.expires_at <= now:
            raise InvitationGone(GONE)
        check_password(password, user=User(email=found.email, name=name))
        user = create_user(
            email=found.email,
            role=found.role,
            password=password,
            name=name,
            actor=f"invitation:{found.pk}",
            now=now,
        )
        found.delete()
    return user


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
