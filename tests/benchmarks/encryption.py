"""What encrypting a trait costs, and how long a change of the master key takes."""

import secrets
import time
from pathlib import Path

from tests.benchmarks.process import PER_REQUEST
from tests.benchmarks.product import Product, own_product
from tests.benchmarks.report import Row
from tests.benchmarks.rules import TURNS, timed_part

TRAIT = "plan"


def encrypt_traits(size: int) -> list[Row]:
    """Process `size` messages with and without an encrypted trait, by turns; then change the key of `size` values."""
    with own_product() as product:
        key = product.source()
        count = max(2 * PER_REQUEST, size // TURNS)
        timed_part(product, key, 2 * PER_REQUEST, 0)
        taken = {"clear": 0.0, "sealed": 0.0}
        for turn in range(2 * TURNS):
            kind = "sealed" if turn % 2 else "clear"
            product.call("PUT" if turn % 2 else "DELETE", f"/api/v1/traits/encrypted/{TRAIT}")
            _wait_for_jobs(product)
            taken[kind] += timed_part(product, key, count, 1 + turn)
        clear, sealed = (TURNS * count / taken[kind] for kind in ("clear", "sealed"))
        return [
            Row(
                "processing end to end, one trait of every fourth message encrypted",
                f"{TURNS} times {count:,} messages each, {count // 2:,} people",
                f"{sealed:,.0f} messages/s",
                "",
                f"nothing encrypted {clear:,.0f} messages/s",
                f"{clear / sealed:.2f} times its time",
            ),
            _rotate(product, size),
        ]


def _wait_for_jobs(product: Product) -> None:
    with product.connect() as connection, connection.cursor() as cursor:
        while True:
            cursor.execute("SELECT count(*) FROM core_job WHERE status IN ('queued', 'running')")
            if not cursor.fetchone()[0]:
                return
            time.sleep(0.1)


def _rotate(product: Product, size: int) -> Row:
    """Repeat a real wrapped key under other ids until there are `size`, then change the master key."""
    with product.connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO profiles_personkey (identifier_id, wrapped) "
            "SELECT 1000000000000 + n, (SELECT wrapped FROM profiles_personkey LIMIT 1) FROM generate_series(1, %s) n",
            [size],
        )
    current = product.env.get("CDP_MASTER_KEY") or _key_file(product)
    before = dict(product.env)
    product.env |= {"CDP_MASTER_KEY": secrets.token_urlsafe(48), "CDP_MASTER_KEYS_RETIRED": current}
    began_at = time.monotonic()
    told = product.manage("rotate_master_key")
    seconds = time.monotonic() - began_at
    product.env.clear()
    product.env.update(before)
    return Row("change of the master key", f"{size:,} keys of persons", f"{seconds:.1f} s", "", told.splitlines()[-2])


def _key_file(product: Product) -> str:
    return (Path(product.env["CDP_DATA_DIR"]) / "keys" / "master_key").read_text(encoding="ascii").strip()
