"""Exchange rates: given by REST, CSV and page; orders are also kept in the installation's currency."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from cdp.core.services.jobs import run_jobs
from profiles.models import ExchangeRate, Order
from tests.profiles.sending import NOW, send
from tests.world import api, signed_in

pytestmark = pytest.mark.django_db
PATH = "/api/v1/exchange-rates"


@pytest.fixture
def client() -> Any:
    return api("sources:write")


def order(name: str, currency: str | None, revenue: float, days: int = 0) -> dict[str, Any]:
    """Return a completed order."""
    properties = {"order_id": name, "currency": currency, "revenue": revenue, "total": revenue * 2}
    at = (NOW - timedelta(days=days)).isoformat()
    return {"type": "track", "event": "Order Completed", "userId": "u1", "timestamp": at, "properties": properties}


def rate(day: str, value: Any, currency: str = "USD") -> dict[str, Any]:
    """Return a rate; the present of the tests is 2026-03-14."""
    return {"date": day, "currency": currency, "rate": value}


def converted() -> dict[str, float | None]:
    """Return the revenue in EUR by order id."""
    rows = Order.objects.values_list("order_id", "converted")
    return {order_id: None if value is None else float(value) for order_id, value in rows}


def test_converts_by_the_last_rate_on_or_before_the_day_and_keeps_the_original(client):
    client.post(PATH, {"rates": [rate("2026-03-01", 0.5), rate("2026-03-14", "0.8")]}, format="json")
    send(order("A", "usd", 10), order("B", "USD", 10, days=1), order("C", "USD", 10, days=30), order("D", None, 10))
    assert converted() == {"A": 8, "B": 5, "C": None, "D": 10}
    properties = Order.objects.get(order_id="A").properties
    assert {name: properties[name] for name in ("revenue", "total", "currency", "converted_total")} == {
        "revenue": 10,
        "total": 20,
        "currency": "usd",
        "converted_total": 16,
    }


def test_converts_orders_anew_when_rates_change(client):
    send(order("A", "USD", 10), order("B", "GBP", 10))
    assert client.get(f"{PATH}/missing").json()["results"] == [
        {"currency": currency, "orders": 1, "first_at": "2026-03-14T15:09:26.000Z"} for currency in ("GBP", "USD")
    ]
    answer = client.post(PATH, rate("2026-01-01", "0.25"), format="json")
    assert answer.json() == {"created": 1, "changed": 0, "unchanged": 0}
    run_jobs()
    assert converted() == {"A": 2.5, "B": None}
    client.post(PATH, rate("2026-01-01", "0.5"), format="json")
    run_jobs()
    assert converted() == {"A": 5, "B": None}
    client.delete(f"{PATH}/{ExchangeRate.objects.get().pk}")
    run_jobs()
    assert converted() == {"A": None, "B": None}


def test_takes_a_csv_file_and_the_same_again_changes_nothing(client):
    text = "\ufeffDate;Currency;Rate\r\n2026-03-01;usd;0.5\r\n2026-03-01;GBP;1.16\r\n"
    for expected in ((2, 0, 0), (0, 0, 2)):
        file = SimpleUploadedFile("rates.csv", text.encode(), "text/csv")
        answer = client.post(PATH, {"file": file}, format="multipart")
        assert answer.json() == dict(zip(("created", "changed", "unchanged"), expected, strict=True))
    listed = client.get(f"{PATH}?currency=usd").json()["results"]
    assert [(one["date"], one["currency"], one["rate"]) for one in listed] == [("2026-03-01", "USD", "0.5")]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (rate("2026-03-32", 1), "date must be a day"),
        (rate("2026-03-01", 0), "above 0"),
        (rate("2026-03-01", "NaN"), "above 0"),
        (rate("2026-03-01", "1,5"), "number with a point"),
        (rate("2026-03-01", "1" * 99), "above 0"),
        (rate("2026-03-01", 1, "DOLLAR"), "three letters"),
        (rate("2026-03-01", 1, "EUR"), "own currency"),
        ({"rates": []}, "Give 1 to"),
        ({"rates": ["x"]}, "CSV file"),
        ([1], "CSV file"),
    ],
)
def test_refuses_what_is_no_rate_and_says_why(client, body, said):
    answer = client.post(PATH, body, format="json")
    assert answer.status_code == 400
    assert said in answer.json()["detail"]
    assert not ExchangeRate.objects.exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe", "UTF-8"),
        (b"", "columns date, currency, rate"),
        (b"date,currency\n2026-01-01,USD\n", "rate is missing"),
        (b"date,currency,rate\n2026-01-01,USD,1\nx,USD,1\n", "line[3]"),
    ],
)
def test_refuses_a_file_with_a_fault_and_names_the_line(client, content, said):
    answer = client.post(PATH, {"file": SimpleUploadedFile("rates.csv", content)}, format="multipart")
    assert answer.status_code in {400}
    assert said in answer.json()["detail"]


def test_needs_the_scope():
    reader = api("sources:read")
    assert reader.get(PATH).status_code == 200
    assert reader.post(PATH, rate("2026-01-01", 1), format="json").status_code == 403
    assert reader.delete(f"{PATH}/1").status_code == 403
    assert api("segments:write").get(PATH).status_code == 403


def test_is_set_and_taken_away_on_the_page():
    send(order("A", "USD", 10))
    browser = signed_in("ivo")
    assert "Orders without a rate" in browser.get("/exchange-rates").content.decode()
    browser.post("/exchange-rates", {"date": "2026-03-01", "currency": "usd", "rate": "0.5"})
    run_jobs()
    page = browser.get("/exchange-rates").content.decode()
    assert "Orders without a rate" not in page
    assert "0.5" in page
    browser.post(f"/exchange-rates/{ExchangeRate.objects.get().pk}/deleted")
    assert not ExchangeRate.objects.exists()
