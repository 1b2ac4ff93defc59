"""Telling `profiles` which changes matter: those that nobody depends on leave no work behind."""

from collections.abc import Iterable

from django.db.models import F, Q

from profiles.models import WorkInterest
from segments.models import ComputedTrait, Segment, SegmentVersion

# So that there is always a row while any segment is live: it makes new, merged and split profiles work.
ANY = "created"


def declare_interests() -> None:
    """Set the tokens that live segments and traits depend on: of definitions in force, and of those computed next."""
    rows = SegmentVersion.objects.filter(
        Q(version=F("segment__version")) | Q(version=F("segment__live_version")), segment__status=Segment.Status.LIVE
    )
    traits = ComputedTrait.objects.filter(status=ComputedTrait.Status.LIVE)
    wanted = _tokens([*rows.values_list("tokens", flat=True), *traits.values_list("tokens", flat=True)])
    WorkInterest.objects.exclude(token__in=wanted).delete()
    WorkInterest.objects.bulk_create([WorkInterest(token=token) for token in sorted(wanted)], ignore_conflicts=True)


def _tokens(lists: Iterable[list[str]]) -> set[str]:
    found: set[str] = set()
    for tokens in lists:
        found.update({ANY}, tokens)
    return found
