"""What exports hold about a person (`cdp.core.registries.PersonalData`)."""

from collections.abc import Mapping
from typing import Any

from django.db.models import Q

from cdp.core.registries import Subject
from segments.sending_models import ExportPart
from segments.services.sending import filing
from segments.services.sending.exports import remove_from_parts


class ExportedRows:
    """The rows of the person in files that were exported and are still there."""

    name = "exports"

    def export(self, *, subject: Subject) -> Mapping[str, Any]:
        """Return which exports hold the person; what was in them is what the profile tells."""
        return {
            "exports": [
                {"export": part.export_id, "segment": part.export.segment_key, "at": part.export.created_at}
                for part in _parts(subject)
            ]
        }

    def count(self, *, subject: Subject) -> int:
        """Return how many parts of files hold the person."""
        return len(_parts(subject))

    def erase(self, *, subject: Subject, limit: int) -> int:
        """Write up to `limit` parts again without the person."""
        parts = _parts(subject)[:limit]
        remove_from_parts(parts=parts, profile_ids=subject.profile_ids)
        return len(parts)


def _parts(subject: Subject) -> list[ExportPart]:
    """Return the parts that hold the person: those whose range says that they may are opened."""
    near = Q(pk__in=[])
    for profile_id in subject.profile_ids:
        near |= Q(first_profile_id__lte=profile_id, last_profile_id__gte=profile_id)
    ids = frozenset(subject.profile_ids)
    rows = ExportPart.objects.filter(near).select_related("export").order_by("pk")
    return [part for part in rows if filing.hold_any(part.stored, ids)]
