"""Loading the demo into a product in miniature."""

import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from ingestion.demo import load, send
from ingestion.demo.errors import DemoBusy, ProductUnreachable, SendRefused
from ingestion.demo.load import Door, Loaded, load_demo
from tests.ingestion.demo_server import MiniatureProduct, miniature_product
from tests.ingestion.test_demo_data import needs_data

TODAY = date(2026, 11, 22)
Sent = tuple[MiniatureProduct, Loaded, str]
KEYS = {"store": "key-store", "web": "key-web", "crm": "key-crm"}


@pytest.fixture
def product() -> Iterator[MiniatureProduct]:
    with miniature_product() as server:
        yield server


def run(
    product: MiniatureProduct,
    data_dir: Path,
    *,
    households: int = 12,
    today: date = TODAY,
    pending: list[int] | None = None,
) -> tuple[Loaded, str]:
    out = io.StringIO()
    waiting = pending or []
    door = Door(product.base_url, KEYS, "cdp_key", lambda: waiting.pop(0) if waiting else 0)
    loaded = load_demo(door=door, data_dir=data_dir, households=households, today=today, stream=out)
    return loaded, out.getvalue()


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sent]:
    """A product that 40 households were sent to."""
    with miniature_product() as server:
        loaded, text = run(server, tmp_path_factory.mktemp("demo"), households=40)
        yield server, loaded, text


def by_event(product: MiniatureProduct) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for message in product.messages:
        found.setdefault(message.get("event") or message["type"], []).append(message)
    return found


@needs_data
def test_sends_every_order_with_its_lines_and_the_card(sent: Sent) -> None:
    product, loaded, _ = sent
    orders = by_event(product)["Order Completed"]
    assert len(orders) == loaded.orders > 0
    for order in orders:
        properties = order["properties"]
        assert properties["revenue"] == properties["total"]
        # Prices are rounded to 1/100 cent per unit, so that a line of n units may be off by n · 0.00005.
        slack = sum(line["quantity"] for line in properties["products"]) * 0.00005 + 0.001
        worth = sum(line["price"] * (line["quantity"] or 1) for line in properties["products"])
        assert abs(worth - properties["revenue"]) <= slack
        assert properties["currency"] == "USD"
        assert "userId" not in order
        assert "anonymousId" not in order
        (external,) = order["context"]["externalIds"]
        assert external["type"] == "loyalty_id"
        assert external["collection"] == "users"
        assert len(external["id"]) == 13


@needs_data
def test_ends_yesterday_and_gives_times_that_need_no_correction(sent: Sent) -> None:
    product, _, _ = sent
    times = [message["timestamp"] for message in product.messages]
    assert max(times).startswith("2026-11-21") or max(times).startswith("2026-11-20")
    assert max(times) < "2026-11-22"
    assert all(message["originalTimestamp"] == message["timestamp"] for message in product.messages)
    for _, batch, _ in product.batches:
        assert abs((datetime.now(UTC) - datetime.fromisoformat(batch["sentAt"])).total_seconds()) < 120


@needs_data
def test_sends_the_people_before_their_year(sent: Sent) -> None:
    product, _, _ = sent
    kinds = [message.get("event") or message["type"] for message in product.messages]
    assert kinds[:40] == ["identify"] * 40
    assert max(n for n, kind in enumerate(kinds) if kind == "identify") < kinds.index("Order Completed")


@needs_data
def test_sends_the_newest_week_first(sent: Sent) -> None:
    product, _, _ = sent
    times = [order["timestamp"] for order in by_event(product)["Order Completed"]]
    assert times[0] > "2026-11-13"
    assert min(times) in times[-len(times) // 40 :]


@needs_data
def test_uses_the_key_of_each_source(sent: Sent) -> None:
    product, _, _ = sent
    for key, batch, _ in product.batches:
        for message in batch["batch"]:
            web = "anonymousId" in message
            stated = message["type"] == "identify" or message.get("event") == "Segment Consent Preference Updated"
            assert key == ("key-web" if web else "key-crm" if stated else "key-store")


@needs_data
def test_marks_what_is_invented(sent: Sent) -> None:
    product, _, _ = sent
    events = by_event(product)
    assert all(message["traits"]["invented_contact"] is True for message in events["identify"])
    for name in ("page", "Product Viewed", "Product Added", "Checkout Started"):
        assert all(message["properties"]["invented"] is True for message in events[name])
    assert not any("invented" in message["properties"] for message in events["Order Completed"])


@needs_data
def test_carries_nothing_but_the_choice_in_a_consent_event(sent: Sent) -> None:
    product, _, _ = sent
    for message in by_event(product)["Segment Consent Preference Updated"]:
        assert message["properties"] == {}
        assert set(message["context"]["consent"]["categoryPreferences"]) == {
            "marketing",
            "analytics",
            "personalization",
        }


@needs_data
def test_gives_each_message_an_id_that_is_the_same_next_time(product: MiniatureProduct, tmp_path: Path) -> None:
    run(product, tmp_path)
    first = [message["messageId"] for message in product.messages]
    assert len(set(first)) == len(first)
    product.batches.clear()
    run(product, tmp_path, today=date(2027, 1, 1))
    assert [message["messageId"] for message in product.messages] == first


@needs_data
def test_keeps_requests_small(sent: Sent) -> None:
    product, _, _ = sent
    assert max(size for _, _, size in product.batches) < 1.1 * load.CHUNK_BYTES
    assert max(len(batch["batch"]) for _, batch, _ in product.batches) <= load.CHUNK_MESSAGES
    assert max(len(orjson.dumps(message)) for message in product.messages) < 256 * 1024


@needs_data
def test_makes_purposes_a_notice_and_live_segments_once(product: MiniatureProduct, tmp_path: Path) -> None:
    run(product, tmp_path)
    run(product, tmp_path)
    counts = {kind: Counter(row["key"] for row in rows) for kind, rows in product.made.items()}
    assert set(counts["purposes"]) == {"marketing", "analytics", "personalization"}
    assert len(counts["segments"]) == 6
    assert {count for kind in counts.values() for count in kind.values()} == {1}
    assert {segment["status"] for segment in product.made["segments"]} == {"live"}


@needs_data
def test_goes_on_where_it_was_stopped_with_the_same_days(product: MiniatureProduct, tmp_path: Path) -> None:
    run(product, tmp_path)
    whole = [batch["batch"] for _, batch, _ in product.batches]
    product.batches.clear()
    other = tmp_path / "other"
    other.mkdir()
    product.stop_after = 5
    with pytest.raises(SendRefused, match="No more, says the test"):
        run(product, other)
    product.stop_after = None
    loaded, text = run(product, other, today=date(2026, 12, 24))
    assert loaded.resumed == 5
    assert "goes on" in text
    assert [batch["batch"] for _, batch, _ in product.batches] == whole


@needs_data
def test_waits_as_long_as_the_product_asks(
    product: MiniatureProduct, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(send.time, "sleep", waits.append)
    product.answers_before_good = [(429, {"Retry-After": "7"}), (503, {"Retry-After": "2"}), (503, {})]
    run(product, tmp_path)
    assert waits[:2] == [7, 2]
    assert len(waits) == 3
    assert len(product.messages) == len({message["messageId"] for message in product.messages})


@needs_data
def test_lets_the_product_catch_up(product: MiniatureProduct, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(load.time, "sleep", waits.append)
    most = load.PENDING_LIMIT
    pending = [most + 1, most + 1, most]
    run(product, tmp_path, pending=pending)
    assert (len(waits), pending) == (2, [])


@needs_data
def test_shows_a_bar_and_a_rate(sent: Sent) -> None:
    _, loaded, text = sent
    last = text.splitlines()[-1]
    assert "[############################] 100%" in last
    assert f"{loaded.orders:,} of {loaded.orders:,} orders" in last
    assert "messages/s" in last


@needs_data
def test_refuses_to_run_beside_itself(product: MiniatureProduct, tmp_path: Path) -> None:
    with load._only_one(tmp_path / "demo.lock"), pytest.raises(DemoBusy):
        run(product, tmp_path)


def test_says_that_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(send, "PATIENCE_SECONDS", 0)
    connection = send.Connection("http://127.0.0.1:1")
    with pytest.raises(ProductUnreachable, match="did not take a request"):
        connection.collect(write_key="key", body=b"{}")


def test_starts_afresh_when_the_households_differ(tmp_path: Path) -> None:
    mark = load.Mark(TODAY, 12, 4)
    load.write_mark(tmp_path / "mark", mark)
    assert load.read_mark(tmp_path / "mark") == mark
    assert replace(mark, chunks=5) == mark.advance()
    (tmp_path / "mark").write_text("{")
    assert load.read_mark(tmp_path / "mark") is None
