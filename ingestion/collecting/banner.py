"""The consent banner of a website: its script, and what it asks. What people choose comes in as an ordinary message.

Reading changes nothing and asks for nobody: the same for every visitor of a site.
"""

import gzip
import hashlib
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from urllib.parse import parse_qs

from django.conf import settings

from cdp.core.errors import NotFound
from consent.queries.banners import read_banner
from ingestion.collecting.answers import Answer, Environ, answer_with
from ingestion.collecting.documents import cached, require_key
from ingestion.collecting.routes import Route
from ingestion.collecting.snippet import HOUR, JAVASCRIPT
from ingestion.queries.write_keys import find_source_of

SCRIPT = Path("cdp/site/assets/banner.js")


def answer_banner(environ: Environ, route: Route, received_at: datetime) -> Answer:
    """Answer what the banner of a source asks, in the language of the page or of the browser."""
    require_key(environ, route.key, received_at)
    source = find_source_of(route.key)
    asked = parse_qs(environ.get("QUERY_STRING", "")).get("language", [None])[0]
    accept = environ.get("HTTP_ACCEPT_LANGUAGE", "")
    document = read_banner(source_id=source.id, asked=asked, accept=accept) if source is not None else None
    if document is None:
        message = "This source has no banner. Set one up under Consent, Banners."
        raise NotFound(message)
    return cached(environ, document)


@dataclass(frozen=True, slots=True)
class Script:
    """The script as it goes out, plain and compressed."""

    plain: bytes
    packed: bytes
    tag: str


@cache
def read_script() -> Script:
    """Read the script, once for the life of the process."""
    plain = (settings.BASE_DIR / SCRIPT).read_bytes()
    # Without a time in it, so that every process makes the same bytes.
    packed = gzip.compress(plain, compresslevel=9, mtime=0)
    return Script(plain, packed, f'"{hashlib.sha256(plain).hexdigest()[:32]}"')


def answer_banner_script(environ: Environ, _route: Route, _received_at: datetime) -> Answer:
    """Answer the script, the same for every site."""
    script = read_script()
    headers = [("ETag", script.tag), HOUR, ("Vary", "Accept-Encoding"), ("X-Content-Type-Options", "nosniff")]
    if environ.get("HTTP_IF_NONE_MATCH", "").removeprefix("W/") == script.tag:
        return Answer(304, [*headers, ("Access-Control-Allow-Origin", "*")], b"")
    if "gzip" in environ.get("HTTP_ACCEPT_ENCODING", ""):
        return answer_with(script.packed, JAVASCRIPT, *headers, ("Content-Encoding", "gzip"))
    return answer_with(script.plain, JAVASCRIPT, *headers)
