"""Segments by REST, as the contract has them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from consent.services.purposes import create_purpose
from profiles.models import Profile
from segments.models import Segment
from tests.segments.asking import SECOND, catch_up, definition, did, identify, segment, track, trait
from tests.world import api, faults

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)
PRO = definition(trait("plan", "eq", "pro"))


@pytest.fixture
def rest() -> APIClient:
    return api("segments:write", "profiles:read", "personal_data:read")


def post(rest: APIClient, path: str, body: Any) -> Any:
    return rest.post(f"/api/v1/{path}", body, format="json")


def create(rest: APIClient, key: str = "pro", **more: Any) -> Any:
    return post(rest, "segments", {"key": key, "name": "Pro people", "definition": PRO, **more})


def test_creates_a_draft_by_default(rest: APIClient) -> None:
    answer = create(rest)
    assert answer.status_code == 201
    assert answer.json() == {
        "key": "pro",
        "name": "Pro people",
        "definition": PRO,
        "version": 1,
        "status": "draft",
        "count": 0,
        "computed_at": None,
        "purpose": None,
        "channel": None,
        "tags": [],
    }


def test_a_live_one_answers_with_its_members(rest: APIClient) -> None:
    identify("ana", NOW, plan="pro")
    answer = create(rest, status="live").json()
    assert (answer["status"], answer["count"]) == ("live", 1)
    assert answer["computed_at"] is not None
    page = rest.get("/api/v1/segments/pro/members").json()
    assert [row["profile_id"] for row in page["results"]] == [str(Profile.objects.get().uuid)]


def test_the_same_again_answers_200_and_another_of_the_key_409(rest: APIClient) -> None:
    create(rest)
    assert create(rest).status_code == 200
    answer = create(rest, name="Others")
    assert (answer.status_code, answer.json()["code"]) == (409, "segment.key_taken")
    assert Segment.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"key": "a", "name": "a", "definition": definition({"type": "wizard"})}, "match.type"),
        ({"key": "a", "name": "a", "definition": definition(trait("plan", "like", "x"))}, "match.op"),
        ({"key": "a", "name": "a", "definition": definition({"type": "segment", "key": "nobody"})}, "match.key"),
        ({"key": "a", "name": "a", "definition": definition(None), "status": "live"}, "definition.match"),
        ({"key": "A b", "name": "a", "definition": PRO}, "key"),
        ({"key": "preview", "name": "a", "definition": PRO}, "key"),
        ({"key": "a", "name": "a"}, "definition"),
        ({"key": "a", "name": "a", "definition": []}, "definition"),
        ({"key": "a", "name": "a", "definition": PRO, "colour": "red"}, "colour"),
        ({"key": "a", "name": "a", "definition": PRO, "status": "alive"}, "status"),
        ({"key": "a", "name": "a", "definition": PRO, "channel": "email"}, "purpose"),
    ],
)
def test_refuses_bad_input_and_names_the_place(rest: APIClient, body: Any, path: str) -> None:
    answer = post(rest, "segments", body)
    assert 400 <= answer.status_code < 500
    assert path in [fault for fault, _ in faults(answer.json())]
    assert Segment.objects.count() == 0


def test_a_draft_may_lack_its_condition(rest: APIClient) -> None:
    assert create(rest, definition=definition(None)).status_code == 201
    answer = rest.patch("/api/v1/segments/pro", {"status": "live"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (400, "segment.definition_missing")


def test_refuses_a_circle(rest: APIClient) -> None:
    create(rest, "a")
    create(rest, "b", definition=definition({"type": "segment", "key": "a"}))
    circle = {"definition": definition({"type": "segment", "key": "b"})}
    answer = rest.patch("/api/v1/segments/a", circle, format="json")
    assert (answer.status_code, answer.json()["code"]) == (400, "segment.circular_reference")
    assert rest.get("/api/v1/segments/a").json()["version"] == 1


def test_purpose_and_channel_must_exist(rest: APIClient) -> None:
    create_purpose(key="marketing", fields={"name": "m", "channels": ["email"]}, actor="system", now=NOW)
    assert create(rest, "a", purpose="marketing", channel="email").json()["channel"] == "email"
    assert create(rest, "b", purpose="fun").status_code == 404
    assert create(rest, "c", purpose="marketing", channel="fax").status_code == 400


def test_a_changed_definition_makes_a_version(rest: APIClient) -> None:
    create(rest)
    free = definition(trait("plan", "eq", "free"))
    answer = rest.patch("/api/v1/segments/pro", {"definition": free}, format="json").json()
    assert (answer["version"], answer["definition"]) == (2, free)
    rest.patch("/api/v1/segments/pro", {"definition": free, "name": "Free"}, format="json")
    versions = rest.get("/api/v1/segments/pro/versions").json()["results"]
    assert [(row["version"], row["definition"]) for row in versions] == [(2, free), (1, PRO)]
    assert versions[0]["sentence"] == "People for whom: plan is “free”."


def test_going_live_computes_membership_before_it_answers(rest: APIClient) -> None:
    identify("ana", NOW, plan="pro")
    create(rest)
    answer = rest.patch("/api/v1/segments/pro", {"status": "live"}, format="json").json()
    assert (answer["status"], answer["count"]) == ("live", 1)


def test_lists_by_status(rest: APIClient) -> None:
    create(rest, "a")
    create(rest, "b", status="live")
    assert [row["key"] for row in rest.get("/api/v1/segments").json()["results"]] == ["a", "b"]
    assert [row["key"] for row in rest.get("/api/v1/segments?status=live").json()["results"]] == ["b"]


def test_lists_any_number_with_the_same_statements(rest: APIClient) -> None:
    def statements() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            rest.get("/api/v1/segments")
        return len(captured)

    create(rest, "a")
    rest.get("/api/v1/segments")
    one = statements()
    for number in range(5):
        create(rest, f"b{number}")
    assert statements() == one


def test_a_profile_shows_its_segments(rest: APIClient) -> None:
    identify("ana", NOW, plan="pro")
    create(rest, status="live")
    profile_id = Profile.objects.get().uuid
    assert rest.get(f"/api/v1/profiles/{profile_id}").json()["segments"] == ["pro"]
    [row] = rest.get(f"/api/v1/profiles/{profile_id}/segments").json()["results"]
    assert (row["key"], row["name"]) == ("pro", "Pro people")


def test_deleting_takes_the_membership_along_and_leaves_the_profile(rest: APIClient) -> None:
    identify("ana", NOW, age=42)
    create(rest, status="live", definition=definition(trait("age", "exists")))
    before = rest.get(f"/api/v1/profiles/{Profile.objects.get().uuid}").json()
    assert before.pop("segments") == ["pro"]
    assert rest.delete("/api/v1/segments/pro").status_code == 204
    after = rest.get(f"/api/v1/profiles/{Profile.objects.get().uuid}").json()
    assert after.pop("segments") == []
    assert after == before


def test_neither_deletes_nor_archives_what_others_use(rest: APIClient) -> None:
    create(rest, "inner", status="live")
    create(rest, "outer", status="live", definition=definition({"type": "segment", "key": "inner"}))
    for answer in (
        rest.delete("/api/v1/segments/inner"),
        rest.patch("/api/v1/segments/inner", {"status": "archived"}, format="json"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "segment.in_use")


def test_tells_entries_and_exits_with_reasons(rest: APIClient) -> None:
    segment("buyers", did("Order"), now=NOW)
    track("ana", "Order", NOW)
    catch_up(NOW + SECOND)
    [row] = rest.get("/api/v1/segments/buyers/changes").json()["results"]
    assert (row["kind"], row["reason"]["kind"]) == ("entered", "event")
    assert row["profile_id"] == str(Profile.objects.get().uuid)


def test_counts_the_overlap(rest: APIClient) -> None:
    for user, plan, country in (("a", "pro", "DE"), ("b", "pro", "FR"), ("c", "free", "DE")):
        identify(user, NOW, plan=plan, country=country)
    create(rest, status="live")
    create(rest, "german", status="live", definition=definition(trait("country", "eq", "DE")))
    create(rest, "all", status="live", definition=definition({"type": "everyone"}))
    rows = rest.get("/api/v1/segments/pro/overlap").json()["results"]
    assert [(row["key"], row["count"], row["shared"]) for row in rows] == [("all", 3, 2), ("german", 2, 1)]
    [row] = rest.get("/api/v1/segments/pro/overlap?with=german").json()["results"]
    assert row["shared"] == 1


def test_explains_each_condition(rest: APIClient) -> None:
    identify("ana", NOW, plan="free")
    create(rest, definition=definition({"type": "all", "of": [trait("plan", "eq", "pro"), did("Order")]}))
    profile_id = Profile.objects.get().uuid
    answer = rest.get(f"/api/v1/segments/pro/explain/{profile_id}").json()
    assert (answer["profile_id"], answer["member"]) == (str(profile_id), False)
    assert [(line["path"], line["result"], line["observed"]) for line in answer["tree"]] == [
        ("match", False, {"true": 0, "of": 2}),
        ("match.of[0]", False, "free"),
        ("match.of[1]", False, 0),
    ]
    masked = api("segments:read").get(f"/api/v1/segments/pro/explain/{profile_id}").json()
    assert masked["tree"][1]["observed"] == "f***"


def test_previews_without_saving(rest: APIClient) -> None:
    identify("ana", NOW, plan="pro")
    identify("ben", NOW, plan="free")
    answer = post(rest, "segments/preview", {"definition": PRO})
    assert answer.status_code == 200
    body = answer.json()
    assert (body["count"], body["sentence"]) == (1, "People for whom: plan is “pro”.")
    assert [one["traits"]["plan"]["value"] for one in body["sample"]] == ["pro"]
    assert "'pro'" in body["sql"]
    assert Segment.objects.count() == 0


def test_previews_at_another_time_from_definitions(rest: APIClient) -> None:
    segment("bought", did("Order", "PT1H"), now=NOW)
    track("ana", "Order", NOW)
    nested = {"definition": definition({"type": "segment", "key": "bought"})}
    # Stored membership is stale: nobody followed yet. With `now`, the definition itself is evaluated.
    assert post(rest, "segments/preview", nested).json()["count"] == 0
    for minutes, count in ((1, 1), (59, 1), (61, 0), (0, 0)):
        asked = (NOW + timedelta(minutes=minutes)).isoformat()
        assert post(rest, "segments/preview", {**nested, "now": asked}).json()["count"] == count


def test_previews_at_another_time_in_development_only(rest: APIClient, settings: Any) -> None:
    settings.CDP_ENV = "production"
    answer = post(rest, "segments/preview", {"definition": PRO, "now": NOW.isoformat()})
    assert (answer.status_code, answer.json()["code"]) == (400, "segment.now_not_allowed")
    assert post(rest, "segments/preview", {"definition": PRO}).status_code == 200


@pytest.mark.parametrize("now", ["soon", "0001-01-01", "9999-12-31T23:59:59Z", 5])
def test_refuses_a_now_that_is_no_time(rest: APIClient, now: Any) -> None:
    assert post(rest, "segments/preview", {"definition": PRO, "now": now}).status_code == 400


def test_hides_personal_data_in_the_sample() -> None:
    identify("ana", NOW, plan="pro", first_name="Anabel")
    body = post(api("segments:read", "profiles:read"), "segments/preview", {"definition": PRO}).json()
    assert body["sample"][0]["traits"]["first_name"]["value"] == "A***"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "segments"),
        ("post", "segments"),
        ("post", "segments/preview"),
        ("get", "segments/pro"),
        ("patch", "segments/pro"),
        ("delete", "segments/pro"),
        ("get", "segments/pro/members"),
        ("get", "segments/pro/changes"),
        ("get", "segments/pro/versions"),
        ("get", "segments/pro/overlap"),
        ("get", "segments/pro/explain/x"),
        ("get", "lists"),
        ("post", "lists"),
        ("post", "lists/staff/members"),
        ("get", "profiles/x/segments"),
    ],
)
def test_needs_the_scope(method: str, path: str) -> None:
    assert getattr(api("audit:read"), method)(f"/api/v1/{path}").status_code == 403
    assert getattr(api(), method)(f"/api/v1/{path}").status_code == 401


@pytest.mark.parametrize("path", ["", "/members", "/changes", "/versions", "/overlap"])
def test_an_unknown_segment_is_not_found(rest: APIClient, path: str) -> None:
    answer = rest.get(f"/api/v1/segments/nobody{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "segment.unknown")
