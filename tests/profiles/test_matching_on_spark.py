"""Matching on Apache Spark: on a standalone cluster of a master and two workers, pairs and scores are those of here.

Needs requirements/spark.txt and Java. `.ci/run` installs both and says so by CDP_TESTS_SPARK, and then nothing of this
may be skipped.
"""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from django.core.management import call_command

from profiles.matching.blocking import Rule
from profiles.matching.features import compare
from profiles.matching.learner import make_deduper, weights_of
from profiles.matching.model import TrainedModel, find_and_score
from profiles.matching.table import make_table
from tests.profiles.test_matching_parts import FIELDS, VALUES

MISSING = [
    name
    for name, there in (("pyspark", find_spec("pyspark") is not None), ("Java", shutil.which("java") is not None))
    if not there
]
pytestmark = [
    pytest.mark.skipif(
        bool(MISSING) and "CDP_TESTS_SPARK" not in os.environ,
        reason=f"{' and '.join(MISSING)} missing: `make installed-spark`, and a Java runtime",
    ),
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
WAIT_SECONDS = 90
# So little is there that planning and compiling cost more than they bring.
CONFIGURATION = """
spark.sql.adaptive.enabled false
spark.sql.codegen.wholeStage false
spark.executor.memory 512m
spark.executor.cores 1
spark.driver.memory 512m
spark.driver.host 127.0.0.1
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Start a master and two workers with a core each; answers the URL of the cluster."""
    folder = tmp_path_factory.mktemp("spark")
    (folder / "conf").mkdir()
    (folder / "conf/spark-defaults.conf").write_text(CONFIGURATION)
    own = {
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_CONF_DIR": str(folder / "conf"),
        "SPARK_DAEMON_MEMORY": "256m",
        "PYSPARK_PYTHON": sys.executable,
    }
    known = dict(os.environ)
    os.environ.update(own)
    running = []
    try:
        master, log = start(folder, "master", "--host", "127.0.0.1", "--port", "0", "--webui-port", "0")
        running.append(master)
        url = wait_for(log, r"Starting Spark master at (spark://\S+)", master)
        for name in ("one", "two"):
            arguments = ("--host", "127.0.0.1", "--webui-port", "0", "--cores", "1", "--memory", "768m")
            worker, log = start(folder, "worker", *arguments, "--work-dir", str(folder / name), url, name=name)
            running.append(worker)
            wait_for(log, r"(Successfully registered) with master", worker)
        yield url
    finally:
        for process in reversed(running):
            process.terminate()
        for process in running:
            process.wait(WAIT_SECONDS)
        os.environ.clear()
        os.environ.update(known)


def start(folder, kind, *arguments, name=""):
    spark = Path(find_spec("pyspark").submodule_search_locations[0])
    log = folder / f"{name or kind}.log"
    command = [str(spark / "bin/spark-class"), f"org.apache.spark.deploy.{kind}.{kind.title()}", *arguments]
    with log.open("w") as file:
        return subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, cwd=folder), log


def wait_for(log, pattern, process):
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end and process.poll() is None:
        found = re.search(pattern, log.read_text())
        if found is not None:
            return found[1]
        time.sleep(0.1)
    raise AssertionError(log.read_text()[-2000:])


def records(size, seed=11):
    """Return records with values that more share than a block may hold, and with contacts that too many share."""
    rng = np.random.default_rng(seed)
    words = ["".join(rng.choice(["an", "bel", "cor", "da", "el", "fi"], 4)) for _ in range(400)]
    columns = []
    for field in FIELDS:
        many = [None, *VALUES[field.trait][:-1]]
        if field.trait == "phone":
            many = [None, "0400 123 456", *(f"0{rng.integers(10**9, 10**10)}" for _ in range(300))]
        elif field.trait == "born":
            many = [None, *(f"{year}-{month:02}-11" for year in range(1950, 1990) for month in range(1, 13))]
        elif field.trait == "email":
            many += [f"{word}@post.example" for word in words]
        elif field.comparison in ("name", "text") and field.trait != "town":
            many += [f"{one} {other}" for one, other in pairwise(words)]
        # The first two far oftener than others.
        weights = np.r_[len(many) / 20, len(many) / 15, np.ones(len(many) - 2)]
        columns.append([many[place] for place in rng.choice(len(many), size, p=weights / weights.sum())])
    groups = np.asarray(rng.integers(0, 3, size), np.int16)
    return make_table(fields=FIELDS, columns=columns, size=size, groups=groups)


def learned(table):
    rng = np.random.default_rng(1)
    matrix = compare(table, rng.integers(0, table.size, 300), rng.integers(0, table.size, 300))
    deduper = make_deduper(table, matches=50, distinct=50)
    deduper.classifier.fit(matrix, matrix.sum(axis=1) > np.median(matrix.sum(axis=1)))
    return weights_of(deduper.classifier, table)


RULES = (
    Rule((("name", "all"), ("born", "year"))),
    Rule((("family", "sound"), ("town", "start"))),
    Rule((("~names", "words:3"),)),
    Rule((("street", "words:2"),)),
    Rule((("phone", "all"),)),
    Rule((("email", "local"),)),
    # Its blocks are all past the cap.
    Rule((("town", "first"),)),
)


def test_finds_the_pairs_and_scores_of_one_machine(cluster):
    from profiles.matching.spark import find_on_spark, spark_session

    table = records(1_200)
    # Linking: pairs within one source are left out. The command below deduplicates.
    model = TrainedModel(FIELDS, "link", learned(table), RULES)
    ours, likely = find_and_score(model, table)
    assert len(ours) > 5_000
    # The cap and the limit of shared contacts are at work.
    assert sum(report.dropped_pairs for report in ours.reports) > 5_000
    assert (table.columns["phone"].counts > 50).any()
    with spark_session(cluster) as session:
        theirs, scores = find_on_spark(session, model, table)
        assert where_it_runs(session) == {"matching.zip"}
    assert np.array_equal(ours.left, theirs.left)
    assert np.array_equal(ours.right, theirs.right)
    assert np.abs(likely - scores).max() <= 1e-9
    assert theirs.reports == ours.reports


def where_it_runs(session):
    """Return the archives that the workers have this package from."""

    def file(_):
        from profiles.matching import table

        return re.search(r"([^/]+\.zip)/", table.__file__)[1]

    return set(session.sparkContext.range(4, numSlices=4).map(file).collect())


def test_the_command_matches_a_file_on_a_cluster(cluster, tmp_path, capsys):
    first = ("Ann", "Bob", "Cleo", "Dora", "Emil", "Fay", "Gus", "Hal")
    last = ("Smith", "Jones", "Weber", "Lopez", "Novak")
    rows = []
    for person, (a, b) in enumerate((a, b) for a in first for b in last):
        born = f"19{50 + person % 50}-0{1 + person % 9}-11"
        rows.append((len(rows), a, b, born, person))
        rows.append((len(rows), a, b[:-1] + "x", born, person))
    people = tmp_path / "people.csv"
    with people.open("w", newline="") as file:
        csv.writer(file).writerows([("id", "first", "last", "born", "person"), *rows])
    fields = [{"trait": t, "comparison": c} for t, c in (("first", "name"), ("last", "name"), ("born", "date"))]
    (tmp_path / "model.json").write_text(json.dumps({"key": "people", "fields": fields}))
    given = [tmp_path / "model.json", "--truth", people, "--truth-column", "person", "--labels", "40"]
    call_command("match", *map(str, given), "--out", str(tmp_path / "out.csv"), "--spark", cluster)
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["spark"]["pairs"] == found["spark"]["same_pairs"] == found["candidates"] > 0
    assert found["spark"]["largest_difference"] <= 1e-9
    assert found["f1"] > 0.9
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 1 + len(rows)
