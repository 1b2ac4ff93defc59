"""Addresses of the kernel: health, metrics, the audit trail, and coming in."""

from django.contrib.auth import views as auth
from django.urls import path

from cdp.core.api.audit import ListAudit
from cdp.core.ui import accounts, health, sign_in, signing
from cdp.core.ui.policy import strict_policy as alone

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
    path(".well-known/cdp-signing-keys.json", signing.signing_keys, name="signing_keys"),
    path(".well-known/cdp-signing-key.pem", signing.signing_key_pem, name="signing_key_pem"),
    path("api/v1/audit", ListAudit.as_view(), name="audit"),
    # Before the admin site's own address of the same path.
    path("admin/login/", sign_in.sign_in, name="sign_in"),
    path("account/confirm", sign_in.reauthenticate, name="account_reauthenticate"),
    # The first name is the one by which the login page offers it.
    path("password/reset", alone(accounts.RequestNewPassword.as_view()), name="admin_password_reset"),
    path("password/reset/sent", alone(accounts.NewPasswordRequested.as_view()), name="password_reset_done"),
    path("password/reset/<uidb64>/<token>", alone(accounts.ChooseNewPassword.as_view()), name="password_reset_confirm"),
    path("password/reset/done", alone(auth.PasswordResetCompleteView.as_view()), name="password_reset_complete"),
    path("invitations/<str:token>", accounts.accept, name="accept_invitation"),
]
