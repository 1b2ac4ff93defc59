"""The real Segment SDK for Python against the running product, and raw requests that only a real server can answer."""

import datetime
import http.client
import time
import uuid
from collections.abc import Callable
from urllib.parse import quote

import pytest
from segment.analytics.client import Client

from tests.journeys.calling import call, counts, new_key, new_source, post, wait_for
from tests.journeys.conftest import Product

pytestmark = pytest.mark.journey

SETTLE_SECONDS = 60


def sdk(product: Product, write_key: str, **options: object) -> tuple[Client, list[Exception]]:
    """Return a client of the SDK and the errors that it will report."""
    errors: list[Exception] = []
    client = Client(
        write_key,
        host=product.base_url,
        on_error=lambda error, _: errors.append(error),
        max_retries=1,
        upload_interval=0.05,
        **options,
    )
    return client, errors


def profile(product: Product, key: str, identifier: str) -> dict[str, object] | None:
    """Return the profile that an identifier belongs to."""
    found = call(product, "GET", f"/api/v1/profiles?identifier={quote(identifier)}", key=key)["results"]
    return found[0] if found else None


@pytest.mark.parametrize("gzip", [False, True])
def test_takes_every_call_of_the_sdk_to_the_profile(product: Product, gzip: bool):
    source, write_key = new_source(product)
    key = new_key(product)
    person = f"sdk-{uuid.uuid4().hex[:8]}"
    client, errors = sdk(product, write_key, gzip=gzip)
    happened_at = datetime.datetime(2026, 3, 14, 15, 9, 26, 535000, tzinfo=datetime.UTC)
    client.page(
        anonymous_id=f"anon-{person}", category="Docs", name="Home", properties={"url": "https://shop.example/"}
    )
    client.identify(person, {"email": f"{person}@customer.example", "plan": "pro"}, anonymous_id=f"anon-{person}")
    client.track(person, "Order Completed", {"order_id": "o-1", "total": 39.9}, timestamp=happened_at)
    client.screen(person, "Checkout", "Cart")
    client.group(person, f"group-{person}", {"name": "Initech"})
    client.alias(f"old-{person}", person)
    client.flush()
    client.join()
    assert errors == []
    wait_for(lambda: counts(product, source, key)["accepted"] == 6, seconds=SETTLE_SECONDS)
    assert counts(product, source, key)["received"] == 6

    known = profile(product, key, f"user_id:{person}")
    assert known is not None
    assert known["traits"]["plan"]["value"] == "pro"
    assert known["traits"]["email"]["source"] == source
    for identifier in (f"email:{person}@customer.example", f"anonymous_id:anon-{person}"):
        other = profile(product, key, identifier)
        assert other is not None
        assert other["id"] == known["id"]
    events = call(product, "GET", f"/api/v1/profiles/{known['id']}/events", key=key)["results"]
    order = next(event for event in events if event["name"] == "Order Completed")
    assert order["properties"] == {"order_id": "o-1", "total": 39.9}
    assert order["context"]["library"]["name"] == "analytics-python"
    # Historical times survive the correction, because sentAt is about the receipt: to within the way here.
    stored = datetime.datetime.fromisoformat(order["occurred_at"])
    assert abs(stored - happened_at) < datetime.timedelta(seconds=30)


def test_delivers_many_messages_in_the_background_without_loss(product: Product):
    source, write_key = new_source(product)
    key = new_key(product)
    client, errors = sdk(product, write_key, thread=2)
    for number in range(500):
        client.track(f"{source}-{number % 50}", "Seen", {"number": number})
    client.flush()
    client.join()
    assert errors == []
    wait_for(lambda: counts(product, source, key)["accepted"] == 500, seconds=SETTLE_SECONDS)


def failing(call: Callable[[], object]) -> float:
    """Run a call of the SDK that must fail; return how long it took."""
    began = time.monotonic()
    with pytest.raises(Exception) as error:  # noqa: PT011 - the SDK's errors share no base
        call()
    assert getattr(error.value, "status", None) == 401
    return time.monotonic() - began


def test_tells_the_sdk_that_its_key_is_wrong_at_once(product: Product):
    client = Client("no-such-key", host=product.base_url, sync_mode=True, max_retries=10)
    # A reply that the SDK cannot read is retried ten times with a growing pause.
    assert failing(lambda: client.track("someone", "Seen")) < 10


def raw(
    product: Product, method: str, path: str, body: bytes, **headers: str
) -> tuple[int, http.client.HTTPMessage, bytes]:
    """Send bytes and return status, headers and body."""
    host, _, port = product.base_url.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    read = answer.status, answer.headers, answer.read()
    connection.close()
    return read


def test_answers_413_to_ten_megabytes_while_they_are_still_being_sent(product: Product):
    _, write_key = new_source(product)
    status, headers, body = raw(product, "POST", "/v1/batch", b"x" * (10 * 1024 * 1024), X_Write_Key=write_key)
    assert status == 413
    assert b'"message"' in body
    assert headers["Access-Control-Allow-Origin"] == "*"


def test_reads_a_body_in_chunks(product: Product):
    source, write_key = new_source(product)
    host, _, port = product.base_url.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    parts = iter([b'{"batch": [{"type": "track", ', b'"event": "A", "userId": "chunky"}]}'])
    connection.request("POST", "/v1/batch", parts, {"X-Write-Key": write_key}, encode_chunked=True)
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b'{"success": true}')
    connection.close()
    key = new_key(product, "sources:read")
    wait_for(lambda: counts(product, source, key)["accepted"] == 1, seconds=SETTLE_SECONDS)


def test_answers_a_preflight_of_a_browser(product: Product):
    status, headers, body = raw(
        product,
        "OPTIONS",
        "/v1/t",
        b"",
        Origin="https://shop.example",
        Access_Control_Request_Method="POST",
        Access_Control_Request_Headers="authorization,x-retry-count",
    )
    assert (status, body) == (204, b"")
    assert headers["Access-Control-Allow-Headers"] == "authorization,x-retry-count"


def test_follows_a_message_from_the_door_to_its_outcome(product: Product):
    source, write_key = new_source(product)
    key = new_key(product, "sources:read")
    message_id = f"message-{uuid.uuid4()}"
    track = {"type": "track", "event": "Seen", "userId": "u", "messageId": message_id}
    post(product, "/v1/track", track, key=write_key)
    path = f"/api/v1/messages/{message_id}?source={source}"
    assert call(product, "GET", path, key=key)["outcome"] in {"pending", "accepted"}
    wait_for(lambda: call(product, "GET", path, key=key)["outcome"] == "accepted", seconds=SETTLE_SECONDS)
    for _ in range(2):
        post(product, "/v1/batch", {"batch": [track]}, key=write_key)
    product.manage("drain")
    assert call(product, "GET", path, key=key)["copies"] == 3
    assert counts(product, source, key)["duplicate"] == 2
    assert counts(product, source, key)["pending"] == 0
