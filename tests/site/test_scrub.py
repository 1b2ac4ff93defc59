"""What PostgreSQL's own files hold of a person before and after `scrub`: every byte of the cluster is read."""

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from cdp.core.models import Scrub
from cdp.core.services import scrubbing
from cdp.core.services.scrubbing import find_scrub_after, needs_scrub
from tests.erasing import erase, live
from tests.two_connections import other_connection

pytestmark = pytest.mark.usefixtures("committed", "patient")


@pytest.fixture
def patient(monkeypatch):
    """Wait as long as it takes: another process of the tests writes in its own database of the same server."""
    monkeypatch.setattr(scrubbing, "SNAPSHOT_SECONDS", 600.0)


def files_of_the_cluster() -> list[Path]:
    with connection.cursor() as cursor:
        cursor.execute("SHOW data_directory")
        root = Path(cursor.fetchone()[0])
    return [path for path in root.rglob("*") if path.is_file()]


def found_in_files(word: str) -> list[str]:
    found = []
    for path in files_of_the_cluster():
        try:
            if word.encode() in path.read_bytes():
                found.append(path.name)
        except FileNotFoundError:
            continue
    return found


def relations_of(names: list[str]) -> list[str]:
    """Return what the files are, so that a failure says where the traces lie."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_relation_filenode(oid)::text, oid::regclass::text FROM pg_class")
        known = dict(cursor.fetchall())
    return [known.get(name, name) for name in names]


def checkpoint() -> None:
    with connection.cursor() as cursor:
        cursor.execute("CHECKPOINT")


def scrub() -> tuple[int, str]:
    out = StringIO()
    try:
        call_command("scrub", stdout=out, stderr=StringIO())
    except SystemExit as ended:
        return int(ended.code or 0), out.getvalue()
    return 0, out.getvalue()


def test_scrubs_the_files_of_the_database():
    person = live("scrubbed-canary-0")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    checkpoint()
    control = found_in_files(person.word)
    # Table, index, inbox and log at least: the search does find what is there.
    assert len(control) >= 4
    request = erase(person)
    assert request.status == "completed"
    checkpoint()
    assert found_in_files(person.word) != []
    assert needs_scrub()
    approved_at = request.completed_at
    assert find_scrub_after(moment=approved_at) is None
    code, said = scrub()
    assert (code, "segments of the log deleted" in said) == (0, True)
    assert relations_of(found_in_files(person.word)) == []
    assert not needs_scrub()
    assert find_scrub_after(moment=approved_at) is not None


def test_names_a_table_that_stays_in_use(monkeypatch):
    monkeypatch.setattr(scrubbing, "LOCK_MS", 20)
    monkeypatch.setattr(scrubbing, "TRIES", 1)
    erase(live("scrubbed-canary-1"))
    with other_connection() as other:
        other.execute("BEGIN")
        other.execute("LOCK TABLE profiles_profile IN ACCESS SHARE MODE")
        code, _ = scrub()
        other.execute("ROLLBACK")
    run = Scrub.objects.latest("id")
    assert (code, run.left, run.finished_at) == (1, ["profiles_profile"], None)
    assert needs_scrub()
    code, _ = scrub()
    assert (code, needs_scrub(), timezone.now() > Scrub.objects.latest("id").finished_at) == (0, False, True)


@pytest.mark.parametrize(
    ("where", "begins"),
    [
        ({}, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1"),
        # The snapshot of whoever rewrites is as old as this one, though it looks at no table of ours.
        ({"dbname": "postgres"}, "BEGIN; SELECT pg_current_xact_id()"),
    ],
    ids=["it reads here", "it writes in another database"],
)
def test_rewrites_nothing_while_somebody_sees_what_is_deleted(monkeypatch, where, begins):
    person = live(f"scrubbed-canary-{len(where) + 2}")
    with other_connection(**where) as other:
        other.execute(begins)
        erase(person)
        # Only while it is in vain: afterwards autovacuum, too, may look at the database for a moment.
        with monkeypatch.context() as patched:
            patched.setattr(scrubbing, "SNAPSHOT_SECONDS", 0.3)
            scrub()
        assert needs_scrub()
        assert "profiles_profile" in Scrub.objects.latest("id").left
        other.execute("COMMIT")
    scrub()
    assert not needs_scrub()
    checkpoint()
    assert relations_of(found_in_files(person.word)) == []
