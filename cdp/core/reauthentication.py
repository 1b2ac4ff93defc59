"""Asking somebody again who they are before an approval, an export or a reveal.

A page puts the decorator before its view::

    @require_POST
    @recently_authenticated
    def approve(request: HttpRequest, ...) -> HttpResponse: ...

Whoever proved who they are within `CDP_REAUTHENTICATE_MINUTES` notices nothing. Others are led to the
page that asks for the password or a second factor, and back to the page that they came from, where they repeat the
step. Put it before the page that shows the form as well, so that nothing that was typed is lost. A REST view calls
`need_recent_authentication(request)` first: a session that is too old is answered 403 with the code
`account.reauthentication_needed`; API keys pass.

References
----------
OWASP ASVS 5.0, 7.5.1 and 7.5.3.
"""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from rest_framework.request import Request

from cdp.core.access import Principal
from cdp.core.api.principal import principal_of
from cdp.core.errors import NotAllowed

# Where the session keeps how and when the person proved who they are; the name and shape are django-allauth's.
RECORDS = "account_authentication_methods"
View = TypeVar("View", bound=Callable[..., HttpResponseBase])


class ReauthenticationNeeded(NotAllowed):
    """The person signed in too long ago for this step."""

    code = "account.reauthentication_needed"
    title = "Confirm that it is you"


def is_recently_authenticated(request: HttpRequest | Request) -> bool:
    """Tell whether the session's person proved who they are within the last minutes; an API key does each time."""
    user: Any = request.user
    if isinstance(user, Principal) and user.user_id is None:
        return True
    base = request._request if isinstance(request, Request) else request
    latest = max((record.get("at", 0) for record in base.session.get(RECORDS, ())), default=0)
    return bool(time.time() - latest < settings.ACCOUNT_REAUTHENTICATION_TIMEOUT)


def need_recent_authentication(request: HttpRequest | Request) -> None:
    """Refuse unless the person proved who they are a short while ago.

    Raises
    ------
    NotAuthenticated
        If nobody is signed in.
    ReauthenticationNeeded
        If it was too long ago. Pages answer it by leading to the page that asks.
    """
    principal_of(request)
    if not is_recently_authenticated(request):
        message = "Confirm that it is you, then repeat this step."
        raise ReauthenticationNeeded(message)


def recently_authenticated(view: View) -> View:
    """Let a page's view run only for somebody who proved who they are a short while ago (see the module)."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        need_recent_authentication(request)
        return view(request, *args, **kwargs)

    return cast(View, guarded)


def lead_to_reauthentication(request: HttpRequest) -> HttpResponse:
    """Answer with the way to the page that asks, and back to where the person was."""
    address = f"{reverse('account_reauthenticate')}?{urlencode({'next': _page_of(request)})}"
    if request.headers.get("HX-Request") == "true":
        return HttpResponse(status=204, headers={"HX-Redirect": address})
    return HttpResponse(status=302, headers={"Location": address})


def _page_of(request: HttpRequest) -> str:
    """Return the page that shows what was wanted: the address itself, or the page whose form was sent."""
    if request.method in {"GET", "HEAD"} and request.headers.get("HX-Request") != "true":
        return request.get_full_path()
    origin = request.headers.get("HX-Current-URL") or request.headers.get("Referer") or ""
    if not url_has_allowed_host_and_scheme(origin, allowed_hosts={request.get_host()}):
        return "/"
    parts = urlsplit(origin)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def methods_of(request: HttpRequest) -> list[str]:
    """Return how the session's person proved who they are, in order: ``password``, ``mfa``, ``socialaccount``."""
    return list(dict.fromkeys(str(record.get("method")) for record in request.session.get(RECORDS, ())))
