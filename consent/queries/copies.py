"""What a copy of a person's data says beside the data: purposes, recipients, retention, sources, rights."""

from collections.abc import Sequence
from typing import Any

from consent.models import Purpose
from profiles.models import Identifier
from profiles.queries.profiles import read_source_names

# What a person gave or caused, by GDPR Art. 20(1); what the house worked out about them is not part of it.
PROVIDED = frozenset(
    {
        *("profile", "events", "orders", "groups", "corrections", "consents", "preference_links", "privacy_requests"),
        *("quarantine", "refused_rows", "held", "archive"),
    }
)
RIGHTS = (
    "access (Art. 15)",
    "rectification (Art. 16)",
    "erasure (Art. 17)",
    "restriction (Art. 18)",
    "portability (Art. 20)",
    "objection (Art. 21)",
    "withdrawal of consent at any time (Art. 7(3))",
    "complaint to a supervisory authority (Art. 77)",
)


def describe_processing(*, profile_ids: Sequence[int]) -> dict[str, Any]:
    """Return what GDPR Art. 15(1) asks to be told along with the data."""
    names = read_source_names()
    sources = set(Identifier.objects.filter(profile_id__in=profile_ids).values_list("source_id", flat=True))
    return {
        "purposes": [
            {
                "purpose": one.key,
                "name": one.name,
                "legal_basis": one.legal_basis,
                "retention_days": one.retention_days,
                "recipients": one.recipients,
                "special_category": one.special_category,
            }
            for one in Purpose.objects.order_by("key")
        ],
        "sources": sorted(names.get(source_id, "") for source_id in sources if names.get(source_id)),
        "rights": list(RIGHTS),
        "automated_decisions": "Segments group people by rules; each membership names its segment. Nothing here "
        "decides about a person with legal effect (Art. 22).",
    }
