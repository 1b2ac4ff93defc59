"""Who may open a single source: by scope, or by a right on that very one."""

from django.http import HttpRequest

from cdp.core.access import Principal
from cdp.core.ui.shell import open_one
from ingestion.models import Source
from ingestion.queries.sources import get_source


def open_source(request: HttpRequest, key: str, scope: str = "sources:read") -> tuple[Principal, Source]:
    """Return who looks and the source.

    Raises
    ------
    MissingScope
        If they lack the scope, and a right on this source; one that does not exist gives no right.
    UnknownSource
        If it does not exist.
    """
    return open_one(request, lambda: get_source(key=key), scope)
