"""Privacy requests by REST: their edges, bad input, scopes, and the kinds that delete nothing."""

import json

import pytest
from django.utils import timezone

from consent.models import PrivacyRequest
from consent.services.running import run_privacy_requests
from tests.consent.zora import EMAIL, USER_ID, live
from tests.world import api

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("status", "step", "expected"),
    [
        (status, step, 200 if (status, step) in allowed else 409)
        for allowed in [
            {
                ("received", "reject"),
                ("received", "extend"),
                ("awaiting_identity", "reject"),
                ("awaiting_identity", "extend"),
                ("open", "approve"),
                ("open", "reject"),
                ("open", "extend"),
                ("approved", "approve"),
                ("running", "approve"),
                ("partial", "approve"),
            }
        ]
        for status in PrivacyRequest.Status.values
        for step in ("approve", "reject", "extend")
    ],
)
def test_walks_only_along_the_edges_of_its_life(officer, status, step, expected):
    made = officer.post(
        "/api/v1/privacy-requests",
        {"type": "erasure", "identities": [{"type": "email", "value": EMAIL}]},
        format="json",
    ).json()
    PrivacyRequest.objects.update(status=status)
    answer = officer.post(f"/api/v1/privacy-requests/{made['id']}/{step}", {"reason": "because"}, format="json")
    assert answer.status_code == expected


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"type": "forget"}, 400),
        ({"identities": []}, 400),
        ({"identities": [{"type": "email", "value": "no address"}]}, 400),
        ({"identities": [{"type": "email"}]}, 400),
        ({"identities": "ada@example.org"}, 400),
        ({"regulation": "none"}, 400),
        ({"received_at": "2999-01-01T00:00:00Z"}, 400),
        ({"unknown": 1}, 400),
    ],
)
def test_answers_bad_input_with_a_problem(officer, wrong, status):
    body = {"type": "erasure", "identities": [{"type": "email", "value": EMAIL}], **wrong}
    answer = officer.post("/api/v1/privacy-requests", body, format="json")
    assert (answer.status_code, "code" in answer.json()) == (status, True)


def test_needs_the_scope(officer):
    made = officer.post(
        "/api/v1/privacy-requests",
        {"type": "erasure", "identities": [{"type": "email", "value": EMAIL}]},
        format="json",
    ).json()
    reader = api("privacy:read", "suppressions:read")
    assert reader.post(f"/api/v1/privacy-requests/{made['id']}/approve").status_code == 403
    assert EMAIL.lower() not in json.dumps(reader.get("/api/v1/privacy-requests").json())
    marketer = api("marketer")
    for address in ("privacy-requests", f"privacy-requests/{made['id']}", "suppressions"):
        assert marketer.get(f"/api/v1/{address}").status_code == 403
        assert reader.get(f"/api/v1/{address}").status_code == 200


def test_restricts_and_objects_on_request(shop, officer):
    officer.post("/api/v1/purposes", {"key": "marketing", "name": "Marketing"}, format="json")
    live(shop)
    profile = officer.get("/api/v1/profiles", {"identifier": f"user_id:{USER_ID}"}).json()["results"][0]["id"]
    for kind, reason in (("objection", "objected"), ("restriction", "restricted")):
        made = officer.post(
            "/api/v1/privacy-requests",
            {"type": kind, "identities": [{"type": "email", "value": EMAIL}]},
            format="json",
        ).json()
        officer.post(f"/api/v1/privacy-requests/{made['id']}/approve")
        run_privacy_requests(clock=timezone.now)
        assert officer.get(f"/api/v1/privacy-requests/{made['id']}").json()["status"] == "completed"
        check = officer.get("/api/v1/consents/check", {"profile": profile, "purpose": "marketing"}).json()
        assert (check["allowed"], check["reason"]) == (False, reason)
