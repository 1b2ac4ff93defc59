"""Finding segments, their definitions, members and history."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.db.models import F, QuerySet

from consent.models import Purpose
from profiles.models import IdentifierType
from profiles.queries.sealed import find_sealed_names
from segments.errors import DefinitionMissing, NoSuchSegment
from segments.language.check import Catalogue, references
from segments.language.computations import TraitDefinition
from segments.language.evaluate import depends
from segments.language.parse import parse
from segments.language.parse_traits import parse_trait
from segments.language.person import Segment as Definition
from segments.language.plan import Setting
from segments.language.rfm import RANKED
from segments.language.scoring import as_json
from segments.models import ComputedTrait, Membership, MembershipChange, Segment, SegmentVersion, StaticList


@dataclass(frozen=True, slots=True)
class LiveSegment:
    """A live segment with the definition that its membership follows."""

    id: int
    key: str
    version: int
    definition: Definition
    tokens: frozenset[str]
    references: frozenset[str]

    @property
    def token(self) -> str:
        """What a change of it touches."""
        return f"segment:{self.key}"

    @property
    def is_ranked(self) -> bool:
        """Whether one person's change can move others, so that only looking at everyone keeps it current."""
        return RANKED in self.tokens


def installation_zone() -> str:
    """Return the IANA name of the installation's time zone."""
    zone: str = settings.CDP_TIME_ZONE
    return zone


def read_setting() -> Setting:
    """Return what holds for every definition of this installation."""
    return Setting(installation_zone(), computed_defaults())


def computed_defaults() -> dict[str, Any]:
    """Return the names of the computed traits in use, each with what everybody has who has no value of their own."""
    rows = ComputedTrait.objects.filter(status=ComputedTrait.Status.LIVE).values_list("key", "definition")
    return {key: as_json(parsed_trait(definition).compute.default) for key, definition in rows}


def list_segments() -> QuerySet[Segment]:
    """Return all segments; the caller orders them."""
    return Segment.objects.all()


def find_segment(*, key: str) -> Segment | None:
    """Return a segment, or None."""
    return Segment.objects.filter(key=key).first()


def find_segments(*, keys: Sequence[str]) -> list[Segment]:
    """Return segments in the order of their keys as given.

    Raises
    ------
    NoSuchSegment
        If there is none of a key.
    """
    found = {segment.key: segment for segment in Segment.objects.filter(key__in=keys)}
    for key in keys:
        if key not in found:
            raise NoSuchSegment(key)
    return [found[key] for key in dict.fromkeys(keys)]


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


@lru_cache(maxsize=512)
def _parsed_trait(definition: str) -> TraitDefinition:
    return parse_trait(json.loads(definition))


def parsed_trait(definition: Any) -> TraitDefinition:
    """Return the stored definition of a computed trait; the same text is parsed once per process."""
    return _parsed_trait(json.dumps(definition, sort_keys=True))


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


def live_segment(id: int, key: str, version: int, definition: Any) -> LiveSegment:
    """Return a segment with its parsed definition."""
    found = parsed(definition)
    return LiveSegment(id, key, version, found, frozenset(depends(found)), frozenset(references(found)))


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
