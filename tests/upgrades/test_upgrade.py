"""The data of each earlier release works with this one, without anybody doing anything."""

import gzip
import os
import signal
import subprocess
import uuid
from contextlib import closing
from urllib.parse import urlsplit

import psycopg2
import pytest

from tests.journeys.calling import call, counts, new_key, post, wait_for
from tests.journeys.conftest import start_product
from tests.upgrades.making import FOLDER, KEYS, WRITE_KEY, programs

pytestmark = pytest.mark.journey

RELEASES = sorted(path.name.removesuffix(".sql.gz") for path in FOLDER.glob("*.sql.gz"))


@pytest.fixture(params=RELEASES)
def database(request):
    """The database of an earlier release, beside those of the tests."""
    servers = os.environ["CDP_DATABASE_URL"]
    name = f"upgrade_{uuid.uuid4().hex[:8]}"
    with closing(psycopg2.connect(servers)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name}")
            own = urlsplit(servers)._replace(path=f"/{name}").geturl()
            dump = gzip.decompress((FOLDER / f"{request.param}.sql.gz").read_bytes())
            restore = [programs() / "psql", "--quiet", "--set", "ON_ERROR_STOP=1", own]
            subprocess.run(restore, input=dump, check=True, capture_output=True)
            yield own
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def upgraded(database, tmp_path):
    """This release, started on the data of an earlier one; on the tests' servers, because it keeps nothing."""
    # Another of the broker's databases than the tests', whose wake-ups are not for these workers.
    broker = f"{os.environ['CDP_BROKER_URL']}?virtual_host=1"
    product = start_product(tmp_path, CDP_DATABASE_URL=database, CDP_BROKER_URL=broker, **KEYS)
    yield product
    assert product.stop(signal.SIGTERM) == 0, product.output


def test_goes_on_where_the_earlier_release_stopped(upgraded):
    key = new_key(upgraded)
    (dana,) = call(upgraded, "GET", "/api/v1/profiles?identifier=email:dana@example.org", key=key)["results"]
    assert {f"{one['type']}:{one['value']}" for one in dana["identifiers"]} == {
        "user_id:dana",
        "email:dana@example.org",
        "anonymous_id:a1",
        "anonymous_id:a2",
    }
    assert dana["traits"]["plan"]["value"] == "pro"
    assert dana["segments"] == ["regulars"]
    assert len(dana["merged_ids"]) == 1
    address = f"/api/v1/consents/check?profile={dana['id']}&purpose=marketing"
    assert call(upgraded, "GET", address, key=key)["allowed"] is True
    # Visits are made of the events that were there.
    visit = {"type": "event", "name": "$session", "window": {"all_time": True}}
    visit["where"] = {"property": "events", "op": "eq", "value": 3}
    asked = {"definition": {"version": 1, "timezone": "UTC", "match": visit}}
    assert call(upgraded, "POST", "/api/v1/segments/preview", asked, key=key)["count"] == 1
    before = counts(upgraded, "shop", key)
    # Eight messages came: one without an event name, and the one of the person who was erased.
    assert (before["accepted"], before["quarantined"], before["suppressed"]) == (6, 1, 1)

    post(upgraded, "/v1/track", {"userId": "eve", "event": "Order Completed", "messageId": "new-1"}, key=WRITE_KEY)
    post(upgraded, "/v1/track", {"userId": "eve", "event": "Order Completed", "messageId": "new-2"}, key=WRITE_KEY)
    post(upgraded, "/v1/track", {"userId": "gone", "event": "Order Completed", "messageId": "new-3"}, key=WRITE_KEY)
    post(upgraded, "/v1/batch", {"batch": [{"type": "track", "userId": "dana", "event": "Order Completed",
                                            "messageId": "old-1"}]}, key=WRITE_KEY)  # fmt: skip
    members = "/api/v1/segments/regulars/members"
    wait_for(lambda: len(call(upgraded, "GET", members, key=key)["results"]) == 2)
    wait_for(lambda: counts(upgraded, "shop", key)["pending"] == 0)
    after = counts(upgraded, "shop", key)
    assert (after["accepted"], after["suppressed"], after["duplicate"]) == (8, 2, 1)
