"""Finding a profile by one of its identifiers, beside bare SQL for the same rows."""

import time
from random import Random
from typing import Any

from tests.benchmarks.product import Product
from tests.benchmarks.report import Row, ms, quantile, spread

SAMPLE = """
SELECT t.key, i.value, i.lookup FROM profiles_identifier i TABLESAMPLE SYSTEM (%s) JOIN profiles_identifiertype t
ON t.id = i.type_id LIMIT %s
"""
BARE = """
SELECT p.*, a.*, (SELECT json_agg(i) FROM profiles_identifier i WHERE i.profile_id = p.id),
(SELECT json_agg(s.key) FROM segments_membership m JOIN segments_segment s ON s.id = m.segment_id
 WHERE m.profile_id = p.id)
FROM profiles_identifier one JOIN profiles_profile p ON p.id = one.profile_id
LEFT JOIN profiles_activity a ON a.profile_id = p.id WHERE one.lookup = %s
"""


def profile_lookup(product: Product, size: int) -> list[Row]:
    """Look up `size` profiles by REST, one after the other on one connection, whatever data is there."""
    with product.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM profiles_profile")
        profiles = cursor.fetchone()[0]
        cursor.execute("SELECT count(*) FROM profiles_event")
        events = cursor.fetchone()[0]
        asked = _sample(cursor, size)
        bare = []
        for _, _, lookup in asked:
            began_at = time.perf_counter()
            cursor.execute(BARE, [lookup])
            cursor.fetchall()
            bare.append(time.perf_counter() - began_at)
    http = product.http()
    measured = []
    for type_key, value, _ in asked:
        began_at = time.perf_counter()
        content = {"identifier": {"type": type_key, "value": value}}
        product.call("POST", "/api/v1/profiles/lookup", content, over=http)
        measured.append(time.perf_counter() - began_at)
    http.close()
    return [
        Row(
            "profile by identifier",
            f"{len(asked):,} of {profiles:,} profiles, {events:,} events",
            spread(measured),
            "p95 ≤ 10 ms",
            f"bare SQL p50 {ms(quantile(bare, 0.5))}, p95 {ms(quantile(bare, 0.95))}",
            f"p95 {quantile(measured, 0.95) / quantile(bare, 0.95):.1f} times",
        )
    ]


def _sample(cursor: Any, size: int) -> list[tuple[str, str, bytes]]:
    for share in (1, 20, 100):
        cursor.execute(SAMPLE, [share, 20 * size])
        rows = cursor.fetchall()
        if len(rows) >= size:
            break
    Random(1).shuffle(rows)
    return [(type_key, value, bytes(lookup)) for type_key, value, lookup in rows[:size]]
