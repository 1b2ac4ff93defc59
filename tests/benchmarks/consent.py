"""Withdrawals: how long until they are out of segments. Suppressions: what looking one up costs."""

import hashlib
import threading
import time
from typing import Any

import orjson

from cdp.core.copying import bytea_array
from tests.benchmarks.product import BenchmarkFailed, Product, own_product
from tests.benchmarks.report import Row, ms, quantile, spread

PER_SECOND = 20
LOOK_EVERY_SECONDS = 0.02
GIVE_UP_SECONDS = 60.0
SEGMENT = "bench-consented"
MEMBERS = """
SELECT p.uuid::text FROM segments_membership m JOIN segments_segment s ON s.id = m.segment_id
JOIN profiles_profile p ON p.id = m.profile_id WHERE s.key = %s
"""
PEOPLE = """
SELECT p.uuid::text FROM profiles_profile p JOIN profiles_identifier i ON i.profile_id = p.id WHERE i.value LIKE %s
"""
# As `consent.queries.suppressions.find_suppressed` asks.
FIND = "SELECT digest FROM consent_suppression WHERE digest = ANY(%s::bytea[])"
FILL = """
INSERT INTO consent_suppression (digest, identifier_type, reason, created_at)
SELECT sha256(convert_to(n::text, 'UTF8')), 'email', 'benchmark', now() FROM generate_series(%s::int, %s::int) AS n
"""
BATCH_MESSAGES = 2_000
IDENTIFIERS = 3
CHUNK = 500_000


def withdrawal(product: Product, size: int) -> list[Row]:
    """From the answer to a withdrawal to the row of membership that is gone, 20 people a second."""
    purpose = {"key": "bench-mail", "name": "Mail", "channels": ["email"]}
    product.call("POST", "/api/v1/purposes", purpose)
    match = {"type": "consent", "purpose": "bench-mail", "channel": "email", "status": ["granted"]}
    definition = {"version": 1, "timezone": "UTC", "match": match}
    body = {"key": SEGMENT, "name": SEGMENT, "definition": definition, "status": "live", "purpose": "bench-mail"}
    product.call("POST", "/api/v1/segments", {**body, "channel": "email"})
    with product.connect() as connection, connection.cursor() as cursor:
        people = _people(product, cursor, size)
        _decide_all(product, people, "granted")
        _wait_until(lambda: set(people) <= _members(cursor))
        answered: dict[str, float] = {}
        checked: list[bool] = []
        sender = threading.Thread(target=_withdraw, args=(product, people, answered, checked))
        sender.start()
        waits: dict[str, float] = {}
        give_up_at = time.monotonic() + size / PER_SECOND + GIVE_UP_SECONDS
        while len(waits) < size and time.monotonic() < give_up_at:
            present, now = _members(cursor), time.monotonic()
            for person, at in list(answered.items()):
                if person not in waits and person not in present:
                    waits[person] = max(now - at, 0.0)
            time.sleep(LOOK_EVERY_SECONDS)
        sender.join()
    if len(waits) < size:
        raise BenchmarkFailed(f"{size - len(waits)} of {size} people stayed in the segment.")
    found = list(waits.values())
    return [
        Row(
            "withdrawal to exit from a segment bound to consent",
            f"{size:,} people, {PER_SECOND}/s",
            f"p50 {ms(quantile(found, 0.5))}, p95 {ms(quantile(found, 0.95))}, max {ms(max(found))}",
            "p95 ≤ 5 s",
        ),
        Row(
            "gate asked right after the answer to a withdrawal",
            f"{len(checked):,} people",
            f"{sum(checked):,} still allowed",
            "0",
        ),
    ]


def suppression_lookup(size: int) -> list[Row]:
    """Look identifiers up in a table of `size` suppressions: for batches of messages, and for single ones."""
    with own_product() as product, product.connect() as connection, connection.cursor() as cursor:
        for start in range(0, size, CHUNK):
            cursor.execute(FILL, [start + 1, min(start + CHUNK, size)])
            connection.commit()
        cursor.execute("ANALYZE consent_suppression")
        connection.commit()
        batches = [
            _timed(cursor, _digests(size, place, BATCH_MESSAGES * IDENTIFIERS)) / BATCH_MESSAGES for place in range(50)
        ]
        singles = [_timed(cursor, _digests(size, 10_000 + place, IDENTIFIERS)) for place in range(2_000)]
    return [
        Row(
            "suppression look-up, batch of 2,000 messages with 3 identifiers each",
            f"{size:,} suppressions",
            f"per message p50 {quantile(batches, 0.5) * 1e6:,.1f} µs, p95 {quantile(batches, 0.95) * 1e6:,.1f} µs",
            "≤ 1 ms per message",
        ),
        Row(
            "suppression look-up, one message with 3 identifiers",
            f"{size:,} suppressions",
            spread(singles),
            "≤ 1 ms per message",
        ),
    ]


def _digests(size: int, place: int, count: int) -> list[bytes]:
    """Return digests, of which one in fifty is suppressed."""
    found = []
    for number in range(count):
        known = number % 50 == 0
        text = str((place * 7919 + number * 104_729) % size + 1) if known else f"new-{place}-{number}"
        found.append(hashlib.sha256(text.encode()).digest())
    return found


def _timed(cursor: Any, digests: list[bytes]) -> float:
    began_at = time.perf_counter()
    cursor.execute(FIND, [bytea_array(digests)])
    found = cursor.fetchall()
    took = time.perf_counter() - began_at
    if len(found) != len(range(0, len(digests), 50)):
        raise BenchmarkFailed("The look-up did not find what is suppressed.")
    return took


def _people(product: Product, cursor: Any, size: int) -> list[str]:
    """Make people by messages and return their public ids."""
    write_key = product.source()
    named = f"withdraw-{time.time_ns()}"
    http = product.http()
    for start in range(0, size, 100):
        items = [
            {"type": "identify", "userId": f"{named}-{n}", "messageId": f"{named}-{n}", "traits": {}}
            for n in range(start, min(start + 100, size))
        ]
        http.request("POST", "/v1/batch", body=orjson.dumps({"batch": items}), headers={"X-Write-Key": write_key})
        http.getresponse().read()
    http.close()
    product.settle()
    cursor.execute(PEOPLE, [f"{named}-%"])
    found = [row[0] for row in cursor.fetchall()]
    if len(found) != size:
        raise BenchmarkFailed(f"{len(found)} of {size} people were made.")
    return found


def _decide_all(product: Product, people: list[str], state: str) -> None:
    http = product.http()
    for person in people:
        body = {"profile_id": person, "purpose": "bench-mail", "channel": "email", "state": state}
        product.call("POST", "/api/v1/consents", body, over=http)
    http.close()


def _withdraw(product: Product, people: list[str], answered: dict[str, float], checked: list[bool]) -> None:
    http = product.http()
    for person in people:
        began_at = time.monotonic()
        body = {"profile_id": person, "purpose": "bench-mail", "channel": "email", "state": "withdrawn"}
        product.call("POST", "/api/v1/consents", body, over=http)
        answered[person] = time.monotonic()
        query = f"profile={person}&purpose=bench-mail&channel=email"
        checked.append(product.call("GET", f"/api/v1/consents/check?{query}", over=http)["allowed"])
        time.sleep(max(0.0, 1 / PER_SECOND - (time.monotonic() - began_at)))
    http.close()


def _members(cursor: Any) -> set[str]:
    cursor.execute(MEMBERS, [SEGMENT])
    found = {row[0] for row in cursor.fetchall()}
    cursor.connection.commit()
    return found


def _wait_until(condition: Any) -> None:
    give_up_at = time.monotonic() + GIVE_UP_SECONDS
    while not condition():
        if time.monotonic() > give_up_at:
            raise BenchmarkFailed("People did not enter the segment.")
        time.sleep(0.2)
