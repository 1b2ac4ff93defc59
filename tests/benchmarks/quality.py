"""What measuring quality costs, and which locks it holds meanwhile."""

import json

from tests.benchmarks.process import PER_REQUEST, send_messages
from tests.benchmarks.product import BenchmarkFailed, own_product
from tests.benchmarks.report import Row

# Runs inside the product, as the job does: one transaction a step.
MEASURE = """
import json, os, time
from pathlib import Path
from django.db import connection, transaction
from ingestion.models import Message
from ingestion.services.measuring import STEP, measure_messages

def database_cpu():
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        stat = Path(f"/proc/{cursor.fetchone()[0]}/stat")
    if not stat.exists():
        return None
    parts = stat.read_text().rpartition(")")[2].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


last = Message.objects.order_by("-id").values_list("id", flat=True).first() or 0
looked, locks, longest = 0, set(), 0.0
before = database_cpu()
began, cpu = time.monotonic(), time.process_time()
for after in range(0, last, STEP):
    step = time.monotonic()
    with transaction.atomic():
        looked += measure_messages(after_id=after, until_id=min(last, after + STEP))
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT DISTINCT l.locktype, l.mode, coalesce(c.relname, '') FROM pg_locks l "
                "LEFT JOIN pg_class c ON c.oid = l.relation WHERE l.pid = pg_backend_pid() "
                "AND (l.locktype IN ('advisory', 'tuple') OR c.relkind IN ('r', 'p'))"
            )
            locks |= set(cursor.fetchall())
    longest = max(longest, time.monotonic() - step)
after = database_cpu()
print(json.dumps({
    "database": None if after is None or before is None else after - before,
    "looked": looked, "seconds": time.monotonic() - began, "cpu": time.process_time() - cpu, "longest": longest,
    "locks": sorted(locks),
}))
"""
READING = "AccessShareLock"
OWN = {"ingestion_qualitycount", "ingestion_qualityagreement", "ingestion_knownvalue", "ingestion_fedidentifier"}


def measure_quality(size: int) -> list[Row]:
    """Measure `size` messages that were processed before."""
    with own_product() as product:
        write_key = product.source()
        send_messages(product, write_key, count=max(PER_REQUEST, size), people=max(1, size // 2), part=0)
        product.settle()
        found = json.loads(product.manage("shell", "-v", "0", "-c", MEASURE).splitlines()[-1])
    held = [one for one in found["locks"] if one[1] != READING]
    foreign = [one for one in held if one[2] not in OWN]
    if foreign:
        raise BenchmarkFailed(f"Measuring locks what others write: {foreign}")
    database = "of PostgreSQL unknown"
    per = 100_000 / max(1, found["looked"])
    if found["database"] is not None:
        database = f"{found['database'] * per:.1f} s in PostgreSQL"
    return [
        Row(
            "measuring quality",
            f"{found['looked']:,} messages",
            f"{found['seconds'] * per:.1f} s for 100,000 messages (CPU: {found['cpu'] * per:.1f} s in Python, "
            f"{database}), longest step {found['longest']:.2f} s; locks on others' tables: reading only",
        )
    ]
