"""What an activation is held against: its purpose, its channel, its columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cdp.core.errors import FieldError
from consent.queries.field_tags import find_uncovered
from consent.queries.purposes import check_channel, get_purpose
from segments.errors import FieldNotCovered
from segments.models import Segment, SegmentVersion
from segments.queries.coverage import check_coverage
from segments.sending.columns import SPELLINGS, Column, read_columns
from segments.sending.errors import InvalidSending, PurposeDoesNotFit
from segments.sending.presets import PRESETS

DEFAULT_PRESET = "contacts"


@dataclass(frozen=True, slots=True)
class Fit:
    """The purpose and channel that hold; ``""`` for no particular channel."""

    purpose: str
    channel: str


def check_fit(*, segment: Segment, purpose: str, channel: str, needs_channel: bool = False) -> Fit:
    """Return for what, and on which channel, the members of a segment are sent: what is given, else the segment's own.

    Raises
    ------
    PurposeDoesNotFit
        If there is no purpose, or the segment was made for another purpose or channel: people were chosen for that one.
    UnknownPurpose, UnknownChannel
        If they do not exist.
    """
    wanted = purpose or segment.purpose
    if not wanted:
        raise PurposeDoesNotFit("Say for which purpose: every person is held against their consent to it.")
    if segment.purpose and wanted != segment.purpose:
        message = f"“{segment.key}” was made for the purpose {segment.purpose}. Make a segment for {wanted}."
        raise PurposeDoesNotFit(message)
    way = channel or segment.channel
    if segment.channel and way != segment.channel:
        message = f"“{segment.key}” was made for the channel {segment.channel}."
        raise PurposeDoesNotFit(message, path="channel")
    if needs_channel and not way:
        raise PurposeDoesNotFit("Say on which channel people will be reached.", path="channel")
    check_channel(purpose=get_purpose(key=wanted), channel=way or None)
    return Fit(wanted, way)


def fitting_columns(*, preset: str, given: Sequence[Any]) -> tuple[Column, ...]:
    """Return the columns that are given, else those of the preset.

    Raises
    ------
    InvalidSending
        If the preset is not known, or both are given.
    """
    if given and preset:
        raise InvalidSending([FieldError("columns", "with_preset", "Give a preset or columns, not both.")])
    if given:
        return read_columns(list(given))
    key = preset or DEFAULT_PRESET
    if key not in PRESETS:
        raise InvalidSending([FieldError("preset", "unknown", f"A preset is one of {', '.join(PRESETS)}.")])
    return PRESETS[key][1]


def check_fields(*, segment: Segment, purpose: str, columns: Sequence[Column]) -> None:
    """Refuse what is tagged as not serving the purpose: among the conditions of the segment, or among the columns.

    Raises
    ------
    FieldNotCovered
        If a condition uses such a field.
    PurposeDoesNotFit
        If a column shows one.
    """
    latest = SegmentVersion.objects.get(segment=segment, version=segment.version)
    check_coverage(key=segment.key, definition=latest.definition, tokens=latest.tokens, purpose=purpose)
    shown: dict[str, int] = {}
    for place, column in enumerate(columns):
        for token in _tokens(column):
            shown.setdefault(token, place)
    uncovered = find_uncovered(purpose=purpose, tokens=shown, used_by=f"segment:{segment.key}")
    if uncovered:
        raise PurposeDoesNotFit(uncovered[0].reason, path=f"columns.{shown[uncovered[0].token]}")


def is_covered(*, segment: Segment, purpose: str, columns: Sequence[Column]) -> bool:
    """Tell whether what is used may serve the purpose now; tags may have changed since it was set up."""
    try:
        check_fields(segment=segment, purpose=purpose, columns=columns)
    except (FieldNotCovered, PurposeDoesNotFit):
        return False
    return True


def _tokens(column: Column) -> list[str]:
    """Return the names under which a column's value may be tagged; of a path, its trait as well."""
    kind, _, name = column.source.partition(":")
    if kind in {"email", "phone"}:
        return [f"trait:{kind}", f"identifier:{kind}"]
    if kind not in {"trait", "identifier"}:
        return []
    spelt = [one.removeprefix("trait:") for one in (column.source, *SPELLINGS.get(column.source, ()))]
    names = [name] if kind == "identifier" else [part for one in spelt for part in (one, one.partition(".")[0])]
    return [f"{kind}:{one}" for one in dict.fromkeys(names)]
