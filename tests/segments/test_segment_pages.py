"""The pages of segments: finding one again, copies, versions, rights, and what is hidden from whom."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from guardian.shortcuts import assign_perm

from cdp.core.models import AuditEntry, User
from segments.language.parse import parse
from segments.models import Segment, SegmentVersion
from segments.queries.templates import list_templates
from segments.services.definitions import change_segment
from tests.segments.asking import definition, did, identify, segment, track, trait
from tests.world import signed_in, staff

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)
PRO = trait("plan", "eq", "pro")
BUYS = did("Order Completed", "P30D")


def text_of(browser: Client, address: str) -> str:
    answer = browser.get(address)
    assert answer.status_code == 200, answer.content.decode()[:300]
    return answer.content.decode()


def names_in(browser: Client, query: str) -> list[str]:
    """Return the keys in the list of segments, in its order."""
    return re.findall(r'<th scope="row"[^>]*>\s*<a class="link" href="/segments/([^"]+)"', text_of(browser, query))


def ask(browser: Client, what: str, match: Any, **more: Any) -> Any:
    """Ask one of the builder's questions."""
    body = {"definition": definition(match), **more}
    return browser.post(
        f"/segments/new/{what}", json.dumps(body), content_type="application/json", HTTP_ACCEPT="application/json"
    )


# --- The list --------------------------------------------------------------------------------------------------------


def test_finds_a_segment_again_by_words_tag_status_and_owner() -> None:
    ana = signed_in("ana")
    for key, status in (("pro", "live"), ("lapsed", "draft"), ("old", "archived")):
        segment(key, PRO, status=status, now=NOW)
    change_segment(key="lapsed", fields={"tags": ["Win back"]}, actor="system", clock=timezone.now)
    Segment.objects.filter(key="pro").update(owner=staff("ana"))
    assert names_in(ana, "/segments") == ["lapsed", "pro"]
    assert names_in(ana, "/segments?q=WIN+lap") == ["lapsed"]
    assert names_in(ana, "/segments?tag=win+back") == ["lapsed"]
    assert names_in(ana, "/segments?status=archived") == ["old"]
    assert names_in(ana, "/segments?owner=me") == ["pro"]
    assert "No segment is like that" in text_of(ana, "/segments?q=nothing")


def test_refuses_a_tag_that_is_too_long() -> None:
    segment("pro", PRO, now=NOW)
    answer = signed_in("ana").post("/segments/pro/tags", {"tags": "x" * 41})
    assert answer.status_code == 400
    assert Segment.objects.get().tags == []


# --- Templates and copies --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("template", list_templates(), ids=lambda one: one.key)
def test_every_template_is_a_definition_that_finds_people(template) -> None:
    parse(template.definition)
    page = text_of(signed_in("ana"), f"/segments/new?template={template.key}")
    assert template.name in page
    answer = ask(signed_in("ana"), "count", template.match)
    assert (answer.status_code, answer.json()["count"]) == (200, 0)


def test_duplicates_a_segment_as_a_draft_of_ones_own() -> None:
    segment("pro", PRO, now=NOW)
    ana = signed_in("ana")
    assert "pro-copy" in text_of(ana, "/segments/pro/duplicate")
    answer = ana.post("/segments/pro/duplicate", {"name": "Pro again", "key": "pro-again"})
    assert answer["Location"] == "/segments/pro-again/change"
    copy = Segment.objects.get(key="pro-again")
    assert (copy.status, copy.owner, copy.member_count) == ("draft", staff("ana"), 0)
    assert SegmentVersion.objects.get(segment=copy).definition == definition(PRO)


def test_keeps_keys_free_that_are_addresses_of_pages() -> None:
    segment("pro", PRO, now=NOW)
    answer = signed_in("ana").post("/segments/pro/duplicate", {"name": "Compare", "key": "compare"})
    assert "This key is reserved." in answer.content.decode()


# --- Versions --------------------------------------------------------------------------------------------------------


def test_shows_what_differs_between_versions_and_goes_back() -> None:
    segment("pro", {"type": "all", "of": [PRO, BUYS]}, now=NOW)
    other = {"type": "all", "of": [PRO, did("Order Completed", "P90D")]}
    change_segment(key="pro", fields={"definition": definition(other)}, actor="system", clock=timezone.now)
    ana = signed_in("ana")
    page = text_of(ana, "/segments/pro/versions")
    assert re.search(r"<del>did “Order Completed” at least 1 time in the last 30 days</del>", page)
    assert re.search(r"<ins>did “Order Completed” at least 1 time in the last 90 days</ins>", page)
    assert "<span>plan is “pro”</span>" in page
    assert "by key test" in page
    assert ana.post("/segments/pro/restore", {"version": "1"})["Location"] == "/segments/pro"
    # Going back makes a third version: no definition is ever lost.
    third = SegmentVersion.objects.get(segment__key="pro", version=3)
    assert third.definition == definition({"type": "all", "of": [PRO, BUYS]})
    assert Segment.objects.get().live_version == 3
    assert "by Ana" in text_of(ana, "/segments/pro")
    assert ana.post("/segments/pro/restore", {"version": "99"}).status_code == 404
    assert signed_in("ben").post("/segments/pro/restore", {"version": "1"}).status_code == 403


def test_exports_what_the_builder_imports() -> None:
    segment("pro", PRO, now=NOW)
    answer = signed_in("ana").get("/segments/pro/definition.json")
    assert answer["Content-Disposition"] == 'attachment; filename="pro.json"'
    assert answer.json() == {"name": "pro", "tags": [], "definition": definition(PRO)}


# --- Rights ----------------------------------------------------------------------------------------------------------


def give(browser: Client, who: str, right: str) -> Any:
    return browser.post("/segments/pro/rights", {"email": staff(who).email, "right": right})


def test_an_owner_lets_somebody_see_and_change_one_segment_and_takes_it_back() -> None:
    segment("pro", PRO, now=NOW)
    segment("other", PRO, now=NOW)
    Segment.objects.filter(key="pro").update(owner=staff("ana"))
    ana, cy = signed_in("ana"), signed_in("cy")
    assert cy.get("/segments/pro").status_code == 403
    give(ana, "cy", "view")
    assert cy.get("/segments/pro").status_code == 200
    assert names_in(cy, "/segments") == ["pro"]
    assert cy.get("/segments/other").status_code == 403
    assert cy.get("/segments/pro/change").status_code == 403
    give(ana, "cy", "change")
    assert cy.get("/segments/pro/change").status_code == 200
    assert cy.post("/segments/pro/status", {"status": "draft"}).status_code == 302
    assert Segment.objects.get(key="pro").status == "draft"
    give(ana, "cy", "none")
    assert cy.get("/segments/pro").status_code == 403
    assert AuditEntry.objects.filter(action="segment.right_taken").count() == 1


def test_only_owner_and_administrators_give_rights() -> None:
    segment("pro", PRO, now=NOW)
    assert give(signed_in("ana"), "cy", "view").status_code == 403
    assert give(signed_in("ada"), "ana", "owner").status_code == 302
    assert Segment.objects.get().owner == staff("ana")
    assert give(signed_in("ana"), "cy", "view").status_code == 302


def test_a_right_does_not_outlive_the_role_of_nobody() -> None:
    segment("pro", PRO, now=NOW)
    assign_perm("view_segment", staff("cy"), Segment.objects.get())
    User.objects.filter(pk=staff("cy").pk).update(is_active=False)
    assert signed_in("cy").get("/segments/pro").status_code in {302, 401, 403}
    assert not Group.objects.filter(user=staff("cy")).exists()


# --- What is hidden --------------------------------------------------------------------------------------------------


def people(count: int) -> None:
    for number in range(count):
        identify(f"user-{number}", NOW, plan="pro", email=f"person{number}@customer.example", name=f"Person {number}")


def test_hides_small_groups_from_who_may_not_see_persons() -> None:
    people(3)
    segment("pro", PRO, now=NOW)
    assign_perm("view_segment", staff("cy"), Segment.objects.get())
    page = text_of(signed_in("cy"), "/segments/pro")
    assert "fewer than 10" in page
    assert "Person 0" not in page
    assert signed_in("cy").get("/segments/pro/members").status_code == 403
    assert "Too few people" in text_of(signed_in("cy"), "/segments/pro/sizes")
    assert "<strong>3" in text_of(signed_in("ana"), "/segments/pro")


def test_masks_people_in_every_answer_to_a_marketer() -> None:
    people(2)
    segment("pro", PRO, now=NOW)
    ana, ada = signed_in("ana"), signed_in("ada")
    pinned = ask(ada, "closer", PRO).json()["sample"][0]["id"]
    for browser, masked in ((ana, True), (ada, False)):
        found = ask(browser, "closer", trait("email", "exists"), pinned=[pinned]).content.decode()
        found += text_of(browser, "/segments/pro") + text_of(browser, "/segments/pro/members")
        assert ("@customer.example" not in found and "Person " not in found) is masked
        offered = browser.get("/segments/values?trait=email").json()["values"]
        assert (offered == []) is masked


# --- The builder's questions -----------------------------------------------------------------------------------------


def test_says_what_each_row_does_and_who_is_in_and_why() -> None:
    identify("dana", NOW, plan="pro", name="Dana Dale")
    identify("eve", NOW, plan="pro", name="Eve Early")
    identify("omar", NOW, plan="free", name="Omar Orr")
    for user in ("dana", "omar"):
        track(user, "Order Completed", NOW)
    ada = signed_in("ada")
    match = {"type": "all", "of": [PRO, BUYS]}
    assert ask(ada, "count", match).json()["count"] == 1
    eve = ask(ada, "people", match, text="Eve Early").json()["people"]
    assert [one["name"] for one in eve] == ["Eve Early"]
    found = ask(ada, "closer", match, pinned=[eve[0]["id"], "no-such-id"]).json()
    # Dana and Eve have the plan, Dana also ordered; without the order both are in, without the plan Dana and Omar.
    assert found["rows"] == [
        {"path": "match.of[0]", "left": 2, "without": 2},
        {"path": "match.of[1]", "left": 1, "without": 2},
    ]
    assert [one["name"] for one in found["sample"]] == ["Dana Dale"]
    assert found["sample"][0]["why"][0]["sentence"] == "plan is “pro”"
    (watched,) = found["pinned"]
    assert watched["member"] is False
    assert {row["path"]: row["result"] for row in watched["rows"]}["match.of[1]"] is False


def test_tells_whom_channels_reach_and_what_is_shared(django_assert_max_num_queries) -> None:
    people(2)
    segment("pro", PRO, now=NOW)
    segment("all-of-them", {"type": "everyone"}, now=NOW)
    ada = signed_in("ada")
    # One statement for the reach and one for what is shared; the rest are the session, the rights and the catalogue.
    with django_assert_max_num_queries(25):
        found = ask(ada, "around", trait("email", "exists"), key="pro").json()
    assert found["shared"] == [{"key": "all-of-them", "name": "all-of-them", "count": 2, "shared": 2}]


def test_names_the_path_of_a_fault_to_the_builder() -> None:
    answer = ask(signed_in("ana"), "count", {"type": "trait", "path": "", "op": "eq", "value": "x"})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["path"] == "match.path"
    assert signed_in("cy").post("/segments/new/count", "{}", content_type="application/json").status_code == 403


def test_offers_real_values_and_events_with_how_often() -> None:
    # Names are remembered for a minute, in the process of the tests too.
    cache.clear()
    people(2)
    track("user-0", "Order Completed", NOW, coupon="SPRING")
    ada = signed_in("ada")
    assert ada.get("/segments/values?trait=plan").json()["values"] == [{"value": "pro", "note": "2 people"}]
    found = ada.get("/segments/values?event=Order+Completed&property=coupon").json()["values"]
    assert found == [{"value": "SPRING", "note": "1 person"}]
    assert {"value": "Order Completed", "note": "1"} in ada.get("/segments/new/events").json()["values"]


def test_knows_the_kinds_of_traits_and_properties() -> None:
    cache.clear()
    identify("dana", NOW, born="1990-02-28", age=35, vip=True, tags=["a"], plan="pro")
    track("dana", "Order Completed", NOW, shipped_on="2026-01-31", revenue=9)
    page = text_of(signed_in("ada"), "/segments/new")
    data = json.loads(re.search(r'id="builder-data" type="application/json">(.*?)</script>', page)[1])
    kinds = data["offers"]["traits"]
    expected = {"born": "date", "age": "number", "vip": "boolean", "tags": "array", "plan": "string"}
    assert {name: kinds[name] for name in expected} == expected
    found = signed_in("ada").get("/segments/properties?event=Order+Completed").json()["properties"]
    assert found == {"revenue": "number", "shipped_on": "date"}


def test_counts_for_who_may_change_one_segment_only_that_one() -> None:
    people(12)
    segment("pro", PRO, now=NOW)
    assign_perm("view_segment", staff("cy"), Segment.objects.get())
    cy = signed_in("cy")
    assert ask(cy, "count", PRO, key="pro").status_code == 403
    assign_perm("change_segment", staff("cy"), Segment.objects.get())
    assert ask(cy, "count", PRO, key="pro").json()["count"] == 12
    assert ask(cy, "count", PRO).status_code == 403
    # Two of the twelve: too few to be told to somebody who may not see persons, and so is the difference.
    few = {"type": "all", "of": [PRO, trait("name", "in", ["Person 1", "Person 2"])]}
    assert ask(cy, "count", few, key="pro").json()["count"] is None
    found = ask(cy, "closer", few, key="pro").json()
    assert found == {
        "rows": [{"path": "match.of[0]", "left": 12}, {"path": "match.of[1]", "without": 12}],
        "sample": [],
        "pinned": [],
    }


# --- Without JavaScript ----------------------------------------------------------------------------------------------


def test_takes_a_definition_in_a_form() -> None:
    people(1)
    ana = signed_in("ana")
    given = {"name": "Pro", "key": "pro", "tags": "a, b", "definition": json.dumps(definition(PRO))}
    assert "1 people." in ana.post("/segments/new", {**given, "do": "preview"}).content.decode()
    assert not Segment.objects.exists()
    assert ana.post("/segments/new", {**given, "do": "live"})["Location"] == "/segments/pro"
    made = Segment.objects.get()
    assert (made.status, made.member_count, made.tags, made.owner) == ("live", 1, ["a", "b"], staff("ana"))
    changed = {"name": "Pro 2", "tags": "", "definition": json.dumps(definition(BUYS)), "do": "draft"}
    assert ana.post("/segments/pro/change", changed).status_code == 302
    assert "This is not JSON" in ana.post("/segments/pro/change", {**changed, "definition": "{"}).content.decode()
    assert SegmentVersion.objects.filter(segment__key="pro").count() == 2


def test_leads_to_the_explanation_of_a_person_who_is_looked_for() -> None:
    people(2)
    segment("pro", PRO, now=NOW)
    ben = signed_in("ben")
    answer = ben.post("/segments/pro/explain", {"text": "person1@customer.example"})
    assert re.fullmatch(r"/segments/pro/explain/[0-9a-f-]{36}", answer["Location"])
    assert "Person 0" in ben.post("/segments/pro/explain", {"text": "person"}).content.decode()
    assert "Nobody was found" in ben.post("/segments/pro/explain", {"text": "who?"}).content.decode()


def test_compares_two_segments_in_a_trait(django_assert_max_num_queries) -> None:
    people(3)
    identify("omar", NOW, plan="free")
    segment("pro", PRO, now=NOW)
    segment("everybody", {"type": "everyone"}, now=NOW)
    ada = signed_in("ada")
    # One question about both, with the limits of its own transaction around it.
    with django_assert_max_num_queries(15):
        page = text_of(ada, "/segments/compare?left=pro&right=everybody&trait=plan")
    # All 3 of 3 have the plan in the one, 3 of 4 in the other.
    assert "100.0 %" in page
    assert "75.0 %" in page
    assert "25.0 %" in page
