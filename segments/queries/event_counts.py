"""How often there are events of each name, for the list to choose from."""

from django.core.cache import cache
from django.db import connection

from segments.queries.suggestions import read_suggestions

REMEMBERED_AS = "segments.event_counts"
REMEMBERED_SECONDS = 600
MOST = 10_000
# Each name is counted through its index and only as far as a reader cares.
COUNT = """
SELECT t.name, (SELECT count(*) FROM (SELECT FROM profiles_event e WHERE e.name = t.name LIMIT %s) AS part)
FROM unnest(%s::text[]) AS t(name)
"""


def count_events() -> list[tuple[str, str]]:
    """Return the names of events, the most frequent first, each with its number in words; at most ten minutes old.

    Counting stops at ten thousand. What is derived (orders, sessions) comes last, without a number.
    """
    found: list[tuple[str, str]] | None = cache.get(REMEMBERED_AS)
    if found is None:
        names = read_suggestions().events
        stored = [name for name in names if not name.startswith("$")]
        with connection.cursor() as cursor:
            cursor.execute(COUNT, [MOST, stored])
            counts: dict[str, int] = dict(cursor.fetchall())
        ordered = sorted(stored, key=lambda name: (-counts.get(name, 0), name))
        found = [(name, _in_words(counts.get(name, 0))) for name in ordered]
        found += [(name, "derived") for name in names if name.startswith("$")]
        cache.set(REMEMBERED_AS, found, REMEMBERED_SECONDS)
    return found


def _in_words(count: int) -> str:
    if count >= MOST:
        return "10\u202f000 or more"
    return f"{count:,}".replace(",", "\u202f")
