"""What transformations, a tracking plan and cleaning cost a message, in CPU time, beside `jsonschema`."""

import copy
import time
from collections.abc import Callable
from typing import Any

from jsonschema import Draft202012Validator

from ingestion.treatment.cleaning import compile_cleaning
from ingestion.treatment.plans import compile_plan
from ingestion.treatment.transformations import compile_transformations
from ingestion.treatment.treatment import Treated, Treatment
from tests.benchmarks.report import Row

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
