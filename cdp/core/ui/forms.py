"""Forms of the pages that stand alone."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.forms import PasswordResetForm
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.urls import reverse

from cdp.core.services import mail


class QueuedPasswordResetForm(PasswordResetForm):
    """Django's form, with the mail going through the outbox and the link built from the installation's own address.

    The Host header of the request never gets into a mail: it is the sender's to choose.
    """

    def send_mail(
        self,
        subject_template_name: str,  # noqa: ARG002 - Django's signature
        email_template_name: str,  # noqa: ARG002
        context: dict[str, Any],
        from_email: str | None,  # noqa: ARG002
        to_email: str,
        html_email_template_name: str | None = None,  # noqa: ARG002
    ) -> None:
        """Queue the mail with the link."""
        link = reverse("password_reset_confirm", kwargs={"uidb64": context["uid"], "token": context["token"]})
        mail.queue_mail(
            to=to_email,
            subject="A new password for the Customer Data Platform",
            body=(
                "Somebody asked for a new password for this address. If it was you, choose one here within a day:\n"
                f"{settings.CDP_BASE_URL}{link}\n\n"
                "If it was not you, nothing needs to be done.\n"
            ),
        )


class AcceptInvitationForm(forms.Form):
    """What an invited person gives."""

    name = forms.CharField(max_length=150, label="Your name", widget=forms.TextInput(attrs={"autocomplete": "name"}))
    password = forms.CharField(
        max_length=256,
        label="Password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def clean_password(self) -> str:
        """Refuse a weak password beside its field; the service refuses it again."""
        password: str = self.cleaned_data["password"]
        validate_password(password)
        return password


class PasswordAgainForm(forms.Form):
    """The password of the person who is signed in."""

    password = forms.CharField(
        max_length=256,
        label="Password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password", "autofocus": True}),
    )

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request

    def clean_password(self) -> str:
        """Hold it against the person's own; failures count as failures to sign in do."""
        password: str = self.cleaned_data["password"]
        email = self.request.user.get_username()
        if authenticate(self.request, username=email, password=password) is None:
            message = "This is not your password."
            raise ValidationError(message, code="wrong")
        return password
