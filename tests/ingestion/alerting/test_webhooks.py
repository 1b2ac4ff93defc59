"""Notices by webhook: signed, repeated with the same id, given up, to a real receiver."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone
from standardwebhooks.webhooks import Webhook

from cdp.core.models import Job
from cdp.core.services.jobs import run_jobs
from ingestion.alert_models import AlertChannel, AlertNotice
from ingestion.services.delivering import read_secret, sign
from tests.ingestion.watching import (
    HERE,
    open_spike,
)
from tests.listening import LOCAL, OtherServer
from tests.world import api

pytestmark = pytest.mark.django_db


def test_signs_as_standard_webhooks_does():
    body = (
        b'{"type":"contact.created","timestamp":"2022-11-03T20:26:10.344522Z",'
        b'"data":{"id":"1f81eb52-5198-4599-803e-771906343485"}}'
    )
    moment = timezone.datetime.fromtimestamp(1674087231, tz=HERE.tzinfo)
    headers = sign(
        secret="whsec_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB",
        webhook_id="msg_2KWPBgLlAfxdpx2AI54pPJ85f4W",
        body=body,
        now=moment,
    )
    assert headers["webhook-signature"] == "v1,YR0kwLVOTYZHq4ZgXGYpi/MoMzVzebep1gSxQXanFMY="
    assert headers["webhook-timestamp"] == "1674087231"


def hook(url):
    made = api("sources:write").post("/api/v1/alert-channels", {"kind": "webhook", "target": url}, format="json")
    assert made.status_code == 201, made.content
    return made.json()


def deliver():
    """Run what waits, as if its time had come."""
    Job.objects.filter(status="queued").update(run_at=timezone.now())
    run_jobs()


def test_delivers_a_signed_webhook_and_tries_again_with_the_same_id(settings):
    settings.CDP_OUTGOING_ALLOW = LOCAL
    answers = iter([(500, {}, b""), (429, {"Retry-After": "1800"}, b""), (200, {}, b"ok")])
    with OtherServer(reply=lambda _: next(answers)) as server:
        channel = hook(f"http://127.0.0.1:{server.port}/hook")
        assert channel["secret"].startswith("whsec_")
        alert = open_spike()
        deliver()
        notice = AlertNotice.objects.get()
        assert (notice.state, notice.attempts, notice.answer) == ("waiting", 1, "It answered with status 500.")
        assert notice.retry_at > timezone.now() + timedelta(seconds=5)
        deliver()
        assert AlertNotice.objects.get().retry_at > timezone.now() + timedelta(minutes=25)
        deliver()
        notice = AlertNotice.objects.get()
        assert (notice.state, notice.attempts) == ("delivered", 3)
        assert len(server.received) == 3
        assert {one.headers["webhook-id"] for one in server.received} == {notice.webhook_id}
        last = server.received[-1]
        body = Webhook(channel["secret"]).verify(last.body, last.headers)
    assert body["type"] == "alerts.changed"
    assert body["data"]["opened"]["count"] == 1
    assert body["data"]["opened"]["alerts"][0]["id"] == str(alert)
    assert body["data"]["opened"]["alerts"][0]["source"] == "shop"
    shown = api("sources:write").get(f"/api/v1/alert-channels/{channel['id']}").json()
    assert (shown["problem"], shown["delivered_at"] is None) == ("", False)


def test_a_receiver_that_is_gone_for_good_is_switched_off(settings):
    settings.CDP_OUTGOING_ALLOW = LOCAL
    with OtherServer(reply=lambda _: (410, {}, b"")) as server:
        channel = hook(f"http://127.0.0.1:{server.port}/hook")
        tested = api("sources:write").post(f"/api/v1/alert-channels/{channel['id']}/test")
        assert (tested.status_code, tested.json()["state"]) == (202, "waiting")
        deliver()
        assert json.loads(server.received[0].body)["type"] == "alerts.test"
    shown = api("sources:write").get(f"/api/v1/alert-channels/{channel['id']}").json()
    assert (shown["enabled"], "410" in shown["problem"]) == (False, True)
    again = api("sources:write").post(f"/api/v1/alert-channels/{channel['id']}/test")
    assert again.status_code == 400
    turned = api("sources:write").patch(f"/api/v1/alert-channels/{channel['id']}", {"enabled": True}, format="json")
    assert (turned.json()["enabled"], turned.json()["problem"]) == (True, "")


def test_gives_up_after_some_hours(settings):
    settings.CDP_OUTGOING_ALLOW = LOCAL
    with OtherServer() as server:
        hook(f"http://127.0.0.1:{server.port}/hook")
    channel = AlertChannel.objects.get()
    api("sources:write").post(f"/api/v1/alert-channels/{channel.pk}/test")
    for _ in range(12):
        deliver()
    notice = AlertNotice.objects.get()
    assert (notice.state, notice.attempts) == ("failed", 12)
    assert "Given up after 12 attempts." in notice.answer
    assert Job.objects.get().status == "done"
    assert read_secret(channel).startswith("whsec_")


def test_never_calls_what_the_installation_must_not(settings):
    settings.CDP_OUTGOING_ALLOW = LOCAL
    with OtherServer() as server:
        channel = hook(f"http://127.0.0.1:{server.port}/hook")
        settings.CDP_OUTGOING_ALLOW = []
        api("sources:write").post(f"/api/v1/alert-channels/{channel['id']}/test")
        deliver()
        assert server.received == []
    assert AlertNotice.objects.get().state == "failed"
    for target in ("http://169.254.169.254/latest", "ftp://x.example/", "nonsense"):
        refused = api("sources:write").post(
            "/api/v1/alert-channels", {"kind": "webhook", "target": target}, format="json"
        )
        assert 400 <= refused.status_code < 500, refused.content
