"""What this app holds about a person (`cdp.core.registries.PersonalData`), and the outcome rows of erased events."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from django.db import connection
from django.db.models import Q, QuerySet

from cdp.core.copying import bytea_array, int_array
from cdp.core.registries import Subject
from ingestion.models import Held, Outcome, Quarantined
from ingestion.services.counting import count_moves

ERASED = "erased"
# A shorter identifier ("42") stands in other people's payloads by chance.
TELLING_CHARACTERS = 6
FORGET = """
UPDATE ingestion_message SET outcome = %s, reason = %s, occurred_at = NULL, warnings = NULL
WHERE id = ANY(%s::bigint[]) AND outcome <> %s
RETURNING source_id, received_at
"""
MENTIONING = """
SELECT q.row_id FROM ingestion_quarantined q
WHERE EXISTS (SELECT FROM unnest(%s::bytea[]) AS n(needle) WHERE position(n.needle IN q.payload) > 0)
LIMIT %s
"""


def forget_messages(ids: Sequence[int]) -> None:
    """Turn the outcome rows of erased events into suppressed ones; the counts follow."""
    _forget(ids, Outcome.ACCEPTED)


def _forget(ids: Sequence[int], before: Outcome) -> None:
    with connection.cursor() as cursor:
        cursor.execute(FORGET, [Outcome.SUPPRESSED.value, ERASED, int_array(ids), Outcome.SUPPRESSED.value])
        rows = cursor.fetchall()
    count_moves((source_id, received_at, before, Outcome.SUPPRESSED) for source_id, received_at in rows)


def _needles(value: str) -> set[bytes]:
    """Return how a payload can hold an identifier: as a whole JSON text or number; a long one within a text, too."""
    text = orjson.dumps(value)
    found = {text, b'"' + value.encode() + b'"'}
    if value.isdecimal():
        found.update({b":" + value.encode() + end for end in (b",", b"}")})
    if len(value) >= TELLING_CHARACTERS:
        found.update({value.encode(), text[1:-1]})
    return found


class QuarantinedMessages:
    """Quarantined payloads that mention the person."""

    name = "quarantine"

    def export(self, *, subject: Subject) -> Mapping[str, Any]:
        """Return the payloads as text."""
        rows = Quarantined.objects.filter(pk__in=self._find(subject, None)).order_by("pk")
        return {
            "quarantine": [
                {"code": row.code, "at": row.created_at, "payload": bytes(row.payload).decode("utf-8", "replace")}
                for row in rows
            ]
        }

    def count(self, *, subject: Subject) -> int:
        """Return how many there are."""
        return len(self._find(subject, None))

    def erase(self, *, subject: Subject, limit: int) -> int:
        """Delete up to `limit`."""
        ids = self._find(subject, limit)
        Quarantined.objects.filter(pk__in=ids).delete()
        _forget(ids, Outcome.QUARANTINED)
        return len(ids)

    @staticmethod
    def _find(subject: Subject, limit: int | None) -> list[int]:
        needles = {needle for _, value in subject.identifiers for needle in _needles(value)}
        if not needles:
            return []
        with connection.cursor() as cursor:
            cursor.execute(MENTIONING, [bytea_array(needles), limit])
            return [row[0] for row in cursor.fetchall()]


class HeldMessages:
    """Messages that wait for consent."""

    name = "held"

    def export(self, *, subject: Subject) -> Mapping[str, Any]:
        """Return when they came; what they hold is released by a grant only."""
        rows = self._rows(subject).order_by("pk")
        return {"held": [{"received_at": row.received_at, "purpose": row.purpose} for row in rows]}

    def count(self, *, subject: Subject) -> int:
        """Return how many there are."""
        return self._rows(subject).count()

    def erase(self, *, subject: Subject, limit: int) -> int:
        """Delete up to `limit`."""
        ids = list(self._rows(subject).order_by("pk").values_list("pk", flat=True)[:limit])
        Held.objects.filter(pk__in=ids).delete()
        _forget(ids, Outcome.HELD)
        return len(ids)

    @staticmethod
    def _rows(subject: Subject) -> QuerySet[Held]:
        return Held.objects.filter(Q(lookups__overlap=list(subject.lookups)))
