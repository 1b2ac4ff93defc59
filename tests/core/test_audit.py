"""The audit trail by REST, and the noting of reads."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError, connection, transaction

from cdp.core.models import AuditEntry
from cdp.core.services import audit
from cdp.core.services.audit import Act, flush_reads, note_read
from tests.world import api, signed_in

NOW = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)
AUDIT = "/api/v1/audit"


def found(answer) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [row["object"] for row in answer.json()["results"]]


@pytest.fixture
def trail(db):
    for minute in range(4):
        actor = "user:1" if minute % 2 else "system"
        audit.record(
            actor=actor, action=f"thing.{minute}", object=f"thing:{minute}", now=NOW + timedelta(minutes=minute)
        )


@pytest.fixture
def client(db):
    key = api("audit:read")
    # The key's own creation is on the trail too; it is not what these tests look at.
    return key


def test_lists_newest_first(client, trail):
    assert found(client.get(AUDIT))[:4] == ["thing:3", "thing:2", "thing:1", "thing:0"]


@pytest.mark.parametrize(
    ("query", "objects"),
    [
        ({"actor": "user:1"}, ["thing:3", "thing:1"]),
        ({"action": "thing.2"}, ["thing:2"]),
        ({"object": "thing:0"}, ["thing:0"]),
        ({"since": "2026-05-06T07:09:09Z", "until": "2026-05-06T07:11:09Z"}, ["thing:2", "thing:1"]),
        ({"until": "2026-05-06T09:10:09+02:00"}, ["thing:1", "thing:0"]),
        ({"actor": "nobody"}, []),
        ({"actor": "a'b%_"}, []),
    ],
)
def test_filters(client, trail, query, objects):
    assert found(client.get(AUDIT, query)) == objects


@pytest.mark.parametrize("query", ["since=yesterday", "until=2026-13-01", "since=0000-01-01T00:00:00Z", "since=%00"])
def test_refuses_a_time_that_is_none(client, query):
    answer = client.get(f"{AUDIT}?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "input.bad_time")


def test_refuses_nul_in_a_filter(client):
    assert client.get(f"{AUDIT}?actor=a%00b").status_code == 400


def test_refuses_writing(client):
    answer = client.post(AUDIT, {}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")


def test_costs_the_same_number_of_queries_for_any_length(client, trail, django_assert_num_queries):
    client.get(AUDIT)  # the key is remembered now
    with django_assert_num_queries(1):
        client.get(AUDIT)


def test_officer_may_read_it_in_the_browser_and_marketer_not(db):
    assert signed_in("ben").get(AUDIT).status_code == 200
    assert signed_in("ana").get(AUDIT).status_code == 403
    assert signed_in("cy").get(AUDIT).status_code == 403


def test_many_acts_cost_one_statement(db, django_assert_num_queries):
    with django_assert_num_queries(1):
        audit.record_all([Act("system", "thing.done", f"thing:{n}") for n in range(500)], now=NOW)


def test_read_inside_a_transaction_joins_it(db):
    note_read(actor="user:1", object="profile:x", now=NOW)
    entry = AuditEntry.objects.get(object="profile:x")
    assert (entry.action, entry.actor) == ("personal_data.read", "user:1")
    with transaction.atomic():
        note_read(actor="user:1", object="profile:y", now=NOW)
        transaction.set_rollback(True)
    assert not AuditEntry.objects.filter(object="profile:y").exists()


@pytest.mark.django_db(transaction=True)
def test_reads_are_written_soon_without_a_query_by_the_reader(django_assert_num_queries):
    # Half a second of gathering leaves half for the writing; the wait below only allows for a busy machine.
    assert audit.FLUSH_SECONDS <= 0.5
    audit._start_over()
    with django_assert_num_queries(0):
        for number in range(20):
            note_read(actor="user:1", object=f"profile:{number}", now=NOW)
    ends = time.monotonic() + 10.0
    while time.monotonic() < ends and AuditEntry.objects.count() < 20:
        time.sleep(0.02)
    assert AuditEntry.objects.count() == 20


@pytest.mark.django_db(transaction=True)
def test_reads_wait_while_the_database_is_away(monkeypatch):
    monkeypatch.setattr(audit, "FLUSH_SECONDS", 3600.0)
    note_read(actor="user:1", object="profile:x", now=NOW)
    with monkeypatch.context() as broken:
        broken.setattr(AuditEntry.objects, "bulk_create", _raise(OperationalError()))
        with pytest.raises(OperationalError):
            flush_reads()
    assert flush_reads() == 1
    assert connection.in_atomic_block is False
    audit._start_over()


def _raise(error):
    def call(*_args, **_kwargs):
        raise error

    return call
