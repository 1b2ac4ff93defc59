"""The address that a request comes from, behind as many proxies as the installation has.

A proxy writes the address it was called from at the end of `X-Forwarded-For`; everything before it is the sender's to
choose. So only the entry that the outermost of the own proxies wrote is believed.
"""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest


def address_of(environ: Mapping[str, Any]) -> str:
    """Return the sender's address from a WSGI environment; empty if it is not known (a socket without one)."""
    proxies: int = settings.CDP_TRUSTED_PROXIES
    forwarded = str(environ.get("HTTP_X_FORWARDED_FOR", ""))
    if proxies and forwarded:
        hops = [hop.strip() for hop in forwarded.split(",")]
        return hops[-min(proxies, len(hops))]
    return str(environ.get("REMOTE_ADDR", ""))


def client_address(request: HttpRequest) -> str:
    """Return the sender's address of a request (django-axes and django-allauth ask this)."""
    return address_of(request.META)
