"""Whom a receiver knows and this house no longer does: people who are erased, and ids that a merge absorbed."""

from collections.abc import Sequence
from datetime import datetime

from django.db import connection

from cdp.core.copying import int_array, text_array
from cdp.core.registries import MergePair, SplitPair

# What an erasure leaves waits where a destination is switched off, too: its receiver holds the person all the same.
LEAVE = """
WITH gone AS (
    DELETE FROM segments_activated WHERE profile_id = ANY(%(people)s::bigint[]) RETURNING destination_id, sent_as
), left_there AS (
    INSERT INTO segments_delivery
        (destination_id, profile_id, generation, "full", state, kind, sent_as, attempts, reason, due_at, queued_at)
    SELECT g.destination_id, NULL, 1, false, 'waiting', '', g.sent_as, 0, '', %(now)s, %(now)s
    FROM gone g JOIN segments_destination d ON d.id = g.destination_id
    WHERE d.enabled OR %(request)s::uuid IS NOT NULL
    RETURNING id, destination_id
), followed AS (
    INSERT INTO segments_removal (request_id, destination_key, recipient, delivery_id)
    SELECT %(request)s::uuid, d.key, d.recipient, l.id
    FROM left_there l JOIN segments_destination d ON d.id = l.destination_id
    WHERE %(request)s::uuid IS NOT NULL
)
SELECT count(*) FROM gone
"""
# The receiver knows people by their public ids: the one that was absorbed is to be removed there, the other one stays.
LEAVE_ABSORBED = """
WITH pairs AS (
    SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::uuid[]) AS t(kept, dropped, absorbed)
), gone AS (
    DELETE FROM segments_activated a USING pairs p
    WHERE a.profile_id IN (p.kept, p.dropped) AND a.profile_uuid = p.absorbed
    RETURNING a.destination_id, a.sent_as
)
INSERT INTO segments_delivery
    (destination_id, profile_id, generation, "full", state, kind, sent_as, attempts, reason, due_at, queued_at)
SELECT g.destination_id, NULL, 1, false, 'waiting', '', g.sent_as, 0, '', %s, %s
FROM gone g JOIN segments_destination d ON d.id = g.destination_id AND d.enabled
"""
FOLLOW = """
WITH moving AS (
    SELECT DISTINCT ON (a.destination_id, t.kept) a.id, t.kept
    FROM unnest(%s::bigint[], %s::bigint[]) AS t(kept, dropped) JOIN segments_activated a ON a.profile_id = t.dropped
    WHERE NOT EXISTS (
        SELECT 1 FROM segments_activated o WHERE o.destination_id = a.destination_id AND o.profile_id = t.kept
    )
    ORDER BY a.destination_id, t.kept, a.id
)
UPDATE segments_activated a SET profile_id = m.kept FROM moving m WHERE a.id = m.id
"""
LOOK_AGAIN = """
INSERT INTO segments_deliverymark (destination_id, profile_id)
SELECT d.id, t.profile_id FROM unnest(%s::bigint[]) AS t(profile_id) CROSS JOIN segments_destination d
WHERE d.enabled AND (
    EXISTS (SELECT 1 FROM segments_activated a WHERE a.destination_id = d.id AND a.profile_id = t.profile_id)
    OR EXISTS (SELECT 1 FROM segments_membership m WHERE m.segment_id = d.segment_id AND m.profile_id = t.profile_id)
)
"""


def leave_removals(*, profile_ids: Sequence[int], now: datetime, request_id: str = "") -> int:
    """Turn what receivers were told of people who go into removals; return of how many they were told.

    Parameters
    ----------
    request_id : str
        The erasure that is completed only when the receivers have taken the removals, if it is one.
    """
    with connection.cursor() as cursor:
        cursor.execute(LEAVE, {"people": int_array(profile_ids), "now": now, "request": request_id or None})
        told: int = cursor.fetchone()[0]
    return told


class DestinationMerging:
    """Merges and splits, as receivers see them (`cdp.core.registries.MergeParticipant`)."""

    name = "destinations"

    def on_merge(self, *, pairs: Sequence[MergePair], now: datetime) -> None:
        """Let the absorbed public id be removed; whoever is known by the surviving one stays, without a new entry."""
        kept, dropped = [pair.kept_id for pair in pairs], [pair.dropped_id for pair in pairs]
        absorbed = text_array(pair.absorbed_uuid for pair in pairs)
        with connection.cursor() as cursor:
            cursor.execute(LEAVE_ABSORBED, [int_array(kept), int_array(dropped), absorbed, now, now])
            cursor.execute(FOLLOW, [int_array(kept), int_array(dropped)])
        # Whatever is still known by an id that went, because the survivor has a place of its own.
        leave_removals(profile_ids=dropped, now=now)
        with connection.cursor() as cursor:
            cursor.execute(LOOK_AGAIN, [int_array(kept)])

    def on_split(self, *, pairs: Sequence[SplitPair], now: datetime) -> None:  # noqa: ARG002 - the protocol's
        """Look at both sides again: which of them the receiver knows is told by the public id."""
        ids = sorted({one for pair in pairs for one in (pair.from_id, pair.to_id)})
        with connection.cursor() as cursor:
            cursor.execute(LOOK_AGAIN, [int_array(ids)])
