"""Versions of a definition: one of them, and what differs between two, in the words of their conditions."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from segments.errors import NoSuchVersion
from segments.language.evaluate import sentence_of
from segments.models import Segment, SegmentVersion
from segments.queries.segments import has_match, parsed

SAME, ADDED, REMOVED = "same", "added", "removed"


@dataclass(frozen=True, slots=True)
class Line:
    """A condition in one or both of two versions; `depth` is how many groups it lies in."""

    kind: str
    depth: int
    sentence: str


def get_version(*, segment: Segment, version: int) -> SegmentVersion:
    """Return a version of a segment's definition.

    Raises
    ------
    NoSuchVersion
        If there is none of this number.
    """
    found = SegmentVersion.objects.filter(segment=segment, version=version).first()
    if found is None:
        raise NoSuchVersion(segment.key, version)
    return found


def compare_definitions(*, before: Any, after: Any) -> list[Line]:
    """Return the conditions of two definitions, each once, with where it occurs.

    The time zone is a line of its own where it differs. A draft may have no condition.
    """
    old, new = _lines(before), _lines(after)
    found: list[Line] = []
    if before.get("timezone") != after.get("timezone"):
        found += [Line(REMOVED, 0, _zone(before)), Line(ADDED, 0, _zone(after))]
    for way, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if way == "equal":
            found += _as(SAME, old[a:b])
        else:
            found += [*_as(REMOVED, old[a:b]), *_as(ADDED, new[c:d])]
    return found


def _as(kind: str, lines: Sequence[tuple[int, str]]) -> list[Line]:
    return [Line(kind, depth, sentence) for depth, sentence in lines]


def _lines(definition: Any) -> list[tuple[int, str]]:
    if not has_match(definition):
        return []
    return [(node.path.count(".of"), sentence_of(node)) for node in parsed(definition).match.walk()]


def _zone(definition: Any) -> str:
    return f"days are counted in the time zone: {definition.get('timezone', 'installation')}"
