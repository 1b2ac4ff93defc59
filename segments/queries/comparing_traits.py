"""Which segments compare the values of a trait, which cannot be stored encrypted meanwhile."""

from django.db.models import F

from segments.errors import SealedTraitCompared
from segments.language.check import Catalogue, check_sealed
from segments.language.parse import parse
from segments.models import Segment, SegmentVersion
from segments.queries.segments import has_match


def find_comparing(name: str) -> list[str]:
    """Return the segments, archived ones aside, that ask more of a trait than whether it is there."""
    rows = SegmentVersion.objects.filter(version=F("segment__version"), tokens__contains=[f"trait:{name}"])
    found = []
    for key, definition in rows.exclude(segment__status=Segment.Status.ARCHIVED).values_list(
        "segment__key", "definition"
    ):
        try:
            if has_match(definition):
                check_sealed(parse(definition).match.walk(), Catalogue(sealed_traits=frozenset({name})))
        except SealedTraitCompared:
            found.append(f"the segment {key}")
    return found
