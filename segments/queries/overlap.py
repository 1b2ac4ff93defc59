"""How many people two segments share."""

from django.db import connection

from segments.models import Segment

OVERLAP = """
SELECT o.key, o.name, o.member_count, count(m.profile_id)
FROM segments_segment o
LEFT JOIN segments_membership m ON m.segment_id = o.id
    AND EXISTS (SELECT FROM segments_membership mine WHERE mine.segment_id = %(id)s AND mine.profile_id = m.profile_id)
WHERE o.status = 'live' AND o.id <> %(id)s {named}
GROUP BY o.id, o.key, o.name, o.member_count ORDER BY count(m.profile_id) DESC, o.key
"""


def read_overlap(*, segment: Segment, others: list[str] | None = None) -> list[dict[str, object]]:
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
