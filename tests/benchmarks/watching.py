"""What comparing two sources costs, beside one bare statement of the same counts, and what a look for alerts costs."""

import time
from typing import Any

from tests.benchmarks.product import BenchmarkFailed, Product, own_product
from tests.benchmarks.report import Row

SOURCES = 200
LOOKS = 5
# Nine people in ten are in both; each source says something twice of them, and one city in ten differs.
PEOPLE = """
INSERT INTO profiles_profile (id, uuid, created_at, restricted, traits, trait_meta)
SELECT n, gen_random_uuid(), now(), false, '{}', '{}' FROM generate_series(1, %(size)s) n
"""
EVENTS = """
INSERT INTO profiles_event (id, profile_id, type, name, occurred_at, received_at, source_id, message_id, identifiers,
    traits)
SELECT n * 10 + k, n, CASE WHEN k %% 3 = 0 THEN 2 ELSE 1 END, '', now() - make_interval(days => (n + k)::int %% 60),
    now(), CASE k %% 2 WHEN 0 THEN %(a)s ELSE %(b)s END, n || '-' || k, '{}',
    CASE k %% 3 WHEN 0 THEN jsonb_build_object('email', n || '@bench.example', 'plan', 'gold', 'city',
        CASE WHEN n %% 10 = 1 AND k %% 2 = 0 THEN 'Köln' ELSE 'Berlin' END) END
FROM generate_series(1, %(size)s) n, generate_series(0, 5) k WHERE n %% 10 <> 0 OR k %% 2 = 0
"""
BARE = """
WITH said AS (
    SELECT DISTINCT ON (e.profile_id, e.source_id, t.key) e.profile_id, e.source_id, t.key, t.value
    FROM profiles_event e, jsonb_each(e.traits) t WHERE e.source_id IN (%(a)s, %(b)s)
    ORDER BY 1, 2, 3, e.occurred_at DESC
)
SELECT key, count(*) FILTER (WHERE low = high), count(*) FROM (
    SELECT key, min(value::text) AS low, max(value::text) AS high FROM said GROUP BY profile_id, key HAVING count(*) = 2
) both_say GROUP BY key
"""
PAST = """
INSERT INTO ingestion_outcomecount (source_id, hour, outcome, count)
SELECT s.id, date_trunc('hour', now()) - make_interval(hours => h), 1, 500 + s.id
FROM ingestion_source s, generate_series(0, 6 * 168) h
"""
MORE_SOURCES = """
INSERT INTO ingestion_source (key, name, kind, write_key_digest, write_key_sealed, required_purpose, hold_days,
    max_event_bytes, ip_storage, enabled, created_at)
SELECT 'bench-' || n, 'bench', 'server', decode(lpad(to_hex(n), 8, '0'), 'hex'), '', '', 30, 32768, 'none', true, now()
FROM generate_series(1, %s) n
"""
LOOK = """
import time
from datetime import timedelta
from django.utils import timezone
from ingestion.services.watching import check_sources
spent = []
for number in range({looks}):
    began = time.perf_counter()
    assert check_sources(now=timezone.now() + timedelta(hours=1, minutes=5 * number))
    spent.append(time.perf_counter() - began)
print(sorted(spent)[len(spent) // 2])
"""


def watch(size: int) -> list[Row]:
    """Compare two sources of `size` people; look for alerts in 200 sources with six weeks of counts."""
    with own_product() as product:
        return [_reconcile(product, size), _look(product)]


def _reconcile(product: Product, size: int) -> Row:
    for name in ("shop", "crm"):
        product.source(name)
    with product.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT key, id FROM ingestion_source WHERE key IN ('shop', 'crm')")
        ids: dict[str, int] = dict(cursor.fetchall())
        place = {"size": size, "a": ids["shop"], "b": ids["crm"]}
        for statement in (PEOPLE, EVENTS):
            cursor.execute(statement, place)
        cursor.execute("ANALYZE profiles_profile, profiles_event")
        began = time.monotonic()
        cursor.execute(BARE, place)
        bare = time.monotonic() - began
    began = time.monotonic()
    made = product.call("POST", "/api/v1/reconciliations", {"a": "shop", "b": "crm"})
    found = _wait(product, made["id"])
    seconds = time.monotonic() - began
    different = next(one["different"] for one in found["fields"] if one["field"] == "city")
    if found["people"]["both"] != size - size // 10 or not different:
        raise BenchmarkFailed(f"the comparison found {found['people']} and {different} different cities")
    return Row(
        "reconciliation of two sources",
        f"{size:,} people, {size * 57 // 10:,} events",
        f"{seconds:,.1f} s, {size / seconds:,.0f} people/s",
        "",
        f"one bare statement {bare:,.1f} s",
        f"{seconds / bare:.1f} times its time",
    )


def _wait(product: Product, found_id: str) -> dict[str, Any]:
    give_up_at = time.monotonic() + 3600
    while time.monotonic() < give_up_at:
        found: dict[str, Any] = product.call("GET", f"/api/v1/reconciliations/{found_id}")
        if found["status"] == "done":
            return found
        time.sleep(0.1)
    raise BenchmarkFailed("the comparison does not end")


def _look(product: Product) -> Row:
    with product.connect() as connection, connection.cursor() as cursor:
        cursor.execute(MORE_SOURCES, [SOURCES])
        cursor.execute(PAST)
        cursor.execute("ANALYZE ingestion_outcomecount")
    seconds = float(product.manage("shell", "--no-imports", "-c", LOOK.format(looks=LOOKS)).splitlines()[-1])
    return Row(
        "one look for alerts",
        f"{SOURCES} sources, six weeks",
        f"{seconds * 1000:,.0f} ms (median of {LOOKS}), each 180 s",
        "≤ 2,000 ms",
    )
