"""Profiles by REST."""

import pytest

from tests.profiles.sending import identify, send, source, track
from tests.world import api

pytestmark = pytest.mark.django_db


@pytest.fixture
def dana():
    """One customer with an identify and three events."""
    origin = source("server", key="shop")
    send(
        {**identify("dana-1", "anon-1", email="Dana@Example.org", plan="pro"), "messageId": "first"},
        *[track(f"Event {number}", "dana-1", number=number) for number in range(3)],
        origin=origin,
    )


def test_finds_a_profile_by_any_form_of_its_email(dana):
    page = api("profiles:read", "personal_data:read").get("/api/v1/profiles?identifier=email:DANA@example.org").json()
    (profile,) = page["results"]
    assert profile["traits"]["plan"]["value"] == "pro"
    assert profile["traits"]["plan"]["source"] == "shop"
    assert {one["type"] for one in profile["identifiers"]} == {"user_id", "anonymous_id", "email"}
    assert (profile["anonymous"], profile["merged_ids"], profile["segments"]) == (False, [], [])


def test_answers_an_empty_page_for_an_unknown_identifier(dana):
    assert api("profiles:read").get("/api/v1/profiles?identifier=email:nobody@example.org").json()["results"] == []


def test_looks_up_without_personal_data_in_the_address(dana):
    client = api("profiles:read", "personal_data:read")
    body = {"identifier": {"type": "user_id", "value": "dana-1"}}
    assert client.post("/api/v1/profiles/lookup", body, format="json").status_code == 200
    body["identifier"]["value"] = "nobody"
    assert client.post("/api/v1/profiles/lookup", body, format="json").status_code == 404


def test_masks_values_without_the_right_to_see_them(dana):
    (profile,) = api("profiles:read").get("/api/v1/profiles?identifier=user_id:dana-1").json()["results"]
    assert "dana@example.org" not in str(profile).lower()
    events = api("profiles:read").get(f"/api/v1/profiles/{profile['id']}/events").json()["results"]
    assert len(events) == 4


def test_pages_through_events_both_ways(dana):
    client = api("profiles:read", "personal_data:read")
    (profile,) = client.get("/api/v1/profiles?identifier=user_id:dana-1").json()["results"]
    first = client.get(f"/api/v1/profiles/{profile['id']}/events?limit=3").json()
    assert [event["name"] for event in first["results"]] == ["Event 2", "Event 1", "Event 0"]
    second = client.get(first["next"]).json()
    assert [event["type"] for event in second["results"]] == ["identify"]
    assert second["next"] is None
    back = client.get(second["previous"]).json()
    assert [event["name"] for event in back["results"]] == ["Event 2", "Event 1", "Event 0"]


@pytest.mark.parametrize(
    "query",
    ["identifier=email", "identifier=:x", "identifier=email:", "cursor=!!", "limit=0", "limit=1001", "limit=x"],
)
def test_says_what_is_wrong_with_a_query(query):
    answer = api("profiles:read").get(f"/api/v1/profiles?{query}")
    assert answer.status_code == 400
    assert answer.json()["code"]


def test_reads_with_a_number_of_queries_that_does_not_grow(dana, django_assert_max_num_queries):
    send(*[identify(f"user-{number}", email=f"u{number}@example.org") for number in range(20)], one_by_one=False)
    client = api("profiles:read")
    client.get("/api/v1/profiles?limit=1")
    with django_assert_max_num_queries(8):
        client.get("/api/v1/profiles?limit=20")


def test_answers_404_for_an_id_that_is_none():
    assert api("profiles:read").get("/api/v1/profiles/not-an-id").status_code == 404
