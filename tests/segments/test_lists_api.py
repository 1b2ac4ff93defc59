"""Static lists by REST."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from profiles.models import Profile
from segments.models import ListMember
from tests.profiles.sending import send
from tests.segments.asking import SECOND, catch_up, identify, members, segment
from tests.world import api

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)


@pytest.fixture
def rest() -> APIClient:
    client = api("segments:write")
    client.post("/api/v1/lists", {"key": "staff", "name": "Staff"}, format="json")
    return client


def user(value: str) -> dict[str, Any]:
    return {"identifier": {"type": "user_id", "value": value}}


def add(rest: APIClient, *lines: Any) -> Any:
    return rest.post("/api/v1/lists/staff/members", {"members": list(lines)}, format="json").json()


def test_says_what_became_of_each_line(rest: APIClient) -> None:
    for name in ("a", "b", "c"):
        identify(name, NOW, x=1)
    lines = [user("a"), user("b"), user("c"), user("nobody"), user("noone"), user("a"), user("  ")]
    assert add(rest, *lines) == {"added": 3, "known": 0, "unmatched": 2, "duplicate": 1, "blank": 1, "count": 3}
    assert add(rest, user("a"))["known"] == 1
    assert len(rest.get("/api/v1/lists/staff/members").json()["results"]) == 3


def test_takes_public_ids_too(rest: APIClient) -> None:
    identify("a", NOW, x=1)
    public = str(Profile.objects.get().uuid)
    answer = add(rest, {"profile_id": public}, {"profile_id": "no-uuid"}, user("a"))
    assert (answer["added"], answer["unmatched"], answer["duplicate"]) == (1, 1, 1)


def test_moves_people_in_and_out_of_segments(rest: APIClient) -> None:
    identify("a", NOW, x=1)
    segment("on-staff", {"type": "list", "key": "staff"}, now=NOW)
    add(rest, user("a"))
    catch_up(datetime.now(UTC) + SECOND)
    assert members("on-staff") == {"a"}
    rest.delete("/api/v1/lists/staff/members", {"members": [user("a")]}, format="json")
    catch_up(datetime.now(UTC) + 2 * SECOND)
    assert members("on-staff") == set()


def test_follows_a_merge(rest: APIClient) -> None:
    send({"type": "identify", "anonymousId": "a-1"}, at=NOW)
    send({"type": "identify", "anonymousId": "a-2"}, at=NOW + SECOND)
    ids = [str(uuid) for uuid in Profile.objects.values_list("uuid", flat=True)]
    add(rest, *({"profile_id": each} for each in ids))
    send({"type": "identify", "anonymousId": "a-1", "userId": "ana"}, at=NOW + 2 * SECOND)
    send({"type": "identify", "anonymousId": "a-2", "userId": "ana"}, at=NOW + 3 * SECOND)
    assert [row.profile_id for row in ListMember.objects.all()] == [Profile.objects.get().pk]


def test_creating_again_answers_200_and_another_name_409(rest: APIClient) -> None:
    again = rest.post("/api/v1/lists", {"key": "staff", "name": "Staff"}, format="json")
    other = rest.post("/api/v1/lists", {"key": "staff", "name": "Others"}, format="json")
    assert (again.status_code, other.status_code) == (200, 409)
    assert [row["key"] for row in rest.get("/api/v1/lists").json()["results"]] == ["staff"]
    assert rest.get("/api/v1/lists/nobody").status_code == 404
