"""Segment previews and look-ups over a generated history, with the member counts that three other engines agreed on.

The data comes from `generate_events.py` of the shared folder beside the repository. It is put into the tables directly,
by COPY: loading is not what is measured here.
"""

import hmac
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson

from cdp.core.digests import LOOKUP_BYTES
from tests.benchmarks.beside import time_duckdb
from tests.benchmarks.lookup import profile_lookup
from tests.benchmarks.product import REPOSITORY, SUPPRESSION_KEY, BenchmarkFailed, Product, own_product
from tests.benchmarks.report import Row, ms, quantile

TOOLS = REPOSITORY.parent / "shared" / "tools"
EVENTS_PER_PROFILE = 20
REPEATS = 5
LOOKUPS = 1_000
TRACK = 1
STOPPED = "segment.preview_too_slow"
# Messages that come in later must not be given the ids of these.
SEQUENCES = {
    "profiles_profile_id_seq": "profiles_profile",
    "profiles_identifier_id_seq": "profiles_identifier",
    "ingestion_message_id_seq": "profiles_event",
}

EVENTS = f"""
COPY (
    SELECT id, profile_id, {TRACK}, event, moment, moment, 1, 'm' || id, '{{{{' || profile_id || '}}}}',
        CASE WHEN revenue IS NULL
            THEN json_object('category', category, 'product_id', product_id, 'channel', channel)
            ELSE json_object('category', category, 'product_id', product_id, 'channel', channel, 'revenue', revenue)
        END
    FROM (SELECT *, strftime(make_timestamp(epoch_us(ts) + $1::BIGINT * 1000000), '%Y-%m-%d %H:%M:%S.%f+00') AS moment
        FROM read_parquet('{{read}}'))
) TO '{{written}}' (FORMAT csv, HEADER false)
"""


def _happened(name: str, last: str, fn: str = "count", least: int = 1) -> dict[str, Any]:
    measured = {"measure": {"fn": fn}, "op": "gte", "value": least}
    return {"type": "event", "name": name, "window": {"last": last}, **measured}


EXTRA = {
    "two orders in 90 days": _happened("Order Completed", "P90D", least=2),
    "nothing in 180 days": {"type": "not", "of": _happened("*", "P180D")},
    "text in a trait": {"type": "trait", "path": "city", "op": "contains", "value": "city12"},
    "three sessions in 7 days": _happened("$session", "P7D", least=3),
    "a session of 10 minutes in 30 days": {
        **_happened("$session", "P30D"),
        "where": {"property": "duration_seconds", "op": "gte", "value": 600},
    },
    "ten sessions ever": {**_happened("$session", "P30D", least=10), "window": {"all_time": True}},
    "on three days of 30": _happened("Product Viewed", "P30D", "days", 3),
    "orders of 50 on average in 90 days": {
        **_happened("Order Completed", "P90D"),
        "measure": {"fn": "avg", "property": "revenue"},
        "value": 50,
    },
    "three products seen in 30 days": {
        **_happened("Product Viewed", "P30D", least=3),
        "measure": {"fn": "distinct", "property": "product_id"},
    },
    "the first order ever was large": {
        "type": "event_pick",
        "pick": "first",
        "name": "Order Completed",
        "has": {"property": "revenue", "op": "gt", "value": 100},
    },
    "a cart without an order within a day, in a year": {
        "type": "sequence",
        "window": {"last": "P365D"},
        "steps": [
            {"name": "Added to Cart", "occurs": True},
            {"name": "Order Completed", "occurs": False, "within": "PT24H"},
        ],
    },
    "lifecycle: resurrected": {
        "type": "lifecycle",
        "name": "Order Completed",
        "state": "resurrected",
        "period": "P30D",
    },
    "lifecycle: regular": {
        "type": "lifecycle",
        "name": "App Opened",
        "state": "regular",
        "period": "P30D",
        "at_least": 3,
        "of_last": 6,
    },
    "a trait held for 30 days": {"type": "trait_held", "path": "plan", "op": "eq", "value": "pro", "for": "P30D"},
    "entered a segment in 7 days": {"type": "segment", "key": "q2", "op": "entered", "window": {"last": "P7D"}},
    "an identifier": {"type": "identity", "namespace": "user_id", "op": "exists"},
    "a tenth at random": {"type": "sample", "percent": 10, "salt": "a", "offset": 0},
}


def preview(size: int) -> list[Row]:
    """Preview the five segments of segment_bench.json, and some single conditions, at `size` profiles."""
    plan = read_plan()
    with tempfile.TemporaryDirectory(prefix="cdp-bench-data-") as folder, own_product() as product:
        generate(size, Path(folder))
        began_at = time.monotonic()
        events = load_people(product, Path(folder))
        loaded = f"{size:,} profiles, {events:,} events (COPY {time.monotonic() - began_at:,.0f} s)"
        full_size = events == plan["size"]["events"]
        definitions = {key: (row["definition"], row["members"]) for key, row in plan["segments"].items()}
        for name, match in EXTRA.items():
            definitions[name] = ({"version": 1, "timezone": "UTC", "match": match}, None)
        beside = time_duckdb(Path(folder), plan["now"], REPEATS)
        rows = [
            _time(product, key, definition, members if full_size else None, plan["now"], loaded, beside.get(key))
            for key, (definition, members) in definitions.items()
        ]
        return rows + profile_lookup(product, LOOKUPS)


def read_plan() -> dict[str, Any]:
    """Return the five segments, the moment that they are asked for, and the size that their counts are known for."""
    if not (TOOLS / "generate_events.py").exists():
        raise BenchmarkFailed(f"{TOOLS} is missing: the generator of the preview's data is not part of the project.")
    plan: dict[str, Any] = json.loads((TOOLS / "segment_bench.json").read_text(encoding="utf-8"))
    return plan


def _time(
    product: Product,
    key: str,
    definition: dict[str, Any],
    members: int | None,
    now: str,
    loaded: str,
    beside: tuple[float, int] | None = None,
) -> Row:
    body = {"definition": definition, "now": now}
    took = []
    found: dict[str, Any] = {}
    goal = "p95 ≤ 3 s" if key == "q5" else "p95 ≤ 1 s"
    http = product.http()
    for _ in range(REPEATS):
        began_at = time.monotonic()
        try:
            found = product.call("POST", "/api/v1/segments/preview", body, over=http)
        except BenchmarkFailed as error:
            if STOPPED not in str(error):
                raise
            return Row(f"preview {key}", loaded, f"stopped after {time.monotonic() - began_at:,.0f} s", goal)
        took.append(time.monotonic() - began_at)
    count, cost = found["count"], found["cost"]
    http.close()
    if key == "q2":
        content = {"key": "q2", "name": "q2", "definition": definition, "status": "live"}
        product.call("POST", "/api/v1/segments", content)
    verdict = "" if members is None else ", as it must be" if members == count else f", WRONG: must be {members:,}"
    return Row(
        f"preview {key}",
        loaded,
        f"p50 {ms(quantile(took, 0.5))}, max {ms(max(took))}; {count:,} members{verdict}; "
        f"estimated {cost['estimate']:,}, {cost['level']}",
        goal,
        f"DuckDB over the files: {ms(beside[0])}, {beside[1]:,} members" if beside else "",
    )


def generate(size: int, folder: Path) -> None:
    """Write the history of so many people into a folder."""
    subprocess.run(
        [sys.executable, str(TOOLS / "generate_events.py"), str(size), str(size * EVENTS_PER_PROFILE), str(folder)],
        check=True,
        stdout=subprocess.DEVNULL,
    )


def load_people(product: Product, folder: Path, *, later: timedelta = timedelta()) -> int:
    """Put profiles, one identifier each, and events into the tables, all so much later; return how many events."""
    import pyarrow.parquet as pq

    people = pq.read_table(folder / "profiles.parquet")
    product.source()
    with product.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id FROM profiles_identifiertype WHERE key = 'user_id'")
        user_id_type = cursor.fetchone()[0]
        _copy(
            cursor, "profiles_profile (id, uuid, created_at, restricted, traits, trait_meta)", _profiles(people, later)
        )
        columns = "id, type_id, lookup, value, profile_id, first_seen_at, source_id, verified, alias_state"
        _copy(cursor, f"profiles_identifier ({columns})", _identifiers(people, user_id_type))
        columns = "id, profile_id, type, name, occurred_at, received_at, source_id, message_id, identifiers, properties"
        with _events(folder, later) as lines:
            cursor.copy_expert(f"COPY profiles_event ({columns}) FROM STDIN (FORMAT csv)", lines, size=1 << 20)
        cursor.execute(
            "INSERT INTO profiles_activity (profile_id, first_event_at, last_event_at, event_count)"
            " SELECT profile_id, min(occurred_at), max(occurred_at), count(*) FROM profiles_event GROUP BY profile_id"
        )
        _make_sessions(cursor)
        for sequence, table in SEQUENCES.items():
            cursor.execute(f"SELECT setval('{sequence}', (SELECT max(id) FROM {table}))")
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("SELECT count(*) FROM profiles_event")
        return int(cursor.fetchone()[0])


class _Lines:
    """A file of COPY lines over an iterator, read piece by piece."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines

    def read(self, size: int) -> str:
        """Return about `size` characters."""
        parts: list[str] = []
        length = 0
        for line in self._lines:
            parts.append(line)
            length += len(line)
            if length >= size:
                break
        return "".join(parts)


def _copy(cursor: Any, target: str, lines: Iterator[str]) -> None:
    cursor.copy_expert(f"COPY {target} FROM STDIN", _Lines(lines), size=1 << 20)


def _profiles(people: Any, later: timedelta) -> Iterator[str]:
    for row in people.to_pylist():
        created_at = row.pop("created_at") + later
        number = row.pop("id")
        traits = {**row, "created_at": created_at.isoformat()}
        moment = int(created_at.timestamp() * 1_000_000)
        meta = dict.fromkeys(traits, (1, moment, moment))
        texts = f"{orjson.dumps(traits).decode()}\t{orjson.dumps(meta).decode()}"
        yield f"{number}\t{UUID(int=number)}\t{created_at.isoformat()}\tf\t{texts}\n"


def _identifiers(people: Any, user_id_type: int) -> Iterator[str]:
    now = datetime.now(UTC).isoformat()
    key = hmac.digest(SUPPRESSION_KEY.encode(), b"cdp:identifier", "sha256")
    for number in people["id"].to_pylist():
        lookup = hmac.digest(key, f"user_id\0u{number}".encode(), "sha256")[:LOOKUP_BYTES].hex()
        yield f"{number}\t{user_id_type}\t\\\\x{lookup}\tu{number}\t{number}\t{now}\t1\tf\t0\n"


def _make_sessions(cursor: Any) -> None:
    """Make what processing would have made of the events, as an upgrade does."""
    cursor.execute("SET work_mem = '256MB'")
    cursor.execute(import_module("profiles.migrations.0014_sessions").FILL, [timedelta(minutes=30)])
    cursor.execute("RESET work_mem")


@contextmanager
def _events(folder: Path, later: timedelta) -> Iterator[Any]:
    """Yield the file of the events as CSV. DuckDB writes it: Python would take longer than all that follows."""
    import duckdb

    written = folder / "events.csv"
    with duckdb.connect() as reader:
        reader.execute(EVENTS.format(read=folder / "events.parquet", written=written), [int(later.total_seconds())])
    with written.open("rb") as lines:
        yield lines
    written.unlink()
