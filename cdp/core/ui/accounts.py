"""Coming in: invitations, and a new password by mail."""

import time
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import views
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from cdp.core.services.invitations import accept_invitation, find_invitation
from cdp.core.ui.forms import AcceptInvitationForm, QueuedPasswordResetForm
from cdp.core.ui.policy import strict_policy

# Writing the mail takes some milliseconds, which only an address that is known would cost.
ANSWER_SECONDS = 0.25


class RequestNewPassword(views.PasswordResetView):
    """Asks for the address; answers the same, and after the same time, whether it is known or not."""

    form_class = QueuedPasswordResetForm
    success_url = reverse_lazy("password_reset_done")

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Queue the mail, and wait until as much time has gone by as it ever takes."""
        answer_at = time.monotonic() + ANSWER_SECONDS
        answer = super().post(request, *args, **kwargs)
        time.sleep(max(answer_at - time.monotonic(), 0))
        return answer


class NewPasswordRequested(views.PasswordResetDoneView):
    """Says where the mail went."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Name the outbox folder where there is no mail server."""
        folder = None if settings.CDP_EMAIL_URL else settings.CDP_OUTBOX_DIR
        return {**super().get_context_data(**kwargs), "outbox": folder}


@method_decorator(never_cache, name="dispatch")
class ChooseNewPassword(views.PasswordResetConfirmView):
    """Takes the new password."""

    success_url = reverse_lazy("password_reset_complete")


@strict_policy
@never_cache
@require_http_methods(["GET", "POST"])
def accept(request: HttpRequest, token: str) -> HttpResponse:
    """Show an invitation, and make the account."""
    invitation = find_invitation(token=token, now=timezone.now())
    form = AcceptInvitationForm(request.POST or None)
    if form.is_valid():
        given = form.cleaned_data
        accept_invitation(token=token, name=given["name"], password=given["password"], now=timezone.now())
        messages.success(request, "Welcome. Sign in with your e-mail and the password that you chose.")
        return redirect(settings.LOGIN_URL)
    context = {"form": form, "invitation": invitation}
    status = 422 if form.is_bound else 200
    return render(request, "registration/invitation.html", context, status=status)
