"""What this app holds about a person (`cdp.core.registries.PersonalData`)."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from django.db import connection
from django.db.models import Model, Q
from django.utils import timezone

from cdp.core.copying import int_array
from cdp.core.registries import Subject
from segments.models import AbsorbedListMember, ListMember, Membership, MembershipChange, NextCheck, TraitValue
from segments.services.merging import note_counts

PLACES: tuple[type[Model], ...] = (NextCheck, ListMember, AbsorbedListMember, TraitValue)
TABLES: tuple[type[Model], ...] = (Membership, *PLACES)
LEAVE = "DELETE FROM segments_membership WHERE profile_id = ANY(%s::bigint[]) RETURNING segment_id"


class Memberships:
    """Membership, its history, the next checks, places on static lists, and values of computed traits."""

    name = "segments"

    def export(self, *, subject: Subject) -> Mapping[str, Any]:
        """Return membership and its history, oldest first."""
        changes = MembershipChange.objects.filter(self._history(subject)).order_by("at", "id")
        return {
            "segments": [
                {"segment": key, "since": since}
                for key, since in Membership.objects.filter(profile_id__in=subject.profile_ids)
                .order_by("segment__key")
                .values_list("segment__key", "since")
            ],
            "segment_changes": [
                {"segment": row["segment__key"], "kind": MembershipChange.Kind(row["kind"]).label, "at": row["at"]}
                for row in changes.values("segment__key", "kind", "at")
            ],
            "lists": list(
                ListMember.objects.filter(profile_id__in=subject.profile_ids)
                .order_by("list__key")
                .values_list("list__key", flat=True)
            ),
            "computed_traits": [
                {"trait": key, "value": value}
                for key, value in TraitValue.objects.filter(profile_id__in=subject.profile_ids, value__isnull=False)
                .order_by("trait__key")
                .values_list("trait__key", "value")
            ],
        }

    def count(self, *, subject: Subject) -> int:
        """Return how many rows there are."""
        held = sum(table._default_manager.filter(profile_id__in=subject.profile_ids).count() for table in TABLES)
        return held + MembershipChange.objects.filter(self._history(subject)).count()

    def erase(self, *, subject: Subject, limit: int) -> int:
        """Delete everything at once, and up to `limit` rows of history."""
        erased = sum(table._default_manager.filter(profile_id__in=subject.profile_ids).count() for table in TABLES)
        with connection.cursor() as cursor:
            cursor.execute(LEAVE, [int_array(subject.profile_ids)])
            left = Counter(row[0] for row in cursor.fetchall())
            note_counts(cursor, {segment_id: -people for segment_id, people in left.items()}, now=timezone.now())
        for table in PLACES:
            table._default_manager.filter(profile_id__in=subject.profile_ids).delete()
        ids = list(MembershipChange.objects.filter(self._history(subject)).values_list("pk", flat=True)[:limit])
        MembershipChange.objects.filter(pk__in=ids).delete()
        return erased + len(ids)

    @staticmethod
    def _history(subject: Subject) -> Q:
        return Q(profile_id__in=subject.profile_ids) | Q(profile_uuid__in=subject.uuids)
