"""Sources: by command and by REST."""

from io import StringIO

import pytest
from django.core.management import call_command

from cdp.core.models import AuditEntry
from ingestion.models import Source
from ingestion.queries.write_keys import read_write_key
from tests.ingestion.door import TRACK, make_source, post
from tests.world import api, faults

pytestmark = pytest.mark.django_db


def command(*arguments):
    """Run `create_source`; return what it wrote, to stdout and stderr, and its status."""
    out, err = StringIO(), StringIO()
    try:
        call_command("create_source", *arguments, stdout=out, stderr=err)
    except SystemExit as end:
        return out.getvalue(), err.getvalue(), end.code
    return out.getvalue(), err.getvalue(), 0


@pytest.mark.parametrize(("kind", "public"), [("server", False), ("browser", True), ("mobile", True)])
def test_prints_the_write_key_and_nothing_else(kind, public):
    out, err, code = command("shop", "--kind", kind)
    assert (err, code) == ("", 0)
    key = out.removesuffix("\n")
    assert len(key) >= 20
    assert key == key.strip()
    source = Source.objects.get()
    assert source.is_public is public
    assert read_write_key(source) == key
    assert key.encode() not in bytes(source.write_key_sealed)
    assert post("/v1/track", TRACK, key).status_code == 200


def test_takes_settings():
    out, _, code = command(
        *("shop", "--kind", "browser", "--write-key", "KEY-1"),
        *("--required-purpose", "analytics", "--max-event-bytes", "262144"),
    )
    assert (out, code) == ("KEY-1\n", 0)
    source = Source.objects.get()
    assert (source.required_purpose, source.max_event_bytes) == ("analytics", 262144)


def test_prints_the_same_key_when_repeated():
    for arguments in (("shop", "--kind", "server"), ("web", "--kind", "browser", "--write-key", "KEY-1")):
        assert command(*arguments) == command(*arguments)
    assert Source.objects.count() == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("shop", "--kind", "toaster"),
        ("shop", "--kind", "import"),
        ("not a slug", "--kind", "server"),
        ("", "--kind", "server"),
        ("x" * 65, "--kind", "server"),
        ("shop", "--kind", "server", "--write-key", "with:colon"),
        ("shop", "--kind", "server", "--write-key", "with space"),
        ("shop", "--kind", "server", "--max-event-bytes", "0"),
        ("shop", "--kind", "server", "--max-event-bytes", "99999999"),
        ("shop", "--kind", "server", "--required-purpose", "not a slug"),
    ],
)
def test_ends_with_2_and_a_sentence_for_what_it_does_not_know(arguments):
    out, err, code = command(*arguments)
    assert (out, code) == ("", 2)
    assert err.strip().endswith(".")
    assert Source.objects.count() == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("shop", "--kind", "browser"),
        ("shop", "--kind", "server", "--write-key", "other"),
        ("shop", "--kind", "server", "--max-event-bytes", "65536"),
        ("web", "--kind", "server", "--write-key", "KEY-1"),
    ],
)
def test_refuses_a_name_or_key_that_is_taken(arguments):
    command("shop", "--kind", "server", "--write-key", "KEY-1")
    out, err, code = command(*arguments)
    assert (out, code) == ("", 2)
    assert "exists already" in err or "Another source" in err


def test_makes_a_source_by_rest():
    client = api("sources:write", name="maker")
    given = {"key": "shop", "kind": "server", "name": "The shop", "hold_days": 7}
    answer = client.post("/api/v1/sources", given, format="json")
    assert answer.status_code == 201
    made = answer.json()
    assert made["public"] is False
    assert (made["key"], made["name"], made["hold_days"], made["enabled"]) == ("shop", "The shop", 7, True)
    assert post("/v1/track", TRACK, made["write_key"]).status_code == 200
    again = client.post("/api/v1/sources", given, format="json")
    assert (again.status_code, again.json()) == (200, made)
    assert AuditEntry.objects.filter(action="source.created", actor="key:maker", object="source:shop").count() == 1


def test_shows_write_keys_only_to_who_may_change_sources():
    key = make_source()
    for path in ("/api/v1/sources", "/api/v1/sources/shop"):
        assert key not in api("sources:read").get(path).content.decode()
        assert key in api("sources:write").get(path).content.decode()


def test_changes_what_is_given_and_keeps_the_rest():
    key = make_source(hold_days=7)
    answer = api("sources:write", name="changer").patch("/api/v1/sources/shop", {"enabled": False}, format="json")
    assert answer.status_code == 200
    assert (answer.json()["enabled"], answer.json()["hold_days"]) == (False, 7)
    assert post("/v1/track", TRACK, key).status_code == 401
    entry = AuditEntry.objects.get(action="source.changed")
    assert (entry.actor, entry.detail) == ("key:changer", {"changed": ["enabled"]})


def test_writes_no_audit_entry_when_nothing_changes():
    make_source(hold_days=7)
    api("sources:write").patch("/api/v1/sources/shop", {"hold_days": 7}, format="json")
    assert not AuditEntry.objects.filter(action="source.changed").exists()


@pytest.mark.parametrize(
    ("given", "paths"),
    [
        ({}, {"key", "kind"}),
        ({"key": "shop", "kind": "toaster"}, {"kind"}),
        ({"key": "a b", "kind": "server"}, {"key"}),
        ({"key": "shop", "kind": "server", "hold_days": 0}, {"hold_days"}),
        ({"key": "shop", "kind": "server", "max_event_bytes": "many"}, {"max_event_bytes"}),
        ({"key": "shop", "kind": "server", "write_key": "a:b"}, {"write_key"}),
        ({"key": "shop", "kind": "server", "enabeld": True}, {"enabeld"}),
    ],
)
def test_names_each_fault_of_a_new_source(given, paths):
    answer = api("sources:write").post("/api/v1/sources", given, format="json")
    assert answer.status_code == 400
    assert {path for path, _ in faults(answer.json())} == paths
    assert Source.objects.count() == 0


def test_answers_409_for_a_name_that_is_taken():
    make_source()
    answer = api("sources:write").post("/api/v1/sources", {"key": "shop", "kind": "browser"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "source.exists")


@pytest.mark.parametrize("key", ["none", "a%00b", "%C3%A4", "x" * 300])
def test_answers_404_for_a_source_that_does_not_exist(key):
    client = api("sources:write")
    assert client.get(f"/api/v1/sources/{key}").status_code == 404
    assert client.patch(f"/api/v1/sources/{key}", {"enabled": False}, format="json").status_code == 404


@pytest.mark.parametrize(
    ("method", "path"), [("get", "sources"), ("get", "sources/shop"), ("post", "sources"), ("patch", "sources/shop")]
)
def test_needs_the_scope(method, path):
    make_source()
    assert getattr(api(), method)(f"/api/v1/{path}").status_code == 401
    assert getattr(api("profiles:read"), method)(f"/api/v1/{path}").status_code == 403
    if method != "get":
        assert getattr(api("sources:read"), method)(f"/api/v1/{path}").status_code == 403


def test_describes_collection_in_the_openapi_document():
    from django.test import Client

    schema = Client().get("/api/schema/?format=json").json()
    for endpoint in ("batch", "b", "import", "track", "t", "identify", "page", "screen", "group", "alias", "merge"):
        operation = schema["paths"][f"/v1/{endpoint}"]["post"]
        assert {"200", "400", "401", "413", "503"} <= operation["responses"].keys()
        assert {"writeKey": []} in operation["security"]
    assert "CollectedBatch" in schema["components"]["schemas"]
    assert {"basic"} == {schema["components"]["securitySchemes"]["writeKey"]["scheme"]}
