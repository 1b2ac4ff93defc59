"""Imports by REST."""

import csv
import io

import pytest

from cdp.core.sealed_files import sealed_directory
from ingestion.models import Import
from profiles.models import Profile
from tests.ingestion.filing import PEOPLE, counts, post_file, traits, work
from tests.world import api, faults

pytestmark = pytest.mark.django_db
MAPPING = {"source": "crm", "key": "id", "identifiers": {"email": "email"}}


@pytest.fixture(autouse=True)
def data_directory(settings, tmp_path):
    settings.CDP_DATA_DIR = tmp_path / "data"


def read(import_id, what="", scopes=("sources:read",), **query):
    return api(*scopes).get(f"/api/v1/imports/{import_id}{what}", query)


def test_takes_a_file_and_brings_it_in():
    made = post_file(PEOPLE, MAPPING)
    assert made.status_code == 201, made.content
    body = made.json()
    assert (body["status"], body["rows"], body["format"]) == ("queued", 0, "csv")
    assert {column["name"]: column["type"] for column in body["columns"]} == {
        "id": "text",
        "email": "text",
        "first": "text",
        "age": "number",
    }
    work()
    body = read(body["id"]).json()
    assert (body["status"], body["rows"], counts(body)) == ("done", 2, {"created": 2})
    assert traits()["1"] == {"first": "Ana", "age": 34}


def test_takes_the_source_beside_the_mapping():
    assert post_file(PEOPLE, {"key": "id"}, source="crm").json()["source"] == "crm"


def test_lists_imports_newest_first():
    for key in ("a", "b"):
        post_file(PEOPLE, {"source": key, "key": "id"})
    assert [one["source"] for one in api("sources:read").get("/api/v1/imports").json()["results"]] == ["b", "a"]


def test_tells_what_became_of_each_row():
    made = post_file(PEOPLE + ",x@x.example,No,1\n", MAPPING).json()
    work()
    (row,) = read(made["id"], "/rows", ("sources:read", "personal_data:read"), outcome="rejected").json()["results"]
    assert row == {
        "row": 3,
        "outcome": "rejected",
        "code": "no_key",
        "detail": "The row has no key.",
        "values": {"email": "x@x.example", "first": "No", "age": "1"},
    }
    (masked,) = read(made["id"], "/rows", outcome="rejected").json()["results"]
    assert masked["values"]["email"] == "x***"
    rows = read(made["id"], "/rows").json()["results"]
    assert [(one["row"], one["outcome"]) for one in rows] == [(1, "created"), (2, "created"), (3, "rejected")]


def test_pages_through_rows_both_ways():
    made = post_file("id\n" + "".join(f"{n}\n" for n in range(1, 8)), {"source": "crm", "key": "id"}).json()
    work()
    first = read(made["id"], "/rows", limit=3).json()
    second = api("sources:read").get(first["next"]).json()
    assert [one["row"] for one in second["results"]] == [4, 5, 6]
    back = api("sources:read").get(second["previous"]).json()
    assert [one["row"] for one in back["results"]] == [1, 2, 3]


def test_gives_rows_as_csv_that_no_spreadsheet_runs():
    made = post_file("id,note,more\n,=cmd(),x\n1,b,\n", {"source": "crm", "key": "id"}).json()
    work()
    answer = read(made["id"], "/rows", ("sources:read", "personal_data:read"), format="csv")
    text = b"".join(answer.streaming_content).decode()
    assert answer["Content-Type"].startswith("text/csv")
    assert list(csv.reader(io.StringIO(text))) == [
        ["row", "outcome", "code", "detail", "id", "note", "more"],
        ["1", "rejected", "no_key", "The row has no key.", "", "'=cmd()", "x"],
        ["2", "created", "", "", "", "", ""],
    ]


def test_dry_run_writes_nothing():
    answer = post_file(PEOPLE + ",x,No,1\n", MAPPING, dry_run="true")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["rows"], counts(body)) == (3, {"created": 2, "rejected": 1})
    assert body["faults"] == [{"row": 3, "code": "no_key", "detail": "The row has no key."}]
    assert (Import.objects.count(), Profile.objects.count()) == (0, 0)
    assert list(sealed_directory().iterdir()) == []


def test_cancels_what_has_not_come_in():
    made = post_file(PEOPLE, MAPPING).json()
    answer = api("sources:write").post(f"/api/v1/imports/{made['id']}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    work()
    assert (read(made["id"]).json()["status"], Profile.objects.count()) == ("cancelled", 0)
    again = api("sources:write").post(f"/api/v1/imports/{made['id']}/cancel")
    assert (again.status_code, again.json()["code"]) == (409, "import.conflict")


@pytest.mark.parametrize(
    ("content", "mapping", "path"),
    [
        (PEOPLE, {"source": "crm", "key": "nothing"}, "key"),
        (PEOPLE, {"source": "crm", "key": "id", "colour": "red"}, "colour"),
        (PEOPLE, {"source": "crm", "key": 1}, "key"),
        (PEOPLE, {"key": "id"}, "source"),
        (PEOPLE, {"source": "crm", "key": "id", "identifiers": {"email": "record_id"}}, "identifiers.email"),
        (PEOPLE, {"source": "crm", "key": "id", "modes": {"first": "guess"}}, "modes.first"),
        (PEOPLE, {"source": "crm", "records": "events", "event": "Order"}, "identifiers"),
    ],
)
def test_names_the_fault_of_a_mapping(content, mapping, path):
    answer = post_file(content, mapping)
    assert answer.status_code == 400
    assert path in [one for one, _ in faults(answer.json())]
    assert list(sealed_directory().iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [b"", b"\n\n", b'[{"id": 1}]', b"PK\x03\x04broken", b"PAR1broken", b"\x1f\x8bbroken", b"a,a\n1,2\n", b"id\0\n1\n"],
)
def test_refuses_a_file_that_is_none_with_a_sentence(content):
    answer = post_file(content, {"source": "crm", "key": "id"})
    assert answer.status_code == 400
    assert answer.json()["detail"].endswith((".", "?"))
    assert list(sealed_directory().iterdir()) == []


def test_refuses_a_file_that_is_too_large(settings):
    settings.CDP_IMPORT_MAX_BYTES = 20
    answer = post_file(PEOPLE, MAPPING)
    assert (answer.status_code, answer.json()["code"]) == (413, "input.too_large")


def test_needs_a_file_and_a_mapping():
    answer = api("sources:write").post("/api/v1/imports", {}, format="multipart")
    assert [path for path, _ in faults(answer.json())] == ["file", "mapping"]
    assert api("sources:write").post("/api/v1/imports", {}, format="json").status_code == 415


def test_needs_the_scope():
    assert post_file(PEOPLE, MAPPING, "sources:read").status_code == 403
    made = post_file(PEOPLE, MAPPING).json()
    assert api("profiles:read").get(f"/api/v1/imports/{made['id']}").status_code == 403
    assert api("sources:read").post(f"/api/v1/imports/{made['id']}/cancel").status_code == 403


@pytest.mark.parametrize("import_id", ["0", "99", "x", "9" * 30])
def test_does_not_know_every_id(import_id):
    assert read(import_id).status_code == 404


def test_a_file_on_disk_shows_nothing():
    post_file(PEOPLE, MAPPING)
    (stored,) = sealed_directory().iterdir()
    assert b"ana@x.example" not in stored.read_bytes()
    assert Import.objects.get().mapping == {"key": "id", "identifiers": {"email": "email"}}
