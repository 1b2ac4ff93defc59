"""How people sign in: passwords, second factors, single sign-on, lockout."""

from django.core.exceptions import ImproperlyConfigured
from django.urls import reverse_lazy

from cdp.core.access import ROLE_SCOPES
from cdp.core.sign_in.roles import read_roles
from cdp.settings.installation import PRODUCTION, env

AUTH_USER_MODEL = "core.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
    "guardian.backends.ObjectPermissionBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
GUARDIAN_RAISE_403 = True
ANONYMOUS_USER_NAME = None
LOGIN_URL = reverse_lazy("account_login")
LOGIN_REDIRECT_URL = "/"
PASSWORD_RESET_TIMEOUT = 24 * 3600
CDP_TRUSTED_PROXIES = env.int("CDP_TRUSTED_PROXIES", default=1 if PRODUCTION else 0)
CDP_REAUTHENTICATE_MINUTES = env.int("CDP_REAUTHENTICATE_MINUTES", default=15)
ACCOUNT_REAUTHENTICATION_TIMEOUT = CDP_REAUTHENTICATE_MINUTES * 60
# A session ends when nothing was asked of it for so long; asking moves its end (cdp.core.sign_in.sessions).
SESSION_COOKIE_AGE = env.int("CDP_SIGN_IN_HOURS", default=12) * 3600
CDP_SECOND_FACTOR_ROLES = frozenset(
    env.list("CDP_SECOND_FACTOR_ROLES", default=["administrator", "compliance_officer"] if PRODUCTION else [])
) - {"none"}
if CDP_SECOND_FACTOR_ROLES - ROLE_SCOPES.keys():
    raise ImproperlyConfigured(f"CDP_SECOND_FACTOR_ROLES must be roles ({', '.join(ROLE_SCOPES)}) or none.")

ACCOUNT_ADAPTER = "cdp.core.sign_in.accounts.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_EMAIL_NOTIFICATIONS = True
MFA_ADAPTER = "cdp.core.sign_in.second_factors.SecondFactorAdapter"
MFA_FORMS = {
    "add_webauthn": "cdp.core.ui.forms.AddKeyForm",
    "authenticate_webauthn": "cdp.core.ui.forms.KeyForm",
}
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
# Invitations prove the address; allauth's own list of verified addresses is not used.
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_TOTP_TOLERANCE = 1
# Browsers take security keys from https and localhost only; in development the product is asked by other names too.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not PRODUCTION

CDP_OIDC_ISSUER = env("CDP_OIDC_ISSUER", default="").rstrip("/")
CDP_OIDC_NAME = env("CDP_OIDC_NAME", default="single sign-on")
CDP_OIDC_ROLE_CLAIM = env("CDP_OIDC_ROLE_CLAIM", default="groups")
try:
    CDP_OIDC_ROLES = read_roles(env.list("CDP_OIDC_ROLES", default=[]))
except ValueError as wrong:
    raise ImproperlyConfigured(f"CDP_OIDC_ROLES: {wrong}") from wrong
SOCIALACCOUNT_ADAPTER = "cdp.core.sign_in.single_sign_on.SingleSignOnAdapter"
SOCIALACCOUNT_LOGIN_ON_GET = True  # A form could not be sent on to another host: the policy of the pages forbids it.
SOCIALACCOUNT_STORE_TOKENS = False
SOCIALACCOUNT_PROVIDERS = {
    "openid_connect": {
        "OAUTH_PKCE_ENABLED": True,
        "APPS": [
            {
                "provider_id": "oidc",
                "name": CDP_OIDC_NAME,
                "client_id": env("CDP_OIDC_CLIENT_ID", default=""),
                "secret": env("CDP_OIDC_CLIENT_SECRET", default=""),
                "settings": {"server_url": CDP_OIDC_ISSUER},
            }
        ]
        if CDP_OIDC_ISSUER
        else [],
    }
}
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = 0.25
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_CLIENT_IP_CALLABLE = "cdp.core.client_address.client_address"
AXES_SENSITIVE_PARAMETERS = ["username", "ip_address"]
AXES_USERNAME_FORM_FIELD = "username"
AXES_ENABLE_ACCESS_FAILURE_LOG = False
AXES_VERBOSE = False
AXES_ENABLE_ADMIN = False
AXES_LOCKOUT_CALLABLE = "cdp.core.ui.lockout.locked_out"
