"""Reading stored events as quality looks at them: their type, and the part that a source fills."""

from collections.abc import Sequence
from typing import Any

import orjson

from ingestion.quality.counting import Looked
from ingestion.treatment.plans import PLANNED
from profiles.models import EventType

TYPES = {int(kind): kind.label.lower() for kind in EventType}
NUMBERS = {name: number for number, name in TYPES.items()}
# Of these the traits are looked at, of the others the properties.
PAYLOAD_TYPES = [NUMBERS[name] for name, part in PLANNED.items() if part == "traits"]


def looked_at(row: Sequence[Any]) -> Looked:
    """Return an event as it is looked at.

    Parameters
    ----------
    row : sequence
        Id, source id, type, name, times of occurrence and receipt, and the JSON of properties or traits.
    """
    row_id, source_id, kind, name, occurred_at, received_at, payload = row
    value = orjson.loads(payload) if payload else {}
    members = value if value.__class__ is dict else {}
    return Looked(row_id, source_id, TYPES[kind], name, occurred_at, received_at, members)
