"""Erasing a person with many events, and looking for what is left."""

import time
from functools import partial

import orjson

from tests.benchmarks.clients import Requests, post_bytes, run_load
from tests.benchmarks.product import BenchmarkFailed, Product
from tests.benchmarks.report import Row
from tests.benchmarks.shop import batch_body

FINISHED = {"completed", "partial", "rejected", "cancelled"}
GIVE_UP_SECONDS = 600


def erasure(product: Product, size: int) -> list[Row]:
    """Erase a person with `size` events and wait until the request is completed."""
    write_key = product.source()
    named = f"erase-{time.time_ns()}"
    run_load(product.base_url, partial(_requests, write_key, named, size), processes=1, threads=1)
    product.settle()
    identity = {"type": "email", "value": f"{named}@example.org"}
    began_at = time.monotonic()
    request = product.call("POST", "/api/v1/privacy-requests", {"type": "erasure", "identities": [identity]})
    product.call("POST", f"/api/v1/privacy-requests/{request['id']}/approve", {})
    while request["status"] not in FINISHED:
        if time.monotonic() - began_at > GIVE_UP_SECONDS:
            raise BenchmarkFailed(f"The request is still {request['status']}.")
        time.sleep(0.1)
        request = product.call("GET", f"/api/v1/privacy-requests/{request['id']}")
    seconds = time.monotonic() - began_at
    proof = product.call("GET", f"/api/v1/privacy-requests/{request['id']}/proof")
    control = ", ".join(f"{place} {count:,}" for place, count in sorted(proof["control"].items()))
    left = sum(step.get("remaining") or 0 for step in request["steps"])
    return [
        Row(
            f"erasure, from request to {request['status']}",
            f"{size:,} events",
            f"{seconds:,.1f} s, {left} traces left",
            "≤ 60 s for 10,000, then 0 traces",
        ),
        Row(
            "searched for, and found by the same search before",
            f"{proof['names']} names in {proof['forms']} forms",
            f"in {', '.join(f'{count:,} {place}' for place, count in proof['looked_at'].items())}; before: {control}",
        ),
    ]


def _requests(write_key: str, named: str, size: int, _: int, __: int) -> Requests:
    items = [
        orjson.dumps(
            {
                "type": "track",
                "event": "Bench Kept",
                "messageId": f"{named}-{place}",
                "userId": named,
                "properties": {"note": f"{named} did {place}"},
            }
        )
        for place in range(size)
    ]
    items.insert(
        0,
        orjson.dumps(
            {
                "type": "identify",
                "messageId": f"{named}-who",
                "userId": named,
                "traits": {"email": f"{named}@example.org", "firstName": named},
            }
        ),
    )
    return [
        post_bytes("/v1/batch", write_key, batch_body(items[start : start + 500]))
        for start in range(0, len(items), 500)
    ]
