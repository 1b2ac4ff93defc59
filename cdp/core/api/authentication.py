"""How REST learns who asks: an API key, or the session of somebody signed in to the pages."""

import base64

from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from cdp.core.access import Principal
from cdp.core.api.principal import principal_for
from cdp.core.client_address import client_address
from cdp.core.queries.api_keys import KnownKey, find_key
from cdp.core.services.api_keys import note_use

SCHEME = "bearer"


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer KEY`."""

    def authenticate(self, request: Request) -> tuple[Principal, KnownKey] | None:
        """Return the key's principal; None if no key is given, so that a session may speak."""
        scheme, _, key = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        return self.authenticate_text(request, key) if scheme.lower() == SCHEME else None

    def authenticate_text(self, request: Request, key: str) -> tuple[Principal, KnownKey]:
        """Return the principal of a key, however it was sent."""
        now = timezone.now()
        known = find_key(key=key.strip(), now=now)
        if known is None:
            message = "The API key is unknown, revoked or expired."
            raise AuthenticationFailed(message)
        if not known.may_come_from(client_address(request)):
            message = "The API key may not be used from this address."
            raise AuthenticationFailed(message)
        note_use(known, now=now)
        return known.principal, known

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002 - DRF's signature
        """Name the scheme, which makes DRF answer 401 instead of 403."""
        return 'Bearer realm="cdp"'


class BasicKeyAuthentication(BaseAuthentication):
    """HTTP Basic, as some controllers send it: the password is an API key, the name is not looked at."""

    def authenticate(self, request: Request) -> tuple[Principal, KnownKey] | None:
        """Return the key's principal."""
        scheme, _, given = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        return ApiKeyAuthentication().authenticate_text(request, _password_of(given.strip()))

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002 - DRF's signature
        """Name the scheme."""
        return 'Basic realm="cdp"'


class SignedInAuthentication(SessionAuthentication):
    """The browser's session; writing needs the CSRF token."""

    def authenticate(self, request: Request) -> tuple[Principal, None] | None:
        """Return the signed-in person's principal."""
        found = super().authenticate(request)
        return None if found is None else (principal_for(found[0]), None)


def _password_of(credentials: str) -> str:
    """Return the password of HTTP Basic credentials; what cannot be read has none."""
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[2]
    except ValueError:
        return ""
