"""The pages of a source's plan, transformations and cleaning: seen, checked on real messages, saved."""

import json
import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from ingestion.models import Source, TreatmentVersion
from ingestion.services.discovering import forget_discovered
from ingestion.treatment.normalisers import INVALID, NORMALISERS
from ingestion.ui.explaining import SENTENCES, explain_normalisers
from tests.ingestion.door import make_source
from tests.ingestion.test_keep_plans import RULE, order, save_plan, send
from tests.world import api, signed_in

pytestmark = pytest.mark.django_db
SHOP = "/sources/shop"
PLAN, STEPS, CLEANING = f"{SHOP}/plan", f"{SHOP}/transformations", f"{SHOP}/cleaning"
STRICT = {"rules": [RULE], "policies": {"violation": "quarantine"}}
NUMBER = {
    "field": "properties.total",
    "normaliser": "number",
    "tests": [{"input": "1", "output": 1}, {"input": "x", "invalid": True}],
}
RENAME = {
    "op": "rename",
    "path": "properties.total",
    "to": "properties.amount",
    "tests": [{"name": "moves it", "input": {"properties": {"total": 1}}, "output": {"properties": {"amount": 1}}}],
}


@pytest.fixture
def key():
    forget_discovered()
    return make_source("shop")


def text_of(answer) -> str:
    return re.sub(r"\s+", " ", answer.content.decode())


def post(address, definition, act="check", who="ivo", **more):
    text = definition if isinstance(definition, str) else json.dumps(definition)
    return signed_in(who).post(address, {"text": text, "act": act, **more})


def digest(answer) -> str:
    return re.search(r'name="checked" value="(\w+)"', answer.content.decode())[1]


def check_and_save(address, definition, **more):
    checked = post(address, definition)
    assert checked.status_code == 200
    return post(address, definition, "save", checked=digest(checked), **more)


def test_leads_to_all_of_them_from_the_source(key):
    browser = signed_in("ivo")
    page = browser.get(SHOP).content.decode()
    for address in (PLAN, STEPS, CLEANING, f"{PLAN}/discovered", f"{SHOP}/debugger"):
        assert f'href="{address}"' in page
        assert browser.get(address).status_code == 200
    assert "No plan yet" in browser.get(PLAN).content.decode()
    assert browser.get(f"{PLAN}?version=3").status_code == 404
    assert browser.get("/sources/none/plan").status_code == 404


@pytest.mark.parametrize("address", [PLAN, STEPS, CLEANING])
def test_lets_only_who_may(key, address):
    assert signed_in("cy").get(address).status_code == 403
    reader = signed_in("ana").get(address).content.decode()
    assert 'value="check"' in reader
    assert 'name="note"' not in reader
    empty = '{"rules": []}' if address == PLAN else '{"steps": []}'
    assert post(address, empty, who="ana").status_code == 200
    assert post(address, empty, "save", who="ana").status_code == 403
    assert not TreatmentVersion.objects.exists()


@pytest.mark.parametrize(
    ("address", "definition", "said"),
    [
        (PLAN, '{"rules": [}', "This is no JSON from line 1, column 12 on"),
        (PLAN, "[]", "This must be a JSON object"),
        (PLAN, '{"rules": [], "name": "\\u0000"}', "cannot be stored"),
        (PLAN, {"rules": [{"type": "tracks"}]}, "<code>rules[0].type</code>"),
        (STEPS, {"steps": [{"op": "move"}]}, "<code>steps[0].op</code>"),
        (CLEANING, {"steps": [{"field": "traits.a", "normaliser": "nono"}]}, "<code>steps[0].normaliser</code>"),
    ],
)
def test_says_beside_the_text_what_is_wrong_and_keeps_it(key, address, definition, said):
    answer = post(address, definition, "save")
    assert answer.status_code == 422
    assert said in text_of(answer)
    assert 'value="save"' not in answer.content.decode()
    if isinstance(definition, str) and len(definition) > 2:
        assert definition.partition('"')[2].partition('"')[0] in answer.content.decode()
    assert not TreatmentVersion.objects.exists()


def test_saves_a_plan_only_after_its_check_and_losses_only_if_meant(key):
    send(key, order("1", total="x"), order("2"))
    unseen = post(PLAN, STRICT, "save")
    assert unseen.status_code == 409
    assert "was not checked before" in text_of(unseen)
    assert "1 of the last 2 messages would not be accepted any more" in text_of(unseen)
    refused = post(PLAN, STRICT, "save", checked=digest(unseen))
    assert refused.status_code == 409
    assert not TreatmentVersion.objects.exists()
    # Another text than the one that was checked.
    other = {**STRICT, "name": "other"}
    assert post(PLAN, other, "save", checked=digest(unseen), accept_losses="on").status_code == 409
    saved = post(PLAN, STRICT, "save", checked=digest(unseen), accept_losses="on", note="the shop agreed")
    assert saved.status_code == 302
    row = TreatmentVersion.objects.get()
    assert (row.definition, row.note, Source.objects.get().plan_version) == (STRICT, "the shop agreed", 1)


def test_shows_findings_by_rule_and_the_version_in_force(key):
    save_plan(RULE)
    send(key, order("1", total="x"), order("2", total="y"))
    page = text_of(signed_in("ivo").get(f"{PLAN}?hours=168"))
    assert "type <strong>2</strong>" in page
    assert "<code>properties.total</code>" in page
    assert "Version 1 in force" in page
    quiet = text_of(signed_in("ivo").get(CLEANING))
    assert "Nothing was found in this time" in quiet
    days = signed_in("ivo").get(f"{PLAN}?hours=2160")
    assert len(days.context["findings"].chart["labels"]) == 90
    assert sum(days.context["findings"].chart["series"][0]["values"]) == 2


def test_lists_what_was_discovered(key):
    send(key, order("1", total=2.5))
    browser = signed_in("ana")
    page = text_of(browser.get(f"{PLAN}/discovered"))
    assert "<code>order_id</code>" in page
    assert "<code>a-9</code>" in page
    save_plan(RULE)
    assert "Nothing of this kind" in text_of(browser.get(f"{PLAN}/discovered?unplanned=1"))
    assert "<code>total</code>" in text_of(browser.get(f"{PLAN}/discovered?event=Order+Completed"))
    assert "Nothing of this kind" in text_of(browser.get(f"{PLAN}/discovered?event=Other"))


def test_proposes_a_plan_with_the_policies_in_force(key):
    save_plan(policies={"violation": "drop"})
    send(key, order("1", total=2.5), order("2", total=1))
    answer = signed_in("ivo").get(f"{PLAN}/proposal")
    proposed = json.loads(answer.context["text"])
    assert proposed["policies"] == {"violation": "drop"}
    assert proposed["rules"][0]["schema"]["properties"]["total"] == {"type": "number"}
    assert "All of them stay as they are" in text_of(answer)
    assert check_and_save(PLAN, proposed).status_code == 302


def test_takes_segments_plan_into_the_editor_and_gives_it_back(key):
    save_plan(policies={"violation": "drop"})
    schema = {"type": "object", "properties": {"properties": RULE["schema"]}}
    document = {"rules": [{"type": "TRACK", "key": "Order Completed", "version": 3, "jsonSchema": schema}]}
    browser = signed_in("ivo")
    file = SimpleUploadedFile("plan.json", json.dumps(document).encode())
    for given in ({"file": file}, {"document": json.dumps(document)}):
        answer = browser.post(f"{PLAN}/bring", given)
        assert json.loads(answer.context["text"])["rules"] == [{**RULE, "version": 3}]
    assert Source.objects.get().plan_version == 1
    check_and_save(PLAN, json.loads(answer.context["text"]))
    given = browser.get(f"{PLAN}/segment.json")
    assert given["Content-Disposition"] == 'attachment; filename="shop-tracking-plan.json"'
    assert given.json()["rules"][0]["key"] == "Order Completed"
    wrong = browser.post(f"{PLAN}/bring", {"document": '{"rules": [{"type": "SPAM"}]}'})
    assert wrong.status_code == 422
    assert "<code>rules[0].type</code>" in text_of(wrong)
    assert json.loads(wrong.context["text"])["policies"] == {"violation": "drop"}


def test_runs_the_tests_and_shows_messages_before_and_after(key):
    send(key, order("1", total="2.50"))
    answer = text_of(post(STEPS, {"steps": [RENAME]}))
    assert "all 1 pass" in answer
    # Ivo does not see personal data: shapes.
    assert "<del>9.99</del>" in answer
    assert "2.50" not in answer
    clean = text_of(post(CLEANING, {"steps": [NUMBER]}, who="ada"))
    assert "<del>2.50</del>" in clean
    assert "<ins>2.5</ins>" in clean
    assert "cdp_raw" not in clean.replace("context.cdp_raw</code>", "")


def test_saves_nothing_whose_test_fails_and_shows_what_came_out(key):
    wrong = {"steps": [{**RENAME, "to": "properties.sum"}]}
    checked = post(STEPS, wrong)
    assert checked.status_code == 422
    assert "1 of 1 fails" in text_of(checked)
    assert "It differs at <code>properties.amount</code>" in text_of(checked)
    assert post(STEPS, wrong, "save").status_code == 422
    answer = post(CLEANING, {"steps": [{**NUMBER, "tests": [{"input": "x", "output": 1}]}]})
    assert "no normal form" in text_of(answer)
    assert not TreatmentVersion.objects.exists()


def test_goes_back_to_an_old_version(key):
    for definition in ({"steps": [RENAME]}, {"steps": []}):
        assert check_and_save(STEPS, definition).status_code == 302
    browser = signed_in("ivo")
    old = browser.get(f"{STEPS}?version=1")
    assert json.loads(old.context["text"]) == {"steps": [RENAME]}
    assert "It is not in force" in text_of(old)
    check_and_save(STEPS, json.loads(old.context["text"]))
    assert Source.objects.get().transformations_version == 3


def test_refuses_a_note_that_is_too_long_without_losing_the_text(key):
    checked = digest(post(STEPS, {"steps": [RENAME]}))
    answer = post(STEPS, {"steps": [RENAME]}, "save", checked=checked, note="x" * 301)
    assert "at most 300 characters" in text_of(answer)
    assert "properties.amount" in answer.content.decode()
    assert not TreatmentVersion.objects.exists()


def test_explains_every_normaliser_by_an_example_that_it_computed():
    assert set(SENTENCES) == set(NORMALISERS)
    explained = {one.name: one.outcome for one in explain_normalisers()}
    assert INVALID not in explained.values()
    assert explained["phone"] == "+4915112345678"


def strip_of(message_id):
    client = api("sources:read", "personal_data:read")
    rows = client.get("/api/v1/sources/shop/messages").json()["results"]
    row_id = next(row["id"] for row in rows if row["message_id"] == message_id)
    steps = client.get(f"/api/v1/sources/shop/messages/{row_id}").json()["steps"]
    return {one["key"]: one for one in steps}


def facts(step):
    return [(one["name"], one["value"]) for one in step["facts"]]


def test_tells_in_the_debugger_what_the_plan_stopped(key):
    save_plan(RULE, policies={"violation": "quarantine"})
    send(key, order("bad", total="x"), {"type": "track", "userId": "d", "messageId": "nameless"})
    steps = strip_of("bad")
    assert (steps["plan"]["state"], steps["read"]["state"]) == ("stopped", "skipped")
    assert facts(steps["plan"]) == [("Stopped by", "properties.total: type")]
    assert strip_of("nameless")["plan"]["state"] == "skipped"
    assert strip_of("nameless")["read"]["state"] == "stopped"


def test_tells_in_the_debugger_what_was_counted_and_cleaned(key):
    save_plan(RULE)
    steps = [{"field": "properties.total", "normaliser": "number"}, {"field": "properties.day", "normaliser": "date"}]
    api("sources:write").put("/api/v1/sources/shop/cleaning", {"steps": steps}, format="json")
    send(key, order("odd", total="2.50", day="someday"))
    found = strip_of("odd")
    assert facts(found["plan"]) == [("Counted", "properties.total: type")]
    assert ("No normal form", "properties.day: date") in facts(found["read"])
    assert ("Warning", "not clean") in facts(found["read"])
    changed = {one["path"]: (one.get("before"), one.get("after")) for one in found["read"]["differences"]}
    assert changed["properties.total"] == ("2.50", 2.5)


def test_tells_in_the_debugger_what_was_filtered_out_or_rejected(key):
    save_plan(RULE, policies={"unplanned_event": "drop"})
    send(key, {**order("other"), "event": "Other"})
    # Nothing of it is kept, so its name cannot be found: the only row.
    rows = api("sources:read").get("/api/v1/sources/shop/messages").json()["results"]
    steps = api("sources:read").get(f"/api/v1/sources/shop/messages/{rows[0]['id']}").json()["steps"]
    states = {one["key"]: one["state"] for one in steps}
    assert (states["plan"], states["read"]) == ("stopped", "skipped")
