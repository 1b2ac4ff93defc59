"""Every page: it works, with few statements, and shows nothing to who may not see it."""

import re
from collections.abc import Iterator

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from cdp.core.services.jobs import run_jobs
from ingestion.models import Message, Quarantined
from ingestion.services.measuring import start_measuring
from ingestion.services.replays import Selection, create_replay
from profiles.identity.rules import write_rules
from profiles.models import Edge, Merge, Refusal
from profiles.queries.rules import read_types, rule_set
from profiles.services.rules import try_rules
from tests.site.shop import ask, open_shop, profile_of
from tests.world import DANA, EVE, signed_in

MOST_STATEMENTS = 15
HTTP_OK = 200


@pytest.fixture
def shop(db) -> None:
    open_shop()
    start_measuring(now=timezone.now())
    run_jobs()


def pages() -> Iterator[str]:
    """Yield the address of each page, with the ids that the shop has."""
    dana = profile_of(DANA.user_id).uuid
    request = ask(EVE.user_id)
    yield from (
        "/",
        "/?hours=168",
        "/profiles",
        f"/profiles/{dana}",
        f"/profiles/{dana}?type=track&name=Order+Completed",
        f"/profiles/{dana}/timeline",
        f"/profiles/{dana}/origin",
        f"/profiles/{dana}/graph",
        f"/profiles/{dana}/links",
        f"/profiles/{dana}/identifiers",
        f"/profiles/{dana}/event-names",
        f"/profiles/{dana}/merge",
        "/merges",
        f"/merges/{Merge.objects.first().pk}/undo",
        f"/links/{Edge.objects.first().pk}",
        "/blocked-links",
        "/refusals",
        "/exchange-rates",
        "/refusals?day=today",
        "/identity-rules",
        "/identity-rules/type",
        "/identity-rules/type?type=email",
        f"/identity-rules/runs/{try_rules_of_now()}",
        f"/identity-rules/runs/{try_rules_of_now()}/progress",
        "/identity-rules/versions",
        "/quarantined-values",
        "/mega-profiles",
        "/matching",
        "/possible-duplicates",
        "/segments",
        "/segments/new",
        "/segments/properties?event=Order+Completed",
        "/segments/buyers",
        "/segments/buyers/change",
        "/segments/buyers/members",
        "/segments/buyers/history",
        "/segments/buyers/sizes",
        "/segments/buyers/overlap",
        "/segments/buyers/unreadable",
        "/segments/buyers/sizes?days=90",
        "/segments/buyers/versions",
        "/segments/buyers/duplicate",
        "/segments/buyers/definition.json",
        "/segments/buyers/explain",
        "/segments/templates",
        "/segments/new?template=at-risk",
        "/segments/new/events",
        "/segments/values?trait=email",
        "/segments/compare",
        f"/segments/buyers/explain/{dana}",
        "/consent",
        "/consent/standings",
        "/consent/conflicts",
        "/consent/purposes/new",
        "/consent/purposes/marketing",
        "/consent/purposes/marketing/change",
        "/notices",
        "/privacy-requests",
        "/privacy-requests?show=late",
        "/privacy-requests?show=all",
        "/privacy-requests/new",
        f"/privacy-requests/new?profile={dana}",
        f"/privacy-requests/{request.pk}",
        f"/privacy-requests/{request.pk}/progress",
        "/suppressions",
        "/sources",
        "/sources/new",
        "/sources/shop",
        "/sources/shop/debugger",
        "/sources/shop/debugger?outcome=accepted&event=Order+Completed&property=currency&paused=1",
        "/sources/shop/debugger/rows",
        "/sources/shop/transformations",
        "/sources/shop/plan?hours=168",
        "/sources/shop/plan/proposal",
        "/sources/shop/plan/segment.json",
        "/sources/shop/plan/discovered?event=Order+Completed&unplanned=1",
        "/sources/shop/cleaning",
        "/sources/shop/quality",
        "/sources/shop/quality?days=1&of=identify",
        "/sources/shop/quality/messages?dimension=completeness&type=identify&field=email",
        "/sources/shop/quality/messages?dimension=validity&type=identify&field=email",
        "/sources/shop/quality/messages?dimension=consistency&type=identify&field=email&days=1",
        "/sources/shop/quality/messages?dimension=conformity&type=track&event=Order+Completed&field=revenue",
        "/sources/shop/quality/messages?dimension=timeliness",
        "/sources/shop/quality/messages?dimension=uniqueness",
        "/sources/shop/quality/rules",
        "/inventory",
        "/inventory?q=shop&show=unowned&sort=-messages",
        "/sources/shop/forwarding",
        "/inbox",
        "/messages",
        "/messages?source=shop&outcome=quarantined",
        f"/messages/{Message.objects.first().pk}",
        "/quarantine",
        "/quarantine?source=shop&code=no_event_name",
        "/replays",
        f"/replays/{make_replay()}",
        f"/replays/{make_replay()}/progress",
        f"/quarantine/{Quarantined.objects.first().pk}",
        "/alerts",
        "/alerts/history",
        "/alerts/settings",
        "/reconciliations",
    )


def try_rules_of_now() -> int:
    """Try the rules in force with a narrower limit."""
    rules = write_rules(rule_set(read_types()))
    rules["types"][1]["limit"] = 1
    run = try_rules(definition=rules, actor="system", now=timezone.now())
    run_jobs()
    return run.pk


def make_replay() -> int:
    """Make a replay of the quarantine and let it count."""
    made = create_replay(kind="quarantine", selection=Selection(), actor="system", now=timezone.now())
    run_jobs()
    return made.pk


def test_shows_every_page_in_few_statements(shop):
    browser = signed_in("ada")
    for address in pages():
        with CaptureQueriesContext(
            connection,
        ) as statements:
            answer = browser.get(address)
        assert answer.status_code == HTTP_OK, address
        assert len(statements) <= MOST_STATEMENTS, f"{address}: {len(statements)}\n" + "\n".join(
            one["sql"][:160] for one in statements
        )


def test_masks_personal_data_for_a_marketer(shop):
    browser = signed_in("ana")
    for address in ("/profiles", f"/profiles/{profile_of(DANA.user_id).uuid}", "/segments/buyers", "/refusals"):
        text = browser.get(address).content.decode()
        assert DANA.email not in text, address
        assert DANA.name not in text, address
    assert DANA.email in signed_in("ben").get(f"/profiles/{profile_of(DANA.user_id).uuid}").content.decode()


def test_shows_a_write_key_only_to_who_may_change_sources(shop):
    assert 'id="write-key"' in signed_in("ivo").get("/sources/shop").content.decode()
    assert 'id="write-key"' not in signed_in("ana").get("/sources/shop").content.decode()


@pytest.mark.parametrize(
    ("who", "address"),
    [
        ("ana", "/privacy-requests"),
        ("ana", "/suppressions"),
        ("ana", "/sources/new"),
        ("ben", "/segments/new"),
        ("ivo", "/consent/purposes/new"),
    ],
)
def test_refuses_who_lacks_the_right(shop, who: str, address: str):
    answer = signed_in(who).get(address)
    assert answer.status_code == 403
    assert "This needs the scope" in answer.content.decode()


def test_makes_no_address_with_personal_data(shop):
    browser = signed_in("ada")
    values = [DANA.email, DANA.name, DANA.user_id, EVE.email, EVE.name, "anon-dana"]
    for address in pages():
        text = browser.get(address).content.decode()
        for link in re.findall(r'(?:href|action|hx-get|src)="([^"]*)"', text):
            assert not any(value in link for value in values), f"{address} → {link}"


def test_answers_the_survivors_page_to_an_absorbed_id(shop):
    merge = Merge.objects.get()
    answer = signed_in("ada").get(f"/profiles/{merge.absorbed_uuid}")
    assert answer.status_code == 302
    assert answer["Location"] == f"/profiles/{merge.survivor_uuid}"


def test_tells_why_profiles_were_joined_and_why_not(shop):
    text = signed_in("ada").get(f"/profiles/{profile_of(DANA.user_id).uuid}/origin").content.decode()
    assert "Joined because the same anonymous id was given with the user id at login on" in text
    assert "joining would give one person more than 1 value of user id" in text
    assert Refusal.objects.count() == 1


def test_undoes_a_merge_after_showing_both_sides(shop):
    merge = Merge.objects.get()
    browser = signed_in("ada")
    assert "On its own again" in browser.get(f"/merges/{merge.pk}/undo").content.decode()
    assert browser.get(f"/merges/{merge.pk}/undone").status_code == 405
    answer = browser.post(f"/merges/{merge.pk}/undone")
    assert answer["Location"] == f"/profiles/{merge.absorbed_uuid}"
    assert Merge.objects.get().undone_at is not None


def test_narrows_a_timeline(shop):
    dana = profile_of(DANA.user_id).uuid
    browser = signed_in("ada")
    every = browser.get(f"/profiles/{dana}/timeline").content.decode()
    orders = browser.get(f"/profiles/{dana}/timeline?name=Order+Completed").content.decode()
    assert every.count("<details>") > orders.count("<details>") == 1


def test_keeps_pages_out_of_caches(shop):
    assert signed_in("ada").get(f"/profiles/{profile_of(DANA.user_id).uuid}")["Cache-Control"] == "no-store"


def test_refuses_a_cursor_of_its_own_making(shop):
    answer = signed_in("ada").get("/merges?cursor=nonsense")
    assert answer.status_code == 400


def test_takes_a_decision_and_shows_it(shop):
    eve = profile_of(EVE.user_id).uuid
    browser = signed_in("ben")
    given = {"purpose": "marketing", "channel": "email", "state": "withdrawn", "actor": "subject", "evidence": "call"}
    assert browser.post(f"/profiles/{eve}/decide", given)["Location"] == f"/profiles/{eve}"
    text = browser.get(f"/profiles/{eve}").content.decode()
    assert "withdrawn" in text
    ledger = browser.get("/consent/purposes/marketing").content.decode()
    assert ledger.index("withdrawn") < ledger.index(">granted<")


def test_opens_an_erasure_for_a_profile_and_shows_what_would_go(shop):
    eve = profile_of(EVE.user_id).uuid
    browser = signed_in("ben")
    answer = browser.post(
        f"/privacy-requests/new?profile={eve}", {"type": "erasure", "regulation": "gdpr", "received_on": ""}
    )
    assert "What would go" in browser.get(answer["Location"]).content.decode()
    text = browser.get(answer["Location"] + "/preview").content.decode()
    # Eve: one identify, so one event.
    assert re.search(r"<th scope=\"row\">Events</th><td class=\"number\" data-label=\"Found\">1</td>", text)
    approved = browser.post(answer["Location"] + "/approve")
    assert approved["Location"] == answer["Location"]
    assert "Waiting for the worker" in browser.get(answer["Location"]).content.decode()


def test_counts_a_request_as_received_when_it_was(shop):
    browser = signed_in("ben")
    answer = browser.post(
        "/privacy-requests/new",
        {
            "identifier_type": "user_id",
            "value": EVE.user_id,
            "type": "access",
            "regulation": "gdpr",
            "received_on": "2026-01-31",
        },
    )
    # 28 February 2026 is a Saturday: the next working day (Reg. 1182/71).
    assert "2 Mar 2026" in browser.get(answer["Location"]).content.decode()


def test_makes_a_source_once_and_says_what_is_wrong(shop):
    browser = signed_in("ivo")
    given = {"key": "app", "name": "App", "kind": "mobile", "hold_days": "30", "max_event_kilobytes": "32"}
    assert browser.post("/sources/new", given)["Location"] == "/sources/app"
    refused = browser.post("/sources/new", {**given, "key": "not a key", "hold_days": "0"})
    assert refused.status_code == 422
    assert refused.content.decode().count('class="errorlist"') == 2
    assert timezone.now() >= Message.objects.first().received_at


def test_joins_two_profiles_after_showing_both_field_by_field(shop):
    dana, eve = profile_of(DANA.user_id).uuid, profile_of(EVE.user_id).uuid
    browser = signed_in("ada")
    shown = browser.post(f"/profiles/{dana}/merge", {"other": EVE.email})
    text = shown.content.decode()
    assert DANA.name in text
    assert EVE.name in text
    assert 'class="differs"' in text
    answer = browser.post(f"/profiles/{dana}/merged", {"other_id": str(eve), "reason": "the same card"})
    assert answer["Location"] in {f"/profiles/{dana}", f"/profiles/{eve}"}
    assert profile_of(EVE.user_id) == profile_of(DANA.user_id)
    assert "the same card" in browser.get(answer["Location"] + "/origin").content.decode()


@pytest.mark.parametrize("other", ["nobody@nowhere.example", DANA.email, "\0"])
def test_joins_a_profile_with_no_other_but_a_known_one(shop, other: str):
    dana = profile_of(DANA.user_id).uuid
    assert signed_in("ada").post(f"/profiles/{dana}/merge", {"other": other}).status_code == 422


def test_says_whose_the_demo_data_is(shop, settings, tmp_path):
    settings.CDP_DATA_DIR = tmp_path
    browser = signed_in("ada")
    assert "84.51" not in browser.get("/").content.decode()
    (tmp_path / "demo.progress").touch()
    assert "still being loaded" in browser.get("/").content.decode()
    (tmp_path / "demo.progress").rename(tmp_path / "demo.done")
    text = browser.get("/").content.decode()
    assert "for research and education only" in text
    assert "still being loaded" not in text


def test_explains_a_membership_condition_by_condition(shop):
    text = signed_in("ada").get(f"/segments/buyers/explain/{profile_of(EVE.user_id).uuid}").content.decode()
    assert "is not in" in text
    text = signed_in("ada").get(f"/segments/buyers/explain/{profile_of(DANA.user_id).uuid}").content.decode()
    assert "is in" in text
    assert "Order Completed" in text


def test_changes_the_status_of_a_segment(shop):
    browser = signed_in("ana")
    assert browser.post("/segments/buyers/status", {"status": "draft"})["Location"] == "/segments/buyers"
    assert "Not live" in browser.get("/segments/buyers").content.decode()
    browser.post("/segments/buyers/status", {"status": "live"})
    assert "<strong>1</strong> member" in browser.get("/segments/buyers").content.decode()
    assert browser.post("/segments/buyers/status", {"status": "nonsense"}).status_code == 302
    assert signed_in("ben").post("/segments/buyers/status", {"status": "draft"}).status_code == 403
