"""Signing in: no sign-up, an audit entry for each, mails through the outbox (django-allauth's adapter)."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from cdp.core.client_address import client_address
from cdp.core.errors import NotAllowed
from cdp.core.reauthentication import methods_of
from cdp.core.services import audit, mail

BACKEND = "django.contrib.auth.backends.ModelBackend"
NO_ADDRESS = "0.0.0.0"  # noqa: S104 - stands for "not known"; nothing listens on it
# What is said by mail when the ways in have changed: if it was not the person, they should know.
CHANGES = {
    "totp_activated": "An authenticator app was added to your account.",
    "totp_deactivated": "The authenticator app was removed from your account.",
    "webauthn_added": "A security key was added to your account.",
    "webauthn_removed": "A security key was removed from your account.",
    "account_connected": "Your account can now be entered by your organisation's single sign-on.",
    "recovery_codes_generated": "New recovery codes were made for your account; the old ones no longer work.",
}
QUIET_MESSAGES = {"account/messages/logged_in.txt", "account/messages/logged_out.txt"}


class AccountSwitchedOff(NotAllowed):
    """The person may not sign in any more."""

    code = "account.switched_off"


class AccountAdapter(DefaultAccountAdapter):
    """What differs from django-allauth's defaults."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:  # noqa: ARG002 - allauth's signature
        """People are invited, or come by single sign-on."""
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        """Believe only the own proxies."""
        return client_address(request) or NO_ADDRESS

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:  # noqa: ARG002
        """Never by allauth: the views ask by `cdp.core.reauthentication`, as all pages do."""
        return False

    def login(self, request: HttpRequest, user: AbstractBaseUser) -> None:
        """Name the backend: the first of the settings only counts failures."""
        user.backend = BACKEND
        super().login(request, user)

    def post_login(self, request: HttpRequest, user: AbstractBaseUser, **kwargs: Any) -> HttpResponse:
        """Record that somebody signed in, and how."""
        audit.record(
            actor=f"user:{user.pk}",
            action="user.signed_in",
            object=f"user:{user.pk}",
            detail={"methods": methods_of(request)},
            now=timezone.now(),
        )
        return super().post_login(request, user, **kwargs)

    def respond_user_inactive(self, request: HttpRequest, user: AbstractBaseUser) -> HttpResponse:  # noqa: ARG002
        """Refuse; only single sign-on gets this far, a password is refused earlier."""
        message = "Your account is switched off. An administrator can switch it on again."
        raise AccountSwitchedOff(message)

    def add_message(
        self, request: HttpRequest, level: int, message_template: str | None = None, *args: Any, **kwargs: Any
    ) -> None:
        """Leave out what the page shows anyway."""
        if message_template not in QUIET_MESSAGES:
            super().add_message(request, level, message_template, *args, **kwargs)

    def send_notification_mail(
        self,
        template_prefix: str,
        user: AbstractBaseUser,
        context: dict[str, Any] | None = None,  # noqa: ARG002
        email: str | None = None,  # noqa: ARG002
    ) -> None:
        """Tell the person by mail that their ways in have changed."""
        change = CHANGES[template_prefix.rsplit("/", 1)[-1]]
        mail.queue_mail(
            to=str(user.get_username()),
            subject="A change to how you sign in",
            body=(
                f"{change}\n\n"
                "If it was you, nothing needs to be done. If it was not, choose a new password at once and tell an "
                "administrator.\n"
            ),
        )
