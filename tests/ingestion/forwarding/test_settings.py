"""Forwarding is set up, tried and looked at by REST and on its page."""

import json

import pytest
from django.utils import timezone

from ingestion.models import ForwardedCopy, Forwarding, Source
from tests.ingestion.door import make_source
from tests.ingestion.forwarding.line import forward_copies, send
from tests.world import api, faults, signed_in

pytestmark = pytest.mark.django_db

ADDRESS = "/api/v1/sources/shop/forwarding"


def test_is_set_read_and_removed_by_rest(other):
    make_source()
    client = api("sources:write", "sources:read")
    assert client.get(ADDRESS).status_code == 404
    body = {"url": f"{other.url}/v1/", "write_key": "old-key", "same_controller": True}
    made = client.put(ADDRESS, body, format="json")
    assert made.status_code == 200, made.json()
    found = made.json()
    assert (found["url"], found["state"], found["same_controller"], found["purpose"]) == (
        f"{other.url}/v1",
        "on",
        True,
        None,
    )
    assert "old-key" not in made.content.decode()
    assert client.put(ADDRESS, {**body, "write_key": "", "enabled": False}, format="json").status_code == 400
    changed = client.put(ADDRESS, {"url": body["url"], "same_controller": True, "enabled": False}, format="json")
    assert changed.json()["state"] == "off"
    assert client.delete(ADDRESS).status_code == 204
    assert client.get(ADDRESS).status_code == 404


def test_is_tested_by_rest(shop, other):
    client = api("sources:write")
    answer = client.post(f"{ADDRESS}/test").json()
    assert (answer["works"], answer["status"]) == (True, 200)
    sent = json.loads(other.received[0].body)
    assert (sent["event"], sent["anonymousId"]) == ("Forwarding Tested", "forwarding-test")
    other.reply = lambda request: (401, {}, b"dana@secret.example")
    refused = client.post(f"{ADDRESS}/test")
    assert (refused.json()["works"], refused.json()["status"]) == (False, 401)
    assert "dana" not in refused.content.decode()


def test_copies_are_replayed_and_discarded_by_rest(shop):
    client = api("sources:write")
    send(shop, "a", "b")
    ForwardedCopy.objects.update(dead_at=timezone.now(), reason="http 400")
    shown = api("sources:read").get(ADDRESS).json()
    assert (shown["given_up"], shown["given_up_reasons"]) == (2, {"http 400": 2})
    assert client.post(f"{ADDRESS}/replay").json() == {"copies": 2}
    assert client.post(f"{ADDRESS}/discard").json() == {"copies": 0}


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"url": "https://10.0.0.1/v1"}, "url"),
        ({"url": "http://93.184.216.34/v1"}, "url"),
        ({"url": "nonsense"}, "url"),
        ({"url": "http://127.0.0.1:1/v1?a=b"}, "url"),
        ({"write_key": ""}, "write_key"),
        ({"write_key": "a:b"}, "write_key"),
        ({"same_controller": False}, "purpose"),
        ({"purpose": "nowhere", "same_controller": False}, "purpose"),
        ({"purpose": "nowhere"}, "purpose"),
    ],
)
def test_refuses_settings_that_would_not_work(change, path, other):
    make_source()
    body = {"url": "http://127.0.0.1:1/v1", "write_key": "old-key", "same_controller": True, **change}
    refused = api("sources:write").put(ADDRESS, body, format="json")
    assert refused.status_code == 400
    assert path in {place for place, _ in faults(refused.json())}
    assert not Forwarding.objects.exists()


def test_needs_the_scope_to_write(shop):
    reader = api("sources:read")
    assert reader.get(ADDRESS).status_code == 200
    assert reader.put(ADDRESS, {"url": "https://x.example"}, format="json").status_code == 403
    for act in ("test", "replay", "discard"):
        assert reader.post(f"{ADDRESS}/{act}").status_code == 403
    assert reader.delete(ADDRESS).status_code == 403


def test_the_page_sets_it_up_and_shows_how_it_goes(other):
    key = make_source()
    browser = signed_in("ivo")
    assert "Nothing is forwarded" in browser.get("/sources/shop/forwarding").content.decode()
    form = {"url": f"{other.url}/v1", "write_key": "old-key", "basis": "", "enabled": "on"}
    assert browser.post("/sources/shop/forwarding", form).status_code == 422
    saved = browser.post("/sources/shop/forwarding", {**form, "basis": "same_controller"}, follow=True)
    assert "Requests are copied within five seconds" in saved.content.decode()
    assert "old-key" not in saved.content.decode()
    send(key, "a")
    assert "1 request," in browser.get("/sources/shop/forwarding/state").content.decode()
    tried = browser.post("/sources/shop/forwarding/test", follow=True).content.decode()
    assert "The other system took the test event: 200" in tried
    forward_copies()
    assert "1 message in 1 request" in browser.get("/sources/shop/forwarding").content.decode()
    browser.post("/sources/shop/forwarding/remove")
    assert not Forwarding.objects.exists()


def test_an_import_has_nothing_to_forward():
    make_source()
    Source.objects.update(kind=Source.Kind.IMPORT)
    refused = api("sources:write").put(
        ADDRESS, {"url": "http://127.0.0.1:1/v1", "write_key": "k", "same_controller": True}, format="json"
    )
    assert ("source", "forwarding.invalid") in list(faults(refused.json()))
