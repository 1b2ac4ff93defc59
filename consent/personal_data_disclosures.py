"""The register of disclosures as a store of personal data (`cdp.core.registries.PersonalData`)."""

from collections.abc import Mapping
from typing import Any

from django.db import connection

from cdp.core.copying import int_array
from cdp.core.registries import Subject
from consent.queries.disclosures import list_disclosures

ERASE = """
DELETE FROM consent_disclosure WHERE (id, at) IN (
    SELECT id, at FROM consent_disclosure WHERE profile_id = ANY(%s::bigint[]) ORDER BY id LIMIT %s
)
"""


class Disclosures:
    """Who received which data of the person, and when."""

    name = "disclosures"

    def export(self, *, subject: Subject) -> Mapping[str, Any]:
        """Return every disclosure, oldest first (GDPR Art. 15(1)(c))."""
        return {
            "disclosures": [
                {
                    "at": row.at,
                    "kind": row.terms.kind,
                    "recipient": row.terms.recipient,
                    "destination": row.terms.destination or None,
                    "purpose": row.terms.purpose,
                    "legal_basis": row.terms.legal_basis,
                    "channel": row.terms.channel or None,
                    "fields": row.terms.fields,
                    "reference": row.reference,
                }
                for row in list_disclosures(profile_ids=subject.profile_ids).order_by("at", "id")
            ]
        }

    def count(self, *, subject: Subject) -> int:
        """Return how many rows there are."""
        return list_disclosures(profile_ids=subject.profile_ids).count()

    def erase(self, *, subject: Subject, limit: int) -> int:
        """Delete up to `limit` rows."""
        with connection.cursor() as cursor:
            cursor.execute(ERASE, [int_array(subject.profile_ids), limit])
            return int(cursor.rowcount)
