"""What rules of traits cost: messages processed with the default and with five rules, by turns in one product."""

import time
from functools import partial

from tests.benchmarks.clients import Requests, post_bytes, run_load
from tests.benchmarks.process import PER_REQUEST
from tests.benchmarks.product import Product, own_product
from tests.benchmarks.report import Row
from tests.benchmarks.shop import batch_body, messages

TURNS = 4
RULES = {
    "email": {"rule": "source_priority"},
    "country": {"rule": "most_frequent"},
    "plan": {"rule": "set_once"},
    "score": {"rule": "latest_value"},
    "name": {"rule": "longest"},
}


def process_with_rules(size: int) -> list[Row]:
    """Process `size` messages under each: of half as many people, one identify in four with all five traits."""
    with own_product() as product:
        key = product.source()
        source = product.call("GET", "/api/v1/sources")["results"][0]["key"]
        ruled = {"sources": [source], "traits": RULES}
        count = max(2 * PER_REQUEST, size // TURNS)
        timed_part(product, key, 2 * PER_REQUEST, 0)
        taken = {"default": 0.0, "ruled": 0.0}
        for turn in range(2 * TURNS):
            kind = "ruled" if turn % 2 else "default"
            product.call("PUT", "/api/v1/traits/rules", ruled if turn % 2 else {})
            # The stored profiles are brought in line first.
            while (product.call("GET", "/api/v1/traits/rules")["applying"] or {}).get("status", "done") != "done":
                time.sleep(0.1)
            taken[kind] += timed_part(product, key, count, 1 + turn)
    default, rate = (TURNS * count / taken[kind] for kind in ("default", "ruled"))
    return [
        Row(
            "processing end to end, five rules of traits (one counts all statements)",
            f"{TURNS} times {count:,} messages each, {count // 2:,} people",
            f"{rate:,.0f} messages/s",
            "≥ 10,000/s",
            f"without rules {default:,.0f} messages/s",
            f"{default / rate:.2f} times its time",
        )
    ]


def timed_part(product: Product, key: str, count: int, part: int) -> float:
    """Send one part as fast as it is taken; return the seconds until nothing waits any more."""
    sent = run_load(product.base_url, partial(_requests, key, count, part), processes=1, threads=1)
    sent_at = time.monotonic()
    product.settle(every=0.02)
    return sent.seconds + time.monotonic() - sent_at


def _requests(key: str, count: int, part: int, _: int, __: int) -> Requests:
    named = f"{part}-{time.time_ns()}"
    items = messages(part, count=count, people=max(1, count // 2), first_person=part * 10_000_000, named=named)
    for place, item in enumerate(items):
        items[place] = item.replace(b'"country"', b'"name":"' + b"n" * (1 + place % 9) + b'","country"')
    bodies = (batch_body(items[start : start + PER_REQUEST]) for start in range(0, count, PER_REQUEST))
    return [post_bytes("/v1/batch", key, body) for body in bodies]
