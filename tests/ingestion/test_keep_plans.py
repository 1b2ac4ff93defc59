"""Plans and cleaning by REST, and what they do to messages on their way."""

import json
from datetime import UTC, datetime

import pytest
from django.db import connection

from cdp.core.registries import Subject
from ingestion.models import Archived, Discovered, Finding, Message, Quarantined
from ingestion.personal_data import NamesSeen
from ingestion.services.discovering import forget_discovered
from ingestion.services.findings import keep_findings
from profiles.models import Profile
from tests.ingestion.door import make_source, post, process, rows
from tests.world import api

pytestmark = pytest.mark.django_db
PLAN = "/api/v1/tracking-plans/shop"
CLEANING = "/api/v1/sources/shop/cleaning"
RULE = {
    "type": "track",
    "event": "Order Completed",
    "schema": {
        "type": "object",
        "required": ["order_id"],
        "properties": {"order_id": {"type": "string"}, "total": {"type": "number"}},
    },
}


@pytest.fixture
def key():
    forget_discovered()
    return make_source("shop")


def save_plan(*rules, **more):
    return api("sources:write").put(PLAN, {"rules": list(rules), **more}, format="json")


def send(key, *items, path="/v1/batch"):
    answer = post(path, {"batch": list(items)} if path == "/v1/batch" else items[0], key)
    process()
    return answer.status_code


def order(number="1", **properties):
    given = {"order_id": "o-1", **properties}
    return {"type": "track", "event": "Order Completed", "userId": "dana-1", "messageId": number, "properties": given}


def stored(column="properties"):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT properties::text, traits::text, context::text FROM profiles_event ORDER BY id DESC LIMIT 1"
        )
        found = dict(zip(("properties", "traits", "context"), cursor.fetchone(), strict=True))
    return json.loads(found[column])


def findings():
    listed = api("sources:read").get(f"{PLAN}/violations").json()["results"]
    return [(one["event"], one["path"], one["rule"], one["action"], one["count"]) for one in listed]


def test_allows_and_counts_exactly(key):
    assert save_plan(RULE).json()["version"] == 1
    send(key, order("1", total="x"), order("2", total="y"), order("3", total=1), order("1", total="x"))
    # The fourth is a copy of the first: copies are not counted again.
    assert findings() == [("Order Completed", "properties.total", "type", "allow", 2)]
    assert [row[0] for row in rows()] == ["accepted"] * 3
    assert Message.objects.order_by("id").first().warnings == ["plan_violation"]
    Finding.objects.create(**dict.fromkeys(("type", "event", "path", "rule", "action"), "x"), source_id=1, count=1,
                           hour=datetime(2020, 1, 1, tzinfo=UTC))  # fmt: skip
    keep_findings(datetime.now(UTC))
    assert Finding.objects.count() == 1


def test_drops_a_property_everywhere(key):
    save_plan(RULE, policies={"violation": "drop", "unplanned_property": "drop"})
    send(key, order(total="x", secret="s3cret"))
    assert stored() == {"order_id": "o-1"}
    assert Message.objects.get().warnings == ["plan_dropped_fields"]
    # As it was received it would still hold what the plan dropped.
    assert not Archived.objects.exists()


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/track"])
def test_quarantines_with_place_and_rule_and_without_values(key, path):
    save_plan(RULE, policies={"violation": "quarantine"})
    assert send(key, order(total="s3cret"), path=path) == 200
    assert rows() == [("quarantined", "plan_violation", 1)]
    row = Quarantined.objects.get()
    assert row.detail == "The message breaks the source's tracking plan: properties.total: type."
    assert len(row.lookups) == 1
    assert findings() == [("Order Completed", "properties.total", "type", "quarantine", 1)]
    # Mended and sent again under its id it is accepted.
    send(key, order(total=1))
    assert rows() == [("accepted", "", 2)]


def test_keeps_nothing_of_a_suppressed_person_in_quarantine(key):
    save_plan(RULE, policies={"violation": "quarantine"})
    body = {"identifier": {"type": "user_id", "value": "dana-1"}, "reason": "she asked"}
    assert api("suppressions:write").post("/api/v1/suppressions", body, format="json").status_code == 201
    send(key, order(total="x"))
    assert rows() == [("suppressed", "suppressed", 1)]
    assert not Quarantined.objects.exists()
    assert findings() == []


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("allow", ("accepted", "")),
        ("drop", ("rejected", "plan_unplanned_event")),
        ("quarantine", ("quarantined", "plan_violation")),
    ],
)
def test_knows_unplanned_events(key, policy, expected):
    save_plan(RULE, policies={"unplanned_event": policy})
    send(key, {**order(), "event": "Other"})
    assert rows()[0][:2] == expected


def test_keeps_identifiers_out_that_the_allow_list_does_not_have(key):
    save_plan(allow={"traits": ["plan"], "context": ["library"]})
    send(
        key,
        {
            "type": "identify",
            "userId": "dana-1",
            "traits": {"plan": "pro", "email": "dana@x.example"},
            "context": {"library": {"name": "x"}, "device": {"id": "d-1"}},
        },
    )
    assert (stored("traits"), stored("context")) == ({"plan": "pro"}, {"library": {"name": "x"}})
    client = api("profiles:read")
    for identifier in ("email:dana@x.example", "device_id:d-1"):
        assert client.get(f"/api/v1/profiles?identifier={identifier}").json()["results"] == []


def test_does_not_change_what_a_request_gives_to_its_other_messages(key):
    save_plan(allow={"context": ["page.url"]})
    body = {"batch": [order("1"), order("2")], "context": {"page": {"url": "u", "title": "t"}}}
    post("/v1/batch", body, key)
    process()
    assert findings() == [("Order Completed", "context.page.title", "not_allowed", "drop", 2)]


def test_checks_against_recent_traffic_before_it_saves(key):
    send(key, order("1", total="x"), order("2"))
    strict = {"policies": {"violation": "quarantine"}}
    shown = api("sources:read").post(f"{PLAN}/preview", {"rules": [RULE], **strict}, format="json").json()
    assert (shown["samples"], shown["newly_stopped"], shown["changed"]) == (2, 1, 1)
    assert shown["examples"][0]["before"]["properties"] == {"order_id": "a-9", "total": "a"}
    refused = save_plan(RULE, **strict)
    assert (refused.status_code, refused.json()["code"]) == (409, "tracking_plan.stops_messages")
    assert "1 of the last 2" in refused.json()["detail"]
    saved = save_plan(RULE, **strict, accept_losses=True).json()
    assert (saved["version"], saved["check"]["newly_stopped"]) == (1, 1)
    assert save_plan(RULE, **strict, accept_losses=True).json()["version"] == 1


def test_discovers_what_is_sent_without_keeping_values(key):
    send(key, *[order(str(number), total=2.5, box={"size": 1}) for number in range(3)])
    client = api("sources:read")
    listed = client.get(f"{PLAN}/discovered?event=Order Completed").json()["results"]
    found = {one["property"]: (one["volume"], one["types"], one["examples"]) for one in listed}
    assert found == {
        "": (3, [], []),
        "order_id": (3, ["string"], ["a-9"]),
        "total": (3, ["number"], ["9.9"]),
        "box": (3, ["object"], []),
        "box.size": (3, ["integer"], ["9"]),
    }
    save_plan(RULE)
    send(key, order("9", new="x"))
    assert Discovered.objects.get(property="").volume == 4
    unplanned = client.get(f"{PLAN}/discovered?unplanned=true").json()["results"]
    assert {one["property"] for one in unplanned} == {"new", "box", "box.size"}


def test_proposes_a_plan_that_can_be_saved(key):
    send(key, order("1", total=2.5), order("2", total=1))
    plan = api("sources:read").get(f"{PLAN}/proposal").json()
    assert save_plan(*plan["rules"], policies={"violation": "quarantine"}).json()["check"]["newly_stopped"] == 0


def test_takes_over_and_gives_back_segments_plan_and_keeps_policies(key):
    save_plan(policies={"violation": "drop"})
    schema = {"type": "object", "properties": {"properties": RULE["schema"]}}
    body = {"rules": [{"type": "TRACK", "key": "Order Completed", "version": 3, "jsonSchema": schema}]}
    saved = api("sources:write").put(f"{PLAN}/segment", body, format="json").json()
    assert (saved["version"], saved["policies"], saved["rules"]) == (2, {"violation": "drop"}, [{**RULE, "version": 3}])
    (rule,) = api("sources:read").get(f"{PLAN}/segment").json()["rules"]
    assert rule["jsonSchema"]["properties"]["properties"] == RULE["schema"]


def test_lists_plans_and_versions_and_saves_by_post(key):
    client = api("sources:write")
    assert client.post("/api/v1/tracking-plans", {"source": "shop", "rules": [RULE]}, format="json").status_code == 200
    assert client.post("/api/v1/tracking-plans", {"rules": []}, format="json").status_code == 400
    (plan,) = client.get("/api/v1/tracking-plans").json()["results"]
    assert (plan["source"], plan["version"], plan["in_force"]) == ("shop", 1, True)
    assert client.get(f"{PLAN}/versions").json()["results"] == [plan]
    assert client.get(f"{PLAN}/versions/1").json() == plan
    assert client.get("/api/v1/tracking-plans/none").status_code == 404


def clean(*steps):
    return api("sources:write").put(CLEANING, {"steps": list(steps)}, format="json")


def test_gives_identity_and_segments_the_normal_form_and_keeps_what_was_sent(key):
    steps = [
        {"field": "traits.phone", "normaliser": "phone", "options": {"region": "DE"}},
        {"field": "traits.country", "normaliser": "country"},
        {"field": "traits.name", "normaliser": "name"},
    ]
    assert clean(*steps).json()["version"] == 1
    # Without the region the phone would be no identifier, and this message would have none.
    traits = {"phone": "0151 12345678", "country": "Germany", "name": "Dana Dale"}
    send(key, {"type": "identify", "traits": traits})
    assert Profile.objects.get().traits == {"phone": "+4915112345678", "country": "DE", "name": "Dana Dale"}
    found = api("profiles:read").get("/api/v1/profiles?identifier=phone:%2B4915112345678").json()["results"]
    assert len(found) == 1
    assert stored("context")["cdp_raw"] == {"traits.phone": "0151 12345678", "traits.country": "Germany"}


def test_counts_and_drops_what_has_no_normal_form(key):
    clean({"field": "properties.total", "normaliser": "number", "on_invalid": "drop"})
    send(key, order(total="much"))
    assert stored() == {"order_id": "o-1"}
    assert Message.objects.get().warnings == ["not_clean"]
    assert findings() == [("Order Completed", "properties.total", "clean_number", "drop", 1)]


def test_saves_no_cleaning_whose_test_fails_and_shows_before_and_after(key):
    step = {"field": "properties.total", "normaliser": "number", "tests": [{"input": "1", "output": 2}]}
    assert clean(step).status_code == 400
    send(key, order("1", total="2.50"), order("2", total=1))
    client = api("sources:read", "personal_data:read")
    shown = client.post(f"{CLEANING}/preview", {"steps": [step]}, format="json").json()
    assert (shown["samples"], shown["changed"], shown["not_clean"]) == (2, 1, [])
    assert shown["examples"][0]["before"]["properties"]["total"] == "2.50"
    assert shown["examples"][0]["after"]["properties"]["total"] == 2.5


def test_shows_transformations_before_the_plan_in_a_preview(key):
    send(key, {**order("1"), "event": "order done"})
    rename = {"op": "map", "path": "event", "values": {"order done": "Order Completed"}}
    api("sources:write").put("/api/v1/sources/shop/transformations", {"steps": [rename]}, format="json")
    body = {"rules": [RULE], "policies": {"unplanned_event": "quarantine"}}
    assert api("sources:read").post(f"{PLAN}/preview", body, format="json").json()["newly_stopped"] == 0


def test_erasure_takes_a_person_out_of_names(key):
    forget_discovered()
    send(key, {**order(), "event": "Mail to dana-long-1"})
    save_plan(RULE)
    send(key, {**order("2"), "event": "Mail to dana-long-1"})
    subject = Subject((), (), (("user_id", "dana-long-1"),), (), ())
    store = NamesSeen()
    # The event, its property, and one finding.
    assert store.count(subject=subject) == 3
    assert store.erase(subject=subject, limit=10) == 3
    assert store.count(subject=subject) == 0


def test_costs_no_statement_per_message(key, django_assert_max_num_queries):
    save_plan(RULE)
    clean({"field": "properties.total", "normaliser": "number"})
    send(key, order("a"))
    post("/v1/batch", {"batch": [order(str(number), total="x") for number in range(50)]}, key)
    with django_assert_max_num_queries(60):
        process()
