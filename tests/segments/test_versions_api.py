"""Definitions are versioned, restored, copied, and carried between installations, by REST."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from segments.language.difference import Difference, differences
from segments.models import Segment, SegmentVersion
from tests.segments.asking import definition, did, identify, members, redefine, segment, trait
from tests.world import api

pytestmark = pytest.mark.django_db
PRO, FREE = trait("plan", "eq", "pro"), trait("plan", "eq", "free")


@pytest.fixture
def rest() -> APIClient:
    return api("segments:write")


def post(rest: APIClient, path: str, body: Any = None) -> Any:
    return rest.post(f"/api/v1/segments/{path}", body or {}, format="json")


def test_restores_an_earlier_version_as_a_new_one(rest: APIClient) -> None:
    identify("ana", plan="pro")
    identify("ben", plan="free")
    segment("plan", PRO)
    redefine("plan", FREE)
    answer = post(rest, "plan/versions/1/restore").json()
    assert (answer["version"], answer["definition"]["match"], answer["count"]) == (3, PRO, 1)
    assert members("plan") == {"ana"}
    assert [row.definition["match"] for row in SegmentVersion.objects.order_by("version")] == [PRO, FREE, PRO]
    # The latest one again changes nothing.
    assert post(rest, "plan/versions/3/restore").json()["version"] == 3


def test_tells_what_changed_between_versions(rest: APIClient) -> None:
    segment("plan", {"type": "all", "of": [PRO, did("A")]})
    redefine("plan", {"type": "all", "of": [FREE, did("A"), did("B")]})
    told = rest.get("/api/v1/segments/plan/versions/2/diff").json()
    assert (told["against"], told["version"]) == (1, 2)
    assert told["changes"] == [
        {"path": "match.of[0].value", "kind": "changed", "before": "pro", "after": "free"},
        {"path": "match.of[2]", "kind": "added", "before": None, "after": did("B")},
    ]
    back = rest.get("/api/v1/segments/plan/versions/1/diff?against=2").json()
    assert [one["kind"] for one in back["changes"]] == ["changed", "removed"]


def test_a_version_that_is_not_there_is_not_found(rest: APIClient) -> None:
    segment("plan", PRO)
    for path in ("plan/versions/2", "plan/versions/1/diff", "plan/versions/99999999999", "none/versions/1"):
        assert rest.get(f"/api/v1/segments/{path}").status_code == 404, path
    assert post(rest, "plan/versions/2/restore").json()["code"] == "segment.unknown_version"
    assert rest.get("/api/v1/segments/plan/versions/1/diff?against=x").status_code == 400


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": [1, 2]}, {"a": [1, 3]}, [Difference("a", "changed", [1, 2], [1, 3])]),
        ({"a": 1}, {"b": 2}, [Difference("b", "added", None, 2), Difference("a", "removed", 1, None)]),
        ({"m": PRO}, {"m": did("A")}, [Difference("m", "changed", PRO, did("A"))]),
        # A row that only moved up is recognised; the one that went is named by its old place.
        ([PRO, FREE, did("A")], [FREE, did("A")], [Difference("[0]", "removed", PRO, None)]),
    ],
)
def test_finds_the_smallest_change(before: Any, after: Any, expected: list[Difference]) -> None:
    assert differences(before, after) == expected


def test_duplicates_into_a_draft(rest: APIClient) -> None:
    create = {"key": "plan", "name": "Plan", "definition": definition(PRO), "status": "live", "tags": ["a", "b", "a"]}
    rest.post("/api/v1/segments", create, format="json")
    answer = post(rest, "plan/duplicate", {"key": "plan-2"})
    copy = answer.json()
    assert (answer.status_code, copy["status"], copy["name"], copy["tags"]) == (201, "draft", "Plan (copy)", ["a", "b"])
    assert post(rest, "plan/duplicate", {"key": "plan-2"}).status_code == 200
    assert post(rest, "plan/duplicate", {"key": "plan-2", "name": "Other"}).status_code == 409
    assert post(rest, "plan/duplicate", {"key": "export"}).status_code == 400


def test_is_found_by_tag_and_text(rest: APIClient) -> None:
    for key, tags in (("one", ["spring"]), ("two", ["spring", "vip"]), ("three", [])):
        body = {"key": key, "name": f"Number {key}", "definition": definition(PRO), "tags": tags}
        rest.post("/api/v1/segments", body, format="json")

    def found(query: str) -> list[str]:
        return [row["key"] for row in rest.get(f"/api/v1/segments?{query}").json()["results"]]

    assert found("tag=spring") == ["one", "two"]
    assert found("tag=vip&q=number") == ["two"]
    assert found("q=THREE") == ["three"]


def test_carries_definitions_to_another_installation(rest: APIClient) -> None:
    segment("inner", PRO)
    segment("outer", {"type": "segment", "key": "inner"})
    file = rest.get("/api/v1/segments/export?keys=outer,inner").json()
    assert [one["key"] for one in file["segments"]] == ["outer", "inner"]
    rest.delete("/api/v1/segments/outer")
    rest.delete("/api/v1/segments/inner")

    def outcomes(body: Any) -> list[str]:
        return [one["outcome"] for one in post(rest, "import", body).json()["results"]]

    assert outcomes(file) == ["created", "created"]
    assert set(Segment.objects.values_list("status", flat=True)) == {"draft"}
    assert outcomes(file) == ["unchanged", "unchanged"]
    file["segments"][1]["definition"] = definition(FREE)
    assert outcomes(file) == ["unchanged", "refused"]
    assert outcomes({**file, "replace": True}) == ["unchanged", "changed"]


def test_says_what_of_a_file_cannot_be_taken(rest: APIClient) -> None:
    bad = {"key": "bad", "name": "Bad", "definition": definition({"type": "wizard"})}
    circle = [
        {"key": key, "name": key, "definition": definition({"type": "segment", "key": other})}
        for key, other in (("a", "b"), ("b", "a"))
    ]
    good = {"key": "good", "name": "Good", "definition": definition(PRO)}
    told = post(rest, "import", {"segments": [bad, *circle, good]}).json()["results"]
    assert [one["outcome"] for one in told] == ["refused", "refused", "refused", "created"]
    assert told[0]["code"] == "segment.invalid_definition"
    assert "match.type" in told[0]["detail"]
    assert post(rest, "import", {"segments": [{"key": "x"}]}).status_code == 400
    assert rest.get("/api/v1/segments/export?keys=nobody").status_code == 404
