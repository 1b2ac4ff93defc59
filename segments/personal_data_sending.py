"""What exports and destinations hold about a person (`cdp.core.registries.PersonalData`)."""

from collections.abc import Mapping
from typing import Any

from django.db.models import Model, Q
from django.utils import timezone

from cdp.core.registries import Subject
from segments.sending_models import Activated, Delivery, DeliveryMark, DeliveryRecord, ExportPart
from segments.services.sending import filing
from segments.services.sending.departing import leave_removals
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


class Deliveries:
    """What destinations were told of the person, what waits to be told, and the log of it.

    Whoever was told of the person is told that they go: a removal is left, sealed and without any id, and goes itself
    once it is delivered or given up (GDPR Art. 19).
    """

    name = "destinations"
    waiting: tuple[type[Model], ...] = (DeliveryMark, Delivery)
    tables: tuple[type[Model], ...] = (*waiting, DeliveryRecord, Activated)

    def export(self, *, subject: Subject) -> Mapping[str, Any]:
        """Return which destinations know the person, and since when."""
        told = Activated.objects.filter(profile_id__in=subject.profile_ids).select_related("destination")
        return {
            "destinations": [
                {"destination": one.destination.key, "recipient": one.destination.recipient, "since": one.claimed_at}
                for one in told.order_by("destination__key", "pk")
            ]
        }

    def count(self, *, subject: Subject) -> int:
        """Return how many rows there are."""
        return sum(table._default_manager.filter(profile_id__in=subject.profile_ids).count() for table in self.tables)

    def erase(self, *, subject: Subject, limit: int) -> int:
        """Leave removals for whoever was told, and delete up to `limit` rows of each table.

        What waits goes first: deleting it waits for a worker that is claiming it at this moment, and that may tell a
        receiver of the person for the first time.
        """
        gone = sum(self._delete(table, subject, limit) for table in self.waiting)
        gone += leave_removals(profile_ids=subject.profile_ids, request_id=subject.request_id, now=timezone.now())
        return gone + self._delete(DeliveryRecord, subject, limit)

    @staticmethod
    def _delete(table: type[Model], subject: Subject, limit: int) -> int:
        rows = table._default_manager.filter(profile_id__in=subject.profile_ids).order_by("pk")
        ids = list(rows.values_list("pk", flat=True)[:limit])
        return table._default_manager.filter(pk__in=ids).delete()[0]
