"""The inventory of sources: owner, purpose, expected frequency, last message, what each sends and feeds."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from ingestion.models import Source
from ingestion.queries.inventory import list_inventory
from ingestion.services.discovering import flush_discovered, forget_discovered
from tests.ingestion.door import make_source, post, process
from tests.world import api, signed_in

pytestmark = pytest.mark.django_db
INVENTORY = "/api/v1/inventory"
DANA = {"type": "identify", "userId": "dana-1", "traits": {"plan": "gold", "address": {"city": "Rome"}}}
ORDER = {"type": "track", "event": "Order Completed", "userId": "dana-1", "properties": {"total": 3}}


@pytest.fixture
def shop():
    forget_discovered()
    key = make_source("shop", name="Web shop")
    make_source("app", kind="mobile", owner="Growth team")
    post("/v1/batch", {"batch": [DANA, ORDER]}, key)
    process()
    flush_discovered()
    return key


def entries():
    return {one["key"]: one for one in api("sources:read").get(INVENTORY).json()["results"]}


def rows(query="", who="ivo"):
    page = signed_in(who).get(f"/inventory{query}").content.decode()
    return re.findall(r'<th scope="row" class="name">\s*<a class="link" href="/sources/([\w-]+)"', page)


def test_tells_of_each_source_whose_it_is_and_what_it_feeds(shop):
    changes = {"owner": "Ada", "purpose": "orders", "expected_every_minutes": 60}
    changed = api("sources:write").patch("/api/v1/sources/shop", changes, format="json")
    assert {name: changed.json()[name] for name in changes} == changes
    found = entries()
    assert list(found) == ["app", "shop"]
    one = found["shop"]
    assert {name: one[name] for name in changes} == changes
    assert one["events"] == ["Order Completed", "identify"]
    # plan, address, address.city, total
    assert (one["messages"], one["field_count"], one["overdue"]) == (2, 4, False)
    # What lies within a trait is a part of its value.
    assert one["traits"] == ["address", "plan"]
    seen = datetime.fromisoformat(one["last_seen_at"])
    assert timedelta(0) <= datetime.now(UTC) - seen < timedelta(minutes=5)
    silent = found["app"]
    assert (silent["last_seen_at"], silent["messages"], silent["traits"], silent["owner"]) == (
        None,
        0,
        [],
        "Growth team",
    )


def test_calls_a_source_overdue_from_its_last_message_or_its_making_on(shop):
    Source.objects.update(expected_every_minutes=60)

    def overdue(**after):
        return {one.source.key for one in list_inventory(now=timezone.now() + timedelta(**after)) if one.is_overdue}

    assert overdue(minutes=55) == set()
    assert overdue(minutes=65) == {"app", "shop"}
    Source.objects.filter(key="app").update(enabled=False)
    assert overdue(minutes=65) == {"shop"}
    Source.objects.update(expected_every_minutes=None)
    assert overdue(days=400) == set()


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"owner": "x" * 121}, "owner"),
        ({"purpose": "x" * 301}, "purpose"),
        ({"expected_every_minutes": 0}, "expected_every_minutes"),
        ({"expected_every_minutes": 44_641}, "expected_every_minutes"),
    ],
)
def test_refuses_what_cannot_be_kept(shop, changes, path):
    answer = api("sources:write").patch("/api/v1/sources/shop", changes, format="json")
    assert answer.status_code == 400
    assert [fault["path"] for fault in answer.json()["errors"]] == [path]


def test_lets_only_who_may_read(shop):
    assert api().get(INVENTORY).status_code == 401
    assert api("segments:read").get(INVENTORY).status_code == 403
    assert signed_in("cy").get("/inventory").status_code == 403
    assert signed_in("ana").get("/inventory").status_code == 200


def test_sorts_and_narrows_the_page(shop):
    assert rows() == ["app", "shop"]
    assert rows("?sort=-name") == ["shop", "app"]
    assert rows("?sort=messages") == ["shop", "app"]
    assert rows("?sort=-messages") == ["app", "shop"]
    assert rows("?sort=owner") == ["app", "shop"]
    assert rows("?q=growth") == ["app"]
    assert rows("?q=PLAN") == ["shop"]
    assert rows("?show=unowned") == ["shop"]
    assert rows("?show=silent") == ["app"]
    page = signed_in("ivo").get("/inventory?q=nothing+like+it").content.decode()
    assert "No source is like this" in page
    assert rows("?sort=nonsense&show=nonsense") == ["app", "shop"]


def test_sets_owner_purpose_and_frequency_on_the_page_of_the_source(shop):
    browser = signed_in("ivo")
    settings = {"hold_days": 30, "max_event_kilobytes": 32, "enabled": "on", "owner": "Ada", "purpose": "orders"}
    assert browser.post("/sources/shop", {**settings, "expected_every_minutes": "1440"}).status_code == 302
    row = Source.objects.get(key="shop")
    assert (row.owner, row.purpose, row.expected_every_minutes) == ("Ada", "orders", 1440)
    assert "expected every day" in re.sub(r"\s+", " ", browser.get("/inventory").content.decode())
    # One that was set by REST and is none of those offered stays.
    Source.objects.filter(key="shop").update(expected_every_minutes=90)
    assert "every 90 minutes" in browser.get("/sources/shop").content.decode()
    assert browser.post("/sources/shop", {**settings, "expected_every_minutes": "90"}).status_code == 302
    assert Source.objects.get(key="shop").expected_every_minutes == 90
    assert browser.post("/sources/shop", {**settings, "expected_every_minutes": ""}).status_code == 302
    assert Source.objects.get(key="shop").expected_every_minutes is None
    assert browser.post("/sources/shop", {**settings, "expected_every_minutes": "91"}).status_code == 422


def test_invites_to_make_the_first_source():
    page = signed_in("ivo").get("/inventory").content.decode()
    assert "Make the first source" in page
