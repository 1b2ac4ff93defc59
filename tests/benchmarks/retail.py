"""The facts of Online Retail, reproduced through the product: a year of orders sent with their original times.

The data comes from the shared folder beside the repository and is not part of it. Each invoice is one event; counts of
people are saved segments, totals a computed trait over everyone, and what is "as of" a day a preview with that `now`.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from http.client import HTTPConnection
from typing import Any

import orjson

from tests.benchmarks.product import REPOSITORY, BenchmarkFailed, Product, own_product
from tests.benchmarks.report import Row

DATA = REPOSITORY.parent / "shared" / "data" / "behaviour" / "online_retail.parquet"
AS_OF = "2011-12-10T00:00:00Z"
HOME = "United Kingdom"
NAME = "Order Completed"
PER_REQUEST = 200
ALL_TIME = {"all_time": True}


def _orders(window: dict[str, Any], least: int = 1, **more: Any) -> dict[str, Any]:
    return {"type": "event", "name": NAME, "window": window, "op": "gte", "value": least, **more}


def _between(start: str, end: str, least: int = 1) -> dict[str, Any]:
    return _orders({"from": start, "to": end}, least)


def _all(*of: Any) -> dict[str, Any]:
    return {"type": "all", "of": list(of)}


def _started_then(month: str, after: str) -> dict[str, Any]:
    return _all(_orders({"to": "2011-01-01"}), _between(f"2011-{month}-01", after))


FIVES, ONES, GOOD = [5], [1], [4, 5]
SAVED: dict[str, tuple[dict[str, Any], int]] = {
    "customers": ({"type": "everyone"}, 4_338),
    "at least 2 orders": (_orders(ALL_TIME, 2), 2_845),
    "at least 3 orders": (_orders(ALL_TIME, 3), 2_010),
    "at least 10 orders": (_orders(ALL_TIME, 10), 391),
    "at least 3 orders from 2011-09-10 to 2011-12-09": (_between("2011-09-10", "2011-12-09", 3), 744),
    "bought in the first half of 2011, not since 2011-07-01": (
        _all(_between("2011-01-01", "2011-07-01"), {"type": "not", "of": _orders({"from": "2011-07-01"})}),
        853,
    ),
    "customers outside the United Kingdom": (
        _orders(ALL_TIME, where={"property": "country", "op": "ne", "value": HOME}),
        418,
    ),
    "customers with more than one country": (
        _orders(ALL_TIME, 2, measure={"fn": "distinct", "property": "country"}),
        8,
    ),
    "first bought in 2010-12": (_orders({"to": "2011-01-01"}), 885),
    "of these active one month later": (_started_then("01", "2011-02-01"), 324),
    "of these active two months later": (_started_then("02", "2011-03-01"), 286),
    "of these active eleven months later": (_started_then("11", "2011-12-01"), 445),
}
PREVIEWED: dict[str, tuple[dict[str, Any], int]] = {
    "3 orders in 30 days and revenue over 1,000 in 365, as of 2011-12-10": (
        _all(
            _orders({"last": "P30D"}, 3),
            {**_orders({"last": "P365D"}, measure={"fn": "sum", "property": "revenue"}), "op": "gt", "value": 1000},
        ),
        207,
    ),
    "RFM 5-5-5, as of 2011-12-10": ({"type": "rfm", "r": FIVES, "f": FIVES, "m": FIVES}, 348),
    "RFM 1-1-1, as of 2011-12-10": ({"type": "rfm", "r": ONES, "f": ONES, "m": ONES}, 185),
    "RFM all at least 4, as of 2011-12-10": ({"type": "rfm", "r": GOOD, "f": GOOD, "m": GOOD}, 946),
}
TOTALS: dict[str, tuple[dict[str, Any], str, float]] = {
    "lines": ({"fn": "sum", "property": "lines"}, "total", 397_884),
    "orders": ({"fn": "count"}, "total", 18_532),
    "most orders of one customer": ({"fn": "count"}, "most", 209),
    "revenue": ({"fn": "sum", "property": "revenue"}, "total", 8_911_407.90),
}


def online_retail(_: int) -> list[Row]:
    """Send a year of orders and find every fact again."""
    if not DATA.exists():
        raise BenchmarkFailed(f"{DATA} is missing: the data set is not part of the project.")
    with own_product(CDP_CURRENCY="GBP") as product:
        sent = _send(product, product.source("shop"))
        product.settle()
        size = f"{sent:,} orders"
        rows = []
        for place, (name, (match, expected)) in enumerate(SAVED.items()):
            content = {"key": f"fact-{place}", "name": name, "definition": _definition(match), "status": "live"}
            found = product.call("POST", "/api/v1/segments", content)["count"]
            rows.append(_row(name, size, found, expected))
        for name, (match, expected) in PREVIEWED.items():
            body = {"definition": _definition(match), "now": AS_OF}
            rows.append(_row(name, size, product.call("POST", "/api/v1/segments/preview", body)["count"], expected))
        for place, (name, (compute, part, total)) in enumerate(TOTALS.items()):
            definition = {"version": 1, "timezone": "UTC", "compute": {"type": "summary", "name": NAME, **compute}}
            content = {"key": f"fact_{place}", "name": name, "definition": definition, "status": "live"}
            product.call("POST", "/api/v1/computed-traits", content)
            numbers = product.call("GET", f"/api/v1/computed-traits/fact_{place}/summary")["numbers"]
            rows.append(_row(name, size, numbers[part], total))
        return rows


def _definition(match: dict[str, Any]) -> dict[str, Any]:
    return {"version": 1, "timezone": "UTC", "match": match}


def _row(name: str, size: str, found: float, expected: float) -> Row:
    exact = abs(found - expected) < 0.005
    verdict = "as it must be" if exact else f"WRONG: must be {expected:,}"
    return Row(f"Online Retail: {name}", size, f"{found:,}, {verdict}", f"{expected:,}")


def _send(product: Product, write_key: str) -> int:
    http: HTTPConnection = product.http()
    headers = {"X-Write-Key": write_key, "Content-Type": "application/json"}
    waiting: list[dict[str, Any]] = []
    sent = 0
    for order in _invoices():
        waiting.append(order)
        sent += 1
        if len(waiting) == PER_REQUEST:
            _post(http, headers, waiting)
            waiting = []
    _post(http, headers, waiting)
    http.close()
    return sent


def _post(http: HTTPConnection, headers: dict[str, str], items: list[dict[str, Any]]) -> None:
    http.request("POST", "/v1/batch", body=orjson.dumps({"batch": items}), headers=headers)
    answer = http.getresponse()
    answer.read()
    if answer.status != 200:
        raise BenchmarkFailed(f"The product answered {answer.status} to a batch of orders.")


def _invoices() -> Iterator[dict[str, Any]]:
    """Yield one message for each invoice of a known customer that is no cancellation, free lines left out."""
    import pyarrow.parquet as pq

    lines: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in pq.read_table(DATA).to_pylist():
        known = line["CustomerID"] is not None and line["CustomerID"] == line["CustomerID"]
        if known and not line["InvoiceNo"].startswith("C") and line["Quantity"] > 0 and line["UnitPrice"] > 0:
            lines[line["InvoiceNo"]].append(line)
    for number, of_invoice in lines.items():
        first = min(of_invoice, key=lambda line: line["InvoiceDate"])
        at: datetime = first["InvoiceDate"].replace(tzinfo=UTC)
        amount = sum((Decimal(str(one["Quantity"])) * Decimal(str(one["UnitPrice"])) for one in of_invoice), Decimal(0))
        yield {
            "type": "track",
            "messageId": f"invoice-{number}",
            "userId": str(int(first["CustomerID"])),
            "event": NAME,
            "timestamp": at.isoformat(),
            "properties": {
                "order_id": number,
                "revenue": float(amount),
                "currency": "GBP",
                "country": first["Country"],
                "lines": len(of_invoice),
            },
        }
