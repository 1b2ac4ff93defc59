"""What a row states where the profile has a value already: overwrite, keep, append."""

from collections.abc import Callable
from typing import Any

from ingestion.imports.mapping import ColumnMapping
from profiles.services.record import Incoming, prepare_json
from profiles.services.traits import Traits


def restate_by(mapping: ColumnMapping, source_id: int) -> Callable[[Incoming, Traits], None] | None:
    """Return what changes the statement of a row by what the profile holds; None where everything is overwritten.

    The event keeps what was stated in the end, so that a profile computed anew from its events is the same.
    """
    modes = {trait: mode for trait, mode in mapping.modes.items() if mode != "overwrite"}
    if not modes:
        return None

    def restate(message: Incoming, traits: Traits) -> None:
        if message.stated is None or message.claim.source_id != source_id:
            return
        stated = dict(message.stated)
        for trait, mode in modes.items():
            if trait not in stated or trait not in traits:
                continue
            if mode == "keep":
                del stated[trait]
            else:
                stated[trait] = appended(traits[trait], stated[trait])
        message.stated = stated
        message.json_text = prepare_json(None, stated, None)

    return restate


def appended(known: Any, given: Any) -> Any:
    """Return the members of the known value, then those of the given one that are new, as a list."""
    if given is None:
        return known
    members = list(known) if isinstance(known, list) else [known]
    for one in given if isinstance(given, list) else [given]:
        if one not in members:
            members.append(one)
    return members
