"""Traits that are stored encrypted: read by whoever may, in no table in the clear, gone with the person's keys."""

import json
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from cdp.core.models import Job
from cdp.core.registries import Subject
from cdp.core.services.jobs import run_jobs
from cdp.core.services.rotation import list_sealed_columns
from profiles.models import Event, Identifier, Merge, Profile
from profiles.personal_data import Events, PersonKeys, Profiles
from profiles.sealed_models import PersonKey
from profiles.services.undoing import undo_merge
from tests.profiles.sending import NOW, identify, process, put, send
from tests.world import api, signed_in

pytestmark = pytest.mark.django_db
SECRET = "blood group zeta-negative"
PATH = "/api/v1/traits/encrypted"


def encrypt(name: str = "diagnosis") -> None:
    answer = api("privacy:write").put(f"{PATH}/{name}")
    assert answer.status_code == 200, answer.content
    finish()


def finish() -> None:
    """Run all jobs that are due, in small steps."""
    while Job.objects.filter(status__in=["queued", "running"]).exists():
        assert run_jobs(seconds=5)


def holder(user: str = "u1") -> Profile:
    return Identifier.objects.select_related("profile").get(type__key="user_id", value=user).profile


def read(user: str = "u1", *scopes: str) -> dict[str, Any]:
    client = api("profiles:read", *(scopes or ("personal_data:read",)))
    return client.get(f"/api/v1/profiles/{holder(user).uuid}").json()["traits"]


def tables_with(text: str) -> set[str]:
    """Return the tables in which a text can be read, those of raw requests aside."""
    found = set()
    with connection.cursor() as cursor:
        for table in ("profiles_profile", "profiles_event", "profiles_correction", "profiles_change", "profiles_work"):
            cursor.execute(f"SELECT EXISTS (SELECT FROM {table} t WHERE t::text LIKE %s)", [f"%{text}%"])
            if cursor.fetchone()[0]:
                found.add(table)
    return found


def subject(user: str = "u1") -> Subject:
    profile = holder(user)
    ids = tuple(Identifier.objects.filter(profile=profile).values_list("pk", flat=True))
    return Subject((profile.pk,), (str(profile.uuid),), (("user_id", user),), ids, ())


def test_shows_the_value_to_whoever_may_see_it_and_stores_it_nowhere_in_the_clear():
    encrypt()
    send(identify("u1", diagnosis=SECRET, plan="pro"))
    assert tables_with(SECRET) == set()
    assert read()["diagnosis"]["value"] == SECRET
    assert read()["plan"]["value"] == "pro"
    masked = read("u1", "profiles:read")
    assert masked["diagnosis"]["value"] == "***"


def test_seals_what_was_stored_before_and_opens_it_again():
    send(
        identify("u1", diagnosis=SECRET),
        {"type": "page", "name": "Home", "userId": "u1", "context": {"traits": {"diagnosis": SECRET}}},
    )
    assert tables_with(SECRET) == {"profiles_profile", "profiles_event"}
    encrypt()
    assert tables_with(SECRET) == set()
    assert read()["diagnosis"]["value"] == SECRET
    assert api("privacy:write").delete(f"{PATH}/diagnosis").status_code == 204
    finish()
    assert tables_with(SECRET) == {"profiles_profile", "profiles_event"}
    assert holder().traits == {"diagnosis": SECRET}
    assert api("profiles:read").get(PATH).json() == {"results": []}


def test_opens_one_trait_and_leaves_another_sealed():
    encrypt("diagnosis")
    encrypt("income")
    send(identify("u1", diagnosis=SECRET, income=[41_000, None, {"a": "ü"}]))
    api("privacy:write").delete(f"{PATH}/income")
    finish()
    assert holder().traits["income"] == [41_000, None, {"a": "ü"}]
    assert tables_with(SECRET) == set()


@pytest.mark.parametrize("value", [0, False, "", 'ü\u2028\\n"', 1.5, [1, [2]], {"$sealed": "x"}, {"a": {"b": None}}])
def test_gives_back_any_json_value_as_it_was(value):
    encrypt()
    send(identify("u1", diagnosis=value))
    # What looks like a sealed value but is none of ours says nothing.
    assert read()["diagnosis"]["value"] == (None if value == {"$sealed": "x"} else value)


def test_the_same_statement_again_is_no_change_and_null_unsets():
    encrypt()
    send(identify("u1", diagnosis=SECRET))
    before = holder().traits
    send(identify("u1", diagnosis=SECRET))
    assert holder().traits == before
    send({**identify("u1"), "traits": {"diagnosis": None}})
    assert "diagnosis" not in holder().traits


def test_shows_events_statements_and_beliefs_opened_or_masked():
    encrypt()
    send(identify("u1", diagnosis=SECRET))
    for path in ("events", "statements?trait=diagnosis", "traits"):
        address = f"/api/v1/profiles/{holder().uuid}/{path}"
        assert SECRET in api("profiles:read", "personal_data:read").get(address).content.decode(), path
        text = api("profiles:read").get(address).content.decode()
        assert SECRET not in text, path
        assert '"b***"' not in text, path  # not even its first letter


def test_a_correction_is_sealed_too():
    encrypt()
    send(identify("u1", diagnosis="x"))
    client = api("profiles:write", "personal_data:read")
    path = f"/api/v1/profiles/{holder().uuid}/corrections"
    made = client.post(path, {"trait": "diagnosis", "value": SECRET, "reason": "told us"}, format="json").json()
    assert made["value"] == SECRET
    assert tables_with(SECRET) == set()
    assert read()["diagnosis"]["value"] == SECRET


def test_a_merge_and_its_undo_move_no_key():
    encrypt()
    send(
        identify("u1", diagnosis=SECRET),
        {**identify("", diagnosis="of the device"), "anonymousId": "a1", "userId": None},
        {"type": "track", "event": "Seen", "userId": "u1", "anonymousId": "a1"},
    )
    assert read()["diagnosis"]["value"] == "of the device"
    undo_merge(merge_id=Merge.objects.get().pk, actor="user:1", now=NOW)
    finish()
    assert read()["diagnosis"]["value"] == SECRET


def test_destroying_the_keys_makes_a_copy_unreadable():
    encrypt()
    send(identify("u1", diagnosis=SECRET), identify("u2", diagnosis=SECRET))
    store = PersonKeys()
    assert store.count(subject=subject()) == 1
    assert store.erase(subject=subject(), limit=10) == 1
    # The rows of u1 stand for those of an old backup.
    assert read()["diagnosis"]["value"] is None
    assert read("u2")["diagnosis"]["value"] == SECRET


def test_exports_to_the_person_what_is_sealed():
    encrypt()
    send(identify("u1", diagnosis=SECRET))
    for store in (Profiles(), Events()):
        assert SECRET in json.dumps(store.export(subject=subject()), default=str), store.name


def test_refuses_conditions_that_compare_it_and_takes_those_that_ask_whether_it_is_there():
    encrypt()
    send(identify("u1", diagnosis=SECRET), identify("u2"))
    client = api("segments:read", "profiles:read", "personal_data:read")

    def preview(condition: dict[str, Any]) -> Any:
        definition = {"version": 1, "timezone": "UTC", "match": {"type": "trait", "path": "diagnosis", **condition}}
        return client.post("/api/v1/segments/preview", {"definition": definition}, format="json")

    refused = preview({"op": "eq", "value": SECRET})
    assert (refused.status_code, refused.json()["code"]) == (400, "segment.sealed_trait")
    assert preview({"op": "exists"}).json()["count"] == 1
    assert preview({"op": "missing"}).json()["count"] == 1


def test_a_rule_that_compares_values_and_encryption_exclude_each_other():
    rules = {"sources": [], "traits": {"diagnosis": {"rule": "longest"}}}
    client = api("identity:write", "privacy:write", "profiles:read", "identity:read")
    assert client.put("/api/v1/traits/rules", rules, format="json").status_code == 200
    refused = client.put(f"{PATH}/diagnosis")
    assert (refused.status_code, refused.json()["code"]) == (400, "profiles.trait_is_sealed")
    assert client.put("/api/v1/traits/rules", {"sources": [], "traits": {}}, format="json").status_code == 200
    encrypt()
    assert client.put("/api/v1/traits/rules", rules, format="json").status_code == 400


def test_needs_the_right_to_decide():
    assert api("profiles:read").put(f"{PATH}/diagnosis").status_code == 403
    assert signed_in("ana").post("/traits/encrypted", {"name": "diagnosis"}).status_code == 403


def test_the_page_lists_encrypts_and_decrypts():
    client = signed_in("ada")
    assert "Every trait is stored in the clear" in client.get("/traits/encrypted").content.decode()
    client.post("/traits/encrypted", {"name": "diagnosis"})
    assert "<code>diagnosis</code>" in client.get("/traits/encrypted").content.decode()
    client.post("/traits/encrypted/decrypted", {"name": "diagnosis"})
    assert "being decrypted" in client.get("/traits/encrypted").content.decode()


def test_a_batch_costs_two_statements_more_however_many_people_it_is_about(django_assert_max_num_queries):
    encrypt()

    def statements(people: int, name: str) -> int:
        put([identify(f"{name}{n}", diagnosis=SECRET) for n in range(people)])
        with django_assert_max_num_queries(200) as captured:
            process(now=NOW)
        return len(captured)

    assert statements(2, "a") == statements(40, "b")


def test_changes_the_master_key_of_all_that_is_encrypted(settings, capsys):
    encrypt()
    send(identify("u1", diagnosis=SECRET), identify("u2", diagnosis="other"))
    api("sources:write").post("/api/v1/sources", {"key": "shop", "name": "Shop", "kind": "server"}, format="json")
    old = settings.CDP_MASTER_KEY
    settings.CDP_MASTER_KEY, settings.CDP_MASTER_KEYS_RETIRED = "n" * 50, [old]
    call_command("rotate_master_key")
    told = capsys.readouterr().out
    assert int(told.split("; ")[1].split()[0]) >= 3  # two keys of persons and a write key
    call_command("rotate_master_key")
    assert "; 0 were encrypted anew" in capsys.readouterr().out
    settings.CDP_MASTER_KEYS_RETIRED = []
    assert read()["diagnosis"]["value"] == SECRET
    call_command("create_source", "shop", "--kind", "server")
    assert capsys.readouterr().out.strip()


def test_says_which_key_is_missing(settings):
    encrypt()
    send(identify("u1", diagnosis=SECRET))
    settings.CDP_MASTER_KEY = "n" * 50
    answer = api("profiles:read", "personal_data:read").get(f"/api/v1/profiles/{holder().uuid}")
    assert (answer.status_code, answer.json()["code"]) == (503, "master_key.unavailable")


def test_a_change_of_the_master_key_concerns_all_that_is_sealed():
    known = {(one.table, one.column) for one in list_sealed_columns()}
    assert {
        ("profiles_personkey", "wrapped"),
        ("consent_privacyrequest", "closure"),
        ("ingestion_source", "write_key_sealed"),
        ("ingestion_held", "sealed"),
    } <= known


def test_events_keep_what_groups_say():
    encrypt()
    send({"type": "group", "userId": "u1", "groupId": "g1", "traits": {"diagnosis": "of the group"}})
    assert Event.objects.get().traits == {"diagnosis": "of the group"}
    assert not PersonKey.objects.exists()


def test_refuses_to_encrypt_what_a_segment_compares():
    client = api("segments:write", "privacy:write")
    match = {"type": "trait", "path": "diagnosis", "op": "eq", "value": "x"}
    new = {"key": "ill", "name": "Ill", "definition": {"version": 1, "timezone": "UTC", "match": match}}
    assert client.post("/api/v1/segments", new, format="json").status_code == 201
    refused = client.put(f"{PATH}/diagnosis")
    assert (refused.status_code, refused.json()["code"]) == (409, "profiles.trait_is_compared")
    assert "the segment ill" in refused.json()["detail"]
    assert client.patch("/api/v1/segments/ill", {"status": "archived"}, format="json").status_code == 200
    assert client.put(f"{PATH}/diagnosis").status_code == 200
