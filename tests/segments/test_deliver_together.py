"""Many people go in one request where the receiver takes lists."""

import json

import pytest
from standardwebhooks.webhooks import Webhook

from consent.services.suppressions import suppress_identifier
from profiles.queries.people import name_identifier
from segments.sending_models import Activated, Delivery, DeliveryRecord
from tests.listening import LOCAL, OtherServer, Received
from tests.segments.audience import NOW, audience, decide, person, profile
from tests.segments.delivering import deliver, destination, due_now, officer, read
from tests.world import faults

pytestmark = pytest.mark.django_db
USERS = ["ana", "ben", "cleo", "dora", "emil"]
ITEM = {"mail": "{{person.email}}", "name": "{{person.first_name}}", "delivery": "{{delivery.id}}"}


@pytest.fixture(autouse=True)
def _open_to_this_machine(settings):
    settings.CDP_OUTGOING_ALLOW = LOCAL


@pytest.fixture
def other():
    with OtherServer() as server:
        yield server


def listing(server: OtherServer, **more):
    """Return what makes a destination whose receiver takes lists."""
    return {
        "kind": "request",
        "columns": ["email", "trait:first_name"],
        "secrets": {"token": "s3cret"},
        "people_per_request": 3,
        "request": {
            "url": server.url + "/lists/{{segment.key}}",
            "headers": {"Authorization": "Bearer {{secret.token}}"},
            "body": {"event": "{{event}}", "why": "{{reason}}", "of": {"people": [ITEM]}, "tags": ["a", "b"]},
        },
        **more,
    }


def mails(request: Received) -> list[str]:
    return [one["mail"].split("@")[0] for one in read(request)["of"]["people"]]


def test_sends_lists_of_at_most_so_many(other):
    audience(USERS)
    # Another's name never becomes a place that is filled in.
    person("fred", email="fred@customer.example", first_name="{{secret.token}}")
    decide("fred")
    destination(other, **listing(other))
    deliver()
    sizes = sorted(len(mails(request)) for request in other.received)
    assert sum(sizes) == 6
    assert max(sizes) <= 3
    assert len(sizes) < 6
    bodies = [read(request) for request in other.received]
    assert {(body["event"], body["why"], *body["tags"]) for body in bodies} == {("entered", "", "a", "b")}
    people = {one["mail"]: one for body in bodies for one in body["of"]["people"]}
    assert people["fred@customer.example"]["name"] == "{{secret.token}}"
    assert people["ana@customer.example"]["name"] == "Ana"
    assert len({one["delivery"] for one in people.values()}) == 6
    assert {request.path for request in other.received} == {"/lists/all"}
    # Each of them is in the log, and known to have been told.
    assert DeliveryRecord.objects.filter(outcome="sent").count() == 6
    assert Activated.objects.exclude(confirmed_at=None).count() == 6


def test_who_leaves_for_different_reasons_goes_in_different_requests(other):
    audience(USERS)
    destination(other, **listing(other))
    deliver()
    other.received.clear()
    for user in ("ana", "ben"):
        decide(user, "withdrawn")
    cleo = name_identifier(type="email", value="cleo@customer.example")
    suppress_identifier(named=cleo, reason="asked", actor="system", now=NOW)
    deliver()
    told = sorted((read(one)["event"], read(one)["why"], sorted(mails(one))) for one in other.received)
    assert told == [("left", "suppressed", ["cleo"]), ("left", "withdrawn", ["ana", "ben"])]
    assert set(Activated.objects.values_list("profile_id", flat=True)) == {profile("dora").pk, profile("emil").pk}


def test_a_list_that_is_refused_is_sent_one_by_one(other):
    other.reply = lambda request: (422 if b"ben@" in request.body else 200, {}, b"{}")
    audience(USERS)
    destination(other, **listing(other, people_per_request=1000))
    deliver()
    assert [len(mails(request)) for request in other.received] == [5]
    due_now()
    deliver()
    assert sorted(mails(request) for request in other.received[1:]) == [[user] for user in USERS]
    assert list(Delivery.objects.values_list("profile_id", "state")) == [(profile("ben").pk, "dead")]
    assert Activated.objects.exclude(confirmed_at=None).count() == 4


def test_a_webhook_lists_people_too_under_an_id_that_stays(other):
    other.reply = lambda _: (503, {}, b"")
    audience(USERS)
    made = destination(other, people_per_request=1000)
    assert made["people_per_request"] == 1000
    deliver()
    other.reply = lambda _: (200, {}, b"{}")
    due_now()
    deliver()
    due_now()
    deliver()
    sent = [request for request in other.received if len(read(request)["data"]["people"]) > 1]
    for request in other.received:
        Webhook(made["signing_secret"]).verify(request.body, request.headers)
    ids = {json.dumps(sorted(one["delivery_id"] for one in read(each)["data"]["people"])): each for each in sent}
    assert len({request.headers["webhook-id"] for request in sent}) == len(ids)
    people = {one["person"]["id"] for request in other.received for one in read(request)["data"]["people"]}
    assert people == {str(profile(user).uuid) for user in USERS}


@pytest.mark.parametrize(
    ("request_", "fault"),
    [
        ({"body": {"id": "{{person.email}}", "on": "{{event}}"}}, "request.body"),
        ({"body": {"on": "{{event}}", "a": [ITEM], "b": [ITEM]}}, "request.body"),
        ({"body": {"on": "{{event}}", "a": [ITEM, ITEM]}}, "request.body"),
        ({"body": {"on": "{{event}}", "a": [ITEM], "first": "{{person.email}}"}}, "request.body"),
        ({"body": {"on": "{{event}}", "a": [ITEM]}, "headers": {"X": "{{person.email}}"}}, "request.body"),
        ({"body": {"on": "{{event}}", "a": [ITEM]}, "body_format": "form"}, "request.body"),
    ],
    ids=["no-list", "two-lists", "two-items", "beside-the-list", "in-a-header", "in-a-form"],
)
def test_says_why_a_request_cannot_be_about_many(other, request_, fault):
    audience([])
    given = {"key": "crm", "segment": "all", "purpose": "marketing", "channel": "email", "recipient": "CRM"}
    asked = {**given, **listing(other), "request": {"url": other.url, **request_}}
    answer = officer().post("/api/v1/destinations", asked, format="json")
    assert (answer.status_code, faults(answer.json())[0][0]) == (422, fault), answer.json()


def test_the_number_can_change_if_the_requests_allow_it(other):
    audience([])
    destination(other, **listing(other))
    client = officer()
    assert client.patch("/api/v1/destinations/crm", {"people_per_request": 1}, format="json").status_code == 200
    one = {"request": {"url": other.url, "body": {"id": "{{person.email}}", "on": "{{event}}"}}}
    assert client.patch("/api/v1/destinations/crm", one, format="json").status_code == 200
    assert client.patch("/api/v1/destinations/crm", {"people_per_request": 2}, format="json").status_code == 422
