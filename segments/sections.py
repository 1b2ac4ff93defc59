"""The part of a profile's page and REST answer that this app gives (`cdp.core.registries.ProfileSection`)."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import orjson
from django.db import connection

from cdp.core.copying import int_array

KEYS = """
SELECT m.profile_id, array_agg(s.key ORDER BY s.key) FROM segments_membership m
JOIN segments_segment s ON s.id = m.segment_id WHERE m.profile_id = ANY(%s::bigint[]) GROUP BY m.profile_id
"""


class SegmentsOfProfile:
    """The keys of the segments that a profile is in."""

    key = "segments"
    title = "Segments"
    template = "segments/in_profile.html"
    scope = "segments:read"

    def read(self, *, profile_ids: Sequence[int], now: datetime) -> Mapping[int, list[str]]:  # noqa: ARG002
        """Return keys in order, by internal profile id."""
        with connection.cursor() as cursor:
            cursor.execute(KEYS, [int_array(profile_ids)])
            return dict(cursor.fetchall())


VALUES = """
SELECT v.profile_id, jsonb_object_agg(t.key, v.value)::text FROM segments_traitvalue v
JOIN segments_computedtrait t ON t.id = v.trait_id
WHERE v.profile_id = ANY(%s::bigint[]) AND v.value IS NOT NULL GROUP BY v.profile_id
"""


class ComputedOfProfile:
    """The values of computed traits that a profile has of its own; they are shown among the traits, without a panel."""

    key = "computed_traits"
    title = "Computed traits"
    template = ""
    scope = "profiles:read"

    def read(self, *, profile_ids: Sequence[int], now: datetime) -> Mapping[int, dict[str, object]]:  # noqa: ARG002
        """Return values by name, by internal profile id."""
        with connection.cursor() as cursor:
            cursor.execute(VALUES, [int_array(profile_ids)])
            return {profile_id: orjson.loads(values) for profile_id, values in cursor.fetchall()}
