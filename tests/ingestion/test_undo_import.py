"""Undoing an import: what only it gave goes, what others gave as well stays; and records that are deleted by a row."""

import pytest

from consent.services.running import run_privacy_requests
from ingestion.models import Import
from ingestion.queries.status import read_status
from profiles.models import Edge, Merge, Profile
from tests.ingestion.door import event_count
from tests.ingestion.filing import PEOPLE, counts, import_file, now, post_file, traits, work, write
from tests.profiles.sending import identify, partition, send, track
from tests.world import api

pytestmark = pytest.mark.django_db
OPTIONS = ("--key", "id", "--identifier", "email=email")


@pytest.fixture(autouse=True)
def data_directory(settings, tmp_path):
    settings.CDP_DATA_DIR = tmp_path / "data"


def undo(import_id):
    answer = api("sources:write").post(f"/api/v1/imports/{import_id}/undo")
    assert answer.status_code == 202, answer.content
    work()
    return api("sources:read").get(f"/api/v1/imports/{import_id}").json()


def test_takes_back_the_profiles_that_only_the_import_made(tmp_path):
    send(identify("u-1", email="someone@x.example"))
    before = partition()
    made = import_file(write(tmp_path / "p.csv", PEOPLE), *OPTIONS)
    body = undo(made["id"])
    assert (body["status"], body["undone_rows"]) == ("undone", 2)
    assert partition() == before
    assert (Profile.objects.count(), event_count(), Edge.objects.count()) == (1, 1, 1)


def test_gives_traits_the_values_from_before(tmp_path):
    send(identify("", email="ana@x.example", first="Anna", plan="gold"))
    import_file(write(tmp_path / "a.csv", PEOPLE), *OPTIONS)
    second = import_file(write(tmp_path / "b.csv", PEOPLE.replace("34", "35")), *OPTIONS)
    assert traits()["1"]["age"] == 35
    undo(second["id"])
    assert traits()["1"] == {"email": "ana@x.example", "plan": "gold", "first": "Ana", "age": 34}
    undo(str(int(second["id"]) - 1))
    assert Profile.objects.get().traits == {"email": "ana@x.example", "first": "Anna", "plan": "gold"}
    assert partition() == {frozenset({"email:ana@x.example"})}


def test_parts_the_profiles_that_the_import_joined_and_gives_their_ids_back(tmp_path):
    send(identify("u-1", plan="gold"), identify("", email="ana@x.example", first="Anna"))
    before = {str(one.uuid): one.traits for one in Profile.objects.all()}
    file = write(tmp_path / "p.csv", "id,user,email\n1,u-1,ana@x.example\n")
    made = import_file(file, *OPTIONS, "--identifier", "user=user_id")
    assert Profile.objects.count() == 1
    undo(made["id"])
    assert {str(one.uuid): one.traits for one in Profile.objects.all()} == before
    assert partition() == {frozenset({"user_id:u-1"}), frozenset({"email:ana@x.example"})}
    assert Merge.objects.get().undone_at is not None
    # Nothing is blocked: the same may be said again.
    send(identify("u-1", email="ana@x.example"))
    assert partition() == {frozenset({"user_id:u-1", "email:ana@x.example"})}


def test_keeps_what_others_said_since(tmp_path):
    made = import_file(write(tmp_path / "p.csv", PEOPLE), *OPTIONS)
    send(identify("u-1", email="ana@x.example"), at=now())
    undo(made["id"])
    assert partition() == {frozenset({"user_id:u-1", "email:ana@x.example"})}


def test_keeps_people_who_decided_about_consent(tmp_path):
    made = import_file(write(tmp_path / "p.csv", PEOPLE), *OPTIONS)
    api("consents:write").post(
        "/api/v1/purposes", {"key": "news", "name": "News", "legal_basis": "consent"}, format="json"
    )
    given = api("consents:write").post(
        "/api/v1/consents",
        {"identifier": {"type": "email", "value": "ana@x.example"}, "purpose": "news", "state": "granted"},
        format="json",
    )
    assert given.status_code == 201, given.content
    undo(made["id"])
    assert partition() == {frozenset({"record_id:crm/1", "email:ana@x.example"})}
    assert Profile.objects.get().traits == {}


def test_counts_what_was_taken_back_as_rejected_and_lets_it_in_again(tmp_path):
    file = write(tmp_path / "p.csv", PEOPLE)
    undo(import_file(file, *OPTIONS)["id"])
    row = next(one for one in read_status(since=None, until=None, now=now())["per_source"] if one["source"] == "crm")
    assert (row["received"], row["accepted"], row["rejected"]) == (2, 0, 2)
    assert counts(import_file(file, *OPTIONS)) == {"created": 2}


def test_takes_events_back_with_their_own_ids(tmp_path):
    send(track("Signed Up", "u-1"))
    text = "line,user,product\nL1,u-1,tea\nL2,u-2,milk\n"
    options = ("--records", "events", "--event", "Bought", "--identifier", "user=user_id", "--key", "line")
    file = write(tmp_path / "e.csv", text)
    undo(import_file(file, *options)["id"])
    assert (partition(), event_count()) == ({frozenset({"user_id:u-1"})}, 1)
    again = import_file(file, *options)
    assert counts(again) == {"created": 1, "updated": 1}
    undo(again["id"])
    assert event_count() == 1


def test_is_refused_twice_and_while_the_import_runs():
    made = post_file(PEOPLE, {"source": "crm", "key": "id"}).json()
    answer = api("sources:write").post(f"/api/v1/imports/{made['id']}/undo")
    assert (answer.status_code, answer.json()["code"]) == (409, "import.conflict")
    work()
    undo(made["id"])
    assert api("sources:write").post(f"/api/v1/imports/{made['id']}/undo").status_code == 409
    assert api("sources:read").post(f"/api/v1/imports/{made['id']}/undo").status_code == 403


def test_a_row_that_says_so_takes_its_record_back(tmp_path):
    send(identify("u-1", email="bo@x.example", plan="gold"))
    import_file(write(tmp_path / "a.csv", PEOPLE), *OPTIONS)
    text = "id,email,first,age,gone\n1,ana@x.example,Ana,34,TRUE\n2,,,,yes\n3,cy@x.example,Cy,20,\n4,,,,1\n"
    answer = import_file(write(tmp_path / "b.csv", text), *OPTIONS, "--delete-column", "gone")
    assert counts(answer) == {"created": 1, "deleted": 3}
    # Of Bo stays what the shop said; Ana was known from the file alone.
    assert partition() == {
        frozenset({"user_id:u-1", "email:bo@x.example"}),
        frozenset({"record_id:crm/3", "email:cy@x.example"}),
    }
    assert Profile.objects.get(identifiers__value="u-1").traits == {"email": "bo@x.example", "plan": "gold"}


def test_a_record_that_comes_again_after_it_was_deleted_stays(tmp_path):
    text = "id,first,gone\n1,Ana,\n1,Ana,1\n1,Anna,\n"
    import_file(write(tmp_path / "a.csv", text), "--key", "id", "--delete-column", "gone")
    assert traits() == {"1": {"first": "Anna"}}


@pytest.mark.parametrize(
    ("mode", "first", "second"), [("overwrite", "Bea", ["c"]), ("keep", "Ana", ["a", "b"]), ("append", None, None)]
)
def test_overwrites_keeps_or_appends_each_trait(tmp_path, mode, first, second):
    import_file(write(tmp_path / "a.csv", "id,first,tags\n1,Ana,a;b\n"), "--key", "id", "--type", "tags=list")
    import_file(
        write(tmp_path / "b.csv", "id,first,tags\n1,Bea,b;c\n" if mode == "append" else "id,first,tags\n1,Bea,c\n"),
        *("--key", "id", "--type", "tags=list", "--mode", f"tags={mode}"),
        *(("--mode", f"first={mode}") if mode != "append" else ()),
    )
    found = traits()["1"]
    if mode == "append":
        assert found == {"first": "Bea", "tags": ["a", "b", "c"]}
    else:
        assert found == {"first": first, "tags": second}


def test_what_refused_rows_held_goes_with_the_person(tmp_path):
    import_file(write(tmp_path / "p.csv", PEOPLE + ",ana@x.example,Ana,34\n"), *OPTIONS)
    assert b"ana@x.example" in bytes(Import.objects.get().refused_rows.get().payload)
    officer = api("privacy:write", "personal_data:read")
    body = {"type": "erasure", "identities": [{"type": "email", "value": "ana@x.example"}]}
    address = f"/api/v1/privacy-requests/{officer.post('/api/v1/privacy-requests', body, format='json').json()['id']}"
    officer.post(f"{address}/approve")
    run_privacy_requests(clock=now)
    done = officer.get(address).json()
    assert (done["status"], {step["remaining"] for step in done["steps"]}) == ("completed", {0})
    row = Import.objects.get().refused_rows.get()
    assert (row.code, row.payload) == ("no_key", None)
