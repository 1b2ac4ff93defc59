"""How many people two segments share."""

from typing import Any

from django.db import connection

from segments.models import Segment
from segments.queries.preview import Trial, ask

OVERLAP = """
SELECT o.key, o.name, o.member_count, count(m.profile_id)
FROM segments_segment o
LEFT JOIN segments_membership m ON m.segment_id = o.id
    AND EXISTS (SELECT FROM segments_membership mine WHERE mine.segment_id = %(id)s AND mine.profile_id = m.profile_id)
WHERE o.status = 'live' AND o.id <> %(id)s {named}
GROUP BY o.id, o.key, o.name, o.member_count ORDER BY count(m.profile_id) DESC, o.key
"""

OVERLAP_OF_TRIAL = """
with mine as materialized (
{members}
)
select s.key, s.name, s.member_count, count(*)
from mine join segments_membership m on m.profile_id = mine.profile_id join segments_segment s on s.id = m.segment_id
where s.status = 'live' and s.key <> %(besides)s
group by s.id, s.key, s.name, s.member_count order by count(*) desc, s.key limit %(most)s
"""
MOST = 20


def read_overlap(*, segment: Segment, others: list[str] | None = None) -> list[dict[str, Any]]:
    """Return, for each other live segment, how many members it has and how many of them are shared.

    Parameters
    ----------
    others : list of str or None
        Keys to compare with; None for all live segments.
    """
    named = "" if others is None else "AND o.key = ANY(%(others)s)"
    with connection.cursor() as cursor:
        cursor.execute(OVERLAP.format(named=named), {"id": segment.pk, "others": others or []})
        rows = cursor.fetchall()
    return [{"key": key, "name": name, "count": count, "shared": shared} for key, name, count, shared in rows]


def read_overlap_of(*, trial: Trial, besides: str = "") -> list[dict[str, Any]]:
    """Return the live segments that share most with a definition that is only tried, with how many people.

    Parameters
    ----------
    besides : str
        Key of a segment that is left out: the one that is being changed.

    Raises
    ------
    PreviewTooSlow
        If it takes too long.
    """
    compiled = trial.compile()
    parameters = {**compiled.parameters, "besides": besides, "most": MOST}
    rows = ask(OVERLAP_OF_TRIAL.format(members=compiled.sql), parameters)
    return [{"key": key, "name": name, "count": count, "shared": shared} for key, name, count, shared in rows]
