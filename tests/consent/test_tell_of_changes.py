"""Whoever received a person's data is told when it is put right or restricted (GDPR Art. 19), by REST and for real."""

import json

import pytest
from django.utils import timezone
from standardwebhooks.webhooks import Webhook

from consent.proof_models import RecipientNotice
from consent.services.disclosures import Terms, record_disclosures
from consent.services.recipients import IN_HOUSE, tell_recipients
from consent.services.running import run_privacy_requests
from segments.sending_models import Destination
from tests.listening import LOCAL, OtherServer
from tests.segments.audience import audience, profile
from tests.segments.delivering import deliver, destination, read
from tests.world import signed_in

pytestmark = pytest.mark.django_db

USER = "corrected-person-1"


@pytest.fixture(autouse=True)
def _open_to_this_machine(settings):
    settings.CDP_OUTGOING_ALLOW = LOCAL


@pytest.fixture
def receiver():
    with OtherServer() as server:
        yield server


@pytest.fixture
def known():
    """Somebody whose name went to one recipient, and whose digest of a name and city went to others."""
    audience([USER])
    disclose("Mailer Ltd", "email", "trait:first_name")
    disclose("Ads Ltd", "trait:first_name (hashed)")
    disclose("Maps Ltd", "trait:city")


def disclose(recipient, *fields):
    terms = Terms("export", recipient, "marketing", None, fields)
    record_disclosures(profile_ids=[profile(USER).pk], terms=terms, at=timezone.now())


def address(officer, receiver, name):
    body = {"recipient": name, "url": f"{receiver.url}/changes"}
    answer = officer.post("/api/v1/recipient-addresses", body, format="json")
    assert answer.status_code == 201
    return answer.json()["secret"]


def carry_out(officer, type, **more):
    body = {"type": type, "identities": [{"type": "user_id", "value": USER}], **more}
    made = officer.post("/api/v1/privacy-requests", body, format="json").json()["id"]
    assert officer.post(f"/api/v1/privacy-requests/{made}/approve").status_code == 200
    run_privacy_requests(clock=timezone.now)
    tell_recipients(clock=timezone.now)
    return made


def states(officer, made):
    found = officer.get(f"/api/v1/privacy-requests/{made}").json()
    assert found["status"] == "completed"
    return {one["name"]: one["status"] for one in found["recipients"]}


CORRECTION = [{"trait": "first_name", "value": "Anna"}]


def test_tells_those_who_got_a_trait_that_it_was_put_right(officer, known, receiver):
    secret = address(officer, receiver, "Mailer Ltd")
    address(officer, receiver, "Ads Ltd")
    made = carry_out(officer, "rectification", corrections=CORRECTION)
    assert states(officer, made) == {"Ads Ltd": "completed", "Mailer Ltd": "completed"}
    told = [json.loads(one.body) for one in receiver.received]
    assert {one["type"] for one in told} == {"privacy.rectification"}
    # In the order of their notices; who had a digest only is not given the value.
    assert [one["data"]["corrections"] for one in told] == [[{"trait": "first_name"}], CORRECTION]
    assert {"type": "user_id", "value": USER} in told[0]["data"]["identities"]
    mailers = [one for one in receiver.received if b"Anna" in one.body]
    Webhook(secret).verify(mailers[0].body, mailers[0].headers)
    assert not RecipientNotice.objects.exclude(body_sealed=None).exists()


def test_leaves_those_without_an_address_to_the_officer(officer, known):
    made = carry_out(officer, "rectification", corrections=[{"trait": "city", "value": "Bonn"}])
    assert states(officer, made) == {"Maps Ltd": "skipped"}
    ben = signed_in("ben")
    assert "Maps Ltd" in ben.get("/recipients").content.decode()
    assert "1 value put right." in ben.get(f"/privacy-requests/{made}").content.decode()
    assert "I have told them" in ben.get(f"/privacy-requests/{made}").content.decode()
    told = {"recipient": "Maps Ltd"}
    assert ben.post(f"/privacy-requests/{made}/told", told).status_code == 302
    assert states(officer, made) == {"Maps Ltd": "completed"}


def test_does_not_tell_whoever_works_here_and_exported_for_themselves(officer, known):
    disclose(IN_HOUSE, "trait:city")
    made = carry_out(officer, "rectification", corrections=[{"trait": "city", "value": "Bonn"}])
    assert states(officer, made) == {"Maps Ltd": "skipped"}


def test_does_not_ask_by_opendsr_what_it_does_not_know(officer, known, receiver):
    body = {"recipient": "Maps Ltd", "url": f"{receiver.url}/v2", "protocol": "opendsr"}
    assert officer.post("/api/v1/recipient-addresses", body, format="json").status_code == 201
    made = carry_out(officer, "rectification", corrections=[{"trait": "city", "value": "Bonn"}])
    (one,) = officer.get(f"/api/v1/privacy-requests/{made}").json()["recipients"]
    assert (one["status"], one["status_message"].split(":")[0]) == ("skipped", "OpenDSR knows erasures and copies only")
    assert receiver.received == []


def test_tells_everybody_of_a_restriction(officer, known, receiver):
    address(officer, receiver, "Maps Ltd")
    made = carry_out(officer, "restriction")
    assert states(officer, made) == {"Ads Ltd": "skipped", "Mailer Ltd": "skipped", "Maps Ltd": "completed"}
    (one,) = receiver.received
    assert json.loads(one.body)["type"] == "privacy.restriction"
    assert "corrections" not in json.loads(one.body)["data"]


@pytest.mark.parametrize("by_request", [True, False])
def test_sends_the_right_value_to_destinations_that_were_sent_the_wrong_one(officer, receiver, by_request):
    audience([USER, "somebody-else-1"])
    destination(receiver, columns=["id", "email", "trait:first_name"])
    destination(receiver, key="plain", columns=["id"])
    deliver()
    before = len(receiver.received)
    if by_request:
        carry_out(officer, "rectification", corrections=CORRECTION)
    else:
        body = {"trait": "first_name", "value": "Anna", "reason": "asked"}
        path = f"/api/v1/profiles/{profile(USER).uuid}/corrections"
        assert officer.post(path, body, format="json").status_code == 201
    deliver()
    (told,) = [read(one) for one in receiver.received[before:]]
    assert told["type"] == "audience.member"
    assert told["data"]["person"]["first_name"] == "Anna"
    assert told["data"]["person"]["id"] == str(profile(USER).uuid)


def test_sends_it_once_the_destination_is_switched_on_again(officer, receiver):
    audience([USER])
    destination(receiver, columns=["id", "trait:first_name"])
    deliver()
    Destination.objects.update(enabled=False)
    carry_out(officer, "rectification", corrections=CORRECTION)
    deliver()
    assert len(receiver.received) == 1
    Destination.objects.update(enabled=True)
    deliver()
    assert read(receiver.received[-1])["data"]["person"]["first_name"] == "Anna"
