"""Second factors: their secrets sealed, security keys bound to the installation's own name."""

from urllib.parse import urlsplit

from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from django.conf import settings

from cdp.core.models import SecondFactorSecret
from cdp.core.secrets import seal, unseal

CONTEXT = "second-factor"
NAME = "Customer Data Platform"


class SecondFactorAdapter(DefaultMFAAdapter):
    """What differs from django-allauth's defaults."""

    def encrypt(self, text: str) -> str:
        """Keep the secret of an authenticator app or of recovery codes sealed, and return what names it."""
        return str(SecondFactorSecret.objects.create(sealed=seal(text.encode(), context=CONTEXT)).pk)

    def decrypt(self, encrypted_text: str) -> str:
        """Open it again."""
        return unseal(bytes(SecondFactorSecret.objects.get(pk=encrypted_text).sealed), context=CONTEXT).decode()

    def get_totp_issuer(self) -> str:
        """Name the installation in the app."""
        return f"{NAME} ({urlsplit(settings.CDP_BASE_URL).hostname})"

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """Bind security keys to the installation's own host, whatever the request's Host header says.

        Keys are never bound to an address: on a developer's machine the name is the one that the browser asked.
        """
        host = urlsplit(settings.CDP_BASE_URL).hostname or ""
        if host.rpartition(".")[2].isdecimal() or ":" in host:
            host = context.request.get_host().rpartition(":")[0] or context.request.get_host()
        return {"id": host, "name": NAME}
