"""What people see and change of their own account: second factors, recovery codes, sessions."""

from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes import views as recovery_codes
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as webauthn
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse_lazy
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from cdp.core.api.principal import principal_of
from cdp.core.queries.accounts import roles_of
from cdp.core.queries.checklist import read_checklist
from cdp.core.reauthentication import need_recent_authentication
from cdp.core.services import audit
from cdp.core.services.sign_in import end_all_sessions, end_session
from cdp.core.sign_in.agents import describe_agent
from cdp.core.sign_in.sessions import note_session
from cdp.core.ui.shell import frame, scopes_for_templates, show_page, signed_in


@require_safe
def own_account(request: HttpRequest) -> HttpResponse:
    """Show the second factors and sessions of who is signed in."""
    principal = principal_of(request)
    note_session(request)
    factors = list(Authenticator.objects.filter(user_id=principal.user_id).order_by("created_at", "pk"))
    sessions = UserSession.objects.filter(user_id=principal.user_id).order_by("-last_seen_at", "pk")
    codes = next((each for each in factors if each.type == Authenticator.Type.RECOVERY_CODES), None)
    return show_page(
        request,
        "account/own_account.html",
        title="Your account",
        app=next((each for each in factors if each.type == Authenticator.Type.TOTP), None),
        keys=[each for each in factors if each.type == Authenticator.Type.WEBAUTHN],
        codes_left=len(codes.wrap().get_unused_codes()) if codes else None,
        needed=bool(settings.CDP_SECOND_FACTOR_ROLES.intersection(roles_of(user=request.user))),  # type: ignore[arg-type]
        has_factor=any(each.type != Authenticator.Type.RECOVERY_CODES for each in factors),
        sessions=[
            (session, describe_agent(session.user_agent), session.session_key == request.session.session_key)
            for session in sessions
            if session.exists()
        ],
    )


@require_safe
def checklist(request: HttpRequest) -> HttpResponse:
    """Lead an administrator through what is to be done before real data comes in."""
    principal = signed_in(request, "keys:write")
    steps = read_checklist(user_id=principal.user_id)
    return show_page(
        request,
        "account/checklist.html",
        title="Before real data comes in",
        steps=steps,
        left=sum(not step.is_done and not step.is_optional for step in steps),
    )


@require_POST
def end_own_session(request: HttpRequest, session_id: int) -> HttpResponse:
    """Sign out in another browser."""
    principal = principal_of(request)
    end_session(user_id=principal.user_id or 0, session_id=session_id, actor=principal.actor, now=timezone.now())
    messages.success(request, "Signed out there.")
    return redirect("mfa_index")


@require_POST
def end_other_sessions(request: HttpRequest) -> HttpResponse:
    """Sign out everywhere but here."""
    principal = principal_of(request)
    ended = end_all_sessions(
        user_id=principal.user_id or 0, actor=principal.actor, now=timezone.now(), but=request.session.session_key
    )
    messages.success(request, f"Signed out in {ended} other browser{'' if ended == 1 else 's'}.")
    return redirect("mfa_index")


@method_decorator(never_cache, name="dispatch")
class Guarded:
    """What the pages about second factors have in common: who they are for, the frame, and the audit entry."""

    title = ""
    action = ""
    request: HttpRequest

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Let in whoever proved a short while ago who they are."""
        need_recent_authentication(request)
        return super().dispatch(request, *args, **kwargs)  # type: ignore[misc]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add the frame."""
        return {
            **frame.each_context(self.request),
            "title": self.title,
            "may": scopes_for_templates(self.request),
            **super().get_context_data(**kwargs),  # type: ignore[misc]
        }

    def form_valid(self, form: Any) -> HttpResponse:
        """Change it, and record that."""
        answer = super().form_valid(form)  # type: ignore[misc]
        principal = principal_of(self.request)
        audit.record(actor=principal.actor, action=self.action, object=principal.actor, now=timezone.now())
        return answer

    def form_invalid(self, form: Any) -> HttpResponse:
        """Say what is wrong, as every form does."""
        answer = super().form_invalid(form)  # type: ignore[misc]
        answer.status_code = 422
        return answer


class AddApp(Guarded, totp.ActivateTOTPView):
    """Shows the code to scan, and takes the first code of the app."""

    title, action = "Add an authenticator app", "user.second_factor_added"
    template_name = "account/add_app.html"


class RemoveApp(Guarded, totp.DeactivateTOTPView):
    """Removes the app."""

    title, action = "Remove the authenticator app", "user.second_factor_removed"
    template_name = "account/remove_factor.html"


class AddKey(Guarded, webauthn.AddWebAuthnView):
    """Takes a security key or passkey."""

    title, action = "Add a security key", "user.second_factor_added"
    template_name = "account/add_key.html"


class RemoveKey(Guarded, webauthn.RemoveWebAuthnView):
    """Removes a key."""

    title, action = "Remove a security key", "user.second_factor_removed"
    template_name = "account/remove_factor.html"
    success_url = reverse_lazy("mfa_index")


class ShowRecoveryCodes(Guarded, recovery_codes.ViewRecoveryCodesView):
    """Shows the codes that are left."""

    title = "Recovery codes"
    template_name = "account/recovery_codes.html"


class MakeRecoveryCodes(Guarded, recovery_codes.GenerateRecoveryCodesView):
    """Makes new codes; the old ones no longer work."""

    title, action = "New recovery codes", "user.recovery_codes_made"
    template_name = "account/new_recovery_codes.html"
