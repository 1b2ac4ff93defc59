"""The audit trail checked and tampered with; a backup, an erasure, and the restore."""

import csv
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cdp.embedded import ensure_servers, release_servers
from tests.benchmarks.product import SUPPRESSION_KEY, BenchmarkFailed, Product
from tests.benchmarks.report import Row

ENTRIES = """
INSERT INTO core_auditentry (at, actor, action, object, detail)
SELECT now(), 'user:' || n %% 7, 'profile.read', 'profile:' || gen_random_uuid(), jsonb_build_object('n', n)
FROM generate_series(1, %s) AS n
"""
# Each as the owner of the database could do it; the second statement takes it back.
COPY_ROW = "CREATE TABLE bench_row AS SELECT * FROM core_auditentry WHERE seq {}"
PUT_BACK = "INSERT INTO core_auditentry SELECT * FROM bench_row; DROP TABLE bench_row"
SWAP = """
UPDATE core_auditentry SET seq = -1 WHERE seq = {a}; UPDATE core_auditentry SET seq = {a} WHERE seq = {b};
UPDATE core_auditentry SET seq = {b} WHERE seq = -1
"""
INSERTED = """
INSERT INTO core_auditentry (at, actor, action, object, detail, seq, hash)
SELECT at, actor, 'forged', object, detail, seq, hash FROM bench_row
"""
ERASE = """
from django.utils import timezone
from consent.services.requests import NewRequest, approve_request, create_request
from consent.services.running import run_privacy_requests
from profiles.queries.people import name_identifier
now = timezone.now()
named = [name_identifier(type="email", value="person-7@example.org")]
made = create_request(new=NewRequest("erasure", named, "gdpr", now, "api", "system"), now=now)
approve_request(request_id=str(made.id), actor="system", now=now)
run_privacy_requests(clock=timezone.now)
made.refresh_from_db()
print(made.status)
"""
COUNT = """
SELECT (SELECT count(*) FROM profiles_profile), (SELECT count(*) FROM profiles_identifier),
    (SELECT count(*) FROM profiles_identifier WHERE value LIKE 'person-7@%')
"""


def audit(size: int) -> list[Row]:
    """Check a trail of `size` entries, then tamper with it in each way and see whether the check names it."""
    with _still_product() as product:
        with product.connect() as connection, connection.cursor() as cursor:
            cursor.execute(ENTRIES, [size])
        began_at = time.monotonic()
        product.manage("verify_audit")
        sealed = time.monotonic() - began_at
        began_at = time.monotonic()
        product.manage("verify_audit")
        checked = time.monotonic() - began_at
        caught = _tamper(product, size)
    return [
        Row(
            "audit trail: sealed and checked, then checked alone",
            f"{size:,} entries",
            f"{sealed:,.1f} s, then {checked:,.1f} s: {size / checked:,.0f} entries/s, starting included",
        ),
        Row("tampering that the check names", f"{len(caught)} kinds", "; ".join(caught)),
    ]


def backup(size: int) -> list[Row]:
    """Back up `size` people, erase one, read the backup in, and look who is there."""
    with _still_product() as product:
        table = Path(product.env["CDP_DATA_DIR"]) / "people.csv"
        with table.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["email", "city"])
            writer.writerows([f"person-{number}@example.org", f"city {number % 50}"] for number in range(size))
        product.manage("create_import", "bench", str(table), "--key", "email", "--identifier", "email=email")
        product.manage("drain")
        table.unlink()
        before = _count(product)
        path = Path(product.env["CDP_DATA_DIR"]) / "one.cdpbackup"
        began_at = time.monotonic()
        product.manage("backup", str(path))
        written = time.monotonic() - began_at
        status = product.manage("shell", "-c", ERASE).splitlines()[-1]
        if status != "completed":
            raise BenchmarkFailed(f"The erasure is {status}.")
        began_at = time.monotonic()
        said = product.manage("restore", str(path))
        restored = time.monotonic() - began_at
        after = _count(product)
        began_at = time.monotonic()
        product.manage("scrub")
        scrubbed = time.monotonic() - began_at
        megabytes = path.stat().st_size / 1024**2
    if "1 erasures were done again" not in said or after[2]:
        raise BenchmarkFailed(f"The erased person is back: {said}")
    return [
        Row("backup", f"{size:,} people", f"{written:,.1f} s, {megabytes:,.1f} MB"),
        Row(
            "restore, the erasure between done again",
            f"{size:,} people",
            f"{restored:,.1f} s; {before[0] - after[0]} profile fewer (the erased one), {after[2]} of them back",
            "nobody back, nobody else lost",
        ),
        Row("scrub afterwards", f"{size:,} people", f"{scrubbed:,.1f} s"),
    ]


def _tamper(product: Product, size: int) -> list[str]:
    middle = size // 2
    kinds = {
        "edit": ("UPDATE core_auditentry SET actor = 'user:99' WHERE seq = {m}", COPY_ROW.format(f"= {middle}")),
        "deletion": ("DELETE FROM core_auditentry WHERE seq = {m}", COPY_ROW.format(f"= {middle}")),
        "reordering": (SWAP, ""),
        "insertion": (INSERTED, COPY_ROW.format(f"= {middle}")),
        "cut tail": ("DELETE FROM core_auditentry WHERE seq > {m}", COPY_ROW.format(f"> {middle}")),
    }
    found = []
    for kind, (act, keep) in kinds.items():
        with product.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SET session_replication_role = replica")
            if keep:
                cursor.execute(keep)
            if kind == "insertion":
                cursor.execute("ALTER TABLE core_auditentry DROP CONSTRAINT core_auditentry_seq_key")
            cursor.execute(act.format(m=middle, a=middle, b=middle + 1))
            try:
                product.manage("verify_audit")
            except BenchmarkFailed as named:
                found.append(f"{kind}: {str(named).rsplit(': ', 1)[-1].strip()[:70]}")
            _take_back(cursor, kind, middle)
    return found


def _take_back(cursor: Any, kind: str, middle: int) -> None:
    if kind == "reordering":
        cursor.execute(SWAP.format(a=middle, b=middle + 1))
        return
    if kind == "edit":
        cursor.execute("DELETE FROM core_auditentry WHERE seq = %s", [middle])
    if kind == "insertion":
        cursor.execute("DELETE FROM core_auditentry WHERE action = 'forged'; DROP TABLE bench_row")
        cursor.execute("ALTER TABLE core_auditentry ADD CONSTRAINT core_auditentry_seq_key UNIQUE (seq)")
        return
    # What verifying itself sealed after a cut tail would take the numbers of the rows that come back.
    cursor.execute("DELETE FROM core_auditentry a USING bench_row b WHERE a.seq = b.seq")
    cursor.execute(PUT_BACK)


def _count(product: Product) -> tuple[int, int, int]:
    with product.connect() as connection, connection.cursor() as cursor:
        cursor.execute(COUNT)
        row: tuple[int, int, int] = cursor.fetchone()
        return row


@contextmanager
def _still_product() -> Iterator[Product]:
    """Give a data directory with its servers and nothing else running: restore wants it so."""
    data_dir = Path(tempfile.mkdtemp(prefix="cdp-bench-"))
    env = {name: value for name, value in os.environ.items() if not name.startswith("CDP_")}
    env |= {"CDP_ENV": "development", "CDP_DATA_DIR": str(data_dir), "CDP_SUPPRESSION_KEY": SUPPRESSION_KEY}
    product = Product("", env)
    keys = ensure_servers(data_dir.resolve(), env={})
    product._dsn = keys.database_url
    try:
        for command in (["migrate", "--verbosity=0"], ["ensure_administrator"], ["check_start"]):
            product.manage(*command)
        yield product
    finally:
        release_servers(data_dir.resolve())
        shutil.rmtree(data_dir, ignore_errors=True)
