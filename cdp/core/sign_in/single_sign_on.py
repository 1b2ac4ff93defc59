"""Single sign-on by OpenID Connect: who comes in, and as what.

The provider's claims decide the role, at each sign-in: whoever lost their group there loses their rights here. Nobody
comes in without a role.
"""

from typing import Any

from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialLogin
from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone

from cdp.core.errors import NotAllowed
from cdp.core.services.sign_in import admit_by_single_sign_on
from cdp.core.sign_in.roles import claims_of, role_of
from cdp.core.sign_in.transport import guarded_session


class NotAdmitted(NotAllowed):
    """The provider knows the person, but nothing that it says gives them a role here."""

    code = "account.not_admitted"


class ProviderFailed(NotAllowed):
    """The provider could not be reached, or said no."""

    code = "account.single_sign_on_failed"


class SingleSignOnAdapter(DefaultSocialAccountAdapter):
    """What differs from django-allauth's defaults."""

    def get_requests_session(self) -> Any:
        """Send through the guarded place."""
        return guarded_session()

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Find or make the person, with the role that the claims give."""
        claims = claims_of(sociallogin.account.extra_data)
        role = role_of(claims, claim=settings.CDP_OIDC_ROLE_CLAIM, roles=settings.CDP_OIDC_ROLES)
        email = str(claims.get("email") or "")
        if role is None:
            message = "You are known, but in none of the groups that may use this installation. Ask an administrator."
            raise NotAdmitted(message)
        if not email or claims.get("email_verified") is False:
            message = "The sign-on service gives no verified e-mail address of yours, so nobody can be recognised."
            raise NotAdmitted(message)
        known = sociallogin.user.pk if sociallogin.is_existing else None
        user = admit_by_single_sign_on(
            user_id=known, email=email, name=str(claims.get("name") or ""), role=role, now=timezone.now()
        )
        if not sociallogin.is_existing:
            sociallogin.connect(request, user)

    def on_authentication_error(self, *_args: Any, **kwargs: Any) -> None:
        """Say so on a page; the log has the reason."""
        message = "Signing in with the sign-on service did not work. Try again, or sign in with your password."
        raise ProviderFailed(message) from kwargs.get("exception")
