"""How long it takes until what happened is seen: in the profile, in a segment, and out of it when time passes."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

import orjson

from tests.benchmarks.audiences import definitions
from tests.benchmarks.clients import Requests, post_bytes, run_load
from tests.benchmarks.product import BenchmarkFailed, Product
from tests.benchmarks.report import Row, ms, quantile, spread
from tests.benchmarks.shop import messages

LOAD_PER_SECOND = 500
LOOK_EVERY_SECONDS = 0.02
GIVE_UP_SECONDS = 30.0
STAY_SECONDS = 15
MEMBER = """
SELECT 1 FROM segments_membership m JOIN segments_segment s ON s.id = m.segment_id
JOIN profiles_identifier i ON i.profile_id = m.profile_id WHERE s.key = %s AND i.value = %s
"""


def accepted_to_visible(product: Product, size: int) -> list[Row]:
    """From the answer 200 to the profile's REST answer that shows the event's person, under 500 events a second."""
    write_key = product.source()
    waits = []
    with _load(product, write_key, seconds=size * 0.35 + 5):
        http = product.http()
        for place in range(size):
            person = f"seen-{time.time_ns()}-{place}"
            accepted_at = track_one(product, write_key, person, "Bench Seen")
            path = f"/api/v1/profiles?identifier=user_id:{person}"
            _wait_until(lambda path=path: bool(product.call("GET", path, over=http)["results"]))
            waits.append(time.monotonic() - accepted_at)
            time.sleep(max(0.0, 0.3 - waits[-1]))
        http.close()
    product.settle()
    return [
        Row(
            f"accepted to visible in the profile, at {LOAD_PER_SECOND}/s",
            f"{size} people looked for every {ms(LOOK_EVERY_SECONDS)}",
            spread(waits),
            "p95 ≤ 1 s",
        )
    ]


def event_to_membership(product: Product, size: int) -> list[Row]:
    """From the answer 200 to the row of membership, under 500 events a second and with 100 live segments."""
    _make_live(product, 99)
    _segment(product, "bench-enters", {"type": "event", "name": "Bench Enters", "window": {"last": "P30D"}})
    write_key = product.source()
    waits = []
    with (
        _load(product, write_key, seconds=size * 0.5 + 5),
        product.connect() as connection,
        connection.cursor() as cursor,
    ):
        for place in range(size):
            person = f"enters-{time.time_ns()}-{place}"
            accepted_at = track_one(product, write_key, person, "Bench Enters")
            _wait_until(partial(is_member, cursor, "bench-enters", person))
            waits.append(time.monotonic() - accepted_at)
            time.sleep(max(0.0, 0.4 - waits[-1]))
    product.settle()
    return [
        Row(
            f"event to membership row, at {LOAD_PER_SECOND}/s, 100 live segments",
            f"{size} people",
            spread(waits),
            "p95 ≤ 2 s",
        )
    ]


def exit_by_time(product: Product, size: int) -> list[Row]:
    """From the exact moment at which a window closes over a person's only event to the row that is gone."""
    window = {"last": f"PT{STAY_SECONDS}S"}
    _segment(product, "bench-leaves", {"type": "event", "name": "Bench Leaves", "window": window})
    write_key = product.source()
    due: dict[str, float] = {}
    for place in range(size):
        person = f"leaves-{time.time_ns()}-{place}"
        at = datetime.now(UTC)
        track_one(product, write_key, person, "Bench Leaves", at=at)
        due[person] = at.timestamp() + STAY_SECONDS
        time.sleep(0.02)
    late: list[float] = []
    with product.connect() as connection, connection.cursor() as cursor:
        waiting = set(due)
        _wait_until(lambda: len(_members(cursor, "bench-leaves") & set(due)) > 0)
        give_up_at = max(due.values()) + GIVE_UP_SECONDS
        while waiting and time.time() < give_up_at:
            present = _members(cursor, "bench-leaves")
            now = time.time()
            for person in [one for one in waiting if due[one] <= now and one not in present]:
                late.append(now - due[person])
                waiting.discard(person)
            time.sleep(LOOK_EVERY_SECONDS)
    if waiting:
        raise BenchmarkFailed(f"{len(waiting)} of {size} people never left.")
    return [
        Row(
            "exit by time passing, after the exact moment",
            f"{size} people",
            f"p50 {ms(quantile(late, 0.5))}, p95 {ms(quantile(late, 0.95))}, max {ms(max(late))}",
            "p50 ≤ 1 s, max ≤ 5 s",
        )
    ]


@contextmanager
def _load(product: Product, write_key: str, *, seconds: float) -> Iterator[None]:
    """Keep 500 single events a second coming."""
    make = partial(singles, write_key, int(LOAD_PER_SECOND * seconds))
    runner = threading.Thread(
        target=run_load,
        args=(product.base_url, make),
        kwargs={"processes": 1, "threads": 2, "per_second": LOAD_PER_SECOND},
    )
    runner.start()
    time.sleep(2)
    try:
        yield
    finally:
        runner.join()


def singles(write_key: str, count: int, _: int, thread: int) -> Requests:
    """Return half of `count` requests of one message each: two threads send them."""
    items = messages(thread, count=count // 2, people=20_000, named=f"load-{time.time_ns()}")
    return [post_bytes("/v1/track" if b'"type":"track"' in item else "/v1/identify", write_key, item) for item in items]


def track_one(product: Product, write_key: str, person: str, event: str, *, at: datetime | None = None) -> float:
    """Send one event; return the moment of the answer."""
    content: dict[str, Any] = {"userId": person, "event": event, "messageId": person, "properties": {}}
    if at is not None:
        content["timestamp"] = content["originalTimestamp"] = at.isoformat()
    http = product.http()
    http.request("POST", "/v1/track", body=orjson.dumps(content), headers={"X-Write-Key": write_key})
    response = http.getresponse()
    response.read()
    http.close()
    if response.status != 200:
        raise BenchmarkFailed(f"A probe was answered {response.status}.")
    return time.monotonic()


def _make_live(product: Product, count: int) -> None:
    for place, definition in enumerate(definitions(count)):
        _segment(product, f"bench-{place}", definition["match"])


def _segment(product: Product, key: str, match: dict[str, Any]) -> None:
    present = {row["key"] for row in product.call("GET", "/api/v1/segments?limit=1000")["results"]}
    if key not in present:
        definition = {"version": 1, "timezone": "UTC", "match": match}
        content = {"key": key, "name": key, "definition": definition, "status": "live"}
        product.call("POST", "/api/v1/segments", content)


def is_member(cursor: Any, segment: str, person: str) -> bool:
    """Tell whether there is a row of membership."""
    cursor.execute(MEMBER, [segment, person])
    return cursor.fetchone() is not None


def _members(cursor: Any, segment: str) -> set[str]:
    cursor.execute(MEMBER.replace("SELECT 1", "SELECT i.value").replace(" AND i.value = %s", ""), [segment])
    return {row[0] for row in cursor.fetchall()}


def _wait_until(condition: Any) -> None:
    give_up_at = time.monotonic() + GIVE_UP_SECONDS
    while not condition():
        if time.monotonic() > give_up_at:
            raise BenchmarkFailed(f"It did not happen within {GIVE_UP_SECONDS:.0f} s.")
        time.sleep(LOOK_EVERY_SECONDS)
