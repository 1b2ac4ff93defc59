"""What kind of installation this is, its keys, what it keeps how long, and whom it answers and calls."""

from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

from cdp.core.addresses import OutgoingRefused, read_allowances
from cdp.core.calendars import UnknownCalendar, read_calendar

BASE_DIR = Path(__file__).resolve().parents[2]
env = environ.Env()

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

# --- Privacy requests (consent/services/requests.py) ------------------------------------------------------------------

CDP_FOUR_EYES = env.bool("CDP_FOUR_EYES", default=False)
CDP_OPENDSR_KEY_FILE = env("CDP_OPENDSR_KEY_FILE", default="")
CDP_OPENDSR_CERTIFICATE_FILE = env("CDP_OPENDSR_CERTIFICATE_FILE", default="")
CDP_OPENDSR_DEFAULT_REGULATION = env("CDP_OPENDSR_DEFAULT_REGULATION", default="").strip().lower()
if CDP_OPENDSR_DEFAULT_REGULATION not in {"", "gdpr", "ccpa"}:
    raise ImproperlyConfigured("CDP_OPENDSR_DEFAULT_REGULATION is gdpr, ccpa or empty.")
CDP_OPENDSR_BODY_SIGNATURE = env.bool("CDP_OPENDSR_BODY_SIGNATURE", default=False)

# --- Servers of others that this installation may call (cdp/core/outgoing.py) -----------------------------------------

CDP_OUTGOING_PORTS = env.list("CDP_OUTGOING_PORTS", cast=int, default=[80, 443, 8080, 8443])
CDP_OUTGOING_ALLOW = env.list("CDP_OUTGOING_ALLOW", default=[])
CDP_OUTGOING_CA_FILE = env("CDP_OUTGOING_CA_FILE", default="")
try:
    read_allowances(CDP_OUTGOING_ALLOW)
except OutgoingRefused as refused:
    raise ImproperlyConfigured(f"CDP_OUTGOING_ALLOW: {refused}") from refused

# --- Names that this installation answers to --------------------------------------------------------------------------

ALLOWED_HOSTS = env.list("CDP_ALLOWED_HOSTS", default=[] if PRODUCTION else ["*"])
if PRODUCTION and not ALLOWED_HOSTS:
    raise ImproperlyConfigured("CDP_ALLOWED_HOSTS must name the hosts that this installation answers to.")
