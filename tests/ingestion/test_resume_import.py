"""An import that was stopped goes on at the row where it stopped; nothing twice, nothing lost."""

import psycopg2
import pytest
from django.conf import settings as django_settings
from django.db import DatabaseError, OperationalError, connection

from cdp.core import locks
from cdp.core.sealed_files import open_sealed, seal_file, sealed_directory
from ingestion.models import Import, Message
from ingestion.services import import_rows
from ingestion.services.import_rows import run_import
from profiles.models import Profile
from tests.ingestion.door import event_count
from tests.ingestion.filing import counts, now, post_file, stopped_after, traits, work

ROWS = "id,n\n" + "".join(f"{number},{number}\n" for number in range(1, 11))
MAPPING = {"source": "crm", "key": "id"}


@pytest.fixture(autouse=True)
def small_chunks(settings, tmp_path, monkeypatch):
    settings.CDP_DATA_DIR = tmp_path / "data"
    monkeypatch.setattr(import_rows, "CHUNK", 3)


def run(import_id, seconds=0.0):
    return run_import(import_id=import_id, clock=now, seconds=seconds)


@pytest.mark.django_db
def test_goes_on_at_the_next_row():
    made = int(post_file(ROWS, MAPPING).json()["id"])
    done = []
    while not run(made):
        done.append(stopped_after(made))
    # One chunk of 3 a step; the last step finds no row left.
    assert done == [3, 6, 9, 10]
    assert (Profile.objects.count(), event_count(), len(traits())) == (10, 10, 10)


@pytest.mark.usefixtures("committed")
def test_a_crash_in_the_middle_of_a_chunk_leaves_whole_chunks(monkeypatch):
    made = int(post_file(ROWS, MAPPING).json()["id"])
    real, calls = import_rows._note_chunk, []

    def die(*arguments):
        real(*arguments)
        calls.append(1)
        if len(calls) == 3:
            message = "the server closed the connection"
            raise OperationalError(message)

    monkeypatch.setattr(import_rows, "_note_chunk", die)
    with pytest.raises(OperationalError):
        run(made, seconds=60)
    assert (stopped_after(made), Profile.objects.count(), Message.objects.count()) == (6, 6, 6)
    monkeypatch.setattr(import_rows, "_note_chunk", real)
    work()
    found = Import.objects.get()
    assert (found.status, found.rows, found.created) == ("done", 10, 10)
    assert (Profile.objects.count(), Message.objects.count(), event_count()) == (10, 10, 10)


@pytest.mark.django_db
def test_the_same_file_again_goes_on_instead_of_beginning_anew():
    made = post_file(ROWS, MAPPING).json()
    run(int(made["id"]))
    again = post_file(ROWS, MAPPING).json()
    assert (again["id"], again["rows"]) == (made["id"], 3)
    assert post_file(ROWS, {**MAPPING, "ignore": ["n"]}).json()["id"] != made["id"]


@pytest.mark.usefixtures("committed")
def test_two_processes_never_read_one_file_at_once():
    made = int(post_file(ROWS, MAPPING).json()["id"])
    other = psycopg2.connect(_dsn())
    with other, other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [locks.IMPORT + made])
        assert run(made) is False
        assert stopped_after(made) == 0
        # The server would notice a closed connection a moment later only.
        cursor.execute("SELECT pg_advisory_unlock(%s)", [locks.IMPORT + made])
    other.close()
    assert run(made) is False
    assert stopped_after(made) == 3


def _dsn():
    parameters = connection.get_connection_params()
    return " ".join(
        f"{name}={parameters[name]}" for name in ("dbname", "user", "password", "host", "port") if parameters.get(name)
    )


@pytest.mark.django_db
def test_a_row_that_this_code_cannot_handle_is_rejected_alone(monkeypatch):
    made = int(post_file(ROWS, MAPPING).json()["id"])
    real = import_rows.fill

    def choke(item, message, rules):
        if message.message_id.endswith("-5"):
            raise DatabaseError
        real(item, message, rules)

    monkeypatch.setattr(import_rows, "fill", choke)
    while not run(made):
        pass
    found = Import.objects.get()
    assert counts({**vars(found)}) == {"created": 9, "rejected": 1}
    assert [(row.number, row.code) for row in found.refused_rows.all()] == [(5, "processing_failed")]


@pytest.mark.django_db
def test_a_damaged_file_fails_with_a_sentence_and_keeps_what_is_in():
    made = int(post_file(ROWS, MAPPING).json()["id"])
    run(made)
    (path,) = sealed_directory().iterdir()
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert run(made) is True
    found = Import.objects.get()
    assert (found.status, found.rows, Profile.objects.count()) == ("failed", 3, 3)
    assert "damaged" in found.error


def test_a_sealed_file_reads_as_it_was_written():
    content = bytes(range(256)) * 1024  # 4 pieces of 64 KB, exactly
    for size in (0, 1, 64 * 1024, 64 * 1024 + 1, len(content)):
        name, counted = seal_file([content[:size]])
        with open_sealed(name) as file:
            assert file.read() == content[:size]
            file.seek(size // 2)
            assert (file.read(10), counted) == (content[size // 2 : size][:10], size)
    assert django_settings.CDP_DATA_DIR in sealed_directory().parents
