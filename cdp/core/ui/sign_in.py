"""Signing in, and proving again who one is before a step that matters."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from cdp.core.api.principal import principal_of
from cdp.core.reauthentication import note_authentication
from cdp.core.ui.forms import PasswordAgainForm
from cdp.core.ui.policy import strict_policy


@never_cache
@sensitive_post_parameters("password")
def sign_in(request: HttpRequest) -> HttpResponse:
    """Show the shell's sign-in page; remember when somebody signed in."""
    answer = admin.site.login(request)
    if request.method == "POST" and request.user.is_authenticated and isinstance(answer, HttpResponseRedirect):
        note_authentication(request, method="password")
    return answer


@strict_policy
@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def reauthenticate(request: HttpRequest) -> HttpResponse:
    """Ask for the password again, and go back to where the person was."""
    principal_of(request)
    back = request.POST.get("next") or request.GET.get("next") or "/"
    if not url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()}):
        back = "/"
    form = PasswordAgainForm(request.POST or None, request=request)
    if form.is_valid():
        note_authentication(request, method="password", reauthenticated=True)
        return HttpResponseRedirect(back)
    status = 422 if form.is_bound else 200
    return render(request, "registration/reauthenticate.html", {"form": form, "back": back}, status=status)
