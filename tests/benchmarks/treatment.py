"""What transformations, a tracking plan, cleaning and a required consent cost a message, by itself and end to end."""

import copy
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import orjson
from jsonschema import Draft202012Validator

from ingestion.treatment.cleaning import compile_cleaning
from ingestion.treatment.plans import compile_plan
from ingestion.treatment.transformations import compile_transformations
from ingestion.treatment.treatment import Treated, Treatment
from tests.benchmarks.clients import Requests, post_bytes, run_load
from tests.benchmarks.process import PER_REQUEST
from tests.benchmarks.product import BenchmarkFailed, Product, own_product
from tests.benchmarks.report import Row
from tests.benchmarks.shop import batch_body, messages

ORDER: dict[str, Any] = {
    "type": "track",
    "event": "order completed",
    "userId": "42",
    "properties": {
        "orderId": "1001",
        "total": "59.90",
        "currency": "eur",
        "country": "Germany",
        "coupon": "SPRING",
        "products": [
            {"product_id": str(number), "price": 9.9, "quantity": 1, "category": "shoes"} for number in range(3)
        ],
    },
    "context": {"library": {"name": "analytics.js", "version": "1"}, "page": {"url": "https://shop.example/"}},
}
STEPS = [
    {"op": "map", "path": "event", "values": {"order completed": "Order Completed"}},
    {"op": "rename", "path": "properties.orderId", "to": "properties.order_id"},
    {"op": "drop", "path": "properties.debug"},
]
PRODUCT = {
    "type": "object",
    "required": ["product_id"],
    "properties": {
        "product_id": {"type": "string"},
        "price": {"type": "number", "minimum": 0},
        "quantity": {"type": "integer"},
        "category": {"type": "string", "maxLength": 80},
    },
}
SCHEMA = {
    "type": "object",
    "required": ["order_id", "total"],
    "properties": {
        "order_id": {"type": "string", "minLength": 1},
        "total": {"type": ["string", "number"]},
        "currency": {"type": "string", "pattern": "^[A-Za-z]{3}$"},
        "country": {"type": "string"},
        "coupon": {"enum": ["SPRING", "SUMMER", "WINTER"]},
        "products": {"type": "array", "items": PRODUCT, "maxItems": 100},
    },
    "additionalProperties": False,
}
CLEANING = [
    {"field": "properties.total", "normaliser": "number"},
    {"field": "properties.currency", "normaliser": "currency"},
    {"field": "properties.country", "normaliser": "country"},
    {"field": "properties.products[].category", "normaliser": "map", "options": {"values": {"shoes": "Footwear"}}},
]

TURNS = 4
# What the source of the treated messages does to those of `tests.benchmarks.shop`.
SHOP_STEPS = [
    {"op": "map", "path": "event", "values": {"Email Opened": "Mail Opened"}},
    {"op": "rename", "path": "properties.category", "to": "properties.product_category"},
    {"op": "drop", "path": "properties.debug"},
]
SHOP_PROPERTIES = {
    "product_category": {"type": "string", "maxLength": 40},
    "product_id": {"type": "string", "pattern": "^p[0-9]+$"},
    "channel": {"enum": ["web", "app"]},
    "position": {"type": "integer", "minimum": 0},
    "order_id": {"type": "string"},
    "revenue": {"type": "number", "minimum": 0},
    "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
}
SHOP_EVENTS = ("Page Viewed", "Product Viewed", "Product Added", "Order Completed", "Mail Opened", "App Opened")
SHOP_TRAITS = {"email": {"type": "string"}, "country": {"type": "string"}, "plan": {"type": "string"}}
SHOP_CLEANING = [
    {"field": "properties.product_category", "normaliser": "map", "options": {"values": {"shoes": "Footwear"}}},
    {"field": "properties.currency", "normaliser": "currency"},
    {"field": "traits.country", "normaliser": "country"},
    {"field": "traits.score", "normaliser": "number"},
]


def treat_messages(size: int) -> list[Row]:
    """Treat `size` orders of three products by three transformations, a plan and four normalisers."""
    transformations = compile_transformations({"steps": STEPS})
    rule = {"type": "track", "event": "Order Completed", "schema": SCHEMA}
    plan = compile_plan({"rules": [rule], "policies": {"unplanned_property": "drop"}})
    cleaning = compile_cleaning({"steps": CLEANING})
    planned = copy.deepcopy(ORDER)
    transformations.run(planned, "track")
    properties = planned["properties"]
    whole = Treatment(transformations, plan, cleaning)

    def treat(message: dict[str, Any]) -> None:
        transformations.run(message, "track")
        Treated(whole, {})("track", message["event"], message["properties"], None, message["context"], [])

    both = _each(size, treat)
    changed = _each(size, lambda message: transformations.run(message, "track"))
    judged = _alone(size, lambda: plan.judge("track", "Order Completed", properties, None, {}))
    validator = Draft202012Validator(SCHEMA)
    library = _alone(min(size, 2_000), lambda: validator.is_valid(properties))
    return [
        Row("transformations, 3 steps", f"{size:,} orders", f"{changed:.1f} µs CPU a message"),
        Row(
            "tracking plan, 10 properties in 3 products",
            f"{size:,} orders",
            f"{judged:.1f} µs CPU a message",
            yardstick=f"jsonschema, same schema: {library:,.0f} µs",
            ratio=f"{judged / library:.3f} times its time",
        ),
        Row("transformations, plan and 4 normalisers", f"{size:,} orders", f"{both:.1f} µs CPU a message"),
    ]


def _each(size: int, act: Callable[[dict[str, Any]], object]) -> float:
    """Return the CPU microseconds that an act takes on a fresh message."""
    messages = [copy.deepcopy(ORDER) for _ in range(size)]
    began = time.process_time()
    for message in messages:
        act(message)
    return (time.process_time() - began) * 1e6 / size


def _alone(size: int, act: Callable[[], object]) -> float:
    began = time.process_time()
    for _ in range(size):
        act()
    return (time.process_time() - began) * 1e6 / size


def process_treated(size: int) -> list[Row]:
    """Process `size` messages as they come and `size` with everything on, by turns in one product, about one crowd."""
    with own_product() as product:
        plain, treated = product.source("plain"), product.source("treated")
        product.call("POST", "/api/v1/purposes", {"key": "analytics", "name": "Analytics", "legal_basis": "consent"})
        count = max(2 * PER_REQUEST, size // TURNS)
        _timed(product, plain, count, 0, granting=True)
        _treat(product)
        taken = {plain: 0.0, treated: 0.0}
        for turn in range(2 * TURNS):
            key = treated if turn % 2 else plain
            taken[key] += _timed(product, key, count, 1 + turn)
        with product.connect() as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM profiles_event e JOIN ingestion_source s ON s.id = e.source_id"
                " WHERE s.key = 'treated'"
            )
            (stored,) = cursor.fetchone()
            if stored != TURNS * count:
                raise BenchmarkFailed(f"{stored} of {TURNS * count} messages of the treated source came through.")
        default, rate = (TURNS * count / taken[key] for key in (plain, treated))
    return [
        Row(
            "processing end to end with transformations, plan, cleaning and a required purpose",
            f"{TURNS} times {count:,} messages each, {count // 2:,} people",
            f"{rate:,.0f} messages/s",
            "≥ 10,000/s",
            f"as they come {default:,.0f} messages/s",
            f"{default / rate:.2f} times its time",
        )
    ]


def _treat(product: Product) -> None:
    rules = [
        {"type": "track", "event": event, "schema": {"type": "object", "properties": SHOP_PROPERTIES}}
        for event in SHOP_EVENTS
    ]
    rules.append({"type": "identify", "schema": {"type": "object", "properties": SHOP_TRAITS}})
    policies = {"unplanned_property": "allow"}
    product.call("PUT", "/api/v1/sources/treated/transformations", {"steps": SHOP_STEPS})
    product.call("PUT", "/api/v1/tracking-plans/treated", {"rules": rules, "policies": policies})
    product.call("PUT", "/api/v1/sources/treated/cleaning", {"steps": SHOP_CLEANING})
    product.call("PATCH", "/api/v1/sources/treated", {"required_purpose": "analytics"})


def _timed(product: Product, key: str, count: int, part: int, *, granting: bool = False) -> float:
    """Send one part as fast as it is taken; return the seconds until nothing waits any more."""
    make = partial(_shop_requests, key, count, part, granting)
    sent = run_load(product.base_url, make, processes=1, threads=1)
    sent_at = time.monotonic()
    product.settle(every=0.02)
    return sent.seconds + time.monotonic() - sent_at


def _shop_requests(key: str, count: int, part: int, granting: bool, _: int, __: int) -> Requests:
    items = messages(part, count=count, people=max(1, count // 2), named=f"{part}-{time.time_ns()}")
    more = orjson.dumps({"context": {"consent": {"categoryPreferences": {"analytics": True}}}}) if granting else b""
    bodies = (
        batch_body(items[start : start + PER_REQUEST])[:-1] + (b"," + more[1:] if more else b"}")
        for start in range(0, count, PER_REQUEST)
    )
    return [post_bytes("/v1/batch", key, body) for body in bodies]
