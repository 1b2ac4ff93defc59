"""Backup and restore, end to end: what was there comes back, who was erased since does not."""

import json
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
import time_machine
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

from cdp.core.sealed_files import open_sealed, seal_file
from cdp.core.services import restoring
from cdp.core.services.audit import record
from cdp.core.services.sealing import AuditBroken, seal_audit, verify_audit
from cdp.core.services.starting import begin_restore, end_restore
from consent.models import PrivacyRequest
from consent.services.suppressions import lift_suppression, suppress_identifier
from consent.suppression_models import LedgerEntry, Suppression
from profiles.models import Profile
from profiles.queries.people import name_identifier
from tests.erasing import erase, live
from tests.profiles.sending import identify, process, put, send, source
from tests.two_connections import other_connection

pytestmark = pytest.mark.usefixtures("committed", "own_directory")


@pytest.fixture
def own_directory(settings, tmp_path, committed):
    """Give the installation a data directory and a ledger of its own."""
    settings.CDP_DATA_DIR = tmp_path / "data"
    settings.CDP_LEDGER_DIR = tmp_path / "ledger"
    return tmp_path


@pytest.fixture
def backup(tmp_path) -> Path:
    return tmp_path / "one.cdpbackup"


def run(*command: str) -> tuple[int, str, str]:
    out, err = StringIO(), StringIO()
    try:
        call_command(*command, stdout=out, stderr=err)
    except SystemExit as ended:
        return int(ended.code or 0), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


def counts() -> dict[str, int]:
    found = {}
    with connection.cursor() as cursor:
        for table in ("profiles_profile", "profiles_identifier", "profiles_event", "ingestion_message"):
            cursor.execute(f"SELECT count(*) FROM {table}")
            found[table] = cursor.fetchone()[0]
    return found


def test_brings_back_what_was_there_but_nobody_who_was_erased_since(backup):
    kept, gone = live("kept-person-1"), live("gone-person-1")
    name, _ = seal_file([b"a stored file"])
    before = counts()
    assert run("backup", str(backup))[0] == 0
    assert b"gone-person-1" not in backup.read_bytes()
    send(identify("later-person-1"), origin=source())
    assert erase(gone).status == "completed"
    seal_audit(wait=True)
    code, said, _ = run("restore", str(backup))
    assert (code, "1 erasures were done again (1 of people who were there)" in said) == (0, True)
    assert (kept.is_there(), gone.is_there()) == (True, False)
    after = counts()
    # Gone: the person's profile, two identifiers, and three events; who came later is in no backup.
    assert before["profiles_profile"] - after["profiles_profile"] == 1
    assert before["profiles_identifier"] - after["profiles_identifier"] == 2
    assert before["profiles_event"] - after["profiles_event"] == 3
    assert before["ingestion_message"] == after["ingestion_message"]
    with open_sealed(name) as file:
        assert file.read() == b"a stored file"
    request = PrivacyRequest.objects.get()
    assert (request.status, request.identities) == ("completed", [])
    # What comes of the person afterwards is refused as it was before.
    send(identify("gone-person-1", email="gone-person-1@example.org"), origin=source())
    assert not gone.is_there()


def test_refuses_what_waited_in_the_inbox_of_a_backup(backup):
    person = live("waiting-person-1")
    put([identify("waiting-person-1", email=person.email)], origin=source())
    run("backup", str(backup))
    process()
    assert erase(person).status == "completed"
    assert run("restore", str(backup))[0] == 0
    process()
    assert not person.is_there()


def test_does_not_erase_again_who_was_let_in_again(backup):
    person = live("returned-person-1")
    assert erase(person).status == "completed"
    for row in Suppression.objects.all():
        lift_suppression(suppression_id=row.pk, reason="signed up again", actor="system", now=timezone.now())
    live("returned-person-1")
    run("backup", str(backup))
    code, said, _ = run("restore", str(backup))
    assert (code, said.count("erasures"), person.is_there()) == (0, 0, True)


def test_repeats_suppressions_and_their_lifting(backup):
    stays, goes = (name_identifier(type="user_id", value=value) for value in ("kept-out-1", "let-in-1"))
    suppress_identifier(named=goes, reason="asked", actor="system", now=timezone.now())
    run("backup", str(backup))
    suppress_identifier(named=stays, reason="asked", actor="system", now=timezone.now())
    row = Suppression.objects.get(digest=goes.digest)
    lift_suppression(suppression_id=row.pk, reason="asked", actor="system", now=timezone.now())
    assert run("restore", str(backup))[0] == 0
    assert [bytes(digest) for digest in Suppression.objects.values_list("digest", flat=True)] == [stays.digest]


def test_verifies_the_trail_after_a_restore_and_says_that_there_was_one(backup):
    live("trail-person-1")
    record(actor="user:1", action="thing.done", object="thing:1")
    seal_audit(wait=True)
    run("backup", str(backup))
    for number in range(5):
        record(actor="user:1", action="thing.done", object=f"thing:{number}")
    seal_audit(wait=True)
    assert run("restore", str(backup))[0] == 0
    found = verify_audit()
    assert found.restores == 1
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("DELETE FROM core_auditentry WHERE seq = (SELECT max(seq) FROM core_auditentry)")
        cursor.execute("SET session_replication_role = origin")
    with pytest.raises(AuditBroken, match="cut off"):
        verify_audit()


def test_refuses_to_restore_and_to_start_without_the_ledger(backup, settings):
    person = live("ledger-person-1")
    assert erase(person).status == "completed"
    run("backup", str(backup))
    ledger = settings.CDP_LEDGER_DIR / "erasures.log"
    aside = ledger.rename(ledger.with_suffix(".aside"))
    code, _, said = run("restore", str(backup))
    assert (code, "REFUSING TO START" in said, "is missing" in said) == (1, True, True)
    code, _, said = run("check_start")
    assert (code, "REFUSING TO START" in said) == (1, True)
    # One that ends too early is no better.
    lines = aside.read_text().splitlines(keepends=True)
    ledger.write_text("".join(lines[:-1]))
    code, _, said = run("check_start")
    assert (code, "ends at line" in said) == (1, True)
    ledger.unlink()
    aside.rename(ledger)
    assert run("check_start")[0] == 0
    assert run("restore", str(backup))[0] == 0


def test_notices_a_line_that_was_changed(settings):
    erase(live("changed-person-1"))
    ledger = settings.CDP_LEDGER_DIR / "erasures.log"
    lines = ledger.read_text().splitlines()
    for part, other in (("names", []), ("kind", "lifted"), ("at", "2020-01-01T00:00:00+00:00")):
        body = {**json.loads(lines[1]), part: other}
        ledger.write_text("\n".join([lines[0], json.dumps(body), *lines[2:]]) + "\n")
        code, _, said = run("check_start")
        assert (code, "line 1 of the ledger" in said) == (1, True)


def test_begins_a_lost_ledger_anew_from_the_suppressions(settings):
    person = live("lost-ledger-1")
    erase(person)
    (settings.CDP_LEDGER_DIR / "erasures.log").unlink()
    assert run("check_start")[0] == 1
    code, said, _ = run("begin_erasure_ledger", "--reason", "disk died")
    assert (code, "2 suppressions" in said) == (0, True)
    assert run("check_start")[0] == 0


def test_does_again_what_a_database_that_went_back_in_time_does_not_know():
    # As after a snapshot of the machine or another tool's restore: nobody ran `restore`.
    person = live("snapshot-person-1")

    class Back(Exception):
        pass

    def go_back():
        with transaction.atomic():
            erase(person)
            raise Back

    with pytest.raises(Back):
        go_back()
    assert (person.is_there(), LedgerEntry.objects.exists()) == (True, False)
    code, said, _ = run("check_start")
    assert (code, "1 erasures were done again" in said, person.is_there()) == (0, True, False)


def test_keeps_everybody_out_until_a_restore_has_ended(backup):
    run("backup", str(backup))
    begin_restore()
    code, _, said = run("check_start")
    assert (code, "did not end" in said) == (1, True)
    assert run("restore", str(backup))[0] == 0
    assert run("check_start")[0] == 0
    end_restore()


def test_refuses_before_anything_is_changed(backup, monkeypatch, settings):
    person = live("refused-person-1")
    run("backup", str(backup))
    raw = bytearray(backup.read_bytes())
    whole = bytes(raw)
    with monkeypatch.context() as patch:
        patch.setattr(restoring, "key_check", lambda: "another")
        assert "CDP_SUPPRESSION_KEY" in run("restore", str(backup))[2]
    with time_machine.travel(timezone.now() + timedelta(days=settings.CDP_BACKUP_DAYS + 1), tick=True):
        assert "--expired" in run("restore", str(backup))[2]
    with other_connection() as other:
        other.execute("SET application_name = 'cdp'")
        assert "Stop the product first" in run("restore", str(backup))[2]
        # The server lists a session for a moment after its end: then it is to be nobody's.
        other.execute("SET application_name = 'tests'")
    for harm in (whole[:-100], whole[:5000] + b"x" + whole[5001:], b"no backup at all"):
        backup.write_bytes(harm)
        code, _, said = run("restore", str(backup))
        assert (code, "Nothing was changed" in said, person.is_there()) == (1, True, True)
    assert run("check_start")[0] == 0


def test_deletes_backups_past_their_time_from_a_directory(tmp_path, settings):
    folder = tmp_path / "backups"
    folder.mkdir()
    assert run("backup", str(folder))[0] == 0
    (first,) = folder.iterdir()
    with time_machine.travel(timezone.now() + timedelta(days=settings.CDP_BACKUP_DAYS, hours=1), tick=True):
        code, said, _ = run("backup", str(folder))
    assert (code, str(first) in said, first.exists(), len(list(folder.iterdir()))) == (0, True, False, 1)
    assert run("backup", str(next(folder.iterdir())))[0] == 1
    assert not Profile.objects.exists()
