"""Regulations in the shapes of Segment and RudderStack."""

import pytest
from django.utils import timezone

from consent.models import PrivacyRequest, Suppression
from consent.services.running import run_privacy_requests
from profiles.models import Profile
from tests.world import api

pytestmark = pytest.mark.django_db


@pytest.fixture
def client():
    return api("privacy:write")


def regulate(client, type, ids):
    body = {"regulationType": type, "subjectType": "USER_ID", "subjectIds": ids}
    return client.post("/api/v1/regulations", body, format="json")


def status(client, answer):
    found = client.get(f"/api/v1/regulations/{answer.json()['data']['regulateId']}").json()
    return found["data"]["regulation"]["overallStatus"]


@pytest.mark.parametrize(
    "type", ["SUPPRESS_WITH_DELETE", "SUPPRESS_WITH_DELETE_INTERNAL", "DELETE_ONLY", "DELETE_INTERNAL"]
)
def test_erases_and_says_what_it_does(client, make_profile, type):
    make_profile(user_id="una-1", email="una@example.org")
    make_profile(user_id="udo-1")
    make_profile(user_id="somebody-else")
    answer = regulate(client, type, ["una-1", "udo-1"])
    assert (answer.status_code, answer.json()["data"]["carriedOutAs"]) == (200, "SUPPRESS_WITH_DELETE")
    assert status(client, answer) == "INITIALIZED"
    run_privacy_requests(clock=timezone.now)
    assert status(client, answer) == "FINISHED"
    assert Profile.objects.count() == 1
    assert Suppression.objects.count() == 3  # the e-mail address as well


def test_suppresses_and_lets_in_again(client):
    assert status(client, regulate(client, "SUPPRESS_ONLY", ["una-1", "udo-1"])) == "FINISHED"
    assert Suppression.objects.count() == 2
    assert status(client, regulate(client, "UNSUPPRESS", ["una-1"])) == "FINISHED"
    assert Suppression.objects.count() == 1


def test_waits_for_a_second_person_where_the_house_wants_four_eyes(client, settings):
    settings.CDP_FOUR_EYES = True
    answer = regulate(client, "SUPPRESS_WITH_DELETE", ["una-1"])
    assert run_privacy_requests(clock=timezone.now) == 0
    assert status(client, answer) == "INITIALIZED"
    row = PrivacyRequest.objects.get()
    assert api("privacy:write").post(f"/api/v1/privacy-requests/{row.pk}/approve").json()["status"] == "approved"


def test_costs_the_same_number_of_statements_for_many(client, django_assert_max_num_queries):
    with django_assert_max_num_queries(25):
        assert regulate(client, "SUPPRESS_WITH_DELETE", [f"user-{n}" for n in range(400)]).status_code == 200
    assert PrivacyRequest.objects.count() == 400


@pytest.mark.parametrize(
    "body",
    [
        {"regulationType": "FORGET", "subjectIds": ["a"]},
        {"regulationType": "SUPPRESS_ONLY", "subjectType": "OBJECT_ID", "subjectIds": ["a"]},
        {"regulationType": "SUPPRESS_ONLY", "subjectIds": []},
        {"regulationType": "SUPPRESS_ONLY", "subjectIds": ["a"] * 5001},
        {"subjectIds": ["a"]},
    ],
)
def test_refuses_bad_input(client, body):
    assert client.post("/api/v1/regulations", body, format="json").status_code == 400
    assert not Suppression.objects.exists()


def test_needs_the_scope():
    assert regulate(api("privacy:read"), "SUPPRESS_ONLY", ["a"]).status_code == 403


def test_takes_regulations_of_rudderstack(client, make_profile):
    make_profile(user_id="una-1", email="una@example.org")
    body = {"regulationType": "suppress_with_delete", "destinationIds": ["d1"], "users": [{"userId": "una-1"}]}
    made = client.post("/api/v1/rudder/v2/regulations", body, format="json").json()
    run_privacy_requests(clock=timezone.now)
    assert client.get(f"/api/v1/rudder/v2/regulations/{made['id']}").json()["status"] == "finished"
    assert not Profile.objects.exists()
    body = {"regulationType": "suppress", "users": [{"email": "Bo@Example.org", "phone": "no number"}, {"phone": "x"}]}
    client.post("/api/v1/rudder/v2/regulations", body, format="json")
    assert Suppression.objects.filter(identifier_type="email").count() == 2
    assert len(client.get("/api/v1/rudder/v2/regulations").json()["regulations"]) == 2
    assert client.delete(f"/api/v1/rudder/v2/regulations/{made['id']}").status_code == 204
