"""The part of a profile's page and REST answer that this app gives (`cdp.core.registries.ProfileSection`)."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from segments.models import Membership


class SegmentsOfProfile:
    """The keys of the segments that a profile is in."""

    key = "segments"
    title = "Segments"
    template = "segments/in_profile.html"
    scope = "segments:read"

    def read(self, *, profile_ids: Sequence[int], now: datetime) -> Mapping[int, list[str]]:  # noqa: ARG002
        """Return keys in order, by internal profile id."""
        found: dict[int, list[str]] = {}
        rows = Membership.objects.filter(profile_id__in=profile_ids).order_by("segment__key")
        for profile_id, key in rows.values_list("profile_id", "segment__key"):
            found.setdefault(profile_id, []).append(key)
        return found
