"""Erasure by REST, on data that came in by collection."""

import gzip
import json
from datetime import UTC, datetime

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from cdp.core.services.audit import record
from consent.models import PrivacyRequest
from consent.services.running import run_privacy_requests
from consent.suppression_models import Suppression
from consent.traces import database
from consent.traces.needles import make_needles
from ingestion.models import Message
from profiles.models import Identifier, Profile
from tests.ingestion.door import make_source, post
from tests.profiles.sending import process
from tests.world import api

pytestmark = pytest.mark.django_db

# Words that occur nowhere else, so that finding one means finding her.
EMAIL = "zora.quill@Example.org"
USER_ID = "quill-user-7781"
ANONYMOUS_ID = "anon-quill-5512"
SECRETS = ["zora.quill", USER_ID, ANONYMOUS_ID, "Quillfeather", "quill-order-1"]


@pytest.fixture
def shop():
    return make_source()


@pytest.fixture
def officer():
    return api("administrator")


def send(key, *items):
    answer = post("/v1/batch", {"batch": list(items)}, key)
    assert answer.status_code == 200
    process(now=timezone.now())


def live(key, near="nobody"):
    """Let Zora sign up, order, and consent; let somebody else mention her."""
    send(
        key,
        {"type": "track", "event": "Seen", "anonymousId": ANONYMOUS_ID, "messageId": "z-1"},
        {
            "type": "identify",
            "userId": USER_ID,
            "anonymousId": ANONYMOUS_ID,
            "traits": {"email": EMAIL, "lastName": "Quillfeather"},
            "messageId": "z-2",
        },
        {
            "type": "track",
            "event": "Order Completed",
            "userId": USER_ID,
            "properties": {"order_id": "quill-order-1"},
            "messageId": "z-3",
        },
        {
            "type": "track",
            "event": "Friend Invited",
            "userId": "somebody-else-1",
            "properties": {"friend": f"Mail {EMAIL}!", "near": near},
            "messageId": "o-1",
        },
    )


def erase(client, *identities):
    named = [{"type": kind, "value": value} for kind, value in identities or [("email", EMAIL)]]
    made = client.post("/api/v1/privacy-requests", {"type": "erasure", "identities": named}, format="json")
    assert made.status_code == 201, made.json()
    assert (made.json()["status"], made.json()["verified_by"]) == ("open", "api")
    address = f"/api/v1/privacy-requests/{made.json()['id']}"
    assert client.post(f"{address}/approve").json()["status"] == "approved"
    run_privacy_requests(clock=timezone.now)
    return client.get(address).json()


def traces(words):
    """Look for words in every row of every table, as somebody from outside would."""
    found = []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
        for (table,) in cursor.fetchall():
            for word in words:
                cursor.execute(f"SELECT count(*) FROM {table} t WHERE t::text ILIKE %s", [f"%{word}%"])
                if cursor.fetchone()[0]:
                    found.append((table, word))
                hexed = word.encode().hex()
                cursor.execute(f"SELECT count(*) FROM {table} t WHERE t::text ILIKE %s", [f"%{hexed}%"])
                if cursor.fetchone()[0]:
                    found.append((table, f"hex of {word}"))
        for word in words:
            cursor.execute("SELECT tablename, attname FROM pg_stats s WHERE s::text ILIKE %s", [f"%{word}%"])
            found += cursor.fetchall()
    return found


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


def test_turns_the_messages_into_suppressed_ones(shop, officer):
    live(shop)
    erase(officer)
    for message_id, outcome in (
        ("z-1", "suppressed"),
        ("z-2", "suppressed"),
        ("z-3", "suppressed"),
        ("o-1", "accepted"),
    ):
        row = Message.objects.order_by("id")[["z-1", "z-2", "z-3", "o-1"].index(message_id)]
        assert row.get_outcome_display() == outcome
        assert row.reason == ("erased" if outcome == "suppressed" else "")


def test_refuses_what_comes_of_the_person_afterwards(shop, officer):
    live(shop)
    erase(officer)
    send(
        shop,
        {"type": "track", "event": "Back", "userId": USER_ID, "messageId": "z-9"},
        {"type": "track", "event": "Order Completed", "userId": USER_ID, "messageId": "z-3"},
    )
    assert not Identifier.objects.filter(value__icontains="quill").exists()
    assert Message.objects.filter(outcome=5).count() == 4
    # A weaker identifier of hers is dropped, and the other person's message is kept.
    send(shop, {"type": "identify", "userId": "somebody-else-1", "traits": {"email": EMAIL}, "messageId": "o-2"})
    assert traces(SECRETS) == []
    assert not Identifier.objects.filter(value__icontains="quill").exists()


@pytest.mark.parametrize("named", [USER_ID, ANONYMOUS_ID])
def test_keeps_nothing_of_an_alias_that_names_the_erased_as_a_former_id(shop, officer, named):
    live(shop)
    erase(officer)
    send(shop, {"type": "alias", "userId": "somebody-else-2", "previousId": named, "messageId": "o-3"})
    assert Identifier.objects.filter(value="somebody-else-2").exists()
    assert not Identifier.objects.filter(value__icontains="quill").exists()
    assert traces(SECRETS) == []


def test_lets_the_person_return_once_the_suppression_is_lifted_with_a_reason(shop, officer):
    live(shop)
    erase(officer)
    (row,) = officer.get("/api/v1/suppressions", {"identifier": f"user_id:{USER_ID}"}).json()["results"]
    assert officer.delete(f"/api/v1/suppressions/{row['id']}", {}, format="json").status_code == 400
    lifted = officer.delete(f"/api/v1/suppressions/{row['id']}", {"reason": "signed up again"}, format="json")
    assert lifted.status_code == 204
    send(shop, {"type": "track", "event": "Back", "userId": USER_ID, "messageId": "z-9"})
    assert Identifier.objects.filter(value=USER_ID).exists()


def test_refuses_a_grant_and_accepts_a_refusal_of_the_erased(shop, officer):
    officer.post("/api/v1/purposes", {"key": "marketing", "name": "Marketing"}, format="json")
    live(shop)
    erase(officer)
    body = {"identifier": {"type": "email", "value": EMAIL}, "purpose": "marketing"}
    answers = {
        state: officer.post("/api/v1/consents", {**body, "state": state}, format="json")
        for state in ("granted", "withdrawn", "objected")
    }
    assert {state: answer.status_code for state, answer in answers.items()} == {
        "granted": 409,
        "withdrawn": 201,
        "objected": 201,
    }
    assert answers["withdrawn"].json()["profile_id"] is None
    assert traces(SECRETS) == []


def test_suppresses_an_identifier_that_nobody_has_yet(shop, officer):
    done = erase(officer, ("email", "nobody-yet@example.org"))
    assert done["status"] == "completed"
    send(shop, {"type": "identify", "traits": {"email": "nobody-yet@example.org"}, "messageId": "n-1"})
    assert not Profile.objects.exists()


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


def test_is_partial_while_a_file_still_names_the_person(shop, officer):
    live(shop)
    path = settings.CDP_DATA_DIR / "files" / "export.csv.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(b"email\n" + EMAIL.upper().encode()))
    try:
        done = erase(officer)
        assert done["status"] == "partial"
        assert [step for step in done["steps"] if step["remaining"]] == [
            {"store": "files", "before": 1, "erased": 0, "withheld": 0, "remaining": 1}
        ]
        assert done["identities"] == [{"type": "email", "value": EMAIL.lower()}]
    finally:
        path.unlink()
    address = f"/api/v1/privacy-requests/{done['id']}"
    officer.post(f"{address}/approve")
    run_privacy_requests(clock=timezone.now)
    assert officer.get(address).json()["status"] == "completed"


def test_waits_for_what_was_accepted_before(shop, officer):
    live(shop)
    post("/v1/batch", {"batch": [{"type": "track", "event": "Late", "userId": USER_ID, "messageId": "z-8"}]}, shop)
    running = erase(officer)
    assert running["status"] == "running"
    process(now=timezone.now())
    run_privacy_requests(clock=timezone.now)
    assert officer.get(f"/api/v1/privacy-requests/{running['id']}").json()["status"] == "completed"
    assert not Identifier.objects.filter(value=USER_ID).exists()


def test_goes_on_where_a_worker_died(shop, officer, monkeypatch):
    live(shop)
    from consent.services import erasure

    class Killed(BaseException):
        """What kill -9 looks like from inside: nothing is caught, nothing is cleaned up."""

    def die(*args, **kwargs):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(erasure, "find_traces", die)
        with pytest.raises(Killed):
            erase(officer)
    request = PrivacyRequest.objects.get()
    assert request.status == "running"
    # Another worker takes it once the lease is over, not before.
    assert run_privacy_requests(clock=timezone.now) == 0
    later = datetime(2100, 1, 1, tzinfo=UTC)
    assert run_privacy_requests(clock=lambda: later) == 1
    request.refresh_from_db()
    assert (request.status, request.closure) == ("completed", None)
    assert {step["store"]: step["before"] for step in request.steps}["events"] == 3


@pytest.mark.parametrize(
    ("status", "step", "expected"),
    [
        (status, step, 200 if (status, step) in allowed else 409)
        for allowed in [
            {
                ("received", "reject"),
                ("received", "extend"),
                ("awaiting_identity", "reject"),
                ("awaiting_identity", "extend"),
                ("open", "approve"),
                ("open", "reject"),
                ("open", "extend"),
                ("approved", "approve"),
                ("running", "approve"),
                ("partial", "approve"),
            }
        ]
        for status in PrivacyRequest.Status.values
        for step in ("approve", "reject", "extend")
    ],
)
def test_walks_only_along_the_edges_of_its_life(officer, status, step, expected):
    made = officer.post(
        "/api/v1/privacy-requests",
        {"type": "erasure", "identities": [{"type": "email", "value": EMAIL}]},
        format="json",
    ).json()
    PrivacyRequest.objects.update(status=status)
    answer = officer.post(f"/api/v1/privacy-requests/{made['id']}/{step}", {"reason": "because"}, format="json")
    assert answer.status_code == expected


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"type": "forget"}, 400),
        ({"identities": []}, 400),
        ({"identities": [{"type": "email", "value": "no address"}]}, 400),
        ({"identities": [{"type": "email"}]}, 400),
        ({"identities": "ada@example.org"}, 400),
        ({"regulation": "none"}, 400),
        ({"received_at": "2999-01-01T00:00:00Z"}, 400),
        ({"unknown": 1}, 400),
    ],
)
def test_answers_bad_input_with_a_problem(officer, wrong, status):
    body = {"type": "erasure", "identities": [{"type": "email", "value": EMAIL}], **wrong}
    answer = officer.post("/api/v1/privacy-requests", body, format="json")
    assert (answer.status_code, "code" in answer.json()) == (status, True)


def test_needs_the_scope(officer):
    made = officer.post(
        "/api/v1/privacy-requests",
        {"type": "erasure", "identities": [{"type": "email", "value": EMAIL}]},
        format="json",
    ).json()
    reader = api("privacy:read", "suppressions:read")
    assert reader.post(f"/api/v1/privacy-requests/{made['id']}/approve").status_code == 403
    assert EMAIL.lower() not in json.dumps(reader.get("/api/v1/privacy-requests").json())
    marketer = api("marketer")
    for address in ("privacy-requests", f"privacy-requests/{made['id']}", "suppressions"):
        assert marketer.get(f"/api/v1/{address}").status_code == 403
        assert reader.get(f"/api/v1/{address}").status_code == 200


def test_restricts_and_objects_on_request(shop, officer):
    officer.post("/api/v1/purposes", {"key": "marketing", "name": "Marketing"}, format="json")
    live(shop)
    profile = officer.get("/api/v1/profiles", {"identifier": f"user_id:{USER_ID}"}).json()["results"][0]["id"]
    for kind, reason in (("objection", "objected"), ("restriction", "restricted")):
        made = officer.post(
            "/api/v1/privacy-requests",
            {"type": kind, "identities": [{"type": "email", "value": EMAIL}]},
            format="json",
        ).json()
        officer.post(f"/api/v1/privacy-requests/{made['id']}/approve")
        run_privacy_requests(clock=timezone.now)
        assert officer.get(f"/api/v1/privacy-requests/{made['id']}").json()["status"] == "completed"
        check = officer.get("/api/v1/consents/check", {"profile": profile, "purpose": "marketing"}).json()
        assert (check["allowed"], check["reason"]) == (False, reason)


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
