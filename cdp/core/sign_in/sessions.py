"""Which sessions a person has, kept up at most every five minutes; and who must have a second factor first."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from allauth.mfa.utils import is_mfa_enabled
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone

from cdp.core.api.problems import problem_of, problem_response
from cdp.core.errors import NotAllowed
from cdp.core.queries.accounts import roles_of
from cdp.core.reauthentication import methods_of
from cdp.core.ui.errors import is_rest

SEEN = "seen_at"
SEEN_EVERY_SECONDS = 300.0
# Where somebody may go who must set a second factor up first.
OPEN_VIEWS = frozenset(
    {
        "mfa_index",
        "mfa_activate_totp",
        "mfa_add_webauthn",
        "mfa_view_recovery_codes",
        "account_reauthenticate",
        "account_login",
        "admin:logout",
        "admin:password_change",
        "admin:password_change_done",
        "healthz",
        "schema",
        "docs",
    }
)
# Proved by somebody else's rules, or by a second factor of ours.
STRONG = frozenset({"mfa", "socialaccount"})


class SecondFactorNeeded(NotAllowed):
    """The role of the person needs a second factor, and they have none."""

    code = "account.second_factor_needed"
    title = "A second factor is needed"


class KnownSessionMiddleware:
    """Keeps the list of a person's sessions, and with it how long one lasts: it ends when nothing is asked of it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Note the session, then answer."""
        if request.session.session_key and request.user.is_authenticated:
            seen = request.session.get(SEEN, 0.0)
            if time.time() - seen > SEEN_EVERY_SECONDS:
                note_session(request)
        return self.get_response(request)


def note_session(request: HttpRequest) -> None:
    """Write that the session was used now. Saving it also moves its end."""
    request.session[SEEN] = time.time()
    key = request.session.session_key
    if not UserSession.objects.filter(session_key=key).update(last_seen_at=timezone.now()):
        UserSession.objects.create_from_request(request)


class SecondFactorMiddleware:
    """Leads whoever must have a second factor, and has none, to the page where it is set up."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer."""
        return self.get_response(request)

    def process_view(
        self,
        request: HttpRequest,
        _view: Callable[..., HttpResponse],
        _args: Sequence[Any],
        _kwargs: Mapping[str, Any],
    ) -> HttpResponse | None:
        """Let pass, or lead to the page."""
        match = request.resolver_match
        if match is None or match.view_name in OPEN_VIEWS or not lacks_second_factor(request):
            return None
        if is_rest(request):
            message = "Your role needs a second factor. Set one up on the page Your account."
            error = SecondFactorNeeded(message)
            return problem_response(error, body=problem_of(error) or {})
        messages.warning(request, "Your role needs a second factor. Set one up to go on.")
        return redirect("mfa_index")


def lacks_second_factor(request: HttpRequest) -> bool:
    """Tell whether the signed-in person's role needs a second factor, and they have none."""
    needing = settings.CDP_SECOND_FACTOR_ROLES
    if not needing or not request.session.session_key or not request.user.is_authenticated:
        return False
    if STRONG.intersection(methods_of(request)):
        return False
    return bool(needing.intersection(roles_of(user=request.user)) and not is_mfa_enabled(request.user))
