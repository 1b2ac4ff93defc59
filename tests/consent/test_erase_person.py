"""Erasure by REST, on data that came in by collection: nothing of the person is left."""

import pytest
from django.db import connection
from django.utils import timezone

from cdp.core.services.audit import record
from consent.suppression_models import Suppression
from consent.traces import database
from consent.traces.needles import make_needles
from profiles.models import Identifier, Profile
from tests.consent.zora import ANONYMOUS_ID, EMAIL, SECRETS, USER_ID, erase, live, send, traces

pytestmark = pytest.mark.django_db


def test_leaves_nothing_of_the_person(shop, officer):
    live(shop)
    assert traces(SECRETS)
    done = erase(officer)
    assert (done["status"], done["identities"]) == ("completed", [])
    assert {step["remaining"] for step in done["steps"]} == {0}
    assert traces(SECRETS) == []


def test_completes_although_statistics_remember_the_audit_trail(shop, officer):
    live(shop)
    found = officer.get("/api/v1/profiles", {"identifier": f"email:{EMAIL}"}).json()["results"]
    for _ in range(3):  # values that occur more than once are what the planner remembers
        record(actor="system", action="test.looked", object=f"profile:{found[0]['id']}", now=timezone.now())
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE core_auditentry")
        cursor.execute("SELECT count(*) FROM pg_stats s WHERE s::text LIKE %s", [f"%{found[0]['id']}%"])
        assert cursor.fetchone()[0] > 0
    assert erase(officer)["status"] == "completed"


def test_takes_mentions_out_of_other_peoples_rows_and_leaves_longer_names_alone(shop, officer):
    live(shop, near="azora.quill@example.org")
    assert erase(officer)["status"] == "completed"
    with connection.cursor() as cursor:
        cursor.execute("SELECT properties->>'friend', properties->>'near' FROM profiles_event")
        assert cursor.fetchall() == [("Mail erased!", "azora.quill@example.org")]


def test_follows_every_identifier_of_the_person(shop, officer):
    live(shop)
    erase(officer, ("anonymous_id", ANONYMOUS_ID))
    assert sorted(Suppression.objects.values_list("identifier_type", flat=True)) == [
        "anonymous_id",
        "email",
        "user_id",
    ]
    assert Profile.objects.count() == 1
    assert not Identifier.objects.filter(value__icontains="quill").exists()


def test_takes_a_person_with_merged_profiles_as_one(shop, officer):
    send(
        shop,
        {"type": "track", "event": "A", "anonymousId": "anon-quill-1", "messageId": "z-1"},
        {"type": "track", "event": "B", "anonymousId": "anon-quill-2", "messageId": "z-2"},
        {"type": "identify", "userId": USER_ID, "anonymousId": "anon-quill-1", "messageId": "z-3"},
        {"type": "identify", "userId": USER_ID, "anonymousId": "anon-quill-2", "messageId": "z-4"},
    )
    done = erase(officer, ("anonymous_id", "anon-quill-2"))
    assert done["status"] == "completed"
    assert not Profile.objects.exists()
    assert traces(["anon-quill", USER_ID]) == []


def test_shows_what_would_go_before_it_goes(shop, officer):
    live(shop)
    made = officer.post(
        "/api/v1/privacy-requests",
        {"type": "erasure", "identities": [{"type": "email", "value": EMAIL}]},
        format="json",
    ).json()
    stores = officer.get(f"/api/v1/privacy-requests/{made['id']}/preview").json()["stores"]
    assert stores["events"] == 3
    assert Profile.objects.count() == 2


@pytest.mark.parametrize("modern", [True, False])
def test_makes_the_planner_forget_values_of_a_table_that_is_empty_afterwards(shop, officer, monkeypatch, modern):
    # ANALYZE keeps the old statistics of a table in which it finds no row.
    if not modern:
        monkeypatch.setattr(database, "HAS_CLEAR_STATISTICS", 10**9)
    items = [
        {"type": "identify", "userId": USER_ID, "traits": {"email": EMAIL}, "messageId": "z-0"},
        *(
            {"type": "track", "event": "Seen", "userId": USER_ID, "properties": {"by": EMAIL}, "messageId": f"z-{n}"}
            for n in range(1, 30)
        ),
    ]
    send(shop, *items)
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_char(now() AT TIME ZONE 'UTC', '\"profiles_event_m\"YYYY_MM')")
        tables = ["profiles_identifier", "profiles_event", cursor.fetchone()[0]]
        for table in tables:
            cursor.execute(f"ANALYZE {table}")
        needles = make_needles(names=[EMAIL.lower()], uuids=[])
        assert {column.relation for column in database.columns_in_statistics(needles)} == set(tables)
    assert erase(officer)["status"] == "completed"
    assert database.columns_in_statistics(needles) == []
