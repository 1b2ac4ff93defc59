"""One newcomer among many profiles: found by block keys in PostgreSQL, scored, queued, its cluster made anew.

Everybody came in that day and was matched by a run before, as in an installation: two of three have a likely pair, and
most of these lie in a cluster with others. Then some are spelt otherwise in a trait that is compared, and others are
new. Runs in a process of its own, with servers of its own that have the product's settings, and no workers: nothing
else does the work that is measured.
"""

import os
import random
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
CHANGED, NEW, AT_ONCE = 300, 150, 50
TIMEOUT = 3_600


def matching_newcomers(size: int) -> list[Row]:
    """Let 300 of `size` generated people change, one at a time and in batches, and 150 others come in."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.matching_newcomers", str(size)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    sys.stderr.write(done.stderr[-2_000:])
    done.check_returncode()
    single, new, batch, keys = done.stdout.splitlines()[-4:]
    told = f"{size:,} profiles, {keys} block keys"
    return [
        Row("a changed profile matched against all, one at a time", told, single, "≤ 10 ms"),
        Row("a new one, one at a time", told, new, "≤ 10 ms"),
        Row(f"in batches of {AT_ONCE}, each", told, batch, "≤ 10 ms"),
    ]


def main() -> None:
    """Fill servers of this process's own, and measure."""
    from cdp.embedded import export_environment, release_servers

    data_dir = Path(tempfile.mkdtemp(prefix="cdp-newcomers-")).resolve()
    for name in [name for name in os.environ if name.startswith("CDP_")]:
        del os.environ[name]
    export_environment(data_dir=data_dir, profile="product")
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

    people = make_people(size + NEW)
    _fill(people.columns, range(size), LINES_AT_ONCE)
    _say("filled")
    model = _model(people, size)
    _match_everybody()
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM profiles_matchkey")
        keys = cursor.fetchone()[0]
        cursor.execute("SELECT id FROM profiles_profile ORDER BY md5(id::text) LIMIT %s", [2 * CHANGED + AT_ONCE])
        ids = [row[0] for row in cursor.fetchall()]
    rng = random.Random(1)

    def match(chosen: list[int], kind: ChangeKind) -> float:
        with connection.cursor() as cursor:
            write_changes(cursor, [(one, kind, {}) for one in chosen], timezone.now() - timedelta(seconds=60))
        model.refresh_from_db()
        began_at, began = time.perf_counter(), time.process_time()
        read = match_newcomers(model=model, now=timezone.now())
        took = time.perf_counter() - began_at
        used.append(time.process_time() - began)
        if read != len(chosen):
            raise RuntimeError(f"{read} of {len(chosen)} changes were read.")
        return took

    def change(chosen: list[int]) -> float:
        with connection.cursor() as cursor:
            for one in chosen:
                _spell_otherwise(cursor, one, rng)
        return match(chosen, ChangeKind.TRAITS)

    def come(row: int) -> float:
        _fill(people.columns, range(row, row + 1), 1, told=False)
        return match([row + 1], ChangeKind.CREATED)

    used: list[float] = []
    # The first reads how many profiles have each value: once after each run.
    _say(f"the first, which reads how rare values are: {change(ids[:AT_ONCE]):.1f} s")
    ids = ids[AT_ONCE:]
    used.clear()
    single = [change([one]) for one in ids[:CHANGED]]
    own = f"{quantile(used, 0.5) * 1000:.1f} ms of it this process"
    new = [come(row) for row in range(size, size + NEW)]
    batches = [change(ids[start : start + AT_ONCE]) / AT_ONCE for start in range(CHANGED, 2 * CHANGED, AT_ONCE)]
    busy = f"load {os.getloadavg()[0]:.1f}"
    sys.stdout.write(f"{spread(single)}, {own}, {busy}\n{spread(new)}\n")
    sys.stdout.write(f"p50 {quantile(batches, 0.5) * 1000:.1f} ms\n{keys:,}\n")


def _spell_otherwise(cursor: Any, profile_id: int, rng: random.Random) -> None:
    """Double or leave out a letter of the surname; of who has none, of another trait that is compared."""
    import orjson

    cursor.execute("SELECT traits::text FROM profiles_profile WHERE id = %s", [profile_id])
    traits = orjson.loads(cursor.fetchone()[0])
    name = next(name for name in ("surname", *FIELDS) if name in traits)
    place = rng.randrange(1, len(traits[name]))
    traits[name] = traits[name][: place + rng.choice((-1, 1))] + traits[name][place:]
    cursor.execute("UPDATE profiles_profile SET traits = %s WHERE id = %s", [orjson.dumps(traits).decode(), profile_id])


def _fill(columns: dict[str, list[str | None]], rows: range, at_once: int, *, told: bool = True) -> None:
    """Put profiles with an identifier each into the tables, and that they came in into the history if it is `told`."""
    import uuid

    import orjson
    from django.db import connection

    from cdp.core.copying import copy_rows

    with connection.cursor() as cursor:
        # Anonymous ids: two user ids would keep people apart.
        cursor.execute("SELECT id FROM profiles_identifiertype WHERE key = 'anonymous_id'")
        kind = cursor.fetchone()[0]
        now = time.strftime("%Y-%m-%d %H:%M:%S+00", time.gmtime(time.time() - 60))
        for start in range(rows.start, rows.stop, at_once):
            profiles, identifiers, changes = [], [], []
            for row in range(start, min(start + at_once, rows.stop)):
                traits = orjson.dumps({name: columns[name][row] for name in FIELDS if columns[name][row]}).decode()
                profiles.append(f"{row + 1}\t{uuid.UUID(int=row + 1)}\t{now}\tf\t{traits}\t{{}}\n")
                identifiers.append(f"{kind}\t\\\\x{row + 1:032x}\ta{row}\t{row + 1}\t{now}\t1\tf\t0\n")
                changes.append(f"{row + 1}\t1\t{now}\t{{}}\n")
            copy_rows(cursor, "profiles_profile", "id, uuid, created_at, restricted, traits, trait_meta", profiles)
            copy_rows(
                cursor,
                "profiles_identifier",
                "type_id, lookup, value, profile_id, first_seen_at, source_id, verified, alias_state",
                identifiers,
            )
            if told:
                copy_rows(cursor, "profiles_change", "profile_id, kind, at, detail", changes)
        if told:
            cursor.execute("ANALYZE profiles_profile; ANALYZE profiles_identifier; ANALYZE profiles_change")


def _model(people: Any, size: int) -> Any:
    """Return a model that was trained on the first of the people."""
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
    columns = [people.columns[field.trait][:size] for field in spec.fields]
    table = make_table(fields=spec.fields, columns=columns, size=size)
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


def _match_everybody() -> None:
    """Do a run, and what it leaves for those who come in after it."""
    from django.db import connection

    from profiles.matching_models import MatchModel, MatchRun
    from profiles.services.matching_runs import prepare_following, run_match

    run = MatchRun.objects.select_related("model").get()
    began = time.perf_counter()
    basis = run_match(run=run, now=timezone_now())
    _say(f"matched, within {time.perf_counter() - began:.1f} s")
    began = time.perf_counter()
    prepare_following(basis)
    MatchModel.objects.update(followed_run_id=run.pk)
    _say(f"keys are stored, within {time.perf_counter() - began:.1f} s")
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def timezone_now() -> Any:
    """Return the time as Django tells it; it is imported once there are settings."""
    from django.utils import timezone

    return timezone.now()


if __name__ == "__main__":
    main()
