"""Identity rules: what all of them cost a message, how fast a change reaches what is stored, and a placeholder."""

import copy
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.process import _timed as send_timed
from tests.benchmarks.process import send_messages
from tests.benchmarks.product import BenchmarkFailed, Product, own_product
from tests.benchmarks.report import Row

RULES = "/api/v1/identity/rules"
PLACEHOLDER = "noemail@example.com"
ROUNDS = 2
# What the default rules do not have: windows, patterns, kinds of sources, own types, linking by consent.
FULL: dict[str, dict[str, Any]] = {
    "email": {"blocked_patterns": [r"^test\d*@", r"@invalid\.", "noreply"], "sharing_limit": 3},
    "anonymous_id": {"window": "month", "limit": 50, "blocked_patterns": ["^0{8}"]},
    "loyalty_id": {"source_kinds": ["server", "import"], "normaliser": "letters_digits"},
    "device_id": {"link_purpose": "cross-channel", "window": "year"},
}


def processing_with_rules(size: int) -> list[Row]:
    """Process messages by the default rules and by rules of every kind, in turns in one product."""
    with own_product() as product:
        defaults = product.call("GET", RULES)["results"]
        full = copy.deepcopy(defaults)
        for row in full:
            row.update(FULL.get(row["type"], {}))
        full.append({"type": "card", "priority": 4, "limit": 3, "normaliser": "digits", "blocked_patterns": ["^9"]})
        write_key = product.source()
        send_messages(product, write_key, count=2_000, people=500, part=0)
        product.settle()
        count = max(1_000, size // (2 * ROUNDS))
        rates: dict[str, list[float]] = {"default": [], "full": []}
        for number in range(2 * ROUNDS):
            name, types = (("default", defaults), ("full", full))[number % 2]
            save(product, types)
            sent, seconds = send_timed(product, write_key, count=count, people=count // 2, part=1 + number)
            rates[name].append(sent / seconds)
        best = {name: max(values) for name, values in rates.items()}
        each = " / ".join(f"{rate:,.0f}" for rate in rates["full"])
        return [
            Row(
                "processing with rules of every kind",
                f"{count * 2 * ROUNDS:,} messages",
                f"{best['full']:,.0f} messages/s (rounds {each})",
                "≥ 10,000/s",
                f"default rules {best['default']:,.0f} messages/s",
                f"{best['default'] / best['full']:.2f} times its time",
            )
        ]


def resolve_again(size: int) -> list[Row]:
    """Widen and narrow a limit that concerns every one of `size` profiles."""
    with own_product() as product, tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "people.csv"
        with path.open("w", encoding="utf-8") as file:
            file.write("id,account,email\n")
            file.writelines(f"{n},u{n},p{n // 2}@bench.example\n" for n in range(size))
        bring_in(product, path, "--identifier", "account=user_id", "--identifier", "email=email")
        types = product.call("GET", RULES)["results"]
        wider = copy.deepcopy(types)
        wider[0]["limit"] = 2
        tried = wait(product, product.call("POST", f"{RULES}/dry-run", {"types": wider}))
        joined = save(product, wider)
        divided = save(product, types)
        if joined["counts"]["merge"] != size // 2 or divided["counts"]["split"] != size // 2:
            raise BenchmarkFailed(f"{joined['counts']}, {divided['counts']}")
        what = (("dry run", tried), ("apply, merging half of them", joined), ("apply, dividing them again", divided))
        return [_row(f"identity rules: {name}", size, run) for name, run in what]


def placeholder(size: int) -> list[Row]:
    """Import `size` records of which 0.2 % carry one placeholder as e-mail address."""
    with own_product() as product, tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "people.csv"
        with path.open("w", encoding="utf-8") as file:
            file.write("id,email,phone\n")
            for number in range(size):
                email = PLACEHOLDER if number % 500 == 0 else f"p{number}@bench.example"
                file.write(f"{number},{email},+49151{number:08d}\n")
        began_at = time.monotonic()
        bring_in(product, path, "--identifier", "email=email", "--identifier", "phone=phone")
        imported = time.monotonic() - began_at
        with product.connect() as connection, connection.cursor() as cursor:
            while True:
                cursor.execute("SELECT count(*), count(separated_at) FROM profiles_quarantinedvalue")
                if len(set(cursor.fetchone())) == 1:
                    break
                time.sleep(0.05)
            seconds = time.monotonic() - began_at
            cursor.execute("SELECT max(n), count(*) FROM (SELECT count(*) AS n FROM profiles_identifier "
                           "GROUP BY profile_id) AS t")  # fmt: skip
            largest, profiles = cursor.fetchone()
            cursor.execute("SELECT count(*) FROM profiles_quarantinedvalue")
            listed = cursor.fetchone()[0]
        return [
            Row(
                "a placeholder on 0.2 % of imported records",
                f"{size:,} records, {size // 500:,} of them with it",
                f"{profiles:,} profiles, the largest with {largest} identifiers; {listed} value quarantined, all taken "
                f"apart {seconds - imported:,.1f} s after the {imported:,.1f} s of the import",
                "no giant profile",
            )
        ]


def bring_in(product: Product, path: Path, *options: str) -> None:
    """Import a file."""
    product.manage("create_import", "bench", str(path), "--key", "id", *options)


def save(product: Product, types: Any) -> dict[str, Any]:
    """Save rules and wait until they are applied; return the run."""
    saved = product.call("PUT", RULES, {"types": types})
    return wait(product, saved["run"]) if saved["run"] is not None else {}


def wait(product: Product, run: Any) -> dict[str, Any]:
    """Wait for a run; return it with the seconds that it took from the outside as `wall`."""
    began_at = time.monotonic()
    http = product.http()
    while run["status"] not in {"done", "cancelled"}:
        time.sleep(0.05)
        run = product.call("GET", f"{RULES}/runs/{run['id']}", over=http)
    http.close()
    found: dict[str, Any] = {**run, "wall": time.monotonic() - began_at}
    return found


def _row(what: str, size: int, run: dict[str, Any]) -> Row:
    counts = ", ".join(f"{count:,} {name}" for name, count in run["counts"].items() if count)
    lock = f", lock held ≤ {run['longest_lock_ms']} ms" if run["longest_lock_ms"] else ""
    return Row(
        what,
        f"{size:,} profiles",
        f"{run['wall']:,.1f} s, {run['total'] / run['wall']:,.0f} profiles/s ({counts}){lock}",
        "lock ≤ 300 ms a step",
    )
