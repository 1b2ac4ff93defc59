"""Transport, cookies, and what the pages may load."""

from csp.constants import NONCE, NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE
from django.core.exceptions import ImproperlyConfigured

from cdp.settings.installation import CDP_BASE_URL, CDP_PORT, PRODUCTION, env

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
