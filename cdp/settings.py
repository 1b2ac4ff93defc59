"""Settings, by environment variables only (docs/reference/settings.md).

`manage.py` and the supervisor put the embedded servers' addresses and the keys into the environment before Django
starts; production sets them itself.
"""

from pathlib import Path
from typing import Any

import environ
from csp.constants import NONCE, NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE
from django.core.exceptions import ImproperlyConfigured
from django.templatetags.static import static
from django.urls import reverse_lazy
from psycopg2.extensions import parse_dsn

from cdp.core.access import ROLE_SCOPES
from cdp.core.addresses import OutgoingRefused, read_allowances
from cdp.core.calendars import UnknownCalendar, read_calendar
from cdp.core.sign_in.roles import read_roles

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

# --- What kind of installation -----------------------------------------------------------------------------------

CDP_ENV = env("CDP_ENV", default="development")
if CDP_ENV not in {"development", "production"}:
    raise ImproperlyConfigured("CDP_ENV must be development or production.")
PRODUCTION = CDP_ENV == "production"
DEBUG = env.bool("CDP_DEBUG", default=False)
if PRODUCTION and DEBUG:
    raise ImproperlyConfigured("CDP_DEBUG must be off in production: error pages would show data.")

CDP_DATA_DIR = Path(env("CDP_DATA_DIR", default=str(BASE_DIR / "var"))).resolve()
CDP_HOST = env("CDP_HOST", default="127.0.0.1")
CDP_PORT = env.int("CDP_PORT", default=8000)
CDP_BASE_URL = env("CDP_BASE_URL", default=f"http://{CDP_HOST}:{CDP_PORT}").rstrip("/")
CDP_CHANGE_DAYS = env.int("CDP_CHANGE_DAYS", default=90)
CDP_DELIVERY_HOURS = env.int("CDP_DELIVERY_HOURS", default=72)
CDP_DELIVERY_LOG_DAYS = env.int("CDP_DELIVERY_LOG_DAYS", default=30)
CDP_EXPORT_DAYS = env.int("CDP_EXPORT_DAYS", default=7)
CDP_DISCLOSURE_DAYS = env.int("CDP_DISCLOSURE_DAYS", default=1095)
CDP_INBOX_LIMIT = env.int("CDP_INBOX_LIMIT", default=10_000_000)
CDP_FREE_DISK_MB = env.int("CDP_FREE_DISK_MB", default=1024)
CDP_SNIPPET_DIR = Path(env("CDP_SNIPPET_DIR", default=str(CDP_DATA_DIR / "snippet"))).resolve()
CDP_ARCHIVE_DAYS = env.int("CDP_ARCHIVE_DAYS", default=7)
CDP_FORWARD_MAX_MB = env.int("CDP_FORWARD_MAX_MB", default=512)
CDP_FORWARD_HOURS = env.int("CDP_FORWARD_HOURS", default=72)
CDP_BACKUP_DAYS = env.int("CDP_BACKUP_DAYS", default=30)
CDP_LEDGER_DIR = Path(env("CDP_LEDGER_DIR", default=str(CDP_DATA_DIR / "ledger"))).resolve()
CDP_IMPORT_MAX_BYTES = env.int("CDP_IMPORT_MAX_MB", default=2048) * 1024 * 1024
CDP_SPARK_URL = env("CDP_SPARK_URL", default="").strip()
CDP_PHONE_REGION = env("CDP_PHONE_REGION", default="") or None
CDP_TIME_ZONE = env("CDP_TIME_ZONE", default="UTC")
CDP_HOLIDAYS = env("CDP_HOLIDAYS", default="").strip()
try:
    read_calendar(CDP_HOLIDAYS)
except UnknownCalendar as unknown:
    raise ImproperlyConfigured(f"CDP_HOLIDAYS: {unknown}") from unknown
CDP_SESSION_MINUTES = env.int("CDP_SESSION_MINUTES", default=30)
CDP_SMALLEST_GROUP = env.int("CDP_SMALLEST_GROUP", default=10)
CDP_SEGMENT_COST_LIMIT = env.int("CDP_SEGMENT_COST_LIMIT", default=200_000_000)
CDP_CURRENCY = env("CDP_CURRENCY", default="EUR").strip().upper()

# The IAB framework (TCF): the own number in its list of vendors, and consent tools that its register has deleted.
CDP_TCF_VENDOR_ID = env.int("CDP_TCF_VENDOR_ID", default=0) or None
CDP_TCF_DELETED_CMPS = frozenset(env.list("CDP_TCF_DELETED_CMPS", cast=int, default=[]))

DEVELOPMENT_SECRET = "only-for-commands-that-need-no-secret"  # noqa: S105 - production refuses it below
SECRET_KEY = env("CDP_SECRET_KEY", default=DEVELOPMENT_SECRET)
CDP_SUPPRESSION_KEY = env("CDP_SUPPRESSION_KEY", default=DEVELOPMENT_SECRET)
# Empty: the key is derived from the suppression key (cdp/core/signing.py).
CDP_SIGNING_KEY = env("CDP_SIGNING_KEY", default="")
CDP_SIGNING_KEYS_RETIRED = env.list("CDP_SIGNING_KEYS_RETIRED", default=[])
# Empty: a key that comes from the secret key (cdp/core/master_keys.py).
CDP_MASTER_KEY = env("CDP_MASTER_KEY", default="")
CDP_MASTER_KEYS_RETIRED = env.list("CDP_MASTER_KEYS_RETIRED", default=[])
CDP_MASTER_KEY_COMMAND = env("CDP_MASTER_KEY_COMMAND", default="")
# How long a masked profile may be revealed on its page; 0: not at all.
CDP_REVEAL_MINUTES = env.int("CDP_REVEAL_MINUTES", default=10)
MINIMUM_SECRET_LENGTH = 40
if PRODUCTION:
    for name, value in (("CDP_SECRET_KEY", SECRET_KEY), ("CDP_SUPPRESSION_KEY", CDP_SUPPRESSION_KEY)):
        if value == DEVELOPMENT_SECRET or len(value) < MINIMUM_SECRET_LENGTH:
            raise ImproperlyConfigured(f"{name} must be set to {MINIMUM_SECRET_LENGTH} or more random characters.")
    for name, value in (("CDP_SIGNING_KEY", CDP_SIGNING_KEY), ("CDP_MASTER_KEY", CDP_MASTER_KEY)):
        if 0 < len(value) < MINIMUM_SECRET_LENGTH:
            raise ImproperlyConfigured(f"{name} must have {MINIMUM_SECRET_LENGTH} or more random characters.")

# --- Privacy requests (consent/services/requests.py) ----------------------------------------------------------------

CDP_FOUR_EYES = env.bool("CDP_FOUR_EYES", default=False)
CDP_OPENDSR_KEY_FILE = env("CDP_OPENDSR_KEY_FILE", default="")
CDP_OPENDSR_CERTIFICATE_FILE = env("CDP_OPENDSR_CERTIFICATE_FILE", default="")
CDP_OPENDSR_DEFAULT_REGULATION = env("CDP_OPENDSR_DEFAULT_REGULATION", default="").strip().lower()
if CDP_OPENDSR_DEFAULT_REGULATION not in {"", "gdpr", "ccpa"}:
    raise ImproperlyConfigured("CDP_OPENDSR_DEFAULT_REGULATION is gdpr, ccpa or empty.")
CDP_OPENDSR_BODY_SIGNATURE = env.bool("CDP_OPENDSR_BODY_SIGNATURE", default=False)

# --- Servers of others that this installation may call (cdp/core/outgoing.py) ---------------------------------------

CDP_OUTGOING_PORTS = env.list("CDP_OUTGOING_PORTS", cast=int, default=[80, 443, 8080, 8443])
CDP_OUTGOING_ALLOW = env.list("CDP_OUTGOING_ALLOW", default=[])
CDP_OUTGOING_CA_FILE = env("CDP_OUTGOING_CA_FILE", default="")
try:
    read_allowances(CDP_OUTGOING_ALLOW)
except OutgoingRefused as refused:
    raise ImproperlyConfigured(f"CDP_OUTGOING_ALLOW: {refused}") from refused

# --- Names that this installation answers to ------------------------------------------------------------------------

ALLOWED_HOSTS = env.list("CDP_ALLOWED_HOSTS", default=[] if PRODUCTION else ["*"])
if PRODUCTION and not ALLOWED_HOSTS:
    raise ImproperlyConfigured("CDP_ALLOWED_HOSTS must name the hosts that this installation answers to.")

# --- Stores --------------------------------------------------------------------------------------------------------


def _database(url: str) -> dict[str, Any]:
    """Turn a PostgreSQL URL into Django's settings; options such as sslmode are handed on."""
    dsn = parse_dsn(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": dsn.pop("dbname", "cdp"),
        "USER": dsn.pop("user", ""),
        "PASSWORD": dsn.pop("password", ""),
        "HOST": dsn.pop("host", ""),
        "PORT": dsn.pop("port", ""),
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"application_name": "cdp", **dsn},
    }


CDP_DATABASE_URL = env("CDP_DATABASE_URL", default="postgresql://cdp@/cdp")
DATABASES = {"default": _database(CDP_DATABASE_URL)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CDP_BROKER_URL = env("CDP_BROKER_URL", default="memory://")

CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

# --- Apps ----------------------------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django.contrib.humanize",
    "django.contrib.admin",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_filters",
    "django_htmx",
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "allauth.mfa",
    "allauth.usersessions",
    "guardian",
    "axes",
    "csp",
    "cdp.core",
    "profiles",
    "consent",
    "segments",
    "ingestion",
    "cdp.site",
]

MIDDLEWARE = [
    # Collection answers before anything else runs: no session, no cookies, no CSRF, no look-up (design.md section 2).
    "ingestion.collect.CollectionMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "cdp.core.middleware.RequestLogMiddleware",
    "cdp.core.middleware.HealthMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "cdp.core.sign_in.sessions.KnownSessionMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "cdp.core.middleware.ErrorMiddleware",
    "cdp.core.sign_in.sessions.SecondFactorMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "cdp.urls"
WSGI_APPLICATION = "cdp.wsgi.application"
APPEND_SLASH = False
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
            ],
        },
    }
]

# The collection path caps bodies itself; this limit is for forms and REST.
DATA_UPLOAD_MAX_MEMORY_SIZE = 8 * 1024 * 1024
FILE_UPLOAD_HANDLERS = ["cdp.core.uploads.SealingUploadHandler"]

# --- People who sign in --------------------------------------------------------------------------------------------

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

# --- Transport and cookies -----------------------------------------------------------------------------------------

_https = CDP_BASE_URL.startswith("https://")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PRODUCTION or _https
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_NAME = f"cdp_session_{CDP_PORT}"
CSRF_COOKIE_NAME = f"cdp_csrf_{CDP_PORT}"
CSRF_FAILURE_VIEW = "cdp.core.ui.errors.csrf_failed"
CSRF_TRUSTED_ORIGINS = [CDP_BASE_URL]
SECURE_SSL_REDIRECT = PRODUCTION
SECURE_REDIRECT_EXEMPT = [r"^v1/", r"^healthz$", r"^readyz$", r"^metrics$"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if PRODUCTION else None
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if PRODUCTION else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = PRODUCTION
SECURE_HSTS_PRELOAD = PRODUCTION
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CDP_SECURITY_CONTACT = env("CDP_SECURITY_CONTACT", default="")
if CDP_SECURITY_CONTACT and not CDP_SECURITY_CONTACT.startswith(("mailto:", "https://", "tel:")):
    raise ImproperlyConfigured("CDP_SECURITY_CONTACT must begin with mailto:, https:// or tel: (RFC 9116).")

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "object-src": [NONE],
        "img-src": [SELF, "data:"],
        # What the shell's Alpine needs (docs/decisions/0006-pages-in-the-unfold-shell.md).
        "script-src": [SELF, UNSAFE_EVAL, NONCE],
        "style-src": [SELF, UNSAFE_INLINE],
    }
}

# --- REST ----------------------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "cdp.core.api.authentication.ApiKeyAuthentication",
        "cdp.core.api.authentication.SignedInAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["cdp.core.api.permissions.HasScope"],
    "DEFAULT_PAGINATION_CLASS": "cdp.core.api.pagination.KeysetPagination",
    "DEFAULT_RENDERER_CLASSES": ["cdp.core.api.json.JsonRenderer"],
    "DEFAULT_PARSER_CLASSES": ["cdp.core.api.json.JsonParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "cdp.core.api.problems.handle_exception",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Customer Data Platform",
    "VERSION": "1",
    "DESCRIPTION": "Collect, identify, consent, segment. Authenticate with `Authorization: Bearer <API key>`.",
    "SERVE_INCLUDE_SCHEMA": False,
    # What follows it groups the operations in the docs.
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "SERVE_PERMISSIONS": [],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "ReplayKindEnum": "ingestion.api.shapes.REPLAY_KINDS",
        "DifferenceKindEnum": "ingestion.api.shapes.DIFFERENCES",
        "PreferenceLinkKindEnum": "consent.api.fields.LINK_KINDS",
        "PublicLanguageEnum": "consent.api.fields.LANGUAGE_CODES",
        "SuppressedFormatEnum": "consent.api.fields.SUPPRESSED_FORMS",
        "FieldKindEnum": "consent.field_models.FieldTag.Kind",
        "FieldSensitivityEnum": "consent.field_models.FieldTag.Sensitivity",
        "ConsentStateEnum": "consent.decision.STATES",
        "ConsentImportPresetEnum": "consent.api.fields.PRESETS",
        "ApiKeyStateEnum": "cdp.core.api.keys.KEY_STATES",
        "RecordableStateEnum": "consent.decision.RECORDABLE",
        "DestinationKindEnum": "segments.api.sending_fields.DESTINATION_KINDS",
        "DestinationStateEnum": "segments.api.sending_fields.DESTINATION_STATES",
        "ExportFormatEnum": "segments.api.sending_fields.FORMATS",
        "ExportPresetEnum": "segments.api.sending_fields.PRESET_NAMES",
        "SegmentStatusEnum": "segments.api.fields.STATUSES",
        "OutcomeEnum": "ingestion.api.shapes.OUTCOMES",
        "RowOutcomeEnum": "ingestion.queries.imports.ROW_OUTCOMES",
        "ImportStatusEnum": "ingestion.models.Import.Status",
        "AlertKindEnum": "ingestion.alerting.detect.KINDS",
        "AlertSensitivityEnum": "ingestion.api.alerts.SENSITIVITY_NAMES",
        "AlertStateEnum": "ingestion.api.alerts.STATES",
        "AlertChannelKindEnum": "ingestion.alert_models.AlertChannel.Kind",
        "MatchModelStatusEnum": "profiles.matching_models.MatchModel.Status",
        "MatchRunStatusEnum": "profiles.matching_models.MatchRun.Status",
        "MatchCandidateStateEnum": "profiles.matching_models.MatchCandidate.State",
        "MatchAnswerEnum": "profiles.api.matching_schemas.ANSWERS",
        "ReconciliationStatusEnum": "ingestion.reconciliation_models.Reconciliation.Status",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "ingestion.api.openapi.describe_collection",
    ],
}

# --- Celery: the broker only carries wake-ups; rows own all progress ------------------------------------------------

CELERY_BROKER_URL = CDP_BROKER_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ROUTES = {
    "ingestion.process_inbox": {"queue": "ingest"},
    # Waits for servers of others, so nothing of this house waits behind it.
    "consent.send_callbacks": {"queue": "outgoing"},
    "consent.tell_recipients": {"queue": "outgoing"},
    "consent.*": {"queue": "privacy"},
    # Waits for servers of others, so nothing of this house waits behind it.
    "ingestion.forward_copies": {"queue": "outgoing"},
    "segments.send_deliveries": {"queue": "outgoing"},
    "consent.send_webhooks": {"queue": "outgoing"},
    # One process holds the learners; trainings and runs take minutes, and memory that is given back when they are over.
    "profiles.match": {"queue": "matching"},
}
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 600, "socket_timeout": 5, "socket_connect_timeout": 2}
CELERY_TASK_PUBLISH_RETRY = False
# Tasks keep the connection of their process (`cdp.celery.keep_connection`); a fresh one now and then frees memory.
CELERY_DB_REUSE_MAX = 10_000
CELERY_TIMEZONE = "UTC"
# Sweeps make wake-ups optional: a flushed broker loses nothing. `expires` keeps a backlog of sweeps from piling up.
CELERY_BEAT_SCHEDULE = {
    "process-inbox": {"task": "ingestion.process_inbox", "schedule": 1.0, "options": {"expires": 2}},
    "release-held": {"task": "ingestion.release_held", "schedule": 5.0, "options": {"expires": 5}},
    "forward-copies": {"task": "ingestion.forward_copies", "schedule": 1.0, "options": {"expires": 2}},
    "send-consent-webhooks": {"task": "consent.send_webhooks", "schedule": 1.0, "options": {"expires": 2}},
    "follow-changes": {"task": "segments.follow_changes", "schedule": 1.0, "options": {"expires": 2}},
    "run-due-checks": {"task": "segments.run_due_checks", "schedule": 1.0, "options": {"expires": 2}},
    "send-deliveries": {"task": "segments.send_deliveries", "schedule": 1.0, "options": {"expires": 2}},
    "reconcile-destinations": {
        "task": "segments.reconcile_destinations",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "make-due-exports": {"task": "segments.make_due_exports", "schedule": 15.0, "options": {"expires": 15}},
    "seal-audit": {"task": "core.seal_audit", "schedule": 1.0, "options": {"expires": 2}},
    "run-jobs": {"task": "core.run_jobs", "schedule": 1.0, "options": {"expires": 2}},
    "send-mail": {"task": "core.send_mail", "schedule": 2.0, "options": {"expires": 4}},
    "send-callbacks": {"task": "consent.send_callbacks", "schedule": 2.0, "options": {"expires": 4}},
    "run-privacy-requests": {"task": "consent.run_privacy_requests", "schedule": 2.0, "options": {"expires": 4}},
    "tell-recipients": {"task": "consent.tell_recipients", "schedule": 5.0, "options": {"expires": 10}},
    "measure-quality": {"task": "ingestion.measure_quality", "schedule": 300.0, "options": {"expires": 120}},
    "check-sources": {"task": "ingestion.check_sources", "schedule": 180.0, "options": {"expires": 120}},
    "match": {"task": "profiles.match", "schedule": 2.0, "options": {"expires": 3}},
    "keep-house": {"task": "core.keep_house", "schedule": 3600.0, "options": {"expires": 600}},
}

# --- Mail ----------------------------------------------------------------------------------------------------------

CDP_EMAIL_URL = env("CDP_EMAIL_URL", default="")
CDP_OUTBOX_DIR = CDP_DATA_DIR / "outbox"
if CDP_EMAIL_URL:
    vars().update(env.email_url_config(CDP_EMAIL_URL))
else:
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    EMAIL_FILE_PATH = str(CDP_OUTBOX_DIR)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env("CDP_EMAIL_FROM", default="cdp@localhost")

# --- Language, time, static files ----------------------------------------------------------------------------------

LANGUAGE_CODE = "en"
USE_I18N = False
USE_TZ = True
TIME_ZONE = CDP_TIME_ZONE
STATIC_URL = "static/"
STATIC_ROOT = CDP_DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "cdp" / "site" / "assets"]
WHITENOISE_USE_FINDERS = not PRODUCTION
STORAGES = {
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(CDP_DATA_DIR / "files")},
    },
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}

# --- Logs: never a payload, never a query string ---------------------------------------------------------------------

LOGGING_CONFIG = "cdp.core.logs.configure"
LOGGING: dict[str, Any] = {"json": PRODUCTION, "level": env("CDP_LOG_LEVEL", default="INFO")}

# --- The shell -------------------------------------------------------------------------------------------------------

UNFOLD = {
    "SITE_TITLE": "Customer Data Platform",
    "SITE_HEADER": "Customer Data",
    "SITE_URL": "/",
    "SITE_SYMBOL": "hub",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda _request: static("icon.svg")},
    ],
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "ACCOUNT": {"navigation": [{"title": "Your account", "link": reverse_lazy("mfa_index")}]},
    "STYLES": [lambda _request: static("cdp.css")],
    "BORDER_RADIUS": "6px",
    # A little lighter than unfold's own, which is too dark to be read on its dark background (WCAG 1.4.3).
    "COLORS": {"primary": {"500": "oklch(66.5% .23 303.9)"}},
    "SIDEBAR": {"show_search": False, "show_all_applications": False, "navigation": "cdp.site.navigation.sidebar"},
}
