"""What an administrator should have done before real data comes in, and what of it is done."""

from dataclasses import dataclass

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.db.models import Q

from cdp.core.access import ADMINISTRATOR, COMPLIANCE_OFFICER
from cdp.core.models import ApiKey, User

EXAMPLE_EMAIL = "admin@example.com"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do: the name of the page where, if there is one, and why."""

    title: str
    is_done: bool
    why: str
    view: str | None = None
    act: str = ""
    is_optional: bool = False


def read_checklist(*, user_id: int | None) -> list[Step]:
    """Return the steps in the order in which to take them.

    Parameters
    ----------
    user_id : int or None
        Who asks: the first steps are about their own account.
    """
    strong = Authenticator.objects.exclude(type=Authenticator.Type.RECOVERY_CODES).values("user_id")
    powerful = User.objects.filter(
        Q(is_superuser=True) | Q(groups__name__in=[ADMINISTRATOR, COMPLIANCE_OFFICER]), is_active=True
    ).distinct()
    administrators = powerful.filter(Q(is_superuser=True) | Q(groups__name=ADMINISTRATOR)).count()
    # Whoever has no password comes by single sign-on, which has factors of its own.
    weak = powerful.exclude(pk__in=strong).exclude(password__startswith=UNUSABLE_PASSWORD_PREFIX).count()
    endless = ApiKey.objects.filter(revoked_at=None, expires_at=None).count()
    return [
        Step(
            title="Sign in under an address of your own",
            is_done=not User.objects.filter(email=EXAMPLE_EMAIL, is_active=True).exists(),
            why=f"{EXAMPLE_EMAIL} gets no mail, so a forgotten password is lost. Invite yourself, then remove it.",
            view="admin:core_invitation_add",
            act="Invite",
        ),
        Step(
            title="Add a second factor to your account",
            is_done=Authenticator.objects.filter(user_id=user_id)
            .exclude(type=Authenticator.Type.RECOVERY_CODES)
            .exists(),
            why="An app or a security key, so that a stolen password opens nothing. Keep the recovery codes.",
            view="mfa_index",
            act="Your account",
        ),
        Step(
            title="Have a second administrator",
            is_done=administrators > 1,
            why="Somebody must be able to help when your phone is lost.",
            view="admin:core_invitation_add",
            act="Invite",
        ),
        Step(
            title="See that administrators and compliance officers have second factors",
            is_done=weak == 0,
            why=f"In production nobody of them gets in without. Still without: {weak or 'nobody'}.",
            view="admin:core_user_changelist",
            act="People",
        ),
        Step(
            title="Serve it by https, under its own name",
            is_done=settings.PRODUCTION and settings.CDP_BASE_URL.startswith("https://"),
            why="CDP_ENV=production, CDP_BASE_URL and CDP_ALLOWED_HOSTS. Cookies and security keys are bound to them.",
        ),
        Step(
            title="Name a mail server",
            is_done=bool(settings.CDP_EMAIL_URL),
            why="CDP_EMAIL_URL. Until then invitations and letters to customers are files in the outbox folder.",
        ),
        Step(
            title="Let API keys end",
            is_done=endless == 0,
            why=f"A key that never ends is found years later. Without an end: {endless or 'none'}.",
            view="api_keys",
            act="API keys",
        ),
        Step(
            title="Name whom to tell about weaknesses",
            is_done=bool(settings.CDP_SECURITY_CONTACT),
            why="CDP_SECURITY_CONTACT, served as security.txt.",
            is_optional=True,
        ),
        Step(
            title="Let people come by single sign-on",
            is_done=bool(settings.CDP_OIDC_ISSUER),
            why="CDP_OIDC_ISSUER: whoever leaves the organisation loses access here as well.",
            is_optional=True,
        ),
    ]
