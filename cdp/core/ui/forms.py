"""Forms of the pages that stand alone."""

from typing import Any

from allauth.mfa.base.forms import ReauthenticateForm
from allauth.mfa.webauthn.forms import AddWebAuthnForm, AuthenticateWebAuthnForm, ReauthenticateWebAuthnForm
from axes.handlers.proxy import AxesProxyHandler
from django import forms
from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.forms import PasswordResetForm
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.urls import reverse
from unfold.forms import AuthenticationForm as UnfoldAuthenticationForm

from cdp.core.api.json import read_or_none
from cdp.core.services import mail

MAX_CREDENTIAL = 16_384


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


class SignInForm(UnfoldAuthenticationForm):
    """E-mail and password, and one answer to whatever is wrong with them."""

    error_messages = {
        "invalid_login": "The e-mail or the password is wrong, or the account may not sign in.",
        "inactive": "The e-mail or the password is wrong, or the account may not sign in.",
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = "E-mail"
        self.fields["username"].widget.attrs.update({"autocomplete": "username", "inputmode": "email"})


class CredentialField(forms.JSONField):
    """The answer of a security key, read as strictly as JSON is read everywhere else.

    Django's field lets through what breaks Python's own reader: numbers of thousands of digits, deep nesting.
    """

    def to_python(self, value: Any) -> Any:
        """Return the answer."""
        if not isinstance(value, str) or not value.strip():
            return super().to_python(value)
        found = read_or_none(value.encode("utf-8", "replace")) if len(value) <= MAX_CREDENTIAL else None
        if not isinstance(found, dict):
            raise ValidationError("The security key gave no answer that can be read.", code="invalid")
        return found

    def bound_data(self, data: Any, initial: Any) -> Any:  # noqa: ARG002 - Django's signature
        """Show nothing of an answer again: it holds for one time."""
        return initial


class AddKeyForm(AddWebAuthnForm):
    """A security key or passkey to add."""

    credential = CredentialField(widget=forms.HiddenInput)


class KeyForm(AuthenticateWebAuthnForm):
    """The answer of a security key when somebody signs in."""

    credential = CredentialField(widget=forms.HiddenInput)


class KeyAgainForm(ReauthenticateWebAuthnForm):
    """The answer of a security key before a step that matters."""

    credential = CredentialField(widget=forms.HiddenInput)


class ProveForm(forms.Form):
    """One proof of who is signed in: the password, a code, or the answer of a security key."""

    password = forms.CharField(
        max_length=256,
        label="Password",
        strip=False,
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )
    code = forms.CharField(
        max_length=64,
        label="Code of your authenticator app, or a recovery code",
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric"}),
    )
    credential = forms.CharField(max_length=MAX_CREDENTIAL, required=False, widget=forms.HiddenInput)
    method = "password"

    def __init__(self, *args: Any, request: HttpRequest, kinds: set[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request
        self.kinds = kinds

    def clean(self) -> dict[str, Any]:
        """Hold the proof against the person's own; failures count as failures to sign in do."""
        given = super().clean() or {}
        if given.get("credential"):
            return self._check(KeyAgainForm(data=self.data, user=self.request.user), "credential")
        if given.get("code"):
            return self._check(ReauthenticateForm(data=self.data, user=self.request.user), "code")
        if not given.get("password"):
            message = "Give your password or a code." if self.kinds else "Give your password."
            raise ValidationError(message, code="required")
        if authenticate(self.request, username=self.request.user.get_username(), password=given["password"]) is None:
            self.add_error("password", ValidationError("This is not your password.", code="wrong"))
        return given

    def _check(self, form: forms.Form, field: str) -> dict[str, Any]:
        self.method = "mfa"
        credentials = {"username": self.request.user.get_username()}
        allowed = AxesProxyHandler.is_allowed(self.request, credentials)
        if allowed and form.is_valid():
            return self.cleaned_data
        if not allowed:
            # django-axes answers 429.
            self.request.axes_locked_out = True  # type: ignore[attr-defined]
        else:
            AxesProxyHandler.user_login_failed(sender=type(self), credentials=credentials, request=self.request)
        wrong = ValidationError("This proof is not right.", code="wrong")
        self.add_error(None if field == "credential" else field, wrong)
        return self.cleaned_data
