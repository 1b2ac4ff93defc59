"""What was disclosed of a person, and to whom."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Max, Min, QuerySet

from consent.disclosure_models import Disclosure, DisclosureTerms


@dataclass(frozen=True, slots=True)
class Recipient:
    """A recipient of a person's data: how often, since when and last when, in one way."""

    kind: str
    recipient: str
    destination: str
    purpose: str
    channel: str
    times: int
    first_at: datetime
    last_at: datetime


def list_disclosures(*, profile_ids: Sequence[int]) -> QuerySet[Disclosure]:
    """Return the disclosures of one person; the caller orders them (by ``at`` and ``id``).

    Parameters
    ----------
    profile_ids : sequence of int
        All internal ids of the person, those that merges dropped included
        (`profiles.queries.people.all_internal_ids`, or the closure of a privacy request).
    """
    return Disclosure.objects.filter(profile_id__in=list(profile_ids)).select_related("terms")


def find_recipients(*, profile_ids: Sequence[int]) -> list[Recipient]:
    """Return who received data of one person, the latest first (one statement).

    Notes
    -----
    Erasure deletes the register's rows of the person: whoever has to tell the recipients asks before.

    References
    ----------
    GDPR Art. 15(1)(c), Art. 19.
    """
    rows = (
        Disclosure.objects.filter(profile_id__in=list(profile_ids))
        .values_list("terms__kind", "terms__recipient", "terms__destination", "terms__purpose", "terms__channel")
        .annotate(times=Count("id"), first_at=Min("at"), last_at=Max("at"))
        .order_by("-last_at", "terms__recipient", "terms__destination", "terms__kind")
    )
    return [Recipient(*row) for row in rows]


def find_fields_sent(*, profile_ids: Sequence[int]) -> list[tuple[DisclosureTerms, Sequence[str]]]:
    """Return on which terms data of one person went out, each with the names of the fields (two statements)."""
    ids = Disclosure.objects.filter(profile_id__in=list(profile_ids)).values_list("terms_id", flat=True).distinct()
    return [(row, row.fields) for row in DisclosureTerms.objects.filter(pk__in=list(ids)).order_by("recipient", "pk")]
