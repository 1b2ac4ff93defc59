"""The data of each earlier release works with this one, without anybody doing anything."""

import gzip
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from cdp.embedded import ensure_servers, release_servers
from tests.journeys.calling import call, counts, new_key, post, wait_for
from tests.journeys.conftest import start_product
from tests.upgrades.making import FOLDER, KEYS, WRITE_KEY, programs

pytestmark = pytest.mark.journey

RELEASES = sorted(path.name.removesuffix(".sql.gz") for path in FOLDER.glob("*.sql.gz"))


@pytest.fixture(params=RELEASES)
def upgraded(request):
    """This release, started on the data directory of an earlier one."""
    data_dir = Path(tempfile.mkdtemp(prefix="cdp-upgrade-")).resolve()
    env: dict[str, str] = {}
    servers = ensure_servers(data_dir, env=env)
    dump = gzip.decompress((FOLDER / f"{request.param}.sql.gz").read_bytes())
    try:
        subprocess.run(
            [programs() / "psql", "--quiet", "--set", "ON_ERROR_STOP=1", servers.database_url],
            input=dump,
            check=True,
            capture_output=True,
        )
    finally:
        release_servers(data_dir)
    product = start_product(data_dir, **KEYS)
    yield product
    product.stop()
    shutil.rmtree(data_dir, ignore_errors=True)


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
