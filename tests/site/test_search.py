"""Finding a customer by e-mail, name or any identifier."""

import pytest
from django.test import Client

from profiles.queries import search
from profiles.queries.search import search_profiles
from tests.profiles.sending import identify, send
from tests.site.shop import open_shop, profile_of
from tests.world import DANA, EVE, signed_in


@pytest.fixture
def browser(db) -> Client:
    open_shop()
    return signed_in("ada")


@pytest.mark.parametrize(
    "text",
    [DANA.email, DANA.email.upper(), DANA.user_id, DANA.anonymous_id, f"user_id:{DANA.user_id}", "dana dale", "DALE"],
)
def test_leads_to_the_one_profile_that_is_meant(browser: Client, text: str):
    answer = browser.post("/profiles/search", {"text": text})
    assert answer.status_code == 302
    assert answer["Location"] == f"/profiles/{profile_of(DANA.user_id).uuid}"


def test_finds_by_the_public_id(browser: Client):
    eve = profile_of(EVE.user_id).uuid
    assert browser.post("/profiles/search", {"text": str(eve)})["Location"] == f"/profiles/{eve}"


def test_lists_several_of_the_same_name(browser: Client):
    send(identify("dana-3", name="Dana Doe"))
    text = browser.post("/profiles/search", {"text": "dana"}).content.decode()
    assert "Dana Doe" in text
    assert DANA.name in text
    assert EVE.name not in text


@pytest.mark.parametrize("text", ["%", "_", "\\", "' OR 1=1 --", "nobody@nowhere.example", "   ", "\0", "x" * 600])
def test_takes_any_text_literally(browser: Client, text: str):
    answer = browser.post("/profiles/search", {"text": text})
    assert answer.status_code == 200
    assert "Nobody found" in answer.content.decode()


def test_is_never_asked_by_an_address(browser: Client):
    assert browser.get("/profiles/search", {"text": DANA.email}).status_code == 405


def test_goes_on_where_it_stopped(browser: Client, monkeypatch: pytest.MonkeyPatch):
    for number in range(5):
        send(identify(f"pat-{number}", name=f"Pat {number}"))
    monkeypatch.setattr(search, "MOST", 2)
    seen: list[int] = []
    before = None
    for _ in range(10):
        found = search_profiles(text="pat", before=before)
        seen += found.profile_ids
        before = found.go_on_before
        if before is None:
            break
    assert len(seen) == len(set(seen)) == 5
    assert seen == sorted(seen, reverse=True)


def test_masks_what_a_marketer_finds(browser: Client):
    send(identify("dana-3", name="Dana Doe"))
    text = signed_in("ana").post("/profiles/search", {"text": "dana"}).content.decode()
    assert "Dana Doe" not in text


def test_refuses_a_place_to_go_on_from_that_it_did_not_give(browser: Client):
    assert browser.post("/profiles/search", {"text": "dana", "before": "'; --"}).status_code == 400
