"""Signing in: the password, then the second factor; and proving again who one is before a step that matters."""

from typing import Any

from allauth.account.internal.flows.login import perform_password_login, record_authentication
from allauth.account.models import Login
from allauth.mfa.base.views import AuthenticateView
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.internal.auth import begin_authentication
from axes.handlers.proxy import AxesProxyHandler
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from cdp.core.api.principal import principal_of
from cdp.core.ui.forms import ProveForm, SignInForm
from cdp.core.ui.lockout import locked_out
from cdp.core.ui.policy import strict_policy
from cdp.core.ui.shell import frame


@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """Ask for e-mail and password; a second factor comes next where there is one."""
    back = _way_back(request)
    if request.method != "POST" and request.user.is_authenticated:
        return HttpResponseRedirect(back)
    form = SignInForm(request, request.POST or None)
    if form.is_valid():
        login = Login(user=form.get_user(), redirect_url=back)
        return perform_password_login(request, {}, login)
    context = {
        **frame.each_context(request),
        "title": "Sign in",
        "form": form,
        "app_path": request.get_full_path(),
        "next": back,
        "single_sign_on": settings.CDP_OIDC_NAME if settings.CDP_OIDC_ISSUER else None,
    }
    return render(request, "admin/login.html", context)


@method_decorator(strict_policy, name="dispatch")
@method_decorator(never_cache, name="dispatch")
class ProveSecondFactor(AuthenticateView):
    """Asks for the second factor of somebody whose password was right."""

    template_name = "registration/second_factor.html"

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Count wrong codes as wrong passwords are counted."""
        credentials = {"username": self.stage.login.user.get_username()}
        if not AxesProxyHandler.is_allowed(request, credentials):
            return locked_out(request, None)
        answer = super().post(request, *args, **kwargs)
        if self.form.is_valid():
            return answer
        AxesProxyHandler.user_login_failed(sender=type(self), credentials=credentials, request=request)
        if not AxesProxyHandler.is_allowed(request, credentials):
            return locked_out(request, None)
        answer.status_code = 422
        return answer

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Say which kinds of proof the person has."""
        kinds = set(Authenticator.objects.filter(user=self.stage.login.user).values_list("type", flat=True))
        return {**super().get_context_data(**kwargs), "has_key": Authenticator.Type.WEBAUTHN in kinds}


@strict_policy
@never_cache
@sensitive_post_parameters("password", "code", "credential")
@require_http_methods(["GET", "POST"])
def reauthenticate(request: HttpRequest) -> HttpResponseBase:
    """Ask for the password, a code or the security key, and go back to where the person was."""
    principal_of(request)
    back = _way_back(request)
    kinds = set(Authenticator.objects.filter(user_id=request.user.pk).values_list("type", flat=True))
    form = ProveForm(request.POST or None, request=request, kinds=kinds)
    if form.is_valid():
        record_authentication(request, request.user, form.method, reauthenticated=True)
        return HttpResponseRedirect(back)
    has_key = Authenticator.Type.WEBAUTHN in kinds
    context = {
        "form": form,
        "back": back,
        "has_key": has_key,
        "has_code": bool(kinds - {Authenticator.Type.WEBAUTHN}),
        "has_password": request.user.is_authenticated and request.user.has_usable_password(),
        "js_data": {"request_options": begin_authentication(request.user)} if has_key else None,
    }
    status = 422 if form.is_bound else 200
    return render(request, "registration/reauthenticate.html", context, status=status)


def _way_back(request: HttpRequest) -> str:
    back = request.POST.get("next") or request.GET.get("next") or "/"
    return back if url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()}) else "/"
