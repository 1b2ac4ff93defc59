"""Identity rules in the browser: changed by a form, tried, saved, gone back; quarantined values lifted."""

import re
from typing import Any

import pytest

from profiles.models import IdentifierType, RulesRun, RulesVersion
from tests.ingestion.filing import work
from tests.profiles.sending import identify, partition, send
from tests.profiles.test_sharing_limit import LIMIT, PLACEHOLDER, users
from tests.world import signed_in

pytestmark = pytest.mark.django_db


def form_of(browser: Any, address: str) -> dict[str, Any]:
    """Return what the browser would send of a type's form."""
    form = browser.get(address).context["form"]
    given = {name: form.get_initial_for_field(field, name) for name, field in form.fields.items()}
    given = {name: value for name, value in given.items() if value is not None and value is not False}
    return {**given, "all_sources": "on"} if given.get("all_sources") else given


def two_people() -> None:
    """Make two accounts with one e-mail address."""
    send(identify("u1", email="both@example.org"), identify("u2", email="both@example.org"))


def test_tries_shows_examples_and_saves():
    two_people()
    browser = signed_in("ivo")
    address = "/identity-rules/type?type=user_id"
    given = form_of(browser, address) | {"limit": 2, "act": "try"}
    answer = browser.post(address, given)
    assert answer.status_code == 302, answer.context["form"].errors
    run = answer["Location"]
    work()
    page = browser.get(run)
    text = page.content.decode()
    assert "merges would be made" in text
    assert "2 profiles become one" in text
    assert len(re.findall(r'href="/profiles/[0-9a-f-]{36}"', text)) == 2
    assert IdentifierType.objects.get(key="user_id").value_limit == 1
    answer = browser.post(f"{run}/saved", {"note": "two logins"})
    assert answer.status_code == 302
    work()
    assert len(partition()) == 1
    assert "merges were made" in browser.get(answer["Location"]).content.decode()
    assert "two logins" in browser.get("/identity-rules/versions").content.decode()


def test_puts_faults_beside_their_fields_and_keeps_what_was_typed():
    browser = signed_in("ivo")
    address = "/identity-rules/type?type=email"
    given = form_of(browser, address) | {"blocked_patterns": "(a", "limit": "", "window": "day", "act": "save"}
    answer = browser.post(address, given)
    assert answer.status_code == 422
    assert {"blocked_patterns", "window"} <= set(answer.context["form"].errors)
    assert "(a" in answer.content.decode()
    assert RulesVersion.objects.count() == 0


def test_adds_a_type_and_removes_one_that_is_not_used():
    browser = signed_in("ivo")
    given = form_of(browser, "/identity-rules/type") | {"type": "card", "name": "Card", "act": "save"}
    assert browser.post("/identity-rules/type", given).status_code == 302
    assert IdentifierType.objects.filter(key="card").exists()
    assert browser.post("/identity-rules/type", given | {"version": 2}).status_code == 422
    assert browser.post("/identity-rules/type/removed", {"type": "card"}).status_code == 302
    assert not IdentifierType.objects.filter(key="card").exists()


def test_goes_back_to_an_older_version_by_trying_it():
    two_people()
    browser = signed_in("ivo")
    address = "/identity-rules/type?type=user_id"
    browser.post(address, form_of(browser, address) | {"limit": 2, "act": "save"})
    work()
    run = browser.post("/identity-rules/versions/1/tried")["Location"]
    work()
    browser.post(f"{run}/saved")
    work()
    assert len(partition()) == 2
    assert IdentifierType.objects.get(key="user_id").value_limit == 1


def test_lists_and_lifts_a_quarantined_value():
    send(*users(LIMIT + 1))
    work()
    browser = signed_in("ada")
    page = browser.get("/quarantined-values").content.decode()
    assert PLACEHOLDER in page
    assert PLACEHOLDER not in signed_in("ana").get("/quarantined-values").content.decode()
    address = re.search(r'action="(/quarantined-values/\d+/lifted)"', page)
    assert address is not None
    assert browser.post(address[1]).status_code == 302
    work()
    assert PLACEHOLDER not in browser.get("/quarantined-values").content.decode()


def test_shows_progress_until_it_is_over():
    two_people()
    browser = signed_in("ana")
    address = "/identity-rules/type?type=user_id"
    run = browser.post(address, form_of(browser, address) | {"limit": 2, "act": "try"})["Location"]
    part = browser.get(f"{run}/progress")
    assert "every 1s" in part.content.decode()
    work()
    assert browser.get(f"{run}/progress")["HX-Refresh"] == "true"
    assert RulesRun.objects.get().status == "done"


@pytest.mark.parametrize("address", ["/identity-rules/type", "/identity-rules/type/removed", "/mega-profiles"])
def test_refuses_to_save_for_who_may_not(address):
    assert signed_in("ana").post(address, {"act": "save"}).status_code == 403


def test_sets_from_when_on_a_profile_is_a_mega_profile():
    browser = signed_in("ivo")
    assert browser.post("/mega-profiles", {"identifiers": 1, "events": 5}).status_code == 422
    assert browser.post("/mega-profiles", {"identifiers": 7, "events": 50}).status_code == 302
    assert "One with 7 identifiers or 50 events" in browser.get("/mega-profiles").content.decode()
