"""A trait that is stored encrypted leaves in the clear by whoever may see it only, and is kept in the clear nowhere."""

from typing import Any

import pytest
from django.db import connection

from cdp.core.models import Job
from cdp.core.services.jobs import run_jobs
from tests.listening import LOCAL, OtherServer
from tests.segments.audience import audience, person
from tests.segments.delivering import deliver, destination, officer, read
from tests.world import api

pytestmark = pytest.mark.django_db
SECRET = "blood group zeta-negative"
SEALED = {"name": "ill", "source": "trait:diagnosis"}
HASHED = {"name": "ill", "source": "trait:diagnosis", "transform": "hash_text"}


@pytest.fixture(autouse=True)
def _open_to_this_machine(settings):
    settings.CDP_OUTGOING_ALLOW = LOCAL


@pytest.fixture
def other():
    with OtherServer() as server:
        yield server


@pytest.fixture(autouse=True)
def _ill():
    """Give two people of whom a trait is stored encrypted."""
    assert api("privacy:write").put("/api/v1/traits/encrypted/diagnosis").status_code == 200
    while Job.objects.filter(status__in=["queued", "running"]).exists():
        assert run_jobs(seconds=5)
    audience(["ana", "ben"])
    for user in ("ana", "ben"):
        person(user, diagnosis=SECRET)


def stored_in_the_clear() -> list[str]:
    """Return the tables of segments and deliveries in which the secret can be read."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relname LIKE 'segments\\_%'")
        tables = [row[0] for row in cursor.fetchall()]
        found = []
        for table in tables:
            # Binary columns are written as hexadecimal digits.
            known = [f"%{SECRET}%", f"%{SECRET.encode().hex()}%"]
            cursor.execute(f"SELECT EXISTS (SELECT FROM {table} t WHERE t::text LIKE ANY(%s))", [known])
            found += [table] if cursor.fetchone()[0] else []
    return found


def test_who_may_not_see_it_can_send_its_digest_only(other):
    marketer = api("segments:write", "profiles:read")
    given = {"key": "crm", "segment": "all", "kind": "webhook", "purpose": "marketing", "channel": "email"}
    asked = {**given, "recipient": "CRM", "request": {"url": other.url}}
    refused = marketer.post("/api/v1/destinations", {**asked, "columns": [SEALED]}, format="json")
    assert (refused.status_code, refused.json()["code"]) == (403, "destination.columns_hidden")
    destination(other, client=marketer, columns=["id", HASHED])
    deliver()
    assert len(other.received) == 2
    assert all(SECRET not in request.body.decode() for request in other.received)
    assert all(len(read(request)["data"]["person"]["ill"]) == 64 for request in other.received)
    assert stored_in_the_clear() == []


def test_who_may_see_it_sends_it_and_nothing_keeps_it_in_the_clear(other):
    destination(other, columns=[SEALED], people_per_request=10)
    deliver()
    people = [one["person"] for request in other.received for one in read(request)["data"]["people"]]
    assert people == [{"ill": SECRET}] * 2
    assert stored_in_the_clear() == []


def exported(client: Any, *columns: Any) -> str:
    """Make an export as somebody and fetch it as well."""
    given = {"segment": "all", "purpose": "marketing", "channel": "email", "columns": list(columns)}
    made = client.post("/api/v1/exports", {**given, "recipient": "Printer"}, format="json")
    assert made.status_code == 202, made.json()
    run_jobs()
    answer = client.get(f"/api/v1/exports/{made.json()['id']}/file")
    assert answer.status_code == 200, answer.json()
    return b"".join(answer.streaming_content).decode()


def test_a_file_shows_it_to_whoever_may_see_it():
    marketer = api("segments:write", "profiles:read")
    assert exported(marketer, SEALED) == "ill\r\nb***\r\nb***\r\n"
    digests = exported(marketer, HASHED).split()
    assert (digests[0], len(digests[1]), digests[1]) == ("ill", 64, digests[2])
    assert stored_in_the_clear() == []
    assert exported(officer(), SEALED).count(SECRET) == 2
    assert stored_in_the_clear() == []
