"""The collection addresses, each with or without a slash at its end: a redirect would turn a POST into a GET.

References
----------
Segment HTTP API, RudderStack HTTP API, Jitsu's `/api/s`; the snippet's `/analytics.js/v1`.
"""

from dataclasses import dataclass
from enum import Enum, auto

from ingestion.spec.message import ENDPOINTS, MESSAGE_TYPES

POST = "POST, OPTIONS"
GET = "GET, HEAD, OPTIONS"


class Kind(Enum):
    """What is done with a request."""

    MESSAGES = auto()
    PIXEL = auto()
    DISCARDED = auto()
    SETTINGS = auto()
    CUSTOMERIO_SETTINGS = auto()
    SOURCE_CONFIG = auto()
    SNIPPET = auto()
    SNIPPET_PART = auto()
    HEALTH = auto()
    BANNER = auto()
    BANNER_SCRIPT = auto()


@dataclass(frozen=True, slots=True)
class Route:
    """One address.

    Attributes
    ----------
    name : str
        For log and metrics: the address without what a sender chooses.
    endpoint : str
        Of messages: a key of `ingestion.spec.message.ENDPOINTS`.
    key : str
        The write key in the address, or the name of a part of the script; ``""`` if there is none.
    """

    kind: Kind
    name: str
    methods: str
    endpoint: str = ""
    key: str = ""


def _exact() -> dict[str, Route]:
    found = {f"/v1/{name}": Route(Kind.MESSAGES, f"v1/{name}", POST, name) for name in ENDPOINTS}
    found["/beacon/v1/batch"] = Route(Kind.MESSAGES, "beacon/v1/batch", POST, "batch")
    for name in sorted(MESSAGE_TYPES):
        found[f"/api/s/{name}"] = Route(Kind.MESSAGES, f"api/s/{name}", POST, name)
        found[f"/api/s/s2s/{name}"] = Route(Kind.MESSAGES, f"api/s/s2s/{name}", POST, name)
        found[f"/v1/pixel/{name}"] = Route(Kind.PIXEL, f"v1/pixel/{name}", GET, name)
        found[f"/pixel/v1/{name}"] = Route(Kind.PIXEL, f"pixel/v1/{name}", GET, name)
    found["/v1/m"] = Route(Kind.DISCARDED, "v1/m", POST)
    found["/rsaMetrics"] = Route(Kind.DISCARDED, "rsaMetrics", POST)
    found["/sourceConfig"] = Route(Kind.SOURCE_CONFIG, "sourceConfig", GET)
    found["/banner.js"] = Route(Kind.BANNER_SCRIPT, "banner.js", GET)
    found["/health"] = Route(Kind.HEALTH, "health", GET)
    return found | {f"{path}/": route for path, route in found.items()}


EXACT = _exact()
# What stands before and after the write key.
KEYED = (
    ("/v1/projects/", "/settings", Kind.SETTINGS, "v1/projects/…/settings"),
    ("/customerio/v1/projects/", "/settings", Kind.CUSTOMERIO_SETTINGS, "customerio/v1/projects/…/settings"),
    ("/v1/consent/", "", Kind.BANNER, "v1/consent/…"),
    ("/analytics.js/v1/", "/analytics.min.js", Kind.SNIPPET, "analytics.js/v1/…/analytics.min.js"),
    ("/analytics-next/bundles/", "", Kind.SNIPPET_PART, "analytics-next/bundles/…"),
)


def find_route(path: str) -> Route | None:
    """Return what a path names; None if it is none of collection's.

    Parameters
    ----------
    path : str
        Decoded, without the query.
    """
    route = EXACT.get(path)
    if route is not None:
        return route
    for prefix, suffix, kind, name in KEYED:
        if path.startswith(prefix):
            key = path[len(prefix) :].removesuffix("/")
            own = key.removesuffix(suffix)
            if own and "/" not in own and key == own + suffix:
                return Route(kind, name, GET, key=own)
    return None
