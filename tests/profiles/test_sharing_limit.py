"""Sharing limits: a value that too many assert joins nothing any more, by itself, and can be lifted."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cdp.core.services.jobs import run_jobs
from profiles.models import AbsorbedId, Edge, Identifier, Merge, Profile, QuarantinedValue, Refusal
from tests.ingestion.filing import csv_of, import_file, work, write
from tests.profiles.sending import events_of, identify, partition, process, put, reasons, send, track
from tests.profiles.test_identity_properties import components
from tests.world import api

pytestmark = pytest.mark.django_db
PLACEHOLDER = "noemail@example.com"
# Of the type email by default.
LIMIT = 5


def users(count: int) -> list[dict[str, object]]:
    """Return that many accounts, each with the placeholder and a first name."""
    return [identify(f"u{number}", email=PLACEHOLDER, first=f"P{number}") for number in range(count)]


def homes_are_right() -> bool:
    """Tell whether each event lies with the holder of its strongest identifier."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM profiles_event e JOIN profiles_identifier i ON i.id = e.identifiers[1] "
            "WHERE i.profile_id <> e.profile_id"
        )
        return bool(cursor.fetchone()[0] == 0)


@pytest.mark.parametrize("one_by_one", [True, False])
def test_keeps_a_value_that_as_many_assert_as_the_limit_allows(one_by_one):
    send(*users(LIMIT), one_by_one=one_by_one)
    work()
    assert QuarantinedValue.objects.count() == 0
    # The first holds it, the others were refused it; who asserted it is known all the same.
    assert frozenset({"user_id:u0", f"email:{PLACEHOLDER}"}) in partition()
    assert Edge.objects.filter(state=Edge.State.REFUSED).count() == LIMIT - 1


@pytest.mark.parametrize("one_by_one", [True, False])
def test_quarantines_a_value_past_the_limit_and_takes_it_off_its_profile(one_by_one):
    send(*users(LIMIT + 1), one_by_one=one_by_one)
    work()
    row = QuarantinedValue.objects.get()
    assert (row.asserted_by, row.sharing_limit, row.separated_at is not None) == (LIMIT + 1, LIMIT, True)
    assert partition() == {frozenset({f"email:{PLACEHOLDER}"})} | {
        frozenset({f"user_id:u{number}"}) for number in range(LIMIT + 1)
    }
    assert partition() == components()
    assert reasons()[-1] == "email sharing limit"
    assert homes_are_right()


def test_leaves_a_quarantined_value_out_of_later_messages_without_another_row():
    send(*users(LIMIT + 1))
    work()
    before = Refusal.objects.count()
    send(identify("late", "browser", email=PLACEHOLDER), identify("", "other", email=PLACEHOLDER))
    assert frozenset({"user_id:late", "anonymous_id:browser"}) in partition()
    assert frozenset({"anonymous_id:other"}) in partition()
    assert Refusal.objects.count() == before
    assert events_of("anonymous_id", "other") == 1


def test_takes_imported_records_apart_that_a_placeholder_had_joined(tmp_path, settings):
    settings.CDP_DATA_DIR = tmp_path / "data"
    rows = [(number, PLACEHOLDER, f"+49151123456{number}", f"P{number}") for number in range(10, 20)]
    file = write(tmp_path / "people.csv", csv_of([("id", "email", "phone", "first"), *rows]))
    import_file(file, "--key", "id", "--identifier", "email=email", "--identifier", "phone=phone")
    work()
    # Ten records, each with a phone of its own, and the placeholder by itself.
    assert partition() == {frozenset({f"email:{PLACEHOLDER}"})} | {
        frozenset({f"record_id:crm/{number}", f"phone:+49151123456{number}"}) for number in range(10, 20)
    }
    assert partition() == components()
    assert homes_are_right()
    # Each has the traits of its own row again, and the public ids that the merges had absorbed.
    firsts = sorted(profile.traits["first"] for profile in Profile.objects.all() if profile.traits)
    assert firsts == [f"P{number}" for number in range(10, 20)]
    assert AbsorbedId.objects.count() == 0
    assert all(merge.undone_at is not None for merge in Merge.objects.all())


def test_keeps_together_what_messages_say_beside_the_quarantined_value():
    # The e-mail address is the strongest identifier of each message: what hung on it hangs together without it.
    for number in range(LIMIT + 1):
        device = {"device": {"id": f"d{number}", "type": "ios"}}
        send({**identify("", f"a{number}", email=PLACEHOLDER), "context": device})
    assert len(partition()) < LIMIT + 1
    send(*users(LIMIT + 1))
    work()
    assert {frozenset({f"anonymous_id:a{number}", f"ios.id:d{number}"}) for number in range(LIMIT)} <= partition()
    assert partition() == components()
    assert homes_are_right()
    assert events_of("anonymous_id", "a0") == 1


def test_lists_and_lifts_by_rest():
    send(*users(LIMIT + 1), track("Seen", "u1"))
    work()
    client = api("identity:write", "personal_data:read")
    listed = client.get("/api/v1/identity/quarantined").json()["results"]
    assert [(row["identifier"], row["asserted_by"]) for row in listed] == [
        ({"type": "email", "value": PLACEHOLDER}, LIMIT + 1)
    ]
    answer = client.post(f"/api/v1/identity/quarantined/{listed[0]['id']}/lift")
    assert answer.status_code == 200, answer.content
    work()
    # Back with the account that had it first; the limit of user_ids keeps the others out, as before.
    assert frozenset({"user_id:u0", f"email:{PLACEHOLDER}"}) in partition()
    assert partition() == components()
    assert client.get("/api/v1/identity/quarantined").json()["results"] == []
    # A person said so: it is not quarantined by itself again.
    send(identify("u99", email=PLACEHOLDER))
    work()
    assert QuarantinedValue.objects.get().lifted_at is not None
    assert not Identifier.objects.get(type__key="email").quarantined


def test_masks_the_value_without_the_right_to_see_it():
    send(*users(LIMIT + 1))
    assert api("identity:read").get("/api/v1/identity/quarantined").json()["results"][0]["identifier"]["value"] != (
        PLACEHOLDER
    )


def test_counts_each_account_once_however_often_it_says_so():
    send(*users(LIMIT), *users(LIMIT))
    assert QuarantinedValue.objects.count() == 0


def test_asks_nothing_more_of_the_database_for_messages_that_share_nothing():
    def shoppers(name: str, count: int) -> list[dict[str, object]]:
        return [identify(f"{name}{n}", f"a-{name}{n}", email=f"{name}{n}@example.org") for n in range(count)]

    send(*shoppers("warm", 20), one_by_one=False)
    counted = []
    for name, count in (("few", 20), ("many", 200)):
        put([*shoppers(name, count), *shoppers("warm", 20)])
        with CaptureQueriesContext(connection) as statements:
            process()
        texts = [query["sql"] for query in statements.captured_queries]
        # Fresh ids are taken in blocks that grow.
        counted.append([text for text in texts if "profiles_" in text and "nextval" not in text])
    assert len(counted[0]) == len(counted[1]), set(counted[1]) - set(counted[0])
    assert not any("by_id" in text or "quarantinedvalue" in text for text in counted[1])


def test_goes_on_where_a_worker_died():
    send(*users(LIMIT + 1))
    assert QuarantinedValue.objects.get().separated_at is None
    assert Identifier.objects.get(type__key="email").quarantined
    while run_jobs():
        pass
    assert QuarantinedValue.objects.get().separated_at is not None
