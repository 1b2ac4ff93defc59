"""Addresses of the kernel: health, metrics, the audit trail, and coming in."""

from allauth.socialaccount.providers.openid_connect import views as single_sign_on
from django.contrib.auth import views as auth
from django.urls import path

from cdp.core.api import keys as rest_keys
from cdp.core.api.audit import ListAudit
from cdp.core.ui import accounts, health, keys, own_account, sign_in, signing
from cdp.core.ui import audit as audit_page
from cdp.core.ui.policy import strict_policy as alone

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
    path(".well-known/security.txt", health.security_txt, name="security_txt"),
    path(".well-known/cdp-signing-keys.json", signing.signing_keys, name="signing_keys"),
    path(".well-known/cdp-signing-key.pem", signing.signing_key_pem, name="signing_key_pem"),
    path("api/v1/audit", ListAudit.as_view(), name="audit"),
    path("api/v1/api-keys", rest_keys.ApiKeys.as_view()),
    path("api/v1/api-keys/<slug:name>", rest_keys.OneApiKey.as_view()),
    path("api/v1/api-keys/<slug:name>/rotate", rest_keys.RotateApiKey.as_view()),
    path("audit", audit_page.audit_trail, name="audit_trail"),
    path("api-keys", keys.api_keys, name="api_keys"),
    path("api-keys/new", keys.create_key, name="create_key"),
    path("api-keys/<slug:name>/rotate", keys.rotate_key, name="rotate_key"),
    path("api-keys/<slug:name>/revoke", keys.revoke_key, name="revoke_key"),
    # Before the admin site's own address of the same path. The names are those that django-allauth looks for.
    path("admin/login/", sign_in.sign_in, name="account_login"),
    path("account/second-factor", sign_in.ProveSecondFactor.as_view(), name="mfa_authenticate"),
    path("account/confirm", sign_in.reauthenticate, name="account_reauthenticate"),
    path("account/", own_account.own_account, name="mfa_index"),
    path("account/app/add", own_account.AddApp.as_view(), name="mfa_activate_totp"),
    path("account/app/remove", own_account.RemoveApp.as_view(), name="mfa_deactivate_totp"),
    path("account/keys/add", own_account.AddKey.as_view(), name="mfa_add_webauthn"),
    path("account/keys/<int:pk>/remove", own_account.RemoveKey.as_view(), name="mfa_remove_webauthn"),
    path("account/recovery-codes", own_account.ShowRecoveryCodes.as_view(), name="mfa_view_recovery_codes"),
    path("account/recovery-codes/new", own_account.MakeRecoveryCodes.as_view(), name="mfa_generate_recovery_codes"),
    path("installation/checklist", own_account.checklist, name="checklist"),
    path("account/sessions/end", own_account.end_other_sessions, name="end_other_sessions"),
    path("account/sessions/<int:session_id>/end", own_account.end_own_session, name="end_own_session"),
    path("account/sign-on/<slug:provider_id>/", single_sign_on.login, name="openid_connect_login"),
    path("account/sign-on/<slug:provider_id>/callback", single_sign_on.callback, name="openid_connect_callback"),
    # The first name is the one by which the login page offers it.
    path("password/reset", alone(accounts.RequestNewPassword.as_view()), name="admin_password_reset"),
    path("password/reset/sent", alone(accounts.NewPasswordRequested.as_view()), name="password_reset_done"),
    path("password/reset/<uidb64>/<token>", alone(accounts.ChooseNewPassword.as_view()), name="password_reset_confirm"),
    path("password/reset/done", alone(auth.PasswordResetCompleteView.as_view()), name="password_reset_complete"),
    path("invitations/<str:token>", accounts.accept, name="accept_invitation"),
]
