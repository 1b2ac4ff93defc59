"""Kill an erasure at any statement and see that it is finished all the same: `python -m tests.killing [--times N]`.

Each time a person is made, an erasure is approved and carried out by a process of its own, which kills itself
(SIGKILL) just before one of the statements that it sends. Another worker takes the request over when its lease is past,
and is killed as well, ten times in a row; the places are spread over all statements. Afterwards nothing of the person
may be left, nobody else may have lost anything, and the request must be completed.
"""

import argparse
import collections
import os
import signal
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from cdp.embedded import export_environment, release_servers

OTHERS = "bystander-number-1"
IN_A_ROW = 10
LEASE_PAST = 90
WELL = "completed, nothing left, nobody else harmed"
TABLES = "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"


def main() -> int:
    """Kill as often as the command line says; 1 if anything was left, lost or not completed."""
    parser = argparse.ArgumentParser(prog="python -m tests.killing", description=__doc__)
    parser.add_argument("--times", type=int, default=300, help="how many kills")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cdp-killing-") as folder:
        data_dir = Path(folder).resolve()
        for name in [name for name in os.environ if name.startswith("CDP_")]:
            del os.environ[name]
        os.environ["DJANGO_SETTINGS_MODULE"] = "cdp.settings"
        export_environment(data_dir=data_dir, profile="tests")
        try:
            return _run(options.times)
        finally:
            release_servers(data_dir)


def _run(times: int) -> int:
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    call_command("ensure_administrator", stdout=open(os.devnull, "w"))  # noqa: SIM115 - for the process
    from tests import erasing

    erasing.live(OTHERS, events=5)
    erasing.ask_erasure(erasing.live("unharmed-person-0"))
    total = _carry_out_in_child(at=None)
    sys.stderr.write(f"an erasure sends {total} statements\n")
    outcomes: collections.Counter[str] = collections.Counter()
    began_at = time.monotonic()
    for number, first in enumerate(range(0, times, IN_A_ROW), start=1):
        places = [1 + (place * 7919) % total for place in range(first, min(first + IN_A_ROW, times))]
        outcomes[_try(number, places)] += 1
        sys.stderr.write(f"{first + len(places)} kills of {times}: {dict(outcomes)}\n")
    seconds = time.monotonic() - began_at
    sys.stdout.write(f"{number} erasures, {times} kills over {total} statements, {seconds:.0f} s: {dict(outcomes)}\n")
    return 0 if set(outcomes) == {WELL} else 1


def _try(number: int, places: list[int]) -> str:
    from django.utils import timezone

    from consent.services.running import run_privacy_requests
    from tests import erasing

    person = erasing.live(f"killed-person-{number}")
    before = _rows_of(OTHERS)
    request = erasing.ask_erasure(person)
    later = 0
    for at in places:
        _carry_out_in_child(at=at, later=later)
        later += LEASE_PAST
    run_privacy_requests(clock=lambda: timezone.now() + timedelta(seconds=later))
    request.refresh_from_db()
    if request.status != "completed":
        return f"{request.status} after kills before the statements {places}"
    if _left(person.word):
        return f"something left after kills before the statements {places}"
    if _rows_of(OTHERS) != before:
        return f"others harmed by kills before the statements {places}"
    return WELL


def _carry_out_in_child(*, at: int | None, later: float = 0) -> int:
    """Carry the erasure out in a process that dies before its statement number `at`; return how many it sent."""
    from django.db import connection

    connection.close()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _carry_out(at=at, later=later, writing=writing)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        sent = pipe.read()
    os.waitpid(child, 0)
    return int(sent or 0)


def _carry_out(*, at: int | None, later: float, writing: int) -> None:
    from django.db import connection
    from django.utils import timezone

    from consent.services.running import run_privacy_requests

    count = 0

    def count_or_die(execute, sql, params, many, context):  # type: ignore[no-untyped-def]
        nonlocal count
        count += 1
        if count == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(count_or_die):
        run_privacy_requests(clock=lambda: timezone.now() + timedelta(seconds=later))
    os.write(writing, str(count).encode())
    os._exit(0)


def _rows_of(word: str) -> int:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM profiles_event WHERE properties::text LIKE %s", [f"%{word}%"])
        return int(cursor.fetchone()[0])


def _left(word: str) -> list[str]:
    """Return the tables that hold the word, asked as somebody from outside would."""
    from django.db import connection

    found = []
    with connection.cursor() as cursor:
        cursor.execute(TABLES)
        for (table,) in cursor.fetchall():
            cursor.execute(f"SELECT EXISTS (SELECT FROM {table} t WHERE t::text ~ %s)", [rf"\m{word}x?\M"])
            if cursor.fetchone()[0]:
                found.append(table)
    return found


if __name__ == "__main__":
    sys.exit(main())
