"""Nobody who was erased comes back, whatever arrives of them and when.

Replays are in `test_replay_archive`, restores in `test_backups`.
"""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from consent.services.running import run_privacy_requests
from ingestion.services.held import release_held
from tests.erasing import ask_erasure, erase, live
from tests.profiles.sending import identify, process, put, send, source, track
from tests.world import api

pytestmark = pytest.mark.django_db
WORD = "departed-person-1"


def left() -> list[str]:
    """Return the tables that hold the person's word in any row."""
    found = []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
        for (table,) in cursor.fetchall():
            cursor.execute(f"SELECT EXISTS (SELECT FROM {table} t WHERE t::text LIKE %s)", [f"%{WORD}%"])
            if cursor.fetchone()[0]:
                found.append(table)
    return found


@pytest.mark.parametrize("days", [-400, 0, 20_000], ids=lambda days: f"{days} days from now")
def test_what_is_late_or_from_the_future_is_refused(days):
    person = live(WORD)
    assert erase(person).status == "completed"
    at = (timezone.now() + timedelta(days=days)).isoformat()
    send(
        {**track("Seen", WORD, by=person.email), "timestamp": at},
        {**identify(WORD, email=person.email), "timestamp": at},
        {**identify("", "anon-new-1", email=person.email), "timestamp": at},
        origin=source(),
        at=timezone.now(),
    )
    assert (person.is_there(), left()) == (False, [])


def test_what_waited_in_the_queue_is_refused():
    person = live(WORD)
    put([track("Seen", WORD, by=person.email), identify(WORD, email=person.email)] * 50, origin=source())
    request = ask_erasure(person)
    run_privacy_requests(clock=timezone.now)
    request.refresh_from_db()
    assert request.status == "running"
    process(now=timezone.now())
    run_privacy_requests(clock=timezone.now)
    request.refresh_from_db()
    assert (request.status, person.is_there(), left()) == ("completed", False, [])


def test_what_was_held_for_consent_is_gone_and_a_grant_brings_nothing():
    api("administrator").post("/api/v1/purposes", {"key": "analytics", "name": "Analytics"}, format="json")
    gated = source("server", key="gated", required_purpose="analytics")
    person = live(WORD)
    send(track("Seen", WORD, by=person.email), identify(WORD, email=person.email), origin=gated)
    assert erase(person).status == "completed"
    body = {"identifier": {"type": "user_id", "value": WORD}, "purpose": "analytics", "state": "granted"}
    assert api("administrator").post("/api/v1/consents", body, format="json").status_code == 409
    release_held(now=timezone.now())
    process(now=timezone.now())
    assert (person.is_there(), left()) == (False, [])


def test_what_is_imported_is_refused(tmp_path):
    person = live(WORD)
    assert erase(person).status == "completed"
    table = tmp_path / "people.csv"
    table.write_text(f"id,email,city\n1,{person.email},Ulm\n2,other-person@example.org,Bonn\n")
    command = ["create_import", "shop", str(table), "--key", "id", "--identifier", "email=email"]
    call_command(*command, stdout=StringIO(), stderr=StringIO())
    call_command("drain")
    assert person.is_there() is False
    assert left() == []
