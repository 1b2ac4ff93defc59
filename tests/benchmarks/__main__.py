"""Run the benchmarks: `python -m tests.benchmarks [NAME …] [--size N] [--base-url URL]`."""

import argparse
import subprocess
import sys
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPException

import psycopg2

from tests.benchmarks.accept import accept_batches, accept_single
from tests.benchmarks.access import access
from tests.benchmarks.consent import suppression_lookup, withdrawal
from tests.benchmarks.deliver import deliver
from tests.benchmarks.encryption import encrypt_traits
from tests.benchmarks.erasure import erasure
from tests.benchmarks.first_run import first_run
from tests.benchmarks.identity_rules import placeholder, processing_with_rules, resolve_again
from tests.benchmarks.importing import import_rows
from tests.benchmarks.latency import accepted_to_visible, event_to_membership, exit_by_time
from tests.benchmarks.lookup import profile_lookup
from tests.benchmarks.matching import matching
from tests.benchmarks.matching_newcomers import matching_newcomers
from tests.benchmarks.preview import preview
from tests.benchmarks.process import process_with_segments, process_without_segments
from tests.benchmarks.product import BenchmarkFailed, Product, own_product, running_product
from tests.benchmarks.proofs import audit, backup
from tests.benchmarks.quality import measure_quality
from tests.benchmarks.rebuild import rebuild
from tests.benchmarks.report import Row, machine, table
from tests.benchmarks.retail import online_retail
from tests.benchmarks.rules import process_with_rules
from tests.benchmarks.treatment import process_treated, treat_messages
from tests.benchmarks.undo import undo
from tests.benchmarks.watching import watch


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark, the size of a short look, and the size that the figures are stated for.

    `shared` ones measure a product that is given to them; the others start what they need.
    """

    run: Callable[..., list[Row]]
    small: int
    full: int
    shared: bool = True


BENCHMARKS = {
    "accept-single": Benchmark(accept_single, 8_000, 100_000),
    "accept-batches": Benchmark(accept_batches, 100_000, 1_000_000),
    "process": Benchmark(process_without_segments, 40_000, 2_000_000, shared=False),
    "process-segments": Benchmark(process_with_segments, 40_000, 2_000_000, shared=False),
    "trait-rules": Benchmark(process_with_rules, 20_000, 400_000, shared=False),
    "encryption": Benchmark(encrypt_traits, 20_000, 1_000_000, shared=False),
    "visible": Benchmark(accepted_to_visible, 30, 200),
    "membership": Benchmark(event_to_membership, 30, 200),
    "exit": Benchmark(exit_by_time, 50, 500),
    "lookup": Benchmark(profile_lookup, 500, 2_000),
    "erasure": Benchmark(erasure, 2_000, 10_000),
    "withdrawal": Benchmark(withdrawal, 60, 1_000),
    "access": Benchmark(access, 10, 50),
    "suppression": Benchmark(suppression_lookup, 200_000, 10_000_000, shared=False),
    "audit": Benchmark(audit, 20_000, 1_000_000, shared=False),
    "backup": Benchmark(backup, 5_000, 200_000, shared=False),
    "undo": Benchmark(undo, 12_000, 1_000_000),
    "preview": Benchmark(preview, 20_000, 1_000_000, shared=False),
    "rebuild": Benchmark(rebuild, 20_000, 1_000_000, shared=False),
    "deliver": Benchmark(deliver, 20_000, 1_000_000, shared=False),
    "online-retail": Benchmark(online_retail, 1, 1, shared=False),
    "import": Benchmark(import_rows, 20_000, 1_000_000, shared=False),
    "quality": Benchmark(measure_quality, 20_000, 200_000, shared=False),
    "treatment": Benchmark(treat_messages, 5_000, 100_000, shared=False),
    "process-treated": Benchmark(process_treated, 20_000, 400_000, shared=False),
    "watch": Benchmark(watch, 20_000, 1_000_000, shared=False),
    "rules-process": Benchmark(processing_with_rules, 40_000, 400_000, shared=False),
    "rules-apply": Benchmark(resolve_again, 2_000, 200_000, shared=False),
    "rules-placeholder": Benchmark(placeholder, 20_000, 1_000_000, shared=False),
    "matching": Benchmark(matching, 1_000, 1_000_000, shared=False),
    "matching-newcomers": Benchmark(matching_newcomers, 5_000, 1_000_000, shared=False),
    "first-run": Benchmark(first_run, 1, 1, shared=False),
}
# What a product in trouble makes a benchmark meet: the other figures are wanted all the same.
FAULTS = (BenchmarkFailed, OSError, HTTPException, psycopg2.Error, subprocess.SubprocessError, LookupError, ValueError)
DEFAULT = [name for name in BENCHMARKS if name != "first-run"]


def main() -> int:
    """Run what the command line names and print the table; 1 if something could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of: {', '.join(BENCHMARKS)}; none: all but first-run"
    )
    parser.add_argument("--size", type=int, help="requests, messages, profiles or events; default: a short look")
    parser.add_argument("--full", action="store_true", help="the size that the stated figures are for")
    parser.add_argument(
        "--base-url", help="a running product (its CDP_DATA_DIR in the environment), not one of its own"
    )
    options = parser.parse_args()
    unknown = set(options.names) - set(BENCHMARKS)
    if unknown:
        parser.error(f"There is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}.")
    about = machine()
    rows: list[Row] = []
    failed = 0
    with ExitStack() as stack:
        shared: Product | None = None
        for name in options.names or DEFAULT:
            one = BENCHMARKS[name]
            size = options.size or (one.full if options.full else one.small)
            sys.stderr.write(f"{name}, size {size:,} …\n")
            try:
                if one.shared and shared is None:
                    url = options.base_url
                    shared = running_product(url) if url else stack.enter_context(own_product())
                measured = one.run(shared, size) if one.shared else one.run(size)
            except FAULTS:
                failed += 1
                traceback.print_exc()
                measured = [Row(name, f"{size:,}", "NOT MEASURED, see above")]
            rows += measured
            sys.stderr.write(table(measured) + "\n")
    sys.stdout.write(f"\n{about}\n\n{table(rows)}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
