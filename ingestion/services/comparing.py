"""Whether sources agree about people: values of identify calls, beside the last ones of other sources."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from ingestion.quality.agreement import agree, is_comparable
from ingestion.quality.counting import MAX_FIELDS, Looked
from ingestion.queries.agreement import Statement, find_others
from ingestion.treatment.shapes import safe_name

# So many identify calls of a step are compared: each costs a look at the person's last ones.
MOST_COMPARED = 300
WRITE = """
INSERT INTO ingestion_qualityagreement AS q (source_id, other_id, hour, trait, compared, agreed)
SELECT source_id, other_id, hour, trait, compared, agreed
FROM jsonb_to_recordset(%s::jsonb) AS r(source_id int, other_id int, hour timestamptz, trait text, compared bigint,
    agreed bigint)
ORDER BY 1, 2, 3, 4
ON CONFLICT (source_id, other_id, hour, trait) DO UPDATE SET
    compared = q.compared + excluded.compared, agreed = q.agreed + excluded.agreed
"""

Pair = tuple[int, int, datetime, str]


def compare_sources(cursor: Any, messages: Sequence[tuple[Looked, int]]) -> None:
    """Compare up to 300 identify calls with what other sources said last (two statements).

    Parameters
    ----------
    messages : sequence of (Looked, int)
        Messages of a step with the ids of their profiles.
    """
    calls = [one for one in messages if one[0].type == "identify" and one[0].payload]
    calls = calls[:: -(-len(calls) // MOST_COMPARED)] if calls else []
    if not calls:
        return
    others = find_others(cursor, [Statement(one.id, profile, one.source_id, one.occurred_at) for one, profile in calls])
    compared: Counter[Pair] = Counter()
    agreed: Counter[Pair] = Counter()
    for one, _ in calls:
        day = one.received_at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        for other_id, traits in others.get(one.id, ()):
            for name in one.payload.keys() & traits.keys():
                value, theirs = one.payload[name], traits[name]
                if not (is_comparable(value) and is_comparable(theirs)):
                    continue
                trait = safe_name(name)
                same = agree(value, theirs)
                for pair in ((one.source_id, other_id, day, trait), (other_id, one.source_id, day, trait)):
                    compared[pair] += 1
                    agreed[pair] += same
    _write(cursor, compared, agreed)


def _write(cursor: Any, compared: Counter[Pair], agreed: Counter[Pair]) -> None:
    seen: defaultdict[tuple[int, int], int] = defaultdict(int)
    rows = []
    for pair, count in compared.most_common():
        seen[pair[:2]] += 1
        if seen[pair[:2]] <= MAX_FIELDS:
            source_id, other_id, day, trait = pair
            rows.append(
                {
                    "source_id": source_id,
                    "other_id": other_id,
                    "hour": day,
                    "trait": trait,
                    "compared": count,
                    "agreed": agreed[pair],
                }
            )
    if rows:
        cursor.execute(WRITE, [orjson.dumps(rows).decode()])
