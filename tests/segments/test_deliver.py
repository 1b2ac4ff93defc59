"""Destinations are told who enters and who leaves: real requests, real rows, the real worker's service."""

from datetime import UTC, datetime, timedelta
from time import sleep

import pytest
from django.utils import timezone
from standardwebhooks.webhooks import Webhook

from cdp.core.registries import Subject
from consent.disclosure_models import Disclosure
from consent.services.field_tags import NewFieldOverride, NewFieldTag, allow_field, tag_field
from profiles.models import Profile
from segments.personal_data_sending import Deliveries
from segments.sending.signing import sign
from segments.sending_models import Activated, Delivery, DeliveryMark, DeliveryRecord, Destination
from segments.services.sending.destinations import reconcile_due
from tests.listening import LOCAL, OtherServer
from tests.profiles.sending import send
from tests.segments.asking import segment, trait
from tests.segments.audience import NOW, audience, decide, person, profile, purpose
from tests.segments.delivering import deliver, destination, due_now, officer, read, template, told
from tests.world import api, faults

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _open_to_this_machine(settings):
    settings.CDP_OUTGOING_ALLOW = LOCAL


@pytest.fixture
def other():
    with OtherServer() as server:
        yield server


def uuid(user: str) -> str:
    return str(profile(user).uuid)


def test_signs_as_the_standard_says():
    # The vector of the specification's own test suite, computed apart.
    body = (
        b'{"type":"contact.created","timestamp":"2022-11-03T20:26:10.344522Z",'
        b'"data":{"id":"1f81eb52-5198-4599-803e-771906343485"}}'
    )
    headers = sign(
        secrets=["whsec_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB"],
        message_id="msg_2KWPBgLlAfxdpx2AI54pPJ85f4W",
        body=body,
        now=datetime.fromtimestamp(1674087231, UTC),
    )
    assert headers["webhook-signature"] == "v1,YR0kwLVOTYZHq4ZgXGYpi/MoMzVzebep1gSxQXanFMY="


def test_tells_of_everybody_who_may_be_sent_and_says_why_not_of_others(other):
    audience(["ana", "ben", "cleo"])
    decide("ben", "withdrawn")
    person("dora")
    made = destination(other)
    deliver()
    assert sorted(told(other)) == sorted([("audience.entered", uuid("ana")), ("audience.entered", uuid("cleo"))])
    for request in other.received:
        Webhook(made["signing_secret"]).verify(request.body, request.headers)
    shown = officer().get("/api/v1/destinations/crm").json()
    assert shown["skipped"] == {"withdrawn": 1, "unknown": 1}
    assert (shown["sent"], shown["activated"], shown["waiting"], shown["state"]) == (2, 2, 0, "active")
    assert "signing_secret" not in shown
    assert {row.profile_id for row in Disclosure.objects.all()} == {profile("ana").pk, profile("cleo").pk}
    # Nothing more to say.
    deliver()
    assert len(other.received) == 2


def test_tells_who_enters_and_leaves_later(other):
    audience([])
    destination(other)
    send({"type": "identify", "userId": "ana", "traits": {"email": "ana@customer.example"}}, at=NOW)
    decide("ana")
    deliver()
    assert told(other) == [("audience.entered", uuid("ana"))]


def test_tells_who_left_and_not_who_only_came_and_went(other):
    audience(["ana"])
    segment("vip", trait("plan", "eq", "pro"), now=NOW)
    destination(other, segment="vip")
    person("ana", plan="pro")
    deliver()
    person("ana", plan="free")
    person("ana", plan="pro")
    person("ana", plan="free")
    deliver()
    assert told(other) == [("audience.entered", uuid("ana")), ("audience.left", uuid("ana"))]
    assert read(other.received[1])["data"]["reason"] == "segment"
    assert not Activated.objects.exists()


def test_a_withdrawal_removes_and_a_new_grant_brings_back(other):
    audience(["ana"])
    destination(other)
    deliver()
    decide("ana", "withdrawn")
    deliver()
    decide("ana", "granted")
    deliver()
    events = ["audience.entered", "audience.left", "audience.entered"]
    assert told(other) == [(event, uuid("ana")) for event in events]
    assert read(other.received[1])["data"]["reason"] == "withdrawn"
    kinds = Disclosure.objects.order_by("id").values_list("terms__kind", flat=True)
    assert list(kinds) == ["delivery", "removal", "delivery"]


def test_sends_nobody_while_a_field_it_uses_may_not_serve_the_purpose(other):
    audience(["ana"])
    destination(other, columns=["id", "trait:city"])
    deliver()
    purpose("delivery")
    tag_field(new=NewFieldTag("trait", "city", ["delivery"], "personal"), actor="system", now=NOW)
    send({"type": "identify", "userId": "ben", "traits": {"email": "ben@customer.example"}}, at=NOW)
    decide("ben")
    deliver()
    assert told(other) == [("audience.entered", uuid("ana"))]
    assert officer().get("/api/v1/destinations/crm").json()["skipped"] == {"field_not_covered": 1}
    # With the officer's leave whoever was left out is told.
    leave = NewFieldOverride("segment:all", "marketing", "trait", "city", "agreed with the board")
    allow_field(new=leave, actor="user:1", now=NOW)
    Destination.objects.update(reconciled_at=None)
    reconcile_due(now=timezone.now())
    deliver()
    assert told(other) == [("audience.entered", uuid("ana")), ("audience.entered", uuid("ben"))]


def test_a_restriction_removes(other):
    audience(["ana"])
    destination(other)
    deliver()
    Profile.objects.filter(pk=profile("ana").pk).update(restricted=True)
    deliver()
    assert read(other.received[-1])["data"]["reason"] == "restricted"


def test_an_end_of_consent_removes_without_any_event(other):
    audience([])
    person("ana", email="ana@customer.example")
    soon = timezone.now() + timedelta(seconds=1)
    decide("ana", expires_at=soon)
    destination(other)
    deliver()
    reconcile_due(now=timezone.now())
    assert not DeliveryMark.objects.exists()
    sleep(max((soon - timezone.now()).total_seconds(), 0) + 0.05)
    reconcile_due(now=timezone.now())
    deliver()
    assert [event for event, _ in told(other)] == ["audience.entered", "audience.left"]
    assert read(other.received[-1])["data"]["reason"] == "expired"


def test_fills_templates_in_and_keeps_secrets_apart(other):
    audience(["ana"])
    made = destination(other, **template(other))
    assert made["secrets"] == ["token"]
    assert "s3cret" not in str(made)
    assert b"s3cret" not in bytes(Destination.objects.get().sealed)
    deliver()
    (request,) = other.received
    assert (request.method, request.path) == ("PUT", "/contacts/ana%40customer.example?list=all")
    assert request.headers["authorization"] == "Bearer s3cret"
    body = read(request)
    assert (body["who"], body["on"]) == ("<ana@customer.example>", True)
    assert len(body["digest"]) == 64
    # Who leaves is named as they were named before, whatever they are called now.
    person("ana", email="new@customer.example")
    decide("ana", "withdrawn")
    deliver()
    assert (other.received[1].path, read(other.received[1])) == ("/remove", {"id": uuid("ana"), "why": "withdrawn"})


def test_a_full_sync_tells_of_every_member_again(other):
    audience(["ana", "ben"])
    destination(other)
    deliver()
    answer = officer().post("/api/v1/destinations/crm/sync")
    assert (answer.status_code, answer.json()["queued"]) == (202, 2)
    deliver()
    assert sorted(told(other)[2:]) == sorted(("audience.member", uuid(user)) for user in ("ana", "ben"))


def test_only_full_syncs_where_entries_are_not_sent(other):
    audience(["ana"])
    destination(other, send_entered=False, send_left=False)
    deliver()
    assert other.received == []
    officer().post("/api/v1/destinations/crm/sync")
    deliver()
    assert [event for event, _ in told(other)] == ["audience.member"]


def test_sends_a_test_about_nobody(other):
    audience(["ana"])
    destination(other, **template(other))
    answer = officer().post("/api/v1/destinations/crm/test").json()
    assert (answer["delivered"], answer["status"]) == (True, 200)
    body = read(other.received[0])
    assert body["id"] == "00000000-0000-4000-8000-000000000000"
    assert not Disclosure.objects.exists()


def test_paused_sends_nothing_and_catches_up_when_it_goes_on(other):
    audience(["ana", "ben"])
    destination(other)
    client = officer()
    deliver()
    assert client.patch("/api/v1/destinations/crm", {"enabled": False}, format="json").json()["state"] == "paused"
    decide("ana", "withdrawn")
    person("cleo", email="c@customer.example")
    decide("cleo")
    deliver()
    assert len(other.received) == 2
    client.patch("/api/v1/destinations/crm", {"enabled": True}, format="json")
    deliver()
    assert sorted(told(other)[2:]) == sorted([("audience.left", uuid("ana")), ("audience.entered", uuid("cleo"))])


def test_signs_with_the_old_secret_too_after_a_rotation(other):
    audience(["ana"])
    made = destination(other)
    new = officer().post("/api/v1/destinations/crm/rotate-secret").json()["signing_secret"]
    assert new != made["signing_secret"]
    deliver()
    (request,) = other.received
    for secret in (new, made["signing_secret"]):
        Webhook(secret).verify(request.body, request.headers)


def test_the_log_can_be_filtered(other):
    audience(["ana", "ben"])
    decide("ben", "denied")
    destination(other)
    deliver()
    log = officer().get("/api/v1/destinations/crm/deliveries").json()["results"]
    assert {(line["outcome"], line["kind"]) for line in log} == {("sent", "entered"), ("skipped", None)}
    (line,) = officer().get("/api/v1/destinations/crm/deliveries?outcome=sent").json()["results"]
    assert (line["profile_id"], line["status"], line["attempt"]) == (uuid("ana"), 200, 1)


def test_erasure_leaves_a_removal_and_nothing_else(other):
    audience(["ana", "ben"])
    destination(other, **template(other))
    deliver()
    ana = profile("ana")
    public_id, subject = str(ana.uuid), Subject((ana.pk,), (str(ana.uuid),), (), (), ())
    store = Deliveries()
    assert store.count(subject=subject) == 2
    while store.erase(subject=subject, limit=1):
        pass
    assert store.count(subject=subject) == 0
    (left,) = Delivery.objects.all()
    assert left.profile_id is None
    assert b"customer" not in bytes(left.sent_as)
    deliver()
    assert read(other.received[-1]) == {"id": public_id, "why": "gone"}
    assert not Delivery.objects.exists()
    assert DeliveryRecord.objects.filter(profile_uuid=public_id).count() == 0


def test_a_merge_removes_the_absorbed_id_and_enters_nobody_anew(other):
    audience(["ana", "ben"])
    destination(other)
    deliver()
    known = {uuid("ana"), uuid("ben")}
    send({"type": "alias", "userId": "ana", "previousId": "ben"}, at=NOW)
    survivor = uuid("ana")
    deliver()
    assert told(other)[2:] == [("audience.left", (known - {survivor}).pop())]
    assert [str(row.profile_uuid) for row in Activated.objects.all()] == [survivor]


@pytest.mark.parametrize(
    ("asked", "path", "code"),
    [
        ({"request": {"url": "ftp://x.example/"}}, "request.url", "invalid"),
        ({"request": {"url": "https://{{person.id}}.example/"}}, "request.url", "place_in_host"),
        ({"request": {"url": "https://x.example/{{person.city}}"}}, "request", "unknown_place"),
        ({"request": {"url": "https://x.example/", "headers": {"Host": "y"}}}, "request.headers", "invalid_header"),
        ({"request": {"url": "https://x.example/", "body": {"a": 1}}}, "request.body", "webhook"),
        (
            {"kind": "request", "request": {"url": "https://x.example/", "body": {"a": "{{person.id}}"}}},
            "removal",
            "missing",
        ),
        ({"kind": "request", "request": {"url": "https://x.example/", "body": "{{ open"}}, "request", "broken_place"),
        ({"channel": None}, "channel", "null"),
    ],
)
def test_refuses_what_cannot_be_sent(other, settings, monkeypatch, asked, path, code):
    monkeypatch.setattr("segments.services.sending.destinations.check_url", lambda url: None)
    audience([])
    given = {"key": "x", "segment": "all", "kind": "webhook", "purpose": "marketing", "channel": "email", **asked}
    answer = officer().post("/api/v1/destinations", given, format="json")
    assert answer.status_code in {400, 422}, answer.json()
    assert (path, code) in list(faults(answer.json()))


def test_refuses_private_addresses_other_purposes_and_values_that_its_maker_may_not_see(other, settings):
    made = audience([], purpose="marketing", channel="email")
    assert made.purpose == "marketing"
    client = officer()
    given = {"key": "x", "segment": "all", "kind": "webhook", "request": {"url": other.url + "/"}}
    hidden = api("marketer").post("/api/v1/destinations", {**given, "columns": ["email"]}, format="json")
    assert (hidden.status_code, hidden.json()["code"]) == (403, "destination.columns_hidden")
    thin = {**given, "columns": ["id", {"source": "email", "transform": "hash_email"}]}
    assert api("marketer").post("/api/v1/destinations", thin, format="json").status_code == 201
    answer = client.post("/api/v1/destinations", {**given, "key": "y", "channel": "sms"}, format="json")
    assert answer.json()["code"] == "sending.purpose_does_not_fit"
    settings.CDP_OUTGOING_ALLOW = []
    answer = client.post("/api/v1/destinations", {**given, "key": "z"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (400, "outgoing.refused")
    assert client.post("/api/v1/destinations", thin, format="json").status_code in {400, 409}


def test_gives_up_what_is_refused_and_sends_it_again_on_demand(other):
    audience(["ana", "ben"])
    destination(other)
    bad = uuid("ana")
    other.reply = lambda request: (422 if bad in request.body.decode() else 200, {}, b"{}")
    deliver()
    assert (Delivery.objects.get().state, Delivery.objects.get().reason) == ("dead", "http 422")
    assert officer().get("/api/v1/destinations/crm").json()["dead"] == 1
    due_now()
    deliver()
    assert len(other.received) == 2
    other.reply = lambda _: (200, {}, b"{}")
    assert officer().post("/api/v1/destinations/crm/replay").json() == {"queued": 1}
    deliver()
    assert told(other)[-1] == ("audience.entered", bad)
    assert not Delivery.objects.exists()
