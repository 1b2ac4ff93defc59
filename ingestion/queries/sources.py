"""Reading sources."""

from django.db import connection

from ingestion.errors import UnknownSource
from ingestion.models import Source


def read_source_keys() -> dict[int, str]:
    """Return the key of each source by its id."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, key FROM ingestion_source")
        return dict(cursor.fetchall())


def read_source_kinds() -> dict[int, str]:
    """Return the kind of each source by its id."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, kind FROM ingestion_source")
        return dict(cursor.fetchall())


def get_source(*, key: str) -> Source:
    """Return a source.

    Raises
    ------
    UnknownSource
        No source has this key.
    """
    source = Source.objects.filter(key=key.replace("\0", "")).first()
    if source is None:
        message = "No source has this key."
        raise UnknownSource(message)
    return source
