"""Membership follows the person when profiles are merged or split (`cdp.core.registries.MergeParticipant`).

The merged profile keeps the membership of the side whose public id survives; the other side leaves, with the reason
`merge`. Whether the merged person enters or leaves is decided afterwards, by the work that every merge leaves behind:
so no entry is told of a person who was a member already.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from cdp.core.copying import int_array, text_array
from cdp.core.registries import MergePair, SplitPair
from segments.models import MembershipChange
from segments.services.evaluation import COUNT_PREFIX

# The side that a membership belongs to is that of the public id under which it was entered.
MOVE = f"""
WITH pair AS (
    SELECT * FROM unnest(%(dropped)s::bigint[], %(kept)s::bigint[], %(messages)s::text[]) AS t(dropped, kept, message)
),
side AS (
    SELECT dropped AS profile_id, kept, message FROM pair
    UNION SELECT kept, kept, max(message) FROM pair GROUP BY kept
),
held AS (
    SELECT m.segment_id, m.profile_id, m.since, s.kept, s.message,
        (SELECT c.profile_uuid FROM segments_membershipchange c
         WHERE c.segment_id = m.segment_id AND c.profile_id = m.profile_id
            AND c.kind = {int(MembershipChange.Kind.ENTERED)}
         ORDER BY c.at DESC, c.id DESC LIMIT 1) AS entered_as,
        p.uuid AS survivor
    FROM side s JOIN segments_membership m ON m.profile_id = s.profile_id JOIN profiles_profile p ON p.id = s.kept
),
gone AS (
    DELETE FROM segments_membership m USING held h WHERE m.segment_id = h.segment_id AND m.profile_id = h.profile_id
        AND (h.profile_id <> h.kept OR h.entered_as IS DISTINCT FROM h.survivor)
    RETURNING m.segment_id
),
told AS (
    INSERT INTO segments_membershipchange (segment_id, profile_id, profile_uuid, kind, at, reason)
    SELECT segment_id, kept, coalesce(entered_as, survivor), {int(MembershipChange.Kind.LEFT)}, %(now)s,
        jsonb_strip_nulls(jsonb_build_object('kind', 'merge', 'message_id', nullif(message, '')))
    FROM held WHERE entered_as IS DISTINCT FROM survivor
)
SELECT segment_id, kept, since, entered_as = survivor, profile_id <> kept OR entered_as IS DISTINCT FROM survivor
FROM held
"""
KEEP = """
INSERT INTO segments_membership (segment_id, profile_id, since)
SELECT * FROM unnest(%s::int[], %s::bigint[], %s::timestamptz[]) ON CONFLICT DO NOTHING RETURNING segment_id
"""
NOTE_COUNTS = """
INSERT INTO profiles_work (profile_id, names, since, message_id) VALUES (%s, %s::text[], %s, '')
"""
FOLLOW = """
UPDATE {table} r SET profile_id = t.kept FROM unnest(%s::bigint[], %s::bigint[]) AS t(dropped, kept)
WHERE r.profile_id = t.dropped
"""
# Through the segments, for the rows are kept by segment.
FORGET_CHECKS = """
DELETE FROM segments_nextcheck n USING segments_segment s
WHERE n.segment_id = s.id AND n.profile_id = ANY(%s::bigint[])
"""
# The survivor's are computed anew, by the work that every merge leaves behind.
FORGET_VALUES = "DELETE FROM segments_traitvalue WHERE profile_id = ANY(%s::bigint[])"
JOIN_LISTS = """
WITH moved AS (
    DELETE FROM segments_listmember l USING unnest(%s::bigint[], %s::bigint[]) AS t(dropped, kept)
    WHERE l.profile_id = t.dropped RETURNING l.list_id, l.profile_id, t.kept, l.identifier_id, l.added_at
),
placed AS (
    INSERT INTO segments_listmember (list_id, profile_id, identifier_id, added_at)
    SELECT DISTINCT ON (list_id, kept) list_id, kept, identifier_id, added_at FROM moved
    ORDER BY list_id, kept, added_at, profile_id
    ON CONFLICT DO NOTHING RETURNING list_id, profile_id, identifier_id
)
INSERT INTO segments_absorbedlistmember (list_id, profile_id, identifier_id, added_at)
SELECT list_id, kept, identifier_id, added_at FROM moved m WHERE NOT EXISTS (
    SELECT FROM placed p
    WHERE p.list_id = m.list_id AND p.profile_id = m.kept AND p.identifier_id IS NOT DISTINCT FROM m.identifier_id)
"""
SPLIT_LISTS = """
UPDATE {table} l SET profile_id = t.new
FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[]) AS t(old, new, identifier_id)
WHERE l.profile_id = t.old AND l.identifier_id = t.identifier_id
"""
GIVE_BACK = """
WITH given AS (
    DELETE FROM segments_absorbedlistmember WHERE id IN (
        SELECT DISTINCT ON (a.list_id, a.profile_id) a.id FROM segments_absorbedlistmember a
        WHERE a.profile_id = ANY(%s::bigint[]) AND NOT EXISTS (
            SELECT FROM segments_listmember l WHERE l.list_id = a.list_id AND l.profile_id = a.profile_id)
        ORDER BY a.list_id, a.profile_id, a.added_at, a.id)
    RETURNING list_id, profile_id, identifier_id, added_at
)
INSERT INTO segments_listmember (list_id, profile_id, identifier_id, added_at) SELECT * FROM given
"""
# Membership and history are under the public id as which somebody entered: where that one goes, they go.
SPLIT_MEMBERSHIPS = f"""
UPDATE segments_membership m SET profile_id = t.new
FROM unnest(%s::bigint[], %s::bigint[]) AS t(old, new) JOIN profiles_profile p ON p.id = t.new
WHERE m.profile_id = t.old AND p.uuid = (
    SELECT c.profile_uuid FROM segments_membershipchange c
    WHERE c.segment_id = m.segment_id AND c.profile_id = m.profile_id AND c.kind = {int(MembershipChange.Kind.ENTERED)}
    ORDER BY c.at DESC, c.id DESC LIMIT 1)
"""
SPLIT_HISTORY = """
UPDATE segments_membershipchange c SET profile_id = t.new
FROM unnest(%s::bigint[], %s::bigint[]) AS t(old, new) JOIN profiles_profile p ON p.id = t.new
WHERE c.profile_id = t.old AND c.profile_uuid = p.uuid
"""
DIFFER = """
SELECT s.name, bool_or(m.profile_id = %(left)s), bool_or(m.profile_id = %(right)s)
FROM segments_membership m JOIN segments_segment s ON s.id = m.segment_id
WHERE m.profile_id IN (%(left)s, %(right)s) GROUP BY s.id, s.name
HAVING count(DISTINCT m.profile_id) = 1 ORDER BY s.name, s.id
"""
LISTS = ("segments_listmember", "segments_absorbedlistmember")


def note_counts(cursor: Any, counts: Mapping[int, int], *, now: datetime) -> None:
    """Leave word of how many members segments gained or lost outside of evaluation; nobody's profile has the id 0."""
    names = [f"{COUNT_PREFIX}:{segment_id}:{delta}" for segment_id, delta in sorted(counts.items()) if delta]
    if names:
        cursor.execute(NOTE_COUNTS, [0, text_array(names), now])


class SegmentMerging:
    """Moves membership, history and places on lists with the profiles; a constant number of statements."""

    name = "segments"

    def on_merge(self, *, pairs: Sequence[MergePair], now: datetime) -> None:
        """Let the absorbed side leave, and keep what the survivor had."""
        both = [int_array(pair.dropped_id for pair in pairs), int_array(pair.kept_id for pair in pairs)]
        with connection.cursor() as cursor:
            cursor.execute(
                MOVE,
                {
                    "dropped": both[0],
                    "kept": both[1],
                    "messages": text_array(pair.message_id for pair in pairs),
                    "now": now,
                },
            )
            held = cursor.fetchall()
            counts = Counter({segment_id: 0 for segment_id, *_ in held})
            counts.subtract(segment_id for segment_id, _, _, _, taken in held if taken)
            kept = [row for row in held if row[3] and row[4]]
            if kept:
                cursor.execute(KEEP, [[row[place] for row in kept] for place in range(3)])
                counts.update(row[0] for row in cursor.fetchall())
            note_counts(cursor, counts, now=now)
            cursor.execute(FOLLOW.format(table="segments_membershipchange"), both)
            cursor.execute(FORGET_CHECKS, both[:1])
            cursor.execute(FORGET_VALUES, both[:1])
            cursor.execute(FOLLOW.format(table="segments_absorbedlistmember"), both)
            cursor.execute(JOIN_LISTS, both)

    def preview(self, *, pair: tuple[int, int], now: datetime) -> list[dict[str, Any]]:  # noqa: ARG002 - as below
        """Return the segments that one of two profiles is in: those that a merge can change.

        What both did and are decides, as soon as they are one; nobody is asked while a page is read.
        """
        with connection.cursor() as cursor:
            cursor.execute(DIFFER, {"left": pair[0], "right": pair[1]})
            rows = cursor.fetchall()
        words = {True: "member", False: "no member"}
        return [
            {"segment": name, "left": words[left], "right": words[right], "merged": "decided from both histories"}
            for name, left, right in rows
        ]

    def on_split(self, *, pairs: Sequence[SplitPair], now: datetime) -> None:  # noqa: ARG002 - the protocol's signature
        """Give places on lists back to the side whose identifier was put there; membership is evaluated anew."""
        rows = [(pair.from_id, pair.to_id, identifier) for pair in pairs for identifier in pair.identifier_ids]
        both = [int_array(pair.from_id for pair in pairs), int_array(pair.to_id for pair in pairs)]
        with connection.cursor() as cursor:
            cursor.execute(SPLIT_MEMBERSHIPS, both)
            cursor.execute(SPLIT_HISTORY, both)
            cursor.execute(FORGET_CHECKS, both[:1])
            for table in LISTS:
                cursor.execute(
                    SPLIT_LISTS.format(table=table), [int_array(row[place] for row in rows) for place in range(3)]
                )
            ids = {profile_id for pair in pairs for profile_id in (pair.from_id, pair.to_id)}
            cursor.execute(GIVE_BACK, [int_array(ids)])
