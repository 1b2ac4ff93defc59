"""DuckDB beside the product: the five segments of segment_bench.json, written by hand, over the generated files."""

import statistics
import time
from pathlib import Path

WITHIN = "ts >= $now - interval {days} day AND ts < $now"
ORDERS = "SELECT profile_id FROM events WHERE event = 'Order Completed' AND " + WITHIN
SHOES = "SELECT profile_id FROM events WHERE event = 'Product Viewed' AND category = 'shoes' AND " + WITHIN
Q2 = f"""
SELECT profile_id FROM events WHERE event = 'Order Completed' AND {WITHIN.format(days=365)} GROUP BY profile_id
HAVING count(*) FILTER (WHERE ts >= $now - interval 30 day) >= 3 AND sum(revenue) > 200
"""
QUERIES = {
    "q1": """
        SELECT count(*) FROM people
        WHERE country = 'DE' AND plan IN ('pro', 'business') AND birth_year < 1990 AND consent_email
    """,
    "q2": f"SELECT count(*) FROM ({Q2})",
    "q3": f"SELECT count(*) FROM ({SHOES.format(days=7)} EXCEPT {ORDERS.format(days=7)})",
    "q4": f"""
        SELECT count(DISTINCT c.profile_id) FROM events c
        WHERE c.event = 'Added to Cart' AND {WITHIN.format(days=8)} AND c.ts + interval 24 hour <= $now
            AND NOT EXISTS (
                SELECT 1 FROM events o WHERE o.event = 'Order Completed' AND o.profile_id = c.profile_id
                    AND (o.ts, o.id) > (c.ts, c.id) AND o.ts <= c.ts + interval 24 hour)
    """,
    "q5": f"""
        SELECT count(*) FROM people WHERE (country IN ('DE', 'FR') OR plan = 'business') AND consent_email
            AND id NOT IN ({Q2})
            AND (id IN ({ORDERS.format(days=90)})
                OR (id IN ({SHOES.format(days=30)} GROUP BY profile_id HAVING count(*) >= 2)
                    AND id NOT IN (SELECT profile_id FROM events
                        WHERE event = 'Added to Cart' AND {WITHIN.format(days=14)})))
            AND id IN (SELECT profile_id FROM events WHERE {WITHIN.format(days=60)})
            AND created_at < $now - interval 90 day
    """,
}


def time_duckdb(folder: Path, now: str, repeats: int) -> dict[str, tuple[float, int]]:
    """Return the median of some runs in seconds, and the count, for each of the five.

    Parameters
    ----------
    now : str
        ISO 8601, in the files' own time.
    """
    import duckdb

    found = {}
    with duckdb.connect() as reader:
        for name, file in (("people", "profiles"), ("events", "events")):
            reader.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet('{folder / file}.parquet')")
        reader.execute("SET TimeZone = 'UTC'")
        for key, query in QUERIES.items():
            took = []
            for _ in range(repeats):
                began_at = time.monotonic()
                count = reader.execute(query.replace("$now", f"TIMESTAMPTZ '{now}'")).fetchall()[0][0]
                took.append(time.monotonic() - began_at)
            found[key] = (statistics.median(took), count)
    return found
