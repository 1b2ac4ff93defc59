"""Transformations by REST, and what they do to messages on their way."""

import pytest

from cdp.core.models import AuditEntry
from cdp.core.registries import Subject
from ingestion.models import Quarantined, Source, TreatmentVersion
from ingestion.personal_data import TreatmentDefinitions
from ingestion.queries.write_keys import forget_write_keys
from tests.ingestion.door import make_source, post, process, rows
from tests.world import api, faults

pytestmark = pytest.mark.django_db
ADDRESS = "/api/v1/sources/shop/transformations"
RENAME = {
    "op": "rename",
    "path": "properties.orderId",
    "to": "properties.order_id",
    "tests": [{"input": {"properties": {"orderId": 1}}, "output": {"properties": {"order_id": 1}}}],
}


@pytest.fixture
def key():
    return make_source("shop")


def save(*steps, **more):
    return api("sources:write").put(ADDRESS, {"steps": list(steps), **more}, format="json")


def events():
    client = api("profiles:read", "personal_data:read")
    (profile,) = client.get("/api/v1/profiles?identifier=user_id:dana-1").json()["results"]
    return client.get(f"/api/v1/profiles/{profile['id']}/events").json()["results"]


def track(**fields):
    return {"type": "track", "event": "Order Completed", "userId": "dana-1", **fields}


def test_saves_a_version_and_the_same_again_makes_none(key):
    first = save(RENAME, note="as the shop's new app sends").json()
    assert (first["version"], first["in_force"], first["note"]) == (1, True, "as the shop's new app sends")
    assert save(RENAME).json()["version"] == 1
    assert save().json()["version"] == 2
    assert save(RENAME).json()["version"] == 3
    listed = api("sources:read").get(f"{ADDRESS}/versions").json()["results"]
    assert [(one["version"], one["in_force"], len(one["steps"])) for one in listed] == [
        (3, True, 1),
        (2, False, 0),
        (1, False, 1),
    ]
    assert api("sources:read").get(f"{ADDRESS}/versions/1").json()["steps"] == [RENAME]
    assert api("sources:read").get(f"{ADDRESS}/versions/9").status_code == 404
    assert AuditEntry.objects.filter(action="transformations.saved").count() == 3


def test_answers_version_0_without_any(key):
    answer = api("sources:read").get(ADDRESS).json()
    assert (answer["version"], answer["in_force"]) == (0, False)


def test_changes_messages_before_they_are_read(key):
    save(
        RENAME,
        {"op": "rename", "path": "email", "to": "traits.email"},
        {"op": "map", "path": "event", "values": {"order done": "Order Completed"}},
    )
    forget_write_keys()
    # Without the transformations neither has what a message needs: the one has no type, the other no identifier.
    sent = {"type": "track", "event": "order done", "userId": "dana-1", "properties": {"orderId": "7"}}
    assert post("/v1/batch", {"batch": [sent]}, key).status_code == 200
    assert post("/v1/identify", {"email": "dana@customer.example"}, key).status_code == 200
    process()
    assert [row[:2] for row in rows()] == [("accepted", ""), ("accepted", "")]
    (event,) = events()
    assert (event["name"], event["properties"]) == ("Order Completed", {"order_id": "7"})
    client = api("profiles:read")
    assert len(client.get("/api/v1/profiles?identifier=email:dana@customer.example").json()["results"]) == 1


@pytest.mark.parametrize("path", ["/v1/track", "/v1/batch"])
def test_rejects_what_is_filtered_out_with_a_reason_and_keeps_nothing_of_it(key, path):
    save({"op": "filter", "when": {"event": "Heartbeat"}})
    forget_write_keys()
    beat = {"type": "track", "event": "Heartbeat", "userId": "dana-1"}
    post(path, {"batch": [beat]} if path == "/v1/batch" else beat, key)
    process()
    assert rows() == [("rejected", "filtered", 1)]
    assert not Quarantined.objects.exists()


def test_keeps_in_quarantine_what_came_not_what_was_made_of_it(key):
    save({"op": "drop", "path": "userId"})
    post("/v1/batch", {"batch": [track()]}, key)
    process()
    assert rows()[0][:2] == ("quarantined", "no_identifier")
    assert b"dana-1" in bytes(Quarantined.objects.get().payload)


def test_quarantines_everything_when_a_saved_definition_cannot_be_used_any_more(key):
    save(RENAME)
    TreatmentVersion.objects.update(definition={"steps": [{"op": "an operation of a later version"}]})
    post("/v1/track", track(), key)
    process()
    assert rows() == [("quarantined", "treatment_unusable", 1)]


def test_does_nothing_to_other_sources(key):
    other = make_source("other")
    save({"op": "filter", "when": {"type": "track"}})
    post("/v1/track", track(), other)
    process()
    assert rows() == [("accepted", "", 1)]


def test_saves_nothing_whose_test_fails(key):
    answer = save({**RENAME, "to": "properties.number"})
    assert answer.status_code == 400
    assert list(faults(answer.json())) == [("steps[0].tests[0]", "test.failed")]
    assert Source.objects.get().transformations_version == 0


@pytest.mark.parametrize("body", [[], {"steps": 1}, {"steps": [], "note": 1}, {"steps": [], "note": "x" * 301}])
def test_says_what_is_wrong(key, body):
    answer = api("sources:write").put(ADDRESS, body, format="json")
    assert (answer.status_code, answer.json()["code"]) == (400, "treatment.invalid")


def test_needs_the_right_and_a_source(key):
    assert api("sources:read").put(ADDRESS, {"steps": []}, format="json").status_code == 403
    assert api("sources:write").put("/api/v1/sources/no/transformations", {"steps": []}, format="json").status_code == (
        404
    )


def test_shows_before_and_after_on_recent_messages_masked_by_role(key):
    post("/v1/batch", {"batch": [track(properties={"orderId": "A-17"}), track(messageId="x" * 101)]}, key)
    process()
    body = {"steps": [RENAME]}
    whole = api("sources:read", "personal_data:read").post(f"{ADDRESS}/preview", body, format="json").json()
    assert (whole["samples"], whole["changed"]) == (2, 1)
    (example,) = whole["examples"]
    assert example["before"]["properties"] == {"orderId": "A-17"}
    assert example["after"]["properties"] == {"order_id": "A-17"}
    masked = api("sources:read").post(f"{ADDRESS}/preview", body, format="json").json()
    assert masked["examples"][0]["after"]["properties"] == {"order_id": "A-99"}
    assert Source.objects.get().transformations_version == 0


def test_erasure_takes_a_person_out_of_tests_but_keeps_the_definition(key):
    mention = {"input": {"userId": "dana-1", "traits": {"email": "Dana@x.example"}, "n": "danae-1"}}
    save({"op": "set", "path": "properties.x", "value": 1}, tests=[])
    definition = {"steps": [], "tests": [{**mention, "output": mention["input"]}]}
    api("sources:write").put(ADDRESS, definition, format="json")
    subject = Subject((), (), (("user_id", "dana-1"), ("email", "dana@x.example")), (), ())
    store = TreatmentDefinitions()
    assert store.count(subject=subject) == 1
    assert store.erase(subject=subject, limit=10) == 1
    assert store.count(subject=subject) == 0
    kept = TreatmentVersion.objects.get(version=2).definition["tests"][0]["input"]
    assert kept == {"userId": "erased", "traits": {"email": "erased"}, "n": "danae-1"}
