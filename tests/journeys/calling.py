"""Calling the running product as an integrator does, with nothing but HTTP."""

import base64
import json
import time
import urllib.request
import uuid
from typing import Any

from tests.journeys.conftest import Product


def post(product: Product, path: str, body: Any, *, key: str) -> dict[str, Any]:
    """POST JSON to a collection path; answers the body."""
    request = urllib.request.Request(
        product.base_url + path,
        data=json.dumps(body).encode(),
        headers={"Authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode()},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200
        return json.load(answer)


def call(product: Product, method: str, path: str, body: Any = None, *, key: str) -> dict[str, Any]:
    """Call the REST API; answers the body."""
    request = urllib.request.Request(
        product.base_url + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def new_source(product: Product, kind: str = "server") -> tuple[str, str]:
    """Make a source of its own; answers its name and write key."""
    name = f"source-{uuid.uuid4().hex[:10]}"
    made = call(product, "POST", "/api/v1/sources", {"key": name, "kind": kind}, key=new_key(product))
    return name, made["write_key"]


def new_key(product: Product, scopes: str = "administrator") -> str:
    """Return an API key of these scopes, made by the first who asks."""
    if scopes not in product.keys:
        name = f"key-{uuid.uuid4().hex[:10]}"
        product.keys[scopes] = product.manage("create_api_key", name, "--scopes", scopes)
    return product.keys[scopes]


def counts(product: Product, source: str, key: str) -> dict[str, int]:
    """Return the counts of one source."""
    status = call(product, "GET", "/api/v1/ingestion/status", key=key)
    return next(row for row in status["per_source"] if row["source"] == source)


def wait_for(condition, *, seconds: float = 60.0) -> None:
    """Wait until something holds."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"still not so after {seconds} s"
        time.sleep(0.2)
