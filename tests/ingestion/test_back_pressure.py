"""Senders are told to wait before anything accepted could be lost."""

import shutil

import pytest
from django.db import connection
from django.test import Client, override_settings

from cdp.core.queries.metrics import read_metrics
from ingestion.collecting.pressure import forget_pressure, refresh_pressure
from ingestion.queries.pressure import EXACT_REQUESTS, read_pressure
from tests.ingestion.door import TRACK, inbox, make_source, outcomes, post, process
from tests.world import signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh():
    forget_pressure()
    yield
    forget_pressure()


def batch(items: int, start: int = 0) -> dict[str, object]:
    return {"batch": [{**TRACK, "messageId": f"m-{number}"} for number in range(start, start + items)]}


@override_settings(CDP_INBOX_LIMIT=5)
def test_refuses_past_the_limit_and_loses_nothing():
    key = make_source()
    refresh_pressure()
    assert post("/v1/batch", batch(3), key).status_code == 200
    refresh_pressure()
    assert post("/v1/batch", batch(3, 3), key).status_code == 200
    refresh_pressure()
    for path, body in (("/v1/batch", batch(1, 6)), ("/v1/track", TRACK), ("/v1/track", {"type": "nonsense"})):
        refused = post(path, body, key)
        assert (refused.status_code, refused.json()["code"]) == (429, "ingestion.inbox_full")
        assert refused.json()["message"]
        assert 1 <= int(refused["Retry-After"]) <= 300
        assert refused["Access-Control-Allow-Origin"] == "*"
        assert refused["Access-Control-Expose-Headers"] == "Retry-After"
    assert sum(entry.items for entry in inbox()) == 6
    process()
    refresh_pressure()
    assert post("/v1/batch", batch(1, 6), key).status_code == 200
    process()
    # Not one refused request was counted: its sender sends it again.
    assert outcomes() == {"accepted": 7}


@override_settings(CDP_INBOX_LIMIT=1)
def test_asks_to_wait_the_longer_the_more_waits():
    key = make_source()
    post("/v1/batch", batch(1), key)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE ingestion_inbox SET items = 100001")
        refresh_pressure()
        # 100 000 too many, 2 000 done a second.
        assert post("/v1/batch", batch(1), key)["Retry-After"] == "50"
        cursor.execute("UPDATE ingestion_inbox SET items = 100000001")
        refresh_pressure()
        assert post("/v1/batch", batch(1), key)["Retry-After"] == "300"


@override_settings(CDP_INBOX_LIMIT=1)
def test_takes_pixels_past_the_limit_because_nobody_sends_them_again():
    key = make_source()
    post("/v1/track", TRACK, key)
    refresh_pressure()
    assert Client().get(f"/v1/pixel/track?writeKey={key}&event=A&userId=u").status_code == 200
    assert len(inbox()) == 2


def test_refuses_while_the_disk_is_nearly_full(settings):
    key = make_source()
    settings.CDP_FREE_DISK_MB = shutil.disk_usage(settings.CDP_DATA_DIR).total // 1024**2 + 1
    refresh_pressure()
    refused = post("/v1/track", TRACK, key)
    assert (refused.status_code, refused.json()["code"]) == (503, "ingestion.disk_nearly_full")
    assert int(refused["Retry-After"]) == 60
    assert Client().get(f"/v1/pixel/track?writeKey={key}&event=A&userId=u")["Content-Type"] == "image/gif"
    assert inbox() == []
    ready = Client().get("/readyz").json()
    assert ready["status"] == "degraded"
    assert "Make room" in ready["checks"]["inbox"]


@override_settings(CDP_INBOX_LIMIT=1)
def test_shows_that_it_refuses():
    assert Client().get("/readyz").json()["checks"]["inbox"] == "ok"
    assert b"cdp_refuses_messages 0.0" in read_metrics()
    post("/v1/track", TRACK, make_source())
    assert "CDP_INBOX_LIMIT" in Client().get("/readyz").json()["checks"]["inbox"]
    text = read_metrics()
    assert b"cdp_refuses_messages 1.0" in text
    assert b"cdp_inbox_items 1.0" in text
    assert "refused with 429" in signed_in("ivo").get("/").content.decode()


def test_measures_a_large_inbox_by_a_sample():
    make_source()
    post("/v1/track", TRACK, "nobody")
    with connection.cursor() as cursor:
        # 3 items each, and every second request is gone already: a third more than the exact limit.
        requests = EXACT_REQUESTS * 4 // 3
        cursor.execute(
            "INSERT INTO ingestion_inbox (id, source_id, received_at, endpoint, items, body, ip, user_agent, attempts) "
            "SELECT n, 1, now(), 'batch', 3, '', '', '', 0 FROM generate_series(1000, %s) n WHERE n %% 2 = 0",
            [999 + requests],
        )
        cursor.execute("SELECT sum(items) FROM ingestion_inbox")
        exact = cursor.fetchone()[0]
    # Evenly spaced samples of a regular pattern are its worst case.
    assert abs(read_pressure().items - exact) <= exact / 10
