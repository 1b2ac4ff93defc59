"""How fast messages become profiles, events and memberships, beside the same final rows written by bare SQL."""

import time
from functools import partial

from tests.benchmarks.audiences import definitions
from tests.benchmarks.clients import Outcome, Requests, post_bytes, run_load
from tests.benchmarks.memory import memory_rows
from tests.benchmarks.product import Product, own_product
from tests.benchmarks.report import Row
from tests.benchmarks.shop import batch_body, messages

PER_REQUEST = 500
PARTS = 4
WARM_PEOPLE = 500
# Everything that a message can leave behind. The bare copies have the same indexes and no foreign keys.
TABLES = (
    "profiles_profile", "profiles_identifier", "profiles_edge", "profiles_activity", "profiles_event",
    "profiles_change", "profiles_merge", "profiles_refusal", "ingestion_message", "segments_membership",
    "segments_membershipchange", "segments_nextcheck",
)  # fmt: skip


def process_without_segments(size: int) -> list[Row]:
    """Process `size` messages of half as many people, with no live segment, in a fresh product."""
    with own_product() as product:
        return _measure(product, size, 0)


def process_with_segments(size: int) -> list[Row]:
    """Process the same with 20 live segments."""
    with own_product() as product:
        return _measure(product, size, 20)


def _measure(product: Product, size: int, segments: int) -> list[Row]:
    for place, definition in enumerate(definitions(segments)):
        content = {"key": f"bench-{place}", "name": f"Bench {place}", "definition": definition, "status": "live"}
        product.call("POST", "/api/v1/segments", content)
    write_key = product.source()
    send_messages(product, write_key, count=2_000, people=WARM_PEOPLE, part=0)
    product.settle()
    count = max(2 * PER_REQUEST, size // PARTS)
    parts = [_timed(product, write_key, count=count, people=max(1, count // 2), part=1 + n) for n in range(PARTS)]
    total, seconds = sum(sent for sent, _ in parts), sum(taken for _, taken in parts)
    memory = memory_rows(product, f"{total:,} messages")
    bare, rows = _write_bare(product)
    quarters = " / ".join(f"{sent / taken:,.0f}" for sent, taken in parts)
    return [
        Row(
            f"processing end to end, {segments} live segments",
            f"{total:,} messages, {total // 2:,} people",
            f"{total / seconds:,.0f} messages/s; by quarters {quarters}",
            "≥ 10,000/s with 0 segments, flat; ≤ 2 times bare SQL",
            f"bare SQL of the same {rows:,} rows {bare:,.1f} s",
            f"{seconds / bare:.1f} times its time",
        ),
        *memory,
    ]


def _timed(product: Product, write_key: str, *, count: int, people: int, part: int) -> tuple[int, float]:
    """Send one part as fast as it is taken; return its size and the seconds until nothing waits any more."""
    sent = send_messages(product, write_key, count=count, people=people, part=part)
    sent_at = time.monotonic()
    product.settle(every=0.02)
    return len(sent.latencies) * PER_REQUEST, sent.seconds + time.monotonic() - sent_at


def send_messages(product: Product, write_key: str, *, count: int, people: int, part: int) -> Outcome:
    """Send messages as fast as they are taken."""
    make = partial(_requests, write_key, count // 2, people, part)
    return run_load(product.base_url, make, processes=1, threads=2)


def _requests(write_key: str, count: int, people: int, part: int, _: int, thread: int) -> Requests:
    """Return one thread's requests; both threads write to the same people, every part to people of its own."""
    items = messages(
        2 * part + thread, count=count, people=people, first_person=part * 10_000_000, named=str(time.time_ns())
    )
    bodies = (batch_body(items[start : start + PER_REQUEST]) for start in range(0, count, PER_REQUEST))
    return [post_bytes("/v1/batch", write_key, body) for body in bodies]


def _write_bare(product: Product) -> tuple[float, int]:
    """Write every row that is there now into tables of the same shape with the same indexes; seconds and rows."""
    rows = 0
    with product.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA bench")
        for name in TABLES:
            cursor.execute(
                f"CREATE TABLE bench.{name} (LIKE {name} INCLUDING DEFAULTS INCLUDING STORAGE INCLUDING INDEXES)"
            )
        began_at = time.monotonic()
        for name in TABLES:
            cursor.execute(f"INSERT INTO bench.{name} SELECT * FROM {name}")
            rows += cursor.rowcount
        seconds = time.monotonic() - began_at
        cursor.execute("DROP SCHEMA bench CASCADE")
    return seconds, rows
