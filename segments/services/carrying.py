"""Definitions from version to version, from segment to segment, and from one installation to another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cdp.core.errors import CdpError
from segments.language.check import references
from segments.models import Segment
from segments.queries.segments import find_segment, get_segment, has_match, parsed, read_definitions
from segments.queries.versions import get_version
from segments.services.definitions import NewSegment, change_segment, create_segment
from segments.services.evaluation import Clock

CREATED, CHANGED, UNCHANGED, REFUSED = "created", "changed", "unchanged", "refused"


@dataclass(frozen=True, slots=True)
class Carried:
    """What became of one segment of a file.

    Attributes
    ----------
    outcome : str
        `created`, `changed`, `unchanged` or `refused`.
    error : CdpError or None
        Why it was refused.
    """

    key: str
    outcome: str
    error: CdpError | None = None


def restore_version(*, key: str, version: int, actor: str, clock: Clock) -> Segment:
    """Make an earlier definition the latest again, as a new version; the latest one itself changes nothing.

    Raises
    ------
    NoSuchSegment, NoSuchVersion
        If there is none.
    InvalidDefinition
        If it refers to what is gone by now.
    """
    definition = get_version(segment=get_segment(key=key), version=version).definition
    return change_segment(key=key, fields={"definition": definition}, actor=actor, clock=clock)


def duplicate_segment(*, key: str, new_key: str, name: str, actor: str, clock: Clock) -> tuple[Segment, bool]:
    """Make a draft with the latest definition, purpose, channel and tags of a segment; the same again changes nothing.

    Raises
    ------
    NoSuchSegment
        If there is none.
    KeyTaken
        If another segment has the new key.
    """
    segment = get_segment(key=key)
    new = NewSegment(
        key=new_key,
        name=name or f"{segment.name} (copy)",
        definition=read_definitions([segment])[segment.pk],
        purpose=segment.purpose,
        channel=segment.channel,
        tags=tuple(segment.tags),
    )
    return create_segment(new=new, actor=actor, clock=clock)


def import_segments(*, segments: Sequence[NewSegment], replace: bool, actor: str, clock: Clock) -> list[Carried]:
    """Create segments as drafts, each after those that it refers to; what cannot be created stops none of the others.

    Parameters
    ----------
    replace : bool
        Whether another definition of a key that is there becomes its new version; else it is refused.
    """
    done = {}
    for new in _in_order(segments):
        try:
            done[new.key] = Carried(new.key, _carry(new, replace=replace, actor=actor, clock=clock))
        except CdpError as error:
            done[new.key] = Carried(new.key, REFUSED, error)
    return [done[new.key] for new in segments]


def _carry(new: NewSegment, *, replace: bool, actor: str, clock: Clock) -> str:
    known = find_segment(key=new.key)
    if known is None:
        create_segment(new=new, actor=actor, clock=clock)
        return CREATED
    if read_definitions([known])[known.pk] == new.definition:
        return UNCHANGED
    if not replace:
        # Says that the key is taken.
        create_segment(new=new, actor=actor, clock=clock)
    change_segment(key=new.key, fields={"definition": new.definition}, actor=actor, clock=clock)
    return CHANGED


def _in_order(segments: Sequence[NewSegment]) -> list[NewSegment]:
    by_key = {new.key: new for new in segments}
    ordered: dict[str, NewSegment] = {}

    def add(new: NewSegment, above: frozenset[str]) -> None:
        if new.key in ordered or new.key in above:
            return
        for key in sorted(_references(new.definition) & by_key.keys()):
            add(by_key[key], above | {new.key})
        ordered[new.key] = new

    for new in segments:
        add(new, frozenset())
    return list(ordered.values())


def _references(definition: Any) -> set[str]:
    """Return the keys that a definition names; a faulty one names none, and is refused later."""
    if not isinstance(definition, Mapping) or not has_match(definition):
        return set()
    try:
        return references(parsed(definition))
    except CdpError:
        return set()
