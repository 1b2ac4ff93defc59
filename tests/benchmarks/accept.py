"""How many requests and events the collection API takes."""

import io
import time
from functools import partial

from tests.benchmarks.clients import Outcome, Requests, post_bytes, run_load
from tests.benchmarks.product import Product
from tests.benchmarks.report import Row, spread
from tests.benchmarks.shop import batch_body, messages

STEADY_PER_SECOND = 1_700
PER_BATCH = 100


def accept_single(product: Product, size: int) -> list[Row]:
    """Single events: the most that goes through eight connections, and the times at 1,700 a second."""
    write_key = product.source()
    _warm(product, write_key)
    most = run_load(product.base_url, partial(_singles, write_key, size // 8, "most"))
    product.settle()
    steady_count = max(8, min(size, 10 * STEADY_PER_SECOND) // 8)
    steady = run_load(
        product.base_url, partial(_singles, write_key, steady_count, "steady"), per_second=STEADY_PER_SECOND
    )
    product.settle()
    return [
        Row(
            "accept, single events, 8 connections",
            f"{len(most.latencies):,} requests",
            f"{most.per_second:,.0f} requests/s; {spread(most.latencies)}{_refused(most)}",
            "≥ 2,500/s",
        ),
        Row(
            f"accept, single events at {STEADY_PER_SECOND:,}/s",
            f"{len(steady.latencies):,} requests",
            f"{steady.per_second:,.0f} requests/s; {spread(steady.latencies)}{_refused(steady)}",
            "p50 ≤ 5 ms, p99 ≤ 20 ms",
        ),
    ]


def accept_batches(product: Product, size: int) -> list[Row]:
    """Batches of 100, beside a COPY of the same events as rows on one connection."""
    write_key = product.source()
    _warm(product, write_key)
    done = run_load(product.base_url, partial(_batches, write_key, size // 4 // PER_BATCH), processes=2, threads=2)
    events = len(done.latencies) * PER_BATCH
    per_second = events / done.seconds
    product.settle()
    copied = _copy_rows(product, [item for place in range(4) for item in _events(place, size // 4 // PER_BATCH)])
    return [
        Row(
            f"accept, batches of {PER_BATCH}, 4 connections",
            f"{events:,} events",
            f"{per_second:,.0f} events/s; {spread(done.latencies)} per batch{_refused(done)}",
            "≥ 50,000/s; ≤ 3 times COPY",
            f"COPY {events / copied:,.0f} rows/s",
            f"{done.seconds / copied:.1f} times its time",
        )
    ]


def _singles(write_key: str, count: int, named: str, process: int, thread: int) -> Requests:
    items = messages(process * 100 + thread, count=count, people=max(1, count // 5), named=f"{named}-{time.time_ns()}-")
    return [post_bytes("/v1/track" if b'"type":"track"' in item else "/v1/identify", write_key, item) for item in items]


def _events(place: int, batches: int) -> list[bytes]:
    count = batches * PER_BATCH
    return messages(place, count=count, people=max(1, count // 5), named=f"batch-{time.time_ns()}-")


def _batches(write_key: str, batches: int, process: int, thread: int) -> Requests:
    items = _events(process * 2 + thread, batches)
    return [
        post_bytes("/v1/batch", write_key, batch_body(items[start : start + PER_BATCH]))
        for start in range(0, len(items), PER_BATCH)
    ]


def _warm(product: Product, write_key: str) -> None:
    run_load(product.base_url, partial(_singles, write_key, 50, "warm"))
    product.settle()


def _copy_rows(product: Product, items: list[bytes]) -> float:
    """Return the seconds that a COPY of the events takes, one row each, into a table like the inbox."""
    with product.connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE bench_copy (id bigserial PRIMARY KEY, source_id int, received_at timestamptz, body text)"
        )
        escaped = (item.replace(b"\\", b"\\\\") for item in items)
        text = io.BytesIO(b"".join(b"1\t2026-01-01T00:00:00Z\t" + item + b"\n" for item in escaped))
        began_at = time.monotonic()
        cursor.copy_expert("COPY bench_copy (source_id, received_at, body) FROM STDIN", text)
        seconds = time.monotonic() - began_at
        cursor.execute("DROP TABLE bench_copy")
    return seconds


def _refused(outcome: Outcome) -> str:
    named = ", ".join(f"{count:,} with {status}" for status, count in outcome.refused.items())
    return f"; NOT TAKEN: {named}" if named else ""
