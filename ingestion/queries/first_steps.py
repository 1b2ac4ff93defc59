"""What a newcomer needs to send a first message."""

from dataclasses import dataclass

from ingestion.models import Source
from ingestion.queries.write_keys import read_write_key


@dataclass(frozen=True, slots=True)
class Opened:
    """A source with its write key in the clear."""

    key: str
    kind: str
    write_key: str


def find_first_source() -> Opened | None:
    """Return the oldest enabled source that messages are sent to."""
    source = Source.objects.filter(enabled=True).exclude(kind=Source.Kind.IMPORT).order_by("id").first()
    return Opened(source.key, source.kind, read_write_key(source)) if source is not None else None
