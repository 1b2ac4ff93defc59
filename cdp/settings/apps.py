"""The apps, their middleware and templates, language and logs."""

from typing import Any

from cdp.settings.installation import BASE_DIR, CDP_TIME_ZONE, PRODUCTION, env

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

LANGUAGE_CODE = "en"
USE_I18N = False
USE_TZ = True
TIME_ZONE = CDP_TIME_ZONE

# Never a payload, never a query string.
LOGGING_CONFIG = "cdp.core.logs.configure"
LOGGING: dict[str, Any] = {"json": PRODUCTION, "level": env("CDP_LOG_LEVEL", default="INFO")}
