"""Other systems are told of each decision: signed, in order, until they have it."""

import json
from typing import Any

import pytest
from django.utils import timezone
from standardwebhooks.webhooks import Webhook

from consent.models import Decision
from consent.services.decisions import NewDecision, record_decision
from consent.services.purposes import create_purpose
from consent.services.webhooks import read_secret, send_webhooks
from consent.webhook_models import ConsentDelivery, ConsentWebhook
from profiles.models import Profile
from tests.consent.conftest import NOW, later
from tests.listening import LOCAL, OtherServer
from tests.world import api, signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def local(settings):
    settings.CDP_OUTGOING_ALLOW = LOCAL


@pytest.fixture
def dana(make_profile, marketing) -> Profile:
    return make_profile(email="dana@example.org")


def decide(person: Profile, state: str, minutes: float, purpose: str = "marketing") -> None:
    new = NewDecision(purpose=purpose, channel=None, state=state, recorded_by="system", profile_uuid=str(person.uuid))
    record_decision(new=new, now=later(minutes))


def hook(server: OtherServer, **more: Any) -> dict[str, Any]:
    body = {"url": f"http://127.0.0.1:{server.port}/consent", **more}
    answer = api("compliance_officer").post("/api/v1/consent-webhooks", body, format="json")
    assert answer.status_code == 201, answer.json()
    return answer.json()


def test_tells_each_decision_signed_and_in_order_without_more_than_ids(dana):
    with OtherServer() as server:
        made = hook(server)
        for place, state in enumerate(("granted", "withdrawn", "granted")):
            decide(dana, state, place)
        assert send_webhooks(clock=timezone.now) == 3
    bodies = [Webhook(made["secret"]).verify(request.body, request.headers) for request in server.received]
    assert [body["data"]["state"] for body in bodies] == ["granted", "withdrawn", "granted"]
    assert bodies[0]["type"] == "consent.changed"
    assert bodies[0]["data"]["profile_id"] == str(dana.uuid)
    assert "dana@example.org" not in json.dumps(bodies)
    assert ConsentDelivery.objects.count() == 0


def test_shows_the_secret_once_and_only_to_who_may_write(dana):
    with OtherServer() as server:
        made = hook(server)
        shown = api("consents:read").get(f"/api/v1/consent-webhooks/{made['id']}").json()
        assert "secret" not in shown
        body = {"url": f"http://127.0.0.1:{server.port}/"}
        assert api("consents:read").post("/api/v1/consent-webhooks", body, format="json").status_code == 403


def test_tells_only_of_the_purposes_wanted(dana):
    create_purpose(key="ads", fields={"name": "Ads"}, actor="system", now=NOW)
    with OtherServer() as server:
        hook(server, purposes=["ads"])
        decide(dana, "granted", 1)
        decide(dana, "granted", 2, purpose="ads")
        send_webhooks(clock=timezone.now)
    assert [json.loads(one.body)["data"]["purpose"] for one in server.received] == ["ads"]


def test_tries_again_later_with_the_same_id_and_keeps_the_order(dana):
    answers = [503, 200, 200]
    with OtherServer(reply=lambda _: (answers.pop(0), {}, b"")) as server:
        hook(server)
        decide(dana, "granted", 1)
        decide(dana, "withdrawn", 2)
        assert send_webhooks(clock=timezone.now) == 0
        row = ConsentWebhook.objects.get()
        assert (row.failures, row.problem) == (1, "It answered with status 503.")
        assert send_webhooks(clock=timezone.now) == 0
        assert send_webhooks(clock=lambda: row.retry_at) == 2
    ids = [one.headers["webhook-id"] for one in server.received]
    assert ids[0] == ids[1] != ids[2]


def test_is_switched_off_by_410(dana):
    with OtherServer(reply=lambda _: (410, {}, b"")) as server:
        hook(server)
        decide(dana, "granted", 1)
        send_webhooks(clock=timezone.now)
    assert not ConsentWebhook.objects.get().enabled
    assert ConsentDelivery.objects.count() == 0


def test_says_nothing_of_what_was_erased_meanwhile(dana):
    with OtherServer() as server:
        hook(server)
        decide(dana, "granted", 1)
        Decision.objects.all().delete()
        assert send_webhooks(clock=timezone.now) == 1
    assert server.received == []


def test_refuses_addresses_inside_the_house(dana, settings):
    settings.CDP_OUTGOING_ALLOW = []
    body = {"url": "http://169.254.169.254/latest"}
    assert api("compliance_officer").post("/api/v1/consent-webhooks", body, format="json").status_code == 400


def test_pages_make_switch_and_delete_one(dana):
    browser = signed_in("ben")
    with OtherServer() as server:
        page = browser.post("/consent/outward/webhooks", {"url": f"http://127.0.0.1:{server.port}/"})
        made = ConsentWebhook.objects.get()
        assert read_secret(made) in page.content.decode()
        assert read_secret(made) not in browser.get("/consent/outward").content.decode()
        assert signed_in("ana").post(f"/consent/outward/webhooks/{made.pk}/remove").status_code == 403
        browser.post(f"/consent/outward/webhooks/{made.pk}/switch")
        decide(dana, "granted", 1)
        assert ConsentDelivery.objects.count() == 0
        browser.post(f"/consent/outward/webhooks/{made.pk}/remove")
    assert not ConsentWebhook.objects.exists()
    said = {"name": "House Ltd", "storage_locations": "DE, AT"}
    assert browser.post("/consent/outward/organisation", said, follow=True).status_code == 200
    assert "House Ltd" in browser.get("/consent/outward").content.decode()
