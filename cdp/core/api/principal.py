"""Who makes a request, the same for REST and pages."""

from typing import Any

from django.http import HttpRequest
from rest_framework.request import Request

from cdp.core.access import Principal
from cdp.core.errors import NotAuthenticated
from cdp.core.models import User
from cdp.core.queries.accounts import scopes_of

ATTRIBUTE = "_cdp_principal"


def principal_for(user: User) -> Principal:
    """Return the principal of a signed-in person: the scopes of the roles they have at this moment."""
    return Principal(actor=f"user:{user.pk}", scopes=scopes_of(user=user), user_id=user.pk)


def principal_of(request: HttpRequest | Request) -> Principal:
    """Return who makes the request.

    Raises
    ------
    NotAuthenticated
        If nobody is signed in and no key was given.
    """
    user: Any = request.user
    if isinstance(user, Principal):
        return user
    if not isinstance(user, User) or not user.is_active:
        message = "Sign in, or send an API key as Authorization: Bearer KEY."
        raise NotAuthenticated(message)
    base = request._request if isinstance(request, Request) else request
    known: Principal | None = getattr(base, ATTRIBUTE, None)
    if known is None or known.user_id != user.pk:
        known = principal_for(user)
        setattr(base, ATTRIBUTE, known)
    return known
