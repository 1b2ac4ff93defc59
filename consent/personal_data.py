"""What this app holds about a person (`cdp.core.registries.PersonalData`)."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection
from django.db.models import Q, QuerySet

from cdp.core.registries import Subject
from consent.asking_models import Link, SeenPreference
from consent.models import Current, Decision, PrivacyRequest


class ConsentRecords:
    """Decisions, what stands, and what consent objects said."""

    name = "consents"

    def export(self, *, subject: Subject) -> Mapping[str, Any]:
        """Return every decision with its evidence, oldest first."""
        rows = Decision.objects.filter(profile_id__in=subject.profile_ids).select_related("purpose", "notice")
        return {
            "consents": [
                {
                    "id": row.id,
                    "purpose": row.purpose.key,
                    "channel": row.channel or None,
                    "state": row.state,
                    "occurred_at": row.occurred_at,
                    "recorded_at": row.recorded_at,
                    "effective_at": row.effective_at,
                    "expires_at": row.expires_at,
                    "actor": row.actor,
                    "source": row.source,
                    "notice": str(row.notice) if row.notice is not None else None,
                    "evidence": row.evidence,
                    "conflict": row.conflict and row.cleared_at is None,
                }
                for row in rows.order_by("id")
            ]
        }

    def count(self, *, subject: Subject) -> int:
        """Return how many rows there are."""
        return (
            Decision.objects.filter(profile_id__in=subject.profile_ids).count()
            + Current.objects.filter(profile_id__in=subject.profile_ids).count()
            + SeenPreference.objects.filter(_seen(subject)).count()
        )

    def erase(self, *, subject: Subject, limit: int) -> int:
        """Delete up to `limit` rows."""
        gone, _ = Current.objects.filter(profile_id__in=subject.profile_ids).delete()
        gone += SeenPreference.objects.filter(_seen(subject)).delete()[0]
        with connection.cursor() as cursor:
            cursor.execute(
                "DELETE FROM consent_decision WHERE id IN (SELECT id FROM consent_decision "
                "WHERE profile_id = ANY(%s::bigint[]) LIMIT %s)",
                [list(subject.profile_ids), limit],
            )
            gone += cursor.rowcount
        return gone


class Links:
    """Links that the person was given, and forms that wait for their confirmation."""

    name = "preference_links"

    def export(self, *, subject: Subject) -> Mapping[str, Any]:
        """Return what the links are for; their tokens are not known."""
        return {
            "preference_links": [
                {
                    "id": row.id,
                    "kind": row.kind,
                    "asks": row.asks,
                    "evidence": row.evidence,
                    "created_at": row.created_at,
                    "expires_at": row.expires_at,
                    "used_at": row.used_at,
                    "revoked_at": row.revoked_at,
                }
                for row in self._links(subject).order_by("id")
            ]
        }

    def count(self, *, subject: Subject) -> int:
        """Return how many there are."""
        return self._links(subject).count()

    def erase(self, *, subject: Subject, limit: int) -> int:
        """Delete up to `limit` of them: none of them works from then on."""
        ids = list(self._links(subject).order_by("id").values_list("id", flat=True)[:limit])
        return Link.objects.filter(id__in=ids).delete()[0]

    @staticmethod
    def _links(subject: Subject) -> QuerySet[Link]:
        return Link.objects.filter(identifier_id__in=subject.identifier_ids)


class PrivacyRequests:
    """The identities in requests of the person; the requests themselves stay as proof of what was done."""

    name = "privacy_requests"

    def export(self, *, subject: Subject) -> Mapping[str, Any]:
        """Return the requests of the person."""
        rows = self.requests_of(subject).order_by("received_at", "id")
        return {
            "privacy_requests": [
                {"id": str(row.id), "type": row.type, "status": row.status, "received_at": row.received_at}
                for row in rows
            ]
        }

    def count(self, *, subject: Subject) -> int:
        """Return how many requests that are over still name the person."""
        return self._finished(subject).count()

    def erase(self, *, subject: Subject, limit: int) -> int:
        """Empty the identities of requests that are over; a running erasure still needs its own."""
        ids = list(self._finished(subject).order_by("received_at", "id").values_list("id", flat=True)[:limit])
        return PrivacyRequest.objects.filter(id__in=ids).update(identities=[], profile_ids=[], closure=None)

    def _finished(self, subject: Subject) -> Any:
        status = PrivacyRequest.Status
        over: Sequence[str] = (status.COMPLETED, status.PARTIAL, status.REJECTED, status.CANCELLED)
        return self.requests_of(subject).filter(status__in=over)

    @staticmethod
    def requests_of(subject: Subject) -> Any:
        """Return the requests that name the person."""
        named = Q(profile_ids__overlap=list(subject.profile_ids))
        for kind, value in subject.identifiers:
            named |= Q(identities__contains=[{"type": kind, "value": value}])
        return PrivacyRequest.objects.filter(named)


def _seen(subject: Subject) -> Q:
    return Q(identifier_id__in=subject.identifier_ids) | Q(lookup__in=subject.lookups)
