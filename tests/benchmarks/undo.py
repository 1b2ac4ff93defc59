"""Undoing the merge of a person with many events, while other messages go on being processed."""

import time
from functools import partial
from typing import Any

import orjson

from tests.benchmarks.clients import Requests, post_bytes, run_load
from tests.benchmarks.product import BenchmarkFailed, Product
from tests.benchmarks.report import Row
from tests.benchmarks.shop import batch_body

GIVE_UP_SECONDS = 1800
# Of ten events one states traits.
EVERY_IDENTIFY = 10
BATCH = 500
LOOKS = 20


def undo(product: Product, size: int) -> list[Row]:
    """Merge two people with half of `size` events each, and undo it."""
    write_key = product.source()
    tag = f"undo-{time.time_ns()}"
    for side in ("a", "b"):
        run_load(product.base_url, partial(_requests, write_key, f"{tag}-{side}", size // 2), processes=1, threads=1)
    product.settle()
    people = [_find(product, f"{tag}-{side}") for side in ("a", "b")]
    before = [_state(product, person["id"]) for person in people]
    began_at = time.monotonic()
    body = {"profile_ids": [person["id"] for person in people], "reason": "benchmark"}
    merge = product.call("POST", "/api/v1/profiles/merge", body)
    answered = time.monotonic() - began_at
    _wait(product, merge["id"])
    merged = time.monotonic() - began_at
    page = _look(product, people[0]["id"])
    began_at = time.monotonic()
    product.call("POST", f"/api/v1/merges/{merge['id']}/undo")
    undo_answered = time.monotonic() - began_at
    worst = _wait(product, merge["id"], write_key=write_key)
    undone = time.monotonic() - began_at
    after = [_state(product, person["id"]) for person in people]
    if after != before:
        raise BenchmarkFailed(f"The sides are not as they were: {before} and {after}.")
    told = f"{size:,} events"
    return [
        Row("merge by hand: answered, done", told, f"{answered:.2f} s, {merged:.1f} s", "events follow as a job"),
        Row("profile of the merged person by REST, with events", told, f"{page * 1000:,.0f} ms", "≤ 200 ms a page"),
        Row("undo: answered, both sides as before", told, f"{undo_answered:.2f} s, {undone:.1f} s", "exact"),
        Row("another person's message meanwhile, to its profile, worst", told, f"{worst:.2f} s", "≤ 1 s"),
    ]


def _find(product: Product, user: str) -> Any:
    return product.call("GET", f"/api/v1/profiles?identifier=user_id:{user}")["results"][0]


def _state(product: Product, public_id: str) -> tuple[Any, ...]:
    """Return what must come back: identifiers, traits and the number of events."""
    shown = product.call("GET", f"/api/v1/profiles/{public_id}")
    with product.connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT a.event_count, (SELECT count(*) FROM profiles_event e WHERE e.profile_id = p.id) "
            "FROM profiles_profile p JOIN profiles_activity a ON a.profile_id = p.id WHERE p.uuid = %s",
            [public_id],
        )
        counts = cursor.fetchone()
    return counts, shown["identifiers"], shown["traits"], shown["first_seen_at"], shown["last_seen_at"]


def _look(product: Product, public_id: str) -> float:
    times = []
    for _ in range(LOOKS):
        began_at = time.monotonic()
        product.call("GET", f"/api/v1/profiles/{public_id}")
        product.call("GET", f"/api/v1/profiles/{public_id}/events?limit=25")
        times.append(time.monotonic() - began_at)
    return sorted(times)[LOOKS // 2]


def _wait(product: Product, merge_id: str, *, write_key: str = "") -> float:
    """Wait until a merge or its undo has moved all events; return the longest time that a message took meanwhile."""
    give_up_at = time.monotonic() + GIVE_UP_SECONDS
    worst = 0.0
    number = 0
    while product.call("GET", f"/api/v1/merges/{merge_id}")["state"] != "done":
        if time.monotonic() > give_up_at:
            raise BenchmarkFailed("The events are still being moved.")
        if write_key:
            number += 1
            worst = max(worst, _pass_through(product, write_key, f"beside-{merge_id}-{number}"))
        else:
            time.sleep(0.1)
    return worst


def _pass_through(product: Product, write_key: str, user: str) -> float:
    item = {"type": "track", "event": "Beside", "messageId": user, "userId": user}
    http = product.http()
    began_at = time.monotonic()
    headers = {"X-Write-Key": write_key, "Content-Type": "application/json"}
    http.request("POST", "/v1/batch", body=batch_body([orjson.dumps(item)]), headers=headers)
    http.getresponse().read()
    http.close()
    while not product.call("GET", f"/api/v1/profiles?identifier=user_id:{user}")["results"]:
        time.sleep(0.02)
    return time.monotonic() - began_at


def _requests(write_key: str, user: str, size: int, _: int, __: int) -> Requests:
    items = (_item(user, place) for place in range(size))
    return [
        post_bytes("/v1/batch", write_key, batch_body([next(items) for _ in range(min(BATCH, size - start))]))
        for start in range(0, size, BATCH)
    ]


def _item(user: str, place: int) -> bytes:
    item: dict[str, Any] = {"messageId": f"{user}-{place}", "userId": user, "anonymousId": f"{user}-{place % 5}"}
    if place % EVERY_IDENTIFY == 0:
        return orjson.dumps({**item, "type": "identify", "traits": {"visits": place, "name": user}})
    return orjson.dumps({**item, "type": "track", "event": f"Event {place % 7}", "properties": {"place": place}})
