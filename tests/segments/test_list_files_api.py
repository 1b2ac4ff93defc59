"""Lists from files, snapshots of segments, and random parts of them."""

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from openpyxl import Workbook
from rest_framework.test import APIClient

from segments.models import ListMember, Segment, StaticList
from tests.segments.asking import catch_up, identify, members, profile_of, segment, trait
from tests.world import api

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)
ROWS = [["Name", "E-mail"], ["Ana", "a@x.org"], ["Ben", " B@X.org "], [], ["Nobody", "n@x.org"], ["Ana", "A@x.org"]]


@pytest.fixture
def rest() -> APIClient:
    for name in ("a", "b", "c"):
        identify(name, NOW, email=f"{name}@x.org", plan="pro")
    client = api("segments:write")
    client.post("/api/v1/lists", {"key": "fair", "name": "Fair"}, format="json")
    return client


def as_csv(rows: list[list[Any]], delimiter: str = ",") -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows(rows)
    return text.getvalue().encode()


def as_xlsx(rows: list[list[Any]]) -> bytes:
    book = Workbook()
    for row in rows:
        book.active.append(row)
    packed = io.BytesIO()
    book.save(packed)
    return packed.getvalue()


def upload(rest: APIClient, content: bytes, **more: str) -> Any:
    file = SimpleUploadedFile("people", content)
    return rest.post("/api/v1/lists/fair/uploads", {"file": file, **more}, format="multipart")


@pytest.mark.parametrize(
    "content", [as_csv(ROWS), as_csv(ROWS, ";"), b"\xef\xbb\xbf" + as_csv(ROWS, "\t"), as_xlsx(ROWS)]
)
def test_says_what_became_of_each_row(rest: APIClient, content: bytes) -> None:
    answer = upload(rest, content, column="e-mail", type="email")
    told = answer.json()
    assert answer.status_code == 201, told
    counted = {name: told[name] for name in ("rows", "added", "known", "unmatched", "duplicate", "blank")}
    assert counted == {"rows": 5, "added": 2, "known": 0, "unmatched": 1, "duplicate": 1, "blank": 1}
    rows = rest.get(f"/api/v1/lists/fair/uploads/{told['id']}/rows").json()["results"]
    assert [(row["row"], row["outcome"]) for row in rows] == [
        (2, "added"), (3, "added"), (4, "blank"), (5, "unmatched"), (6, "duplicate")
    ]  # fmt: skip
    only = rest.get(f"/api/v1/lists/fair/uploads/{told['id']}/rows?outcome=unmatched").json()["results"]
    assert [row["row"] for row in only] == [5]
    assert upload(rest, content, column="E-mail", type="email").json()["known"] == 2
    assert len(rest.get("/api/v1/lists/fair/uploads").json()["results"]) == 2


def test_finds_the_column_by_its_name(rest: APIClient) -> None:
    told = upload(rest, as_csv([["x", "user_id"], ["1", "c"], ["2", "b"]])).json()
    assert (told["column"], told["type"], told["added"]) == ("user_id", "user_id", 2)
    numbers = upload(rest, as_xlsx([["user_id"], [17.0]])).json()
    assert numbers["unmatched"] == 1


@pytest.mark.parametrize(
    ("content", "more", "says"),
    [
        (b"", {}, "empty"),
        (b"\n", {}, "no header"),
        (as_csv([["a", "b"]]), {}, "No column"),
        (as_csv([["a", "b"]]), {"column": "c"}, "no column"),
        (as_csv([["a"]]), {"column": "a"}, "Say what"),
        (as_csv([["a"]]), {"column": "a", "type": "shoe"}, "no identifier type"),
        (b"PK\x03\x04 not a workbook", {}, "no Excel workbook"),
        (b"\xff\xfe\x00", {}, "neither"),
    ],
)
def test_says_why_a_file_cannot_be_read(rest: APIClient, content: bytes, more: dict[str, str], says: str) -> None:
    answer = upload(rest, content, **more)
    assert answer.status_code == 400
    assert says in str(answer.json())
    assert ListMember.objects.count() == 0


def test_a_snapshot_stays_while_the_segment_goes_on(rest: APIClient) -> None:
    segment("pro", trait("plan", "eq", "pro"), now=NOW)
    answer = rest.post("/api/v1/segments/pro/snapshot", {"key": "then", "name": "Then"}, format="json")
    assert (answer.status_code, answer.json()["count"]) == (201, 3)
    identify("d", NOW, plan="pro")
    catch_up(datetime.now(UTC))
    assert len(members("pro")) == 4
    again = rest.post("/api/v1/segments/pro/snapshot", {"key": "then", "name": "Then"}, format="json")
    assert (again.status_code, again.json()["count"]) == (200, 3)
    places = ListMember.objects.filter(list__key="then")
    assert set(places.values_list("profile_id", flat=True)) == {profile_of(name) for name in "abc"}


def test_parts_are_disjoint_whole_and_the_same_again(rest: APIClient) -> None:
    for number in range(40):
        identify(f"p{number}", NOW, plan="pro")
    segment("pro", trait("plan", "eq", "pro"), now=NOW)
    body = {
        "parts": [{"key": "hold", "percent": 10}, {"key": "one", "percent": 45}, {"key": "two", "percent": 45}],
        "salt": "spring",
    }
    answer = rest.post("/api/v1/segments/pro/split", body, format="json").json()["results"]
    assert [part["status"] for part in answer] == ["live"] * 3
    parts = [members(key) for key in ("hold", "one", "two")]
    assert set.union(*parts) == members("pro")
    assert sum(map(len, parts)) == 43
    assert all(parts[1:])
    assert rest.post("/api/v1/segments/pro/split", body, format="json").json()["results"] == answer
    assert Segment.objects.count() == 4


def test_refuses_parts_of_more_than_the_whole(rest: APIClient) -> None:
    segment("pro", trait("plan", "eq", "pro"), now=NOW)
    body = {"parts": [{"key": "one", "percent": 60}, {"key": "two", "percent": 60}], "salt": "s"}
    assert rest.post("/api/v1/segments/pro/split", body, format="json").status_code == 400
    assert rest.post("/api/v1/segments/pro/split", {"parts": [], "salt": "s"}, format="json").status_code == 400
    assert Segment.objects.count() == 1


def test_a_list_that_is_asked_for_is_not_deleted(rest: APIClient) -> None:
    upload(rest, as_csv([["user_id"], ["a"]]))
    segment("on-fair", {"type": "list", "key": "fair"}, now=NOW)
    assert rest.delete("/api/v1/lists/fair").json()["code"] == "segment.in_use"
    rest.delete("/api/v1/segments/on-fair")
    assert rest.delete("/api/v1/lists/fair").status_code == 204
    assert StaticList.objects.count() == 0


def test_reading_needs_a_scope_and_writing_another(rest: APIClient) -> None:
    reader = api("segments:read")
    assert upload(reader, as_csv([["user_id"], ["a"]])).status_code == 403
    assert reader.get("/api/v1/lists/fair/uploads").status_code == 200
    assert reader.get("/api/v1/lists/fair/uploads/99/rows").json()["code"] == "segment.unknown_upload"
    assert rest.post("/api/v1/segments/none/snapshot", {"key": "x"}, format="json").status_code == 404
