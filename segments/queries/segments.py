"""Finding segments, their definitions, members and history."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.db.models import F, QuerySet

from consent.models import Purpose
from profiles.models import IdentifierType
from profiles.queries.sealed import find_sealed_names
from segments.errors import DefinitionMissing, NoSuchSegment
from segments.language.check import Catalogue, references
from segments.language.evaluate import depends
from segments.language.parse import parse
from segments.language.person import Segment as Definition
from segments.models import Membership, MembershipChange, Segment, SegmentVersion, StaticList


@dataclass(frozen=True, slots=True)
class LiveSegment:
    """A live segment with the definition that its membership follows."""

    id: int
    key: str
    version: int
    definition: Definition
    tokens: frozenset[str]
    references: frozenset[str]


def installation_zone() -> str:
    """Return the IANA name of the installation's time zone."""
    zone: str = settings.CDP_TIME_ZONE
    return zone


def session_gap() -> timedelta:
    """Return the silence that ends a session (`$session`)."""
    return timedelta(minutes=settings.CDP_SESSION_MINUTES)


def list_segments() -> QuerySet[Segment]:
    """Return all segments; the caller orders them."""
    return Segment.objects.all()


def find_segment(*, key: str) -> Segment | None:
    """Return a segment, or None."""
    return Segment.objects.filter(key=key).first()


def get_segment(*, key: str) -> Segment:
    """Return a segment.

    Raises
    ------
    NoSuchSegment
        If none has this key.
    """
    segment = find_segment(key=key)
    if segment is None:
        raise NoSuchSegment(key)
    return segment


def read_definitions(segments: Sequence[Segment]) -> dict[int, Any]:
    """Return the latest definition of each segment as JSON, by segment id (one statement)."""
    rows = SegmentVersion.objects.filter(segment__in=segments, version=F("segment__version"))
    return dict(rows.values_list("segment_id", "definition"))


def list_versions(*, segment: Segment) -> QuerySet[SegmentVersion]:
    """Return all versions of a definition; the caller orders them."""
    return SegmentVersion.objects.filter(segment=segment)


def list_members(*, segment: Segment) -> QuerySet[Membership]:
    """Return the memberships of a segment; the caller orders them."""
    return Membership.objects.filter(segment=segment)


def list_membership_changes(*, segment: Segment) -> QuerySet[MembershipChange]:
    """Return entries and exits of a segment; the caller orders them."""
    return MembershipChange.objects.filter(segment=segment)


@lru_cache(maxsize=2048)
def _parsed(definition: str) -> Definition:
    return parse(json.loads(definition))


def parsed(definition: Any) -> Definition:
    """Return a stored definition as nodes; the same text is parsed once per process."""
    return _parsed(json.dumps(definition, sort_keys=True))


def read_catalogue() -> Catalogue:
    """Return what definitions may refer to: all segments with their references, purposes, lists, identifier types."""
    rows = SegmentVersion.objects.filter(version=F("segment__version")).values_list("segment__key", "definition")
    return Catalogue(
        segments={
            key: frozenset(references(parsed(definition))) if has_match(definition) else frozenset()
            for key, definition in rows
        },
        purposes={key: frozenset(channels) for key, channels in Purpose.objects.values_list("key", "channels")},
        lists=frozenset(StaticList.objects.values_list("key", flat=True)),
        identifier_types=frozenset(IdentifierType.objects.values_list("key", flat=True)),
        sealed_traits=find_sealed_names(),
    )


def has_match(definition: Any) -> bool:
    """Tell whether a stored definition has a condition; only a draft may lack one."""
    return isinstance(definition, Mapping) and definition.get("match") is not None


def read_live_segments() -> list[LiveSegment]:
    """Return the live segments whose membership was computed, each after those that it refers to."""
    rows = SegmentVersion.objects.filter(
        segment__status=Segment.Status.LIVE, segment__live_version=F("version")
    ).values_list("segment_id", "segment__key", "version", "definition")
    return in_order([live_segment(*row) for row in rows])


def live_segment(id: int, key: str, version: int, definition: Any) -> LiveSegment:
    """Return a segment with its parsed definition."""
    found = parsed(definition)
    return LiveSegment(id, key, version, found, frozenset(depends(found)), frozenset(references(found)))


def in_order(segments: Sequence[LiveSegment]) -> list[LiveSegment]:
    """Order segments so that each comes after those that it refers to."""
    known = {segment.key: segment for segment in segments}
    ordered: dict[str, LiveSegment] = {}

    def add(segment: LiveSegment) -> None:
        if segment.key in ordered:
            return
        for key in sorted(segment.references & known.keys()):
            add(known[key])
        ordered[segment.key] = segment

    for segment in sorted(segments, key=lambda each: each.key):
        add(segment)
    return list(ordered.values())


def find_users(*, key: str) -> list[str]:
    """Return the keys of the segments that refer to this one and are not archived."""
    rows = (
        SegmentVersion.objects.filter(version=F("segment__version"))
        .exclude(segment__status=Segment.Status.ARCHIVED)
        .values_list("segment__key", "definition")
    )
    return sorted(user for user, definition in rows if has_match(definition) and key in references(parsed(definition)))


def read_latest(*, key: str) -> LiveSegment:
    """Return a segment with its latest definition.

    Raises
    ------
    NoSuchSegment
        If none has this key.
    DefinitionMissing
        If it is a draft without a condition.
    """
    segment = get_segment(key=key)
    definition = read_definitions([segment])[segment.pk]
    if not has_match(definition):
        raise DefinitionMissing
    return live_segment(segment.pk, segment.key, segment.version, definition)
