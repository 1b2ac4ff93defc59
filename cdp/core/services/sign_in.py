"""What happens around signing in: single sign-on's people, sessions, and second factors that were lost."""

from datetime import datetime

from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db import transaction

from cdp.core.errors import NotFound
from cdp.core.models import SecondFactorSecret, User
from cdp.core.queries.accounts import roles_of
from cdp.core.services import audit
from cdp.core.services.accounts import LastAdministrator, change_user, check_email, create_user

UUID_CHARACTERS = 36


def admit_by_single_sign_on(*, user_id: int | None, email: str, name: str, role: str, now: datetime) -> User:
    """Return the person whom the sign-on service names, with the role that it gives; made if unknown.

    Parameters
    ----------
    user_id : int or None
        Who came in by this account of the service before; None finds the person by e-mail.
    email : str
        Verified by the service.

    Notes
    -----
    The last administrator keeps the role: otherwise a mistake in the service's groups would lock everybody out.
    """
    with transaction.atomic():
        known = {"email": check_email(email)} if user_id is None else {"pk": user_id}
        user = User.objects.filter(**known).first()
        if user is None:
            return create_user(
                email=email, role=role, password=None, actor="system:single_sign_on", now=now, name=name[:150]
            )
        if roles_of(user=user) == [role]:
            return user
        try:
            change_user(
                user_id=user.pk,
                name=user.name or name[:150],
                role=role,
                is_active=user.is_active,
                actor="system:single_sign_on",
                now=now,
            )
        except LastAdministrator:
            return user
    user.refresh_from_db()
    return user


def end_session(*, user_id: int, session_id: int, actor: str, now: datetime) -> None:
    """Sign a person out in one browser.

    Raises
    ------
    NotFound
        If the person has no such session.
    """
    with transaction.atomic():
        found = UserSession.objects.filter(user_id=user_id, pk=session_id).first()
        if found is None:
            message = "This session has ended already."
            raise NotFound(message)
        _end([found])
        audit.record(actor=actor, action="user.session_ended", object=f"user:{user_id}", now=now)


def end_all_sessions(*, user_id: int, actor: str, now: datetime, but: str | None = None) -> int:
    """Sign a person out everywhere, at once, and return in how many browsers that was.

    Parameters
    ----------
    but : str or None
        The key of a session that goes on: the one of the browser that asks for it.
    """
    with transaction.atomic():
        found = list(UserSession.objects.filter(user_id=user_id).exclude(session_key=but or ""))
        _end(found)
        audit.record(
            actor=actor,
            action="user.sessions_ended",
            object=f"user:{user_id}",
            detail={"sessions": len(found)},
            now=now,
        )
    return len(found)


def remove_second_factors(*, user_id: int, actor: str, now: datetime) -> int:
    """Take away the second factors of a person who lost them, sign them out, and return how many those were.

    Notes
    -----
    With their password they sign in again, and set new ones up where their role needs them.
    """
    with transaction.atomic():
        factors, _ = Authenticator.objects.filter(user_id=user_id).delete()
        end_all_sessions(user_id=user_id, actor=actor, now=now)
        audit.record(
            actor=actor,
            action="user.second_factors_removed",
            object=f"user:{user_id}",
            detail={"factors": factors},
            now=now,
        )
    return factors


def forget_secrets_without_factor() -> int:
    """Delete the sealed secrets of second factors that are gone, and return how many those were."""
    used = Authenticator.objects.filter(data__has_any_keys=["secret", "seed"]).values_list("data", flat=True)
    kept = [name for data in used if len(name := str(data.get("secret") or data.get("seed"))) == UUID_CHARACTERS]
    deleted, _ = SecondFactorSecret.objects.exclude(pk__in=kept).delete()
    return deleted


def forget_ended_sessions() -> None:
    """Take sessions that are over off the lists."""
    UserSession.objects.exclude(session_key__in=Session.objects.values("session_key")).delete()


def _end(sessions: list[UserSession]) -> None:
    Session.objects.filter(session_key__in=[session.session_key for session in sessions]).delete()
    UserSession.objects.filter(pk__in=[session.pk for session in sessions]).delete()
