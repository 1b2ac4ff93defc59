"""The script that Segment's HTML snippet loads, and its parts, from the folder that `make snippet` fills.

The package is not ours (MIT, `@segment/analytics-next`), so it is not in the repository: npm installs it.
"""

import re
from datetime import datetime
from pathlib import Path

from django.conf import settings

from cdp.core.errors import NotFound
from ingestion.collecting.answers import Answer, Environ, answer_with
from ingestion.collecting.documents import require_key
from ingestion.collecting.routes import Kind, Route

PACKAGE = Path("node_modules/@segment/analytics-next/dist/umd")
SCRIPT = "standalone.js"
JAVASCRIPT = "text/javascript; charset=utf-8"
HOUR = ("Cache-Control", "public, max-age=3600")
# The names of the parts hold a digest of their content.
FOREVER = ("Cache-Control", "public, max-age=31536000, immutable")

_PART = re.compile(r"[A-Za-z0-9_-]+\.bundle\.[0-9a-f]{8,64}\.js")


def is_installed() -> bool:
    """Tell whether the script can be served."""
    return (settings.CDP_SNIPPET_DIR / PACKAGE / SCRIPT).is_file()


def answer_snippet(environ: Environ, route: Route, received_at: datetime) -> Answer:
    """Answer the script, or one of the parts that it loads when it needs them."""
    if route.kind is Kind.SNIPPET:
        require_key(environ, route.key, received_at)
        return _answer_file(environ, SCRIPT, HOUR)
    if not _PART.fullmatch(route.key):
        message = "There is no such part of the script."
        raise NotFound(message)
    return _answer_file(environ, route.key, FOREVER)


def _answer_file(environ: Environ, name: str, cache: tuple[str, str]) -> Answer:
    path = settings.CDP_SNIPPET_DIR / PACKAGE / name
    if not path.is_file():
        message = (
            "The script is not installed here. Install it with `make snippet` on the machine that runs this "
            "installation; it needs npm."
        )
        raise NotFound(message)
    packed = path.with_name(f"{name}.gz")
    use_packed = "gzip" in environ.get("HTTP_ACCEPT_ENCODING", "") and packed.is_file()
    chosen = packed if use_packed else path
    status = chosen.stat()
    tag = ("ETag", f'"{status.st_size:x}-{status.st_mtime_ns:x}"')
    if environ.get("HTTP_IF_NONE_MATCH", "").removeprefix("W/") == tag[1]:
        return Answer(304, [tag, cache, ("Vary", "Accept-Encoding"), ("Access-Control-Allow-Origin", "*")], b"")
    encoding = [("Content-Encoding", "gzip")] if use_packed else []
    headers = [tag, cache, ("Vary", "Accept-Encoding"), ("X-Content-Type-Options", "nosniff"), *encoding]
    return answer_with(chosen.read_bytes(), JAVASCRIPT, *headers)
