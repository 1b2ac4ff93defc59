"""A hundred live segments computed anew for everybody, while messages keep coming in."""

import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from tests.benchmarks.audiences import definitions
from tests.benchmarks.clients import run_load
from tests.benchmarks.latency import is_member, singles, track_one
from tests.benchmarks.preview import generate, load_people, read_plan
from tests.benchmarks.product import BenchmarkFailed, Product, own_product
from tests.benchmarks.report import Row, ms, quantile

SEGMENTS = 100
LOAD_PER_SECOND = 100
LOAD_SECONDS = 5
ENTERS = {"type": "event", "name": "Bench Enters", "window": {"last": "P30D"}}
# What a change of the product that concerns all segments would do, or a crash while they were computed.
ANEW = "UPDATE segments_segment SET live_version = NULL WHERE status = 'live' AND key <> 'bench-enters'"
LEFT = "SELECT count(*) FROM segments_segment WHERE status = 'live' AND live_version IS DISTINCT FROM version"
COUNTS = "SELECT sum(member_count)::bigint FROM segments_segment"
GIVE_UP_SECONDS = 3600.0
LOOK_EVERY_SECONDS = 0.2


def rebuild(size: int) -> list[Row]:
    """Compute everybody's membership of a hundred segments at `size` profiles; probe meanwhile how far behind it is."""
    plan = read_plan()
    # Windows count back from the present, and the generated history ends earlier.
    later = datetime.now(UTC) - datetime.fromisoformat(plan["now"])
    with tempfile.TemporaryDirectory(prefix="cdp-bench-data-") as folder, own_product() as product:
        generate(size, Path(folder))
        events = load_people(product, Path(folder), later=later)
        for place, definition in enumerate(definitions(SEGMENTS)):
            _make_live(product, f"bench-{place}", definition)
        _make_live(product, "bench-enters", {"version": 1, "timezone": "UTC", "match": ENTERS})
        with _messages(product) as waits, product.connect() as connection, connection.cursor() as cursor:
            cursor.execute(ANEW)
            seconds = _wait(cursor)
            cursor.execute(COUNTS)
            members = cursor.fetchone()[0]
    probes = f"p50 {ms(quantile(waits, 0.5))}, max {ms(max(waits))}" if waits else "none"
    return [
        Row(
            f"{SEGMENTS} segments computed anew, {LOAD_PER_SECOND} messages/s coming in",
            f"{size:,} profiles, {events:,} events",
            f"{seconds:,.0f} s; {members:,} memberships; event to membership row meanwhile ({len(waits)}): {probes}",
            "≤ 10 min at 1,000,000 profiles, 20,000,000 events",
        )
    ]


def _make_live(product: Product, key: str, definition: dict[str, Any]) -> None:
    product.call("POST", "/api/v1/segments", {"key": key, "name": key, "definition": definition, "status": "live"})


def _wait(cursor: Any) -> float:
    began_at = time.monotonic()
    while time.monotonic() < began_at + GIVE_UP_SECONDS:
        cursor.execute(LEFT)
        if cursor.fetchone()[0] == 0:
            return time.monotonic() - began_at
        time.sleep(LOOK_EVERY_SECONDS)
    raise BenchmarkFailed("The segments were not computed within an hour.")


@contextmanager
def _messages(product: Product) -> Iterator[list[float]]:
    """Keep messages coming, and yield how long the members among them waited for their membership."""
    write_key = product.source()
    over = threading.Event()
    waits: list[float] = []

    def load() -> None:
        while not over.is_set():
            make = partial(singles, write_key, LOAD_PER_SECOND * LOAD_SECONDS)
            run_load(product.base_url, make, processes=1, threads=2, per_second=LOAD_PER_SECOND)

    def probe() -> None:
        with product.connect() as connection, connection.cursor() as cursor:
            while not over.is_set():
                person = f"enters-{time.time_ns()}"
                accepted_at = track_one(product, write_key, person, "Bench Enters")
                while not is_member(cursor, "bench-enters", person):
                    if over.is_set():
                        return
                    time.sleep(0.05)
                waits.append(time.monotonic() - accepted_at)
                over.wait(1.0)

    threads = [threading.Thread(target=act) for act in (load, probe)]
    for thread in threads:
        thread.start()
    time.sleep(2)
    try:
        yield waits
    finally:
        over.set()
        for thread in threads:
            thread.join()
