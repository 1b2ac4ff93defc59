"""What SDKs read before they send: settings and source configuration, all from this host.

References
----------
analytics-next 1.84 (`/v1/projects/KEY/settings`), its fork of Customer.io, rudder-sdk-js 3.34 (`/sourceConfig`).
"""

import hashlib
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import orjson
from django.conf import settings
from django.http.request import split_domain_port, validate_host

from cdp.core.errors import NotFound
from ingestion.collecting.answers import Answer, Environ, answer_with
from ingestion.collecting.intake import key_of, source_of
from ingestion.collecting.routes import Kind, Route
from ingestion.errors import UnusableKey
from ingestion.queries.write_keys import find_source_of
from ingestion.services.accept import count_unattributed

JSON = "application/json"
# A change of the key is seen within a minute; a repeated question costs a few bytes.
CACHE = ("Cache-Control", "max-age=60")
# SDKs compare it with what they have; the document only changes with the product.
UPDATED_AT = "2026-01-01T00:00:00.000Z"


def answer_settings(environ: Environ, route: Route, received_at: datetime) -> Answer:
    """Answer what Segment's browser and mobile SDKs, or Customer.io's, ask for first.

    Notes
    -----
    `apiKey` overrides the key that the page gave, so it is that of the address. A second integration would make the SDK
    fetch code of a destination and wait for it, so there is one, and Customer.io's fork has an address of its own.
    """
    require_key(environ, route.key, received_at)
    scheme, host = _own_address(environ)
    integration = {"apiKey": route.key, "apiHost": f"{host}/v1", "protocol": scheme}
    name = "Customer.io Data Pipelines" if route.kind is Kind.CUSTOMERIO_SETTINGS else "Segment.io"
    return cached(
        environ,
        {
            "integrations": {name: integration},
            "plan": {"track": {"__default": {"enabled": True, "integrations": {}}}},
            "metrics": {"sampleRate": 0},
            "enabledMiddleware": {},
            "middlewareSettings": {},
            "remotePlugins": [],
            "analyticsNextEnabled": True,
        },
    )


def answer_source_config(environ: Environ, _route: Route, received_at: datetime) -> Answer:
    """Answer what RudderStack's browser and mobile SDKs ask for first; without it they send nothing."""
    key = key_of(environ)
    try:
        source = source_of(key)
    except UnusableKey:
        _count(environ, received_at)
        raise
    off = {"enabled": False}
    return cached(
        environ,
        {
            "source": {
                "id": f"source-{source.id}",
                "name": f"source-{source.id}",
                "writeKey": key,
                "enabled": True,
                "workspaceId": "cdp",
                "connections": [],
                "destinations": [],
                "config": {"statsCollection": {"errors": off, "metrics": off}},
                "dataplanes": {},
            },
            "updatedAt": UPDATED_AT,
            "consentManagementMetadata": {"providers": []},
        },
    )


def answer_health(_environ: Environ, _route: Route, _received_at: datetime) -> Answer:
    """Say that this process answers (RudderStack's address; `/readyz` tells more)."""
    return answer_with(b'{"status": "ok"}', JSON, ("Cache-Control", "no-store"))


def require_key(environ: Environ, key: str, received_at: datetime) -> None:
    """Raise `NotFound`, and count the request, where no active source has the key."""
    if find_source_of(key) is None:
        _count(environ, received_at)
        message = "No active source has this write key."
        raise NotFound(message)


def _count(environ: Environ, received_at: datetime) -> None:
    """Count a wrong key here, too: the SDK gives up and sends nothing that could be counted later."""
    if environ["REQUEST_METHOD"] == "GET":
        count_unattributed(received_at=received_at)


def cached(environ: Environ, document: dict[str, Any]) -> Answer:
    """Answer a document that SDKs ask for again and again."""
    body = orjson.dumps(document)
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    known = environ.get("HTTP_IF_NONE_MATCH", "")
    if known and (known.strip() == "*" or tag in known.replace("W/", "").replace(" ", "").split(",")):
        return Answer(304, answer_with(b"", JSON, ("ETag", tag), CACHE).headers[2:], b"")
    return answer_with(body, JSON, ("ETag", tag), CACHE)


def _own_address(environ: Environ) -> tuple[str, str]:
    """Return scheme and host (with the path of a proxy) under which the page can reach us.

    That is the address the SDK used, where it is one of ours: a site may reach us by a name of its own. Else the
    installation's.
    """
    base = urlsplit(settings.CDP_BASE_URL)
    host = environ.get("HTTP_HOST", "").lower()
    domain, _port = split_domain_port(host)
    if host == base.netloc.lower() or not domain or not validate_host(domain, settings.ALLOWED_HOSTS):
        return base.scheme, base.netloc + base.path.rstrip("/")
    if settings.PRODUCTION:
        scheme = environ.get("HTTP_X_FORWARDED_PROTO") or base.scheme
        return ("http" if scheme == "http" else "https"), host
    return environ.get("wsgi.url_scheme", "http"), host
