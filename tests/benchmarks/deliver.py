"""Telling a destination of everybody in a segment, and then of everybody anew: one by one, and many in a request.

The receiver runs on the same machine and answers at once, so what is measured is the product: judging each person,
entering the disclosure, sending, and writing down what came of it.
"""

import time
from typing import Any

from tests.benchmarks.product import BenchmarkFailed, Product, own_product
from tests.benchmarks.receiving import Receiver, receiver
from tests.benchmarks.report import Row

# One by one a large segment tells nothing new.
MOST_ONE_BY_ONE = 20_000
TOGETHER = 500
PURPOSE = {"key": "bench-mail", "name": "Mail", "channels": ["email"]}
EVERYONE = {"version": 1, "timezone": "UTC", "match": {"type": "everyone"}}
GIVE_UP_SECONDS = 3600.0
LOOK_EVERY_SECONDS = 0.2
FILL = (
    """
INSERT INTO profiles_profile (id, uuid, created_at, restricted, traits, trait_meta)
SELECT n, md5('person' || n)::uuid, now(), false,
    jsonb_build_object('email', 'person' || n || '@customer.example', 'first_name', 'Person ' || n), '{}'
FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n
""",
    """
INSERT INTO profiles_identifier
    (type_id, lookup, value, profile_id, first_seen_at, source_id, verified, alias_state)
SELECT t.id, decode(md5('person' || n), 'hex'), 'person' || n || '@customer.example', n, now(), 1, false, 0
FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n, profiles_identifiertype t WHERE t.key = 'email'
""",
    """
INSERT INTO consent_current
    (profile_id, purpose_id, channel, state, effective_at, recorded_at, decision_id, conflict, objected)
SELECT n, p.id, 'email', 'granted', now(), now(), n, false, false
FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n, consent_purpose p WHERE p.key = 'bench-mail'
""",
)
DONE = """
SELECT count(*) FROM segments_activated a JOIN segments_destination d ON d.id = a.destination_id
WHERE d.key = %s AND a.confirmed_at IS NOT NULL
"""
WAITING = """
SELECT (SELECT count(*) FROM segments_delivery w JOIN segments_destination d ON d.id = w.destination_id
        WHERE d.key = %s)
     + (SELECT count(*) FROM segments_deliverymark w JOIN segments_destination d ON d.id = w.destination_id
        WHERE d.key = %s)
"""


def deliver(size: int) -> list[Row]:
    """Sync `size` people to a receiver on this machine."""
    rows = []
    with own_product(CDP_OUTGOING_ALLOW="127.0.0.0/8:*") as product, receiver() as other:
        product.source()
        product.call("POST", "/api/v1/purposes", PURPOSE)
        filled = 0
        for people, together in ((min(size, MOST_ONE_BY_ONE), 1), (size, TOGETHER)):
            _fill(product, filled + 1, people)
            filled = max(filled, people)
            key = f"bench-{together}"
            segment = {"key": key, "name": key, "definition": EVERYONE, "status": "live", "purpose": "bench-mail"}
            product.call("POST", "/api/v1/segments", {**segment, "channel": "email"})
            rows += _sync(product, other, key, people, together)
    return rows


def _fill(product: Product, first: int, last: int) -> None:
    with product.connect() as connection, connection.cursor() as cursor:
        for statement in FILL:
            cursor.execute(statement, {"first": first, "last": last})
        cursor.execute("ANALYZE")


def _sync(product: Product, other: Receiver, key: str, people: int, together: int) -> list[Row]:
    rows = []
    with product.connect() as connection, connection.cursor() as cursor:
        for what in ("first sync", "full sync"):
            sent, requests = other.people.value, other.requests.value
            began_at = time.monotonic()
            if what == "first sync":
                asked: dict[str, Any] = {"request": {"url": other.url}, "columns": ["id", "email", "trait:first_name"]}
                asked |= {"key": key, "segment": key, "kind": "webhook", "people_per_request": together}
                product.call("POST", "/api/v1/destinations", {**asked, "recipient": "Benchmark"})
            else:
                product.call("POST", f"/api/v1/destinations/{key}/sync")
            _wait_until_told(cursor, key)
            seconds = time.monotonic() - began_at
            cursor.execute(DONE, [key])
            done = cursor.fetchone()[0]
            got, asked_for = other.people.value - sent, other.requests.value - requests
            if done != people or got < people:
                raise BenchmarkFailed(f"Of {people:,} people {done:,} were noted and {got:,} received.")
            rows.append(
                Row(
                    f"{what} of a destination, {'one person' if together == 1 else f'up to {together}'} in a request",
                    f"{people:,} people",
                    f"{people / seconds:,.0f} people/s ({seconds:,.1f} s, {asked_for:,} requests, "
                    f"{got - people:,} sent twice)",
                )
            )
    return rows


def _wait_until_told(cursor: Any, key: str) -> None:
    give_up_at = time.monotonic() + GIVE_UP_SECONDS
    while time.monotonic() < give_up_at:
        cursor.execute(WAITING, [key, key])
        if cursor.fetchone()[0] == 0:
            return
        time.sleep(LOOK_EVERY_SECONDS)
    raise BenchmarkFailed("The destination was not told within an hour.")
