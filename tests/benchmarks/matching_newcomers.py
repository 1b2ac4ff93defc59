"""One newcomer among many profiles: found by block keys in PostgreSQL, scored, queued, its cluster made anew.

Runs in a process of its own, with servers of its own and no workers: nothing else does the work that is measured.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.benchmarks.people import FIELDS, make_people
from tests.benchmarks.report import Row, quantile, spread

LABELS = 300
CHANGED, AT_ONCE = 300, 50
TIMEOUT = 3_600


def matching_newcomers(size: int) -> list[Row]:
    """Let 300 of `size` generated people change, one at a time and in batches."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.matching_newcomers", str(size)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    sys.stderr.write(done.stderr[-2_000:])
    done.check_returncode()
    single, batch, keys = done.stdout.splitlines()[-3:]
    told = f"{size:,} profiles, {keys} block keys"
    return [
        Row("a newcomer matched against all, one at a time", told, single, "≤ 10 ms"),
        Row(f"in batches of {AT_ONCE}, each", told, batch, "≤ 10 ms"),
    ]


def main() -> None:
    """Fill servers of this process's own, and measure."""
    from cdp.embedded import export_environment, release_servers

    data_dir = Path(tempfile.mkdtemp(prefix="cdp-newcomers-")).resolve()
    for name in [name for name in os.environ if name.startswith("CDP_")]:
        del os.environ[name]
    export_environment(data_dir=data_dir, profile="tests")
    os.environ["DJANGO_SETTINGS_MODULE"] = "cdp.settings"
    os.environ["CDP_DATA_DIR"] = str(data_dir)
    try:
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        _measure(int(sys.argv[1]))
    finally:
        release_servers(data_dir)
        shutil.rmtree(data_dir, ignore_errors=True)


def _say(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")


def _measure(size: int) -> None:
    from django.db import connection
    from django.utils import timezone

    from profiles.models import ChangeKind
    from profiles.services.matching_newcomers import match_newcomers
    from profiles.services.matching_results import LINES_AT_ONCE
    from profiles.services.merging import write_changes

    people = make_people(size)
    _fill(people.columns, size, LINES_AT_ONCE)
    _say("filled")
    model = _model(people)
    _keys(model)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM profiles_matchkey")
        keys = cursor.fetchone()[0]
        cursor.execute("SELECT id FROM profiles_profile ORDER BY md5(id::text) LIMIT %s", [2 * CHANGED + AT_ONCE])
        ids = [row[0] for row in cursor.fetchall()]

    def change(chosen: list[int]) -> float:
        model.refresh_from_db()
        long_ago = timezone.now() - timedelta(seconds=60)
        with connection.cursor() as cursor:
            write_changes(cursor, [(one, ChangeKind.TRAITS, {}) for one in chosen], long_ago)
        began_at = time.perf_counter()
        read = match_newcomers(model=model, now=timezone.now())
        took = time.perf_counter() - began_at
        if read != len(chosen):
            raise RuntimeError(f"{read} of {len(chosen)} changes were read.")
        return took

    # The first counts how many profiles have each value: once an hour.
    _say(f"the first, which counts values: {change(ids[:AT_ONCE]):.1f} s")
    ids = ids[AT_ONCE:]
    single = [change([one]) for one in ids[:CHANGED]]
    batches = [change(ids[start : start + AT_ONCE]) / AT_ONCE for start in range(CHANGED, 2 * CHANGED, AT_ONCE)]
    sys.stdout.write(f"{spread(single)}\np50 {quantile(batches, 0.5) * 1000:.1f} ms\n{keys:,}\n")


def _fill(columns: dict[str, list[str | None]], size: int, at_once: int) -> None:
    """Put profiles with an identifier each into the tables."""
    import uuid

    import orjson
    from django.db import connection

    from cdp.core.copying import copy_rows

    with connection.cursor() as cursor:
        # Anonymous ids: two user ids would keep people apart.
        cursor.execute("SELECT id FROM profiles_identifiertype WHERE key = 'anonymous_id'")
        kind = cursor.fetchone()[0]
        now = time.strftime("%Y-%m-%d %H:%M:%S+00")
        for start in range(0, size, at_once):
            rows = range(start, min(start + at_once, size))
            profiles, identifiers = [], []
            for row in rows:
                traits = orjson.dumps({name: columns[name][row] for name in FIELDS if columns[name][row]}).decode()
                profiles.append(f"{row + 1}\t{uuid.UUID(int=row + 1)}\t{now}\tf\t{traits}\t{{}}\n")
                identifiers.append(f"{kind}\t\\\\x{row + 1:032x}\ta{row}\t{row + 1}\t{now}\t1\tf\t0\n")
            copy_rows(cursor, "profiles_profile", "id, uuid, created_at, restricted, traits, trait_meta", profiles)
            copy_rows(
                cursor,
                "profiles_identifier",
                "type_id, lookup, value, profile_id, first_seen_at, source_id, verified, alias_state",
                identifiers,
            )
        cursor.execute("ANALYZE profiles_profile; ANALYZE profiles_identifier")


def _model(people: Any) -> Any:
    """Return a model that was trained on the people."""
    import numpy as np
    from django.utils import timezone

    from profiles.matching.learner import Learner
    from profiles.matching.model import write_model
    from profiles.matching.pool import make_pool
    from profiles.matching.table import make_table
    from profiles.matching.training import train_model
    from profiles.matching_models import MatchModel, MatchRun
    from profiles.services.matching_models import create_model, spec_of
    from profiles.services.matching_versions import promote, write_version
    from tests.benchmarks.matching import PEOPLE

    now = timezone.now()
    fields = [{"trait": trait, "comparison": comparison} for trait, comparison in PEOPLE]
    model = create_model(definition={"key": "people", "fields": fields}, actor="system", now=now)
    spec = spec_of(model)
    columns = [people.columns[field.trait] for field in spec.fields]
    table = make_table(fields=spec.fields, columns=columns, size=len(columns[0]))
    learner = Learner(make_pool(table, across=False, rng=np.random.default_rng(1)), seed=1)
    while len(learner.answers) < LABELS:
        pool = learner.pool
        learner.answer(
            {
                place: people.truth[int(pool.left[place])] == people.truth[int(pool.right[place])]
                for place in learner.ask(10)
            }
        )
    trained = train_model(learner, fields=spec.fields, mode=spec.mode, precision=0.995)
    version = write_version(model=model, stored=write_model(trained), labels=LABELS, auto_link=None, now=now)
    promote(model=model, version=version, now=now)
    MatchRun.objects.create(model=model, version=1, status="done", created_at=now, created_by="system")
    MatchModel.objects.update(wants_questions_at=None)
    _say(f"trained: {len(trained.rules)} rules, of dedupe {[r.label for r in trained.rules if 'learned' in r.label]}")
    return MatchModel.objects.get()


def _keys(model: Any) -> None:
    """Store the block keys of everybody, as a run does."""
    from django.db import connection

    from profiles.matching_models import MatchRun
    from profiles.services.matching_runs import prepare_following, read_basis

    basis = read_basis(MatchRun.objects.get(), timezone_now())
    _say("read")
    began = time.perf_counter()
    prepare_following(basis)
    _say(f"keys are stored, within {time.perf_counter() - began:.1f} s")
    with connection.cursor() as cursor:
        for table in ("profiles_matchkey", "profiles_matchkeylist"):
            cursor.execute(f"VACUUM ANALYZE {table}")


def timezone_now() -> Any:
    """Return the time as Django tells it; it is imported once there are settings."""
    from django.utils import timezone

    return timezone.now()


if __name__ == "__main__":
    main()
