"""Regulations in the shapes of Segment and RudderStack."""

import pytest
from django.utils import timezone

from consent.models import PrivacyRequest
from consent.services.running import run_privacy_requests
from consent.services.suppressions import suppress_identifier
from consent.suppression_models import Suppression
from profiles.models import Profile
from profiles.queries.people import name_identifier
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


def test_does_not_let_in_whom_an_erasure_or_an_officer_keeps_out(client):
    named = name_identifier(type="user_id", value="una-1")
    suppress_identifier(named=named, reason="asked by phone", actor="system", now=timezone.now())
    regulate(client, "SUPPRESS_ONLY", ["una-1"])
    regulate(client, "UNSUPPRESS", ["una-1"])
    assert Suppression.objects.get().reason == "asked by phone"


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


def test_takes_back_what_waits_and_lists_the_rest_in_pages(client, settings):
    settings.CDP_FOUR_EYES = True
    waits = regulate(client, "SUPPRESS_WITH_DELETE", ["una-1"]).json()["data"]["regulateId"]
    done = regulate(client, "SUPPRESS_ONLY", ["udo-1"]).json()["data"]["regulateId"]
    assert client.delete(f"/api/v1/regulations/{done}").status_code == 409
    assert client.delete(f"/api/v1/regulations/{waits}").json() == {"data": {"status": "SUCCESS"}}
    assert PrivacyRequest.objects.get().status == "cancelled"
    first = client.get("/api/v1/regulations?pagination[count]=1").json()["data"]
    assert [one["id"] for one in first["regulations"]] == [done]
    assert first["regulations"][0].keys() == {
        "id", "subjectType", "subjects", "status", "createdAt", "finishedAt", "regulationType",
    }  # fmt: skip
    rest = client.get(f"/api/v1/regulations?pagination[cursor]={first['pagination']['next']}").json()["data"]
    assert [(one["id"], one["status"]) for one in rest["regulations"]] == [(waits, "FAILED")]
    assert rest["pagination"] == {"current": first["pagination"]["next"]}


def test_erases_by_anonymous_id(client, make_profile):
    make_profile(anonymous_id="a-una")
    body = {"regulationType": "SUPPRESS_WITH_DELETE", "subjectType": "ANONYMOUS_ID", "subjectIds": ["a-una"]}
    assert client.post("/api/v1/regulations", body, format="json").status_code == 200
    run_privacy_requests(clock=timezone.now)
    assert not Profile.objects.exists()


RUDDER = "/api/v1/rudder/v2/regulations"


class TestRudderStack:
    def test_erases_each_user_by_a_regulation_of_its_own(self, client, make_profile):
        make_profile(user_id="una-1", email="una@example.org")
        make_profile(user_id="udo-1")
        body = {
            "regulationType": "suppress_with_delete",
            "destinationIds": ["d1"],
            "users": [{"userId": "una-1", "email": "una@example.org"}, {"userId": "udo-1", "plan": "gold"}],
        }
        answer = client.post(RUDDER, body, format="json")
        una, udo = answer.json()
        assert answer.status_code == 201
        # The members of the vendor's own example, and two of ours.
        assert una.keys() == {
            "id", "workspaceId", "canceled", "regulationType", "attributes", "status", "privacyRequests",
        }  # fmt: skip
        assert (una["attributes"], udo["attributes"]) == (body["users"][0], {"userId": "udo-1"})
        run_privacy_requests(clock=timezone.now)
        assert client.get(f"{RUDDER}/{una['id']}").json()["status"] == "finished"
        assert not Profile.objects.exists()
        listed = client.get(RUDDER).json()
        assert {one["id"] for one in listed["data"]} == {una["id"], udo["id"]}
        assert (listed["paging"], [one["attributes"] for one in listed["data"]]) == ({}, [{}, {}])

    def test_lets_in_again_whom_a_cancelled_suppression_alone_kept_out(self, client):
        body = {"regulationType": "suppress", "users": [{"userId": "una-1"}, {"userId": "udo-1"}]}
        first = client.post(RUDDER, body, format="json").json()
        body["users"] = [{"userId": "udo-1"}, {"email": "Bo@Example.org", "phone": "no number"}]
        second = client.post(RUDDER, body, format="json")
        assert Suppression.objects.count() == 3
        # Udo is kept out by two of them.
        for one, left in ((first[0], 2), (first[1], 2), (second.json()[1], 1), (second.json()[0], 0)):
            assert client.delete(f"{RUDDER}/{one['id']}").status_code == 204
            assert Suppression.objects.count() == left
        assert client.get(f"{RUDDER}/{first[0]['id']}").json()["canceled"] is True

    def test_costs_the_same_number_of_statements_for_many(self, client, django_assert_max_num_queries):
        users = [{"userId": f"user-{n}"} for n in range(300)]
        for type in ("suppress", "suppress_with_delete"):
            with django_assert_max_num_queries(30):
                made = client.post(RUDDER, {"regulationType": type, "users": users}, format="json")
            assert len(made.json()) == 300

    @pytest.mark.parametrize(("type", "ids"), [("suppress", "destinationIds"), ("suppress_with_delete", "sourceIds")])
    def test_refuses_what_the_vendor_refuses(self, client, type, ids):
        body = {"regulationType": type, ids: ["x"], "users": [{"userId": "una-1"}]}
        assert client.post(RUDDER, body, format="json").status_code == 400
        assert not Suppression.objects.exists()
