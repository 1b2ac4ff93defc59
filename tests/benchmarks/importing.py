"""How fast the rows of a CSV become profiles, by `create_import`, beside the same final rows written by bare SQL."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import orjson

from tests.benchmarks.process import _write_bare as write_bare
from tests.benchmarks.product import REPOSITORY, BenchmarkFailed, Product, own_product
from tests.benchmarks.report import Row

FIRST = ("Ada", "Bo", "Cem", "Dana", "Eve", "Finn", "Gül", "Hugo", "Ida", "Jan")
LAST = ("Archer", "Berg", "Çelik", "Dale", "Early", "Falk", "Groß", "Haas", "Iversen", "Jung")
OPTIONS = ("--key", "id", "--identifier", "email=email")


def import_rows(size: int) -> list[Row]:
    """Import a file of `size` new people, then the same file once more."""
    with own_product() as product, tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "people.csv"
        _write(path, size)
        rows = [_measure(product, path, "import of new people", size)]
        bare, count = write_bare(product)
        seconds = float(rows[0].measured.split(" s")[0].replace(",", ""))
        first = rows[0]
        rows[0] = Row(
            first.what, first.size, first.measured, first.goal,
            f"bare SQL of the same {count:,} rows {bare:,.1f} s", f"{seconds / bare:.1f} times its time",
        )  # fmt: skip
        rows.append(_measure(product, path, "import of people who are known, unchanged", size))
        return rows


def _write(path: Path, size: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write("id,email,first,last,city,age,since\n")
        for number in range(size):
            first, last = FIRST[number % 10], LAST[number // 10 % 10]
            file.write(
                f"{number},p{number}@bench.example,{first},{last},City {number % 977},{18 + number % 70},"
                f"20{10 + number % 15}-0{1 + number % 9}-1{number % 10}\n"
            )


def _measure(product: Product, path: Path, what: str, size: int) -> Row:
    began_at = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "manage.py", "create_import", "bench", str(path), *OPTIONS],
        cwd=REPOSITORY,
        env=product.env,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - began_at
    if process.returncode:
        raise BenchmarkFailed(f"create_import ended with {process.returncode}")
    answer = orjson.loads(out.splitlines()[0])
    if answer["rows"] != size:
        raise BenchmarkFailed(f"{answer['rows']} of {size} rows came in")
    own = (usage.ru_utime + usage.ru_stime) / size * 1e6
    return Row(
        what,
        f"{size:,} rows",
        f"{seconds:,.1f} s, {size / seconds:,.0f} rows/s, {own:,.0f} µs of own CPU a row, "
        f"peak {usage.ru_maxrss / 1024:,.0f} MB",
        "1,000,000 rows ≤ 180 s, memory flat",
    )
