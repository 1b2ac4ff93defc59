"""Where data lies: the database, the broker, files; and how mail goes out."""

from typing import Any

from psycopg2.extensions import parse_dsn

from cdp.settings.installation import BASE_DIR, CDP_DATA_DIR, PRODUCTION, env


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

CDP_EMAIL_URL = env("CDP_EMAIL_URL", default="")
CDP_OUTBOX_DIR = CDP_DATA_DIR / "outbox"
if CDP_EMAIL_URL:
    vars().update(env.email_url_config(CDP_EMAIL_URL))
else:
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    EMAIL_FILE_PATH = str(CDP_OUTBOX_DIR)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env("CDP_EMAIL_FROM", default="cdp@localhost")

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
