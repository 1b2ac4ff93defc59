"""The server SDKs, unmodified, each in a process of its own, with everything that goes wrong on the way."""

import datetime
import json
import os
import shutil
import subprocess
import sys
import uuid
from urllib.parse import quote

import pytest

from tests.journeys.calling import call, counts, new_key, new_source, wait_for
from tests.journeys.conftest import Product
from tests.journeys.sdks import legacy_python_sdk, node_sdks
from tests.journeys.stumbling import LOSE, stumbling_way

pytestmark = pytest.mark.journey

SDK_SECONDS = 60
SETTLE_SECONDS = 60
HOUR = 3600
# What each SDK calls itself.
PYTHON = dict.fromkeys(("segment", "rudder", "customerio", "legacy"), "analytics-python")
NODE = {
    "segment": "@segment/analytics-node",
    "rudder": "analytics-node",
    "legacy": "analytics-node",
    "customerio": "@customerio/cdp-analytics-node",
}
SDKS = [("python", sdk) for sdk in PYTHON] + [("node", sdk) for sdk in NODE]
IDS = ["-".join(pair) for pair in SDKS]


@pytest.fixture(scope="module")
def key(product: Product) -> str:
    return new_key(product)


def send(language: str, sdk: str, *, host: str, write_key: str, person: str, skew: int = 0) -> list[str]:
    """Let an SDK send an identify, a track and a page; answers the faults that it reported."""
    given: dict[str, object] = {
        "sdk": sdk,
        "host": host,
        "key": write_key,
        "person": person,
        "properties": {"order_id": f"o-{person}", "total": 39.9, "products": [{"sku": "ä-1", "quantity": 2}]},
    }
    env = os.environ | {"SKEW_SECONDS": str(skew)}
    if language == "node":
        folder = node_sdks()
        node = shutil.which("node")
        assert node is not None
        command = [node, "--require", str(folder / "skew.cjs"), str(folder / "send.mjs")]
    else:
        command = [sys.executable, os.path.join(os.path.dirname(__file__), "python_send.py")]
        given["options"] = {"upload_interval": 0.05} | ({"gzip": True} if sdk in {"segment", "customerio"} else {})
        if sdk == "legacy":
            env["PYTHONPATH"] = str(legacy_python_sdk())
    done = subprocess.run(
        [*command, json.dumps(given)], env=env, capture_output=True, text=True, check=False, timeout=SDK_SECONDS
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def events_of(product: Product, person: str, key: str) -> dict[str, dict]:
    """Return the events of a person by type."""
    found = call(product, "GET", f"/api/v1/profiles?identifier={quote(f'user_id:{person}')}", key=key)["results"]
    events = call(product, "GET", f"/api/v1/profiles/{found[0]['id']}/events", key=key)["results"]
    assert len(events) == len({event["type"] for event in events}), events
    return {event["type"]: event for event in events}


@pytest.mark.parametrize(("language", "sdk"), SDKS, ids=IDS)
def test_every_message_arrives_once_and_right_on_a_way_that_stumbles(
    product: Product, key: str, language: str, sdk: str
):
    source, write_key = new_source(product)
    person = f"p-{uuid.uuid4().hex[:8]}"
    # Refused, unavailable, then delivered with the answer lost; and the machine's clock is an hour behind.
    with stumbling_way(product.base_url, 429, 503, LOSE) as way:
        faults = send(language, sdk, host=way.url, write_key=write_key, person=person, skew=-HOUR)
    assert faults == []
    assert way.stumbles == []
    # What had been delivered when its answer was lost came once more; it may be processed after the first one.
    wait_for(lambda: counts(product, source, key)["duplicate"] >= 1, seconds=SETTLE_SECONDS)
    wait_for(lambda: counts(product, source, key)["accepted"] == 3, seconds=SETTLE_SECONDS)
    counted = counts(product, source, key)
    assert counted["quarantined"] == counted["rejected"] == 0

    events = events_of(product, person, key)
    assert events["track"]["name"] == "Order Completed"
    assert events["track"]["properties"] == {
        "order_id": f"o-{person}",
        "total": 39.9,
        "products": [{"sku": "ä-1", "quantity": 2}],
    }
    assert events["page"]["properties"]["url"] == "https://shop.example/docs"
    assert events["track"]["context"]["library"]["name"] == (PYTHON if language == "python" else NODE)[sdk]
    found = call(
        product, "POST", "/api/v1/profiles/lookup",
        {"identifier": {"type": "email", "value": f"{person}@customer.example"}}, key=key,
    )  # fmt: skip
    assert found["traits"]["plan"]["value"] == "pro"
    for event in events.values():
        assert_clock_is_corrected(event, sends_sent_at=(language, sdk) != ("node", "customerio"))


def assert_clock_is_corrected(event: dict, *, sends_sent_at: bool) -> None:
    """Check that an hour of skew is gone; without `sentAt` nobody can know of it, and the given time stands."""
    occurred_at, received_at, original = (
        datetime.datetime.fromisoformat(event[name]) for name in ("occurred_at", "received_at", "original_timestamp")
    )
    behind = (received_at - original).total_seconds()
    assert HOUR - 5 < behind < HOUR + 60
    expected = 0 if sends_sent_at else HOUR
    # What is left is the time on the way: retries included where the SDK keeps its first `sentAt`.
    assert -1 < (received_at - occurred_at).total_seconds() - expected < 30


@pytest.mark.parametrize(("language", "sdk"), SDKS, ids=IDS)
def test_an_sdk_with_a_wrong_key_gives_up_and_is_counted(product: Product, key: str, language: str, sdk: str):
    def unattributed() -> int:
        return call(product, "GET", "/api/v1/ingestion/status", key=key)["unattributed"]

    before = unattributed()
    faults = send(language, sdk, host=product.base_url, write_key=f"wrong-{uuid.uuid4().hex[:8]}", person="nobody")
    assert faults or (language, sdk) == ("python", "legacy")
    assert unattributed() > before
