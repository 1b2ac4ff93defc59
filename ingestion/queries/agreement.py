"""What other sources said of the same people last."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from cdp.core.copying import int_array
from profiles.models import EventType

# Among so many of the person's last events without a name, and not further back than this.
LAST_EVENTS = 50
DAYS_BACK = 400
FIND = f"""
SELECT t.id, o.source_id, o.traits
FROM unnest(%s::bigint[], %s::bigint[], %s::int[], %s::timestamptz[]) AS t(id, profile_id, source_id, at)
CROSS JOIN LATERAL (
    SELECT DISTINCT ON (r.source_id) r.source_id, r.traits::text AS traits
    FROM (
        SELECT e.id, e.type, e.source_id, e.occurred_at, e.traits FROM profiles_event e
        WHERE e.profile_id = t.profile_id AND e.name = '' AND e.occurred_at <= t.at
            AND e.occurred_at > t.at - make_interval(days => {DAYS_BACK})
        ORDER BY e.occurred_at DESC LIMIT {LAST_EVENTS}
    ) r
    WHERE r.type = %s AND r.source_id <> t.source_id AND r.traits IS NOT NULL
    ORDER BY r.source_id, r.occurred_at DESC, r.id DESC
) o
"""


@dataclass(frozen=True, slots=True)
class Statement:
    """An identify call: its event's id, whose it is, who said it, when."""

    id: int
    profile_id: int
    source_id: int
    at: datetime


def find_others(cursor: Any, statements: Sequence[Statement]) -> dict[int, list[tuple[int, dict[str, Any]]]]:
    """Return, for each statement, the last traits that every other source had sent until then (one statement)."""
    cursor.execute(
        FIND,
        [
            int_array(one.id for one in statements),
            int_array(one.profile_id for one in statements),
            int_array(one.source_id for one in statements),
            [one.at for one in statements],
            EventType.IDENTIFY.value,
        ],
    )
    found: dict[int, list[tuple[int, dict[str, Any]]]] = defaultdict(list)
    for row_id, source_id, text in cursor.fetchall():
        traits = orjson.loads(text)
        if traits.__class__ is dict:
            found[row_id].append((source_id, traits))
    return found
