"""Mega-profiles: those with more identifiers or events than one person has. Looked for each hour."""

from datetime import datetime

from django.db import connection, transaction

# Both are read in one pass; a page then reads the few rows that it found.
FIND = """
INSERT INTO profiles_megaprofile (profile_id, identifiers, events, found_at)
SELECT t.profile_id, max(t.identifiers), coalesce(max(a.event_count), 0), %(now)s FROM (
    SELECT profile_id, count(*) AS identifiers FROM profiles_identifier
    GROUP BY profile_id HAVING count(*) >= %(identifiers)s
    UNION ALL
    SELECT a.profile_id, (SELECT count(*) FROM profiles_identifier i WHERE i.profile_id = a.profile_id)
    FROM profiles_activity a WHERE a.event_count >= %(events)s
) AS t LEFT JOIN profiles_activity a ON a.profile_id = t.profile_id GROUP BY t.profile_id
ORDER BY 2 DESC LIMIT 10000
"""


def find_mega_profiles(now: datetime) -> None:
    """Write the list anew."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT mega_identifiers, mega_events FROM profiles_identitysettings WHERE id = 1")
        limits = cursor.fetchone()
        cursor.execute("DELETE FROM profiles_megaprofile")
        if limits is not None:
            cursor.execute(FIND, {"identifiers": limits[0], "events": limits[1], "now": now})
