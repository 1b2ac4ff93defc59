"""Reading sources."""

from ingestion.models import Source


def read_source_keys() -> dict[int, str]:
    """Return the key of each source by its id."""
    return dict(Source.objects.values_list("id", "key"))
