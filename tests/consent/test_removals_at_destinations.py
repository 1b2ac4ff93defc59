"""Destinations that hold an erased person: the erasure follows each removal to the receiver's answer.

The product is driven by REST and pages; the receiver is a real server that gets real requests.
"""

import threading
import time
import uuid
from datetime import timedelta

import pytest
from django.conf import settings as house
from django.db import connection, transaction
from django.utils import timezone

from consent.models import PrivacyRequest
from consent.services.recipients import tell_recipients
from consent.services.running import run_privacy_requests
from profiles.models import Profile
from segments.sending_models import Activated, Delivery, DeliveryMark, Destination
from segments.services.sending.claiming import claim_window, queue_marks
from segments.services.sending.settling import delete_old_records
from tests.listening import LOCAL, OtherServer
from tests.segments.audience import audience, decide, profile
from tests.segments.delivering import deliver, destination, due_now, officer, told
from tests.world import api, signed_in

pytestmark = pytest.mark.django_db

USER, OTHER = "removed-person-1", "removed-person-2"
WAITS, CONFIRMED = ("crm", "pending"), ("crm", "completed")


@pytest.fixture(autouse=True)
def _open_to_this_machine(settings):
    settings.CDP_OUTGOING_ALLOW = LOCAL


@pytest.fixture
def receiver():
    with OtherServer() as server:
        yield server


@pytest.fixture
def client():
    return api("compliance_officer")


@pytest.fixture
def known(receiver):
    """Somebody whom a destination was told of, with its receiver."""
    audience([USER, OTHER])
    destination(receiver)
    deliver()
    assert Activated.objects.filter(confirmed_at__isnull=False).count() == 2
    return receiver


def ask(client, user=USER):
    body = {"type": "erasure", "identities": [{"type": "user_id", "value": user}]}
    made = client.post("/api/v1/privacy-requests", body, format="json").json()["id"]
    assert client.post(f"/api/v1/privacy-requests/{made}/approve").status_code == 200
    return made


def erase(client, user=USER):
    made = ask(client, user)
    run_privacy_requests(clock=timezone.now)
    return made


def follow():
    tell_recipients(clock=timezone.now)


def shown(client, made):
    """Return the request's status and how each destination stands."""
    found = client.get(f"/api/v1/privacy-requests/{made}").json()
    return found["status"], sorted((one["destination"], one["status"]) for one in found["recipients"])


def answer_with(receiver, status):
    receiver.reply = lambda _: (status, {}, b"{}")


def test_completes_once_the_receiver_has_confirmed_the_removal(client, known):
    public_id = str(profile(USER).uuid)
    made = erase(client)
    follow()
    assert shown(client, made) == ("running", [WAITS])
    assert client.get(f"/api/v1/privacy-requests/{made}").json()["clean_at"] is not None
    deliver()
    assert told(known)[-1] == ("audience.left", public_id)
    follow()
    assert shown(client, made) == ("completed", [CONFIRMED])
    (one,) = client.get(f"/api/v1/privacy-requests/{made}/certificate").json()["recipients"]
    assert (one["name"], one["status_message"]) == (
        "Example CRM",
        "This destination has confirmed the removal.",
    )
    assert one["told_at"] is not None


def test_is_not_completed_by_a_receiver_that_answers_with_a_fault(client, known):
    made = erase(client)
    answer_with(known, 500)
    deliver()
    follow()
    assert shown(client, made) == ("running", [WAITS])
    answer_with(known, 200)
    due_now()
    deliver()
    follow()
    assert shown(client, made) == ("completed", [CONFIRMED])


def test_is_partial_when_the_removal_was_given_up_until_it_is_taken(client, known):
    made = erase(client)
    answer_with(known, 400)
    deliver()
    follow()
    assert Delivery.objects.get().state == "dead"
    assert shown(client, made) == ("partial", [("crm", "failed")])
    answer_with(known, 200)
    assert officer().post("/api/v1/destinations/crm/replay").status_code == 202
    deliver()
    follow()
    assert shown(client, made) == ("completed", [CONFIRMED])


def test_what_the_officer_says_stands_whatever_becomes_of_the_removal(client, known):
    made = erase(client)
    answer_with(known, 400)
    deliver()
    follow()
    told = {"recipient": "Example CRM", "destination": "crm", "not_told_because": "impossible"}
    assert client.post(f"/api/v1/privacy-requests/{made}/recipients/told", told, format="json").status_code == 204
    answered = shown(client, made)
    assert answered[0] == "completed"
    assert officer().post("/api/v1/destinations/crm/replay").status_code == 202
    follow()
    assert shown(client, made) == answered


def test_stays_partial_when_the_removal_that_was_given_up_is_forgotten(client, known):
    made = erase(client)
    answer_with(known, 400)
    deliver()
    delete_old_records(timezone.now() + timedelta(hours=house.CDP_DELIVERY_HOURS + 1))
    assert not Delivery.objects.exists()
    follow()
    assert shown(client, made) == ("partial", [("crm", "failed")])


def test_waits_for_a_destination_that_is_switched_off(client, known):
    """Its receiver holds the person all the same: the removal goes when it is switched on again."""
    assert officer().patch("/api/v1/destinations/crm", {"enabled": False}, format="json").status_code == 200
    made = erase(client)
    deliver()
    assert shown(client, made) == ("partial", [("crm", "skipped")])
    assert officer().patch("/api/v1/destinations/crm", {"enabled": True}, format="json").status_code == 200
    follow()
    assert shown(client, made) == ("partial", [WAITS])
    deliver()
    follow()
    assert shown(client, made) == ("completed", [CONFIRMED])


def test_says_so_when_it_is_switched_off_before_the_removal_went(client, known):
    made = erase(client)
    # 410: the receiver is gone for good, which switches the destination off.
    answer_with(known, 410)
    deliver()
    follow()
    assert Destination.objects.get().enabled is False
    assert shown(client, made)[0] == "partial"


@pytest.mark.parametrize("before", [True, False])
def test_is_for_the_officer_where_the_destination_was_deleted(client, known, before):
    made = None if before else erase(client)
    assert officer().delete("/api/v1/destinations/crm").status_code == 204
    made = made or erase(client)
    follow()
    assert shown(client, made) == ("partial", [("crm", "skipped")])
    told = {"recipient": "Example CRM", "destination": "crm", "not_told_because": "impossible"}
    assert client.post(f"/api/v1/privacy-requests/{made}/recipients/told", told, format="json").status_code == 204
    follow()
    assert shown(client, made) == ("completed", [("crm", "skipped")])


def test_does_not_take_another_destination_of_the_same_key_for_it(client, known):
    officer().delete("/api/v1/destinations/crm")
    destination(known)
    made = erase(client)
    assert shown(client, made) == ("partial", [("crm", "skipped")])


def test_waits_for_nobody_who_had_removed_the_person_before(client, known):
    decide(USER, "withdrawn")
    deliver()
    assert told(known)[-1][0] == "audience.left"
    made = erase(client)
    assert shown(client, made) == ("completed", [CONFIRMED])
    (one,) = client.get(f"/api/v1/privacy-requests/{made}").json()["recipients"]
    assert one["status_message"] == "This destination holds the person no longer."


def test_waits_for_a_withdrawal_that_is_still_on_its_way(client, known):
    answer_with(known, 500)
    decide(USER, "withdrawn")
    deliver()
    made = erase(client)
    assert shown(client, made) == ("running", [WAITS])
    answer_with(known, 200)
    due_now()
    deliver()
    follow()
    assert shown(client, made) == ("completed", [CONFIRMED])


def test_waits_for_each_destination_of_a_recipient(client, known):
    with OtherServer() as slow:
        destination(slow, key="mailer")
        deliver()
        made = erase(client)
        answer_with(slow, 500)
        deliver()
        follow()
        assert shown(client, made) == ("running", [CONFIRMED, ("mailer", "pending")])
        told = {"recipient": "Example CRM", "destination": "mailer"}
        assert client.post(f"/api/v1/privacy-requests/{made}/recipients/told", told, format="json").status_code == 204
    assert shown(client, made) == ("completed", [CONFIRMED, ("mailer", "completed")])


def test_takes_an_officers_answer_for_all_ways_to_a_recipient(client, known):
    with OtherServer() as slow:
        destination(slow, key="mailer")
        deliver()
        made = erase(client)
    told = {"recipient": "Example CRM"}
    assert client.post(f"/api/v1/privacy-requests/{made}/recipients/told", told, format="json").status_code == 204
    assert shown(client, made) == ("completed", [CONFIRMED, ("mailer", "completed")])


def test_tells_a_regulation_of_each_shape_that_it_runs_until_then(client, known):
    segment_like = {"regulationType": "SUPPRESS_WITH_DELETE", "subjectType": "USER_ID", "subjectIds": [USER]}
    first = client.post("/api/v1/regulations", segment_like, format="json").json()["data"]["regulateId"]
    rudder_like = {"regulationType": "suppress_with_delete", "destinationIds": ["d1"], "users": [{"userId": OTHER}]}
    (second,) = client.post("/api/v1/rudder/v2/regulations", rudder_like, format="json").json()
    run_privacy_requests(clock=timezone.now)

    def said():
        found = client.get(f"/api/v1/regulations/{first}").json()["data"]["regulation"]
        alone = client.get(f"/api/v1/rudder/v2/regulations/{second['id']}").json()
        (listed,) = [
            one["status"]
            for one in client.get("/api/v1/rudder/v2/regulations").json()["data"]
            if one["id"] == second["id"]
        ]
        assert listed == alone["status"]
        return found["overallStatus"], listed

    assert said() == ("RUNNING", "running")
    answer_with(known, 400)
    deliver()
    follow()
    assert said() == ("PARTIAL_SUCCESS", "partial_success")
    answer_with(known, 200)
    officer().post("/api/v1/destinations/crm/replay")
    deliver()
    follow()
    assert said() == ("FINISHED", "finished")


def test_tells_a_controller_in_progress_until_then(client, known):
    number = str(uuid.uuid4())
    body = {
        "regulation": "gdpr",
        "subject_request_id": number,
        "subject_request_type": "erasure",
        "submitted_time": timezone.now().isoformat(),
        "subject_identities": [
            {"identity_type": "controller_customer_id", "identity_value": USER, "identity_format": "raw"}
        ],
        "api_version": "2.0",
    }
    assert client.post("/opendsr/v2/requests", body, format="json").status_code == 201
    client.post(f"/api/v1/privacy-requests/{PrivacyRequest.objects.get().pk}/approve")
    run_privacy_requests(clock=timezone.now)

    def said():
        found = client.get(f"/opendsr/v2/requests/{number}").json()
        (inside,) = found["extensions"].values()
        return found["request_status"], [(one["destination"], one["status"]) for one in inside["distribution_status"]]

    assert said() == ("in_progress", [WAITS])
    answer_with(known, 400)
    deliver()
    follow()
    assert said() == ("in_progress", [("crm", "failed")])
    answer_with(known, 200)
    officer().post("/api/v1/destinations/crm/replay")
    deliver()
    follow()
    assert said() == ("completed", [CONFIRMED])


def test_shows_it_on_the_page_of_the_request_and_in_the_list(client, known):
    made = erase(client)
    ben = signed_in("ben")
    page = ben.get(f"/privacy-requests/{made}").content.decode()
    assert "Recipients are being told" in page
    proof = ben.get(f"/privacy-requests/{made}/proof").content.decode()
    assert "removal waits" in proof
    assert "<code>crm</code>" in proof
    assert "removal waits" in ben.get("/recipients").content.decode()
    answer_with(known, 400)
    deliver()
    follow()
    assert "did not take the removal" in ben.get(f"/privacy-requests/{made}/proof").content.decode()
    told = {"recipient": "Example CRM", "destination": "crm"}
    assert ben.post(f"/privacy-requests/{made}/told", told).status_code == 302
    assert PrivacyRequest.objects.get(pk=made).status == "completed"


@pytest.mark.usefixtures("committed")
class TestWhileADeliveryIsClaimed:
    """A worker that claims somebody's first delivery while the person is erased."""

    pytestmark = pytest.mark.django_db(transaction=True)

    def test_leaves_a_removal_of_whom_is_told_of_at_this_moment(self, client, receiver):
        audience([USER])
        destination(receiver)
        held = Destination.objects.get()
        assert DeliveryMark.objects.exists()
        queue_marks(destination=held, now=timezone.now())
        claimed, goes_on = threading.Event(), threading.Event()

        def claim():
            try:
                with transaction.atomic():
                    window = claim_window(destination=held, size=8, now=timezone.now())
                    assert [one.parcel.kind for one in window.claimed] == ["entered"]
                    claimed.set()
                    goes_on.wait(10)
            finally:
                connection.close()

        worker = threading.Thread(target=claim)
        worker.start()
        assert claimed.wait(10)
        made = ask(client)
        eraser = threading.Thread(target=lambda: (run_privacy_requests(clock=timezone.now), connection.close()))
        eraser.start()
        # The erasure gets as far as it can while the claim is not committed.
        time.sleep(1.0)
        goes_on.set()
        worker.join()
        eraser.join()
        assert not Profile.objects.exists()
        assert shown(client, made) == ("running", [WAITS])
        (left,) = Delivery.objects.all()
        assert left.profile_id is None
