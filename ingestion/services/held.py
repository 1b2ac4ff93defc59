"""Messages held for consent: processed on a grant, suppressed on a refusal or when their time is up."""

from collections.abc import Iterable
from datetime import datetime

from django.db import connection, transaction

from cdp.core import locks
from cdp.core.registries import consent_requirements
from cdp.core.secrets import unseal
from ingestion.models import Held, InboxEntry, Message, Outcome
from ingestion.services.counting import count_moves
from ingestion.services.outcomes import HELD

BATCH = 500
# Only rows that a decision can concern: the others wait, however many they are.
DECIDED = """
SELECT DISTINCT h.row_id, h.purpose, c.profile_id
FROM ingestion_held h
CROSS JOIN LATERAL unnest(h.lookups) AS l(lookup)
JOIN profiles_identifier i ON i.lookup = l.lookup
JOIN consent_current c ON c.profile_id = i.profile_id
JOIN consent_purpose p ON p.id = c.purpose_id AND p.key = h.purpose
WHERE c.channel = '' AND c.state IN ('granted', 'denied', 'withdrawn', 'objected')
ORDER BY h.row_id LIMIT %s
"""
REFUSED = frozenset({"denied", "withdrawn", "objected"})


def release_held(*, now: datetime) -> int:
    """Decide held messages whose person has decided, and those whose time is up.

    Returns
    -------
    int
        How many were decided.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        locks.take(cursor, locks.IDENTITY)
        expired = list(Held.objects.filter(until__lte=now).order_by("until", "pk").values_list("pk", flat=True)[:BATCH])
        cursor.execute(DECIDED, [BATCH])
        rows = cursor.fetchall()
        granted: set[int] = set()
        refused: set[int] = set(expired)
        for purpose in {row[1] for row in rows}:
            states = _states(purpose, {row[2] for row in rows if row[1] == purpose})
            for row_id, row_purpose, profile_id in rows:
                if row_purpose == purpose and row_id not in refused:
                    state = states.get(profile_id)
                    if state == "granted":
                        granted.add(row_id)
                    elif state in REFUSED:
                        refused.add(row_id)
        _process_again(granted - refused)
        _suppress(refused, now)
    return len(granted | refused)


def _states(purpose: str, profile_ids: Iterable[int]) -> dict[int, str]:
    states: dict[int, str] = {}
    for requirement in consent_requirements:
        states.update(requirement(purpose, profile_ids))
    return states


def _process_again(row_ids: set[int]) -> None:
    """Put messages back into the inbox, as received when they were received."""
    held = list(Held.objects.filter(pk__in=row_ids).order_by("pk"))
    InboxEntry.objects.bulk_create(
        InboxEntry(
            source_id=row.source_id,
            received_at=row.received_at,
            endpoint=row.endpoint,
            items=1,
            body=unseal(bytes(row.sealed), context=HELD),
        )
        for row in held
    )
    count_moves([(row.source_id, row.received_at, Outcome.HELD, None) for row in held])
    # The outcome row goes too: until it is processed the message is pending, not a further copy of itself.
    Message.objects.filter(pk__in=[row.pk for row in held]).delete()


def _suppress(row_ids: set[int], now: datetime) -> None:
    held = list(Held.objects.filter(pk__in=row_ids).order_by("pk"))
    count_moves([(row.source_id, row.received_at, Outcome.HELD, Outcome.SUPPRESSED) for row in held])
    ids = [row.pk for row in held]
    Message.objects.filter(pk__in=ids).update(
        outcome=Outcome.SUPPRESSED, reason="consent", processed_at=now, warnings=None
    )
    Held.objects.filter(pk__in=ids).delete()
