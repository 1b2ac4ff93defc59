"""The audit trail: sealed within a second, unchangeable, and checked."""

import json
import threading
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction

from cdp.core.locks import SEALER
from cdp.core.models import AuditEntry, AuditHead
from cdp.core.services import audit, sealing
from cdp.core.services.audit import Act
from cdp.core.services.sealing import AuditBroken, seal_audit, verify_audit

NOW = datetime(2026, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)


@pytest.fixture(autouse=True)
def folder(settings, tmp_path, db):
    settings.CDP_DATA_DIR = tmp_path
    return tmp_path / "audit"


def acts(count: int) -> None:
    audit.record_all(
        [Act("user:1", "thing.done", f"thing:{n}", {"n": n, "ü": [1.5, None]}) for n in range(count)], now=NOW
    )


def tamper(sql: str) -> None:
    """Change what the triggers guard, as the owner of the database could."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(sql)
        cursor.execute("SET LOCAL session_replication_role = origin")


def verify() -> tuple[int, str]:
    out, err = StringIO(), StringIO()
    try:
        call_command("verify_audit", stdout=out, stderr=err)
    except SystemExit as ended:
        return int(ended.code or 0), err.getvalue()
    return 0, out.getvalue()


def test_numbers_without_gaps_and_chains():
    acts(3)
    assert seal_audit() == 3
    acts(2)
    assert seal_audit() == 2
    assert seal_audit() == 0
    rows = list(AuditEntry.objects.order_by("seq"))
    assert [row.seq for row in rows] == [1, 2, 3, 4, 5]
    previous = sealing.START
    for row in rows:
        assert bytes(row.hash) == sealing.hash_entry(previous=previous, seq=row.seq, entry=row)
        previous = bytes(row.hash)


def test_seals_more_than_one_batch(monkeypatch):
    monkeypatch.setattr(sealing, "BATCH", 4)
    acts(10)
    assert seal_audit() == 10
    assert verify_audit().entries == 10


def test_hash_tells_fields_apart_that_are_the_same_bytes_in_a_row():
    one = AuditEntry(id=1, at=NOW, actor="ab", action="c", object="o", detail={})
    other = AuditEntry(id=1, at=NOW, actor="a", action="bc", object="o", detail={})
    assert sealing.hash_entry(previous=b"", seq=1, entry=one) != sealing.hash_entry(previous=b"", seq=1, entry=other)


def test_verifies_what_it_sealed_and_seals_what_waits():
    acts(5)
    code, text = verify()
    assert (code, text) == (0, "5 entries and 3 signed heads are as they were sealed.\n")
    assert not AuditEntry.objects.filter(seq__isnull=True).exists()


def test_verifies_an_empty_trail():
    assert verify()[0] == 0


@pytest.mark.parametrize(
    ("sql", "named"),
    [
        ("UPDATE core_auditentry SET actor = 'user:2' WHERE seq = 3", "Entry 3 "),
        ("UPDATE core_auditentry SET at = at + interval '1 microsecond' WHERE seq = 2", "Entry 2 "),
        ("UPDATE core_auditentry SET detail = '{}' WHERE seq = 4", "Entry 4 "),
        ("DELETE FROM core_auditentry WHERE seq = 2", "Entry 2 is missing"),
        ("DELETE FROM core_auditentry WHERE seq = 5", "the tail was cut off"),
        ("DELETE FROM core_auditentry", "the tail was cut off"),
        ("UPDATE core_audithead SET seq = 4", "wrong signature"),
        ("UPDATE core_audithead SET hash = '\\x00'", "wrong signature"),
    ],
)
def test_names_the_first_bad_record(sql, named):
    acts(5)
    seal_audit()
    tamper(sql)
    code, text = verify()
    assert code == 1
    assert named in text


def test_notices_a_tail_that_was_cut_and_written_anew():
    acts(5)
    seal_audit()
    tamper("DELETE FROM core_auditentry WHERE seq >= 4")
    acts(2)
    seal_audit()
    code, text = verify()
    assert code == 1
    assert "Entry 5" in text
    assert "differs from the signed head" in text


def test_notices_a_chain_that_was_computed_anew(folder):
    acts(5)
    seal_audit()
    tamper("UPDATE core_auditentry SET actor = 'user:2', seq = NULL, hash = NULL WHERE seq >= 1")
    seal_audit()
    with pytest.raises(AuditBroken, match="differs from the signed head"):
        verify_audit()


def test_notices_a_forged_head_in_the_files(folder):
    acts(2)
    seal_audit()
    head = json.loads((folder / "head.json").read_text())
    (folder / "head.json").write_text(json.dumps({**head, "seq": 1}))
    with pytest.raises(AuditBroken, match="wrong signature"):
        verify_audit()


def test_writes_a_head_to_the_log_once_an_hour(folder, monkeypatch):
    clock = [NOW]
    monkeypatch.setattr(sealing.timezone, "now", lambda: clock[0])
    for minutes in (0, 59, 60, 61):
        clock[0] = NOW + timedelta(minutes=minutes)
        acts(1)
        seal_audit()
    # At 0, the first; at 60, an hour later.
    assert [json.loads(line)["seq"] for line in (folder / "heads.log").read_text().splitlines()] == [1, 3]
    assert list(AuditHead.objects.order_by("id").values_list("seq", flat=True)) == [1, 3]
    assert json.loads((folder / "head.json").read_text())["seq"] == 4


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE core_auditentry SET actor = 'x'",
        "UPDATE core_auditentry SET seq = NULL, hash = NULL",
        "DELETE FROM core_auditentry",
        "UPDATE core_audithead SET seq = 9",
        "DELETE FROM core_audithead",
    ],
)
def test_database_refuses_changes_of_what_is_sealed(sql):
    acts(1)
    seal_audit()
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql)


def test_database_refuses_changes_of_what_is_not_sealed_yet():
    acts(1)
    for sql in ("DELETE FROM core_auditentry", "UPDATE core_auditentry SET actor = 'x', seq = 1, hash = '\\x00'"):
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql)


@pytest.mark.django_db(transaction=True)
def test_leaves_the_work_to_another_sealer():
    acts(2)
    held, done = threading.Event(), threading.Event()

    def other() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [SEALER])
            held.set()
            done.wait(10)
        connection.close()

    thread = threading.Thread(target=other)
    thread.start()
    held.wait(10)
    sealed_meanwhile = seal_audit()
    done.set()
    thread.join()
    assert sealed_meanwhile == 0
    # The server notices the closed connection a moment later.
    assert seal_audit(wait=True) == 2


@pytest.mark.django_db(transaction=True)
def test_two_sealers_at_once_give_each_entry_one_number():
    acts(200)
    threads = [threading.Thread(target=_seal_and_close) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verify_audit().entries == 200


def _seal_and_close() -> None:
    seal_audit(wait=True)
    connection.close()


def test_an_act_that_is_rolled_back_leaves_no_entry():
    with transaction.atomic():
        audit.record(actor="system", action="thing.done", object="thing:1")
        transaction.set_rollback(True)
    assert AuditEntry.objects.count() == 0
