"""The overview: each number leads to a list of exactly that length."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from cdp.core.queries import sizes
from cdp.site.overview import read_overview
from consent.models import PrivacyRequest
from profiles.models import Merge, Profile
from tests.profiles.sending import identify, put, source
from tests.site.shop import ask, decide, open_shop
from tests.world import DANA, EVE, principal, signed_in

ROW = {
    "/profiles": r'<th scope="row"',
    "/merges": r"took in",
    "/segments": r'<th scope="row"',
    "/privacy-requests": r'<th scope="row"><a',
    "/sources": r'<th scope="row"',
    "/quarantine": r'<th scope="row"',
    "/inbox": r'<th scope="row"',
    "/refusals?day=today": r"was left out",
    "/privacy-requests?show=late": r'<th scope="row"><a',
    "/consent/conflicts": r"recorded by",
}


def length(browser: Client, address: str) -> int:
    """Return how many rows the list at an address has, all its pages together."""
    rows = 0
    base = address.partition("?")[0]
    following: str | None = address
    while following:
        text = browser.get(following).content.decode()
        rows += len(re.findall(ROW[address], text))
        found = re.search(r'href="(\?[^"]*)" rel="next"', text)
        following = base + found[1].replace("&amp;", "&") if found else None
    return rows


@pytest.mark.django_db
def test_shows_numbers_that_are_the_lengths_of_their_lists():
    now = timezone.now()
    open_shop(now=now)
    ask(DANA.user_id)
    ask(EVE.user_id, received_at=now - timedelta(days=90))
    # An agent's grant after the person's own refusal is a conflict.
    decide(EVE.user_id, "withdrawn", now=now)
    decide(EVE.user_id, "granted", now=now + timedelta(seconds=1), actor="agent")
    put([identify(f"u{number}") for number in range(3)], origin=source(), at=now)
    browser = signed_in("ada")

    overview = read_overview(principal=principal("administrator"), hours=24, now=now)

    for tile in overview.tiles:
        assert length(browser, tile.link) == tile.size.value > 0, tile.label
        assert tile.size.exact
    leading = [one for one in overview.attention if one.link]
    assert {one.link for one in leading} >= {"/quarantine", "/refusals?day=today", "/consent/conflicts"}
    for one in leading:
        assert length(browser, one.link) == int(one.text.split()[0]), one.text


@pytest.mark.django_db
def test_counts_messages_by_hour_of_receipt_and_outcome():
    now = timezone.now()
    open_shop(now=now)
    traffic = read_overview(principal=principal("administrator"), hours=24, now=now).traffic
    assert traffic is not None
    # The shop: eight items, of which one names nobody.
    assert {label: count for label, count, _ in traffic.totals if count} == {"accepted": 7, "quarantined": 1}
    assert len(traffic.chart["labels"]) == 24


@pytest.mark.django_db
def test_shows_only_what_the_role_may_see():
    open_shop()
    labels = {tile.label for tile in read_overview(principal=principal("marketer"), hours=24, now=timezone.now()).tiles}
    assert "Segments" in labels
    assert "Open privacy requests" not in labels


@pytest.mark.django_db
def test_greets_a_newcomer_with_the_first_steps():
    source(key="first", write_key_sealed=b"")
    text = signed_in("ana").get("/").content.decode()
    assert "First steps" in text
    assert "Somebody with the role Integrator" in text


@pytest.mark.django_db
def test_says_so_when_nobody_processes_the_inbox():
    now = timezone.now()
    put([identify("u1")], at=now - timedelta(minutes=3))
    found = read_overview(principal=principal("administrator"), hours=24, now=now)
    assert any("is the worker running?" in one.text and one.level == "bad" for one in found.attention)


@pytest.mark.django_db
def test_estimates_what_is_too_long_to_count(monkeypatch: pytest.MonkeyPatch):
    open_shop()
    monkeypatch.setattr(sizes, "EXACT_UP_TO", 1)
    counted = sizes.count_rows({"profiles": Profile.objects.all(), "merges": Merge.objects.all()})
    assert not counted["profiles"].exact
    assert counted["merges"] == sizes.Size(1)


@pytest.mark.django_db
def test_counts_closed_requests_no_more():
    request = ask_of_nobody()
    PrivacyRequest.objects.filter(pk=request.pk).update(status=PrivacyRequest.Status.REJECTED)
    tiles = read_overview(principal=principal("administrator"), hours=24, now=timezone.now()).tiles
    assert next(tile.size.value for tile in tiles if tile.label == "Open privacy requests") == 0


def ask_of_nobody() -> PrivacyRequest:
    return ask("nobody-yet")


def test_names_where_the_demo_comes_from(db, settings, tmp_path):
    settings.CDP_DATA_DIR = tmp_path
    client = signed_in("ada")
    assert "Complete Journey" not in client.get("/").content.decode()
    (tmp_path / "demo.done").touch()
    assert "Complete Journey" in client.get("/").content.decode()
