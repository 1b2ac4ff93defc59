"""The collection endpoints over HTTP: answers, keys, encodings, CORS, and what is left behind."""

import gzip
import json
import re
from unittest.mock import patch

import pytest
from django.db import InterfaceError, InternalError, OperationalError, ProgrammingError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from ingestion.models import Source
from ingestion.queries.write_keys import forget_write_keys
from ingestion.services.sources import change_source
from tests.ingestion.door import TRACK, basic, inbox, make_source, outcomes, post, process, rows
from tests.world import NOW

pytestmark = pytest.mark.django_db

ENDPOINT_TYPES = {
    "track": "track",
    "t": "track",
    "identify": "identify",
    "i": "identify",
    "page": "page",
    "p": "page",
    "screen": "screen",
    "s": "screen",
    "group": "group",
    "g": "group",
    "alias": "alias",
    "a": "alias",
}


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("endpoint", ENDPOINT_TYPES)
def test_accepts_a_single_message(endpoint, slash):
    key = make_source()
    message = {"userId": "dana-1", "event": "A", "groupId": "g", "previousId": "p", "messageId": "m-1"}
    response = post(f"/v1/{endpoint}{slash}", message, key)
    assert response.status_code == 200
    assert response.json() == {"success": True}
    (entry,) = inbox()
    assert (entry.endpoint, entry.items, json.loads(bytes(entry.body))) == (endpoint, 1, message)


@pytest.mark.parametrize("endpoint", ["batch", "b", "import", "batch/"])
def test_accepts_a_batch(endpoint):
    response = post(f"/v1/{endpoint}", {"batch": [TRACK, {**TRACK, "messageId": "m-2"}]}, make_source())
    assert response.status_code == 200
    assert response.json() == {"success": True}
    assert inbox()[0].items == 2
    process()
    assert rows() == [("accepted", "", 1), ("accepted", "", 1)]


def test_accepts_an_empty_batch_and_stores_nothing():
    assert post("/v1/batch", {"batch": []}, make_source()).status_code == 200
    assert inbox() == []


def test_ignores_the_content_type():
    key = make_source()
    for content_type in ("application/x-www-form-urlencoded", "text/plain", "application/json", "x/y", ""):
        response = Client().post(
            "/v1/track", json.dumps(TRACK), content_type=content_type, HTTP_AUTHORIZATION=basic(key)
        )
        assert response.status_code == 200
    assert len(inbox()) == 5


def test_needs_no_csrf_token_and_sets_no_cookie():
    response = Client(enforce_csrf_checks=True).post(
        "/v1/track", json.dumps(TRACK), content_type="text/plain", HTTP_AUTHORIZATION=basic(make_source())
    )
    assert response.status_code == 200
    assert not response.cookies


@pytest.mark.parametrize("label", ["gzip", None])
def test_inflates_gzip_and_stores_it_inflated(label):
    headers = {} if label is None else {"HTTP_CONTENT_ENCODING": label}
    body = json.dumps({"batch": [TRACK]}).encode()
    assert post("/v1/batch", gzip.compress(body), make_source(), **headers).status_code == 200
    assert bytes(inbox()[0].body) == body


def test_finds_the_write_key_wherever_sdks_put_it():
    key = make_source(write_key="pk_1")
    other = make_source("other")
    ways = [
        {"HTTP_AUTHORIZATION": basic(key)},
        {"HTTP_AUTHORIZATION": f"Bearer {key}"},
        {"HTTP_X_WRITE_KEY": f"{key}:secret"},
        {"HTTP_X_WRITE_KEY": key},
        {"QUERY_STRING": f"a=b&writeKey={key}"},
        {"body": {"batch": [TRACK], "writeKey": key}},
        {"body": {"batch": [{**TRACK, "writeKey": key}]}},
        # The header counts more than the body.
        {"HTTP_AUTHORIZATION": basic(key), "body": {"batch": [TRACK], "writeKey": other}},
    ]
    for way in ways:
        body = way.pop("body", {"batch": [TRACK]})
        assert post("/v1/batch", body, **way).status_code == 200, way
    source = Source.objects.get(key="shop")
    assert [entry.source_id for entry in inbox()] == [source.id] * len(ways)


def assert_problem(response, status, code):
    assert response.status_code == status
    body = response.json()
    assert body["code"] == code
    assert body["status"] == status
    assert isinstance(body["message"], str)
    assert body["message"]
    assert {"type", "title", "detail", "errors"} <= body.keys()
    assert response["Access-Control-Allow-Origin"] == "*"
    assert response["Access-Control-Expose-Headers"] == "Retry-After"


def test_refuses_a_request_without_a_key():
    assert_problem(post("/v1/track", TRACK), 401, "ingestion.unknown_write_key")
    assert outcomes() == {"unattributed": 1}
    assert inbox() == []


@pytest.mark.parametrize("path", ["/v1/track", "/v1/batch", "/v1/identify", "/v1/merge"])
def test_refuses_an_unknown_key_whatever_the_body(path):
    for body in (TRACK, {"batch": [TRACK]}, b"nonsense", b""):
        assert_problem(post(path, body, "unknown"), 401, "ingestion.unknown_write_key")
    assert outcomes() == {"unattributed": 4}


def test_refuses_the_key_of_a_disabled_source():
    key = make_source()
    assert post("/v1/track", TRACK, key).status_code == 200
    change_source(key="shop", changes={"enabled": False}, actor="system", now=NOW)
    assert_problem(post("/v1/track", TRACK, key), 401, "ingestion.unknown_write_key")


def test_forgets_a_revoked_key_within_five_seconds_in_every_process(monkeypatch):
    key = make_source()
    assert post("/v1/track", TRACK, key).status_code == 200
    # Another process disables the source; here it is still remembered.
    Source.objects.update(enabled=False)
    import ingestion.queries.write_keys as remembered

    later = remembered.time.monotonic() + 5
    monkeypatch.setattr(remembered.time, "monotonic", lambda: later)
    assert post("/v1/track", TRACK, key).status_code == 401


def test_accepts_a_source_in_the_moment_it_was_made():
    assert post("/v1/track", TRACK, "soon").status_code == 401
    make_source(write_key="soon")
    assert post("/v1/track", TRACK, "soon").status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/v1/track", b"nonsense", "ingestion.not_json"),
        ("/v1/track", b"", "ingestion.not_json"),
        ("/v1/track", b"{", "ingestion.not_json"),
        ("/v1/track", b"\xff\xfe", "ingestion.not_json"),
        ("/v1/track", b"\x1f\x8bnonsense", "ingestion.not_json"),
        ("/v1/track", b"[]", "ingestion.no_items"),
        ("/v1/batch", b"[]", "ingestion.no_items"),
        ("/v1/batch", b"{}", "ingestion.no_items"),
        ("/v1/batch", b'{"batch": {}}', "ingestion.no_items"),
    ],
)
def test_refuses_a_body_without_items(path, body, code):
    assert_problem(post(path, body, make_source()), 400, code)
    assert outcomes() == {"unattributed": 1}
    assert inbox() == []


def test_refuses_a_request_over_the_limit():
    key = make_source()
    limit = 4 * 1024 * 1024
    filler = b'{"batch": [], "x": "' + b"x" * (limit - 22) + b'"}'
    assert len(filler) == limit
    assert post("/v1/batch", filler, key).status_code == 200
    assert_problem(post("/v1/batch", filler + b" ", key), 413, "ingestion.too_large")
    assert_problem(post("/v1/batch", b"x" * (10 * 1024 * 1024), key), 413, "ingestion.too_large")
    assert_problem(post("/v1/batch", gzip.compress(filler + b" "), key), 413, "ingestion.too_large")
    assert outcomes() == {"unattributed": 3}


@pytest.mark.parametrize("method", ["get", "head", "put", "patch", "delete"])
def test_allows_no_other_method(method):
    response = getattr(Client(), method)("/v1/batch")
    assert response.status_code == 405
    assert response["Allow"] == "POST, OPTIONS"
    assert response["Access-Control-Allow-Origin"] == "*"


def test_leaves_other_addresses_to_the_rest_of_the_product():
    assert Client().post("/v1/unknown").status_code == 404
    assert Client().get("/healthz").status_code == 200


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/t", "/v1/track/"])
@pytest.mark.parametrize(
    "wanted",
    [
        "authorization",
        "authorization,x-retry-count",
        "anonymousid,authorization,content-type,sentat,rsa-retry-attempt,rsa-retry-reason",
        "content-type,x-write-key",
        "anything, at-all",
    ],
)
def test_reflects_the_headers_that_a_preflight_asks_for(path, wanted):
    response = Client().options(
        path,
        HTTP_ORIGIN="https://shop.example",
        HTTP_ACCESS_CONTROL_REQUEST_METHOD="POST",
        HTTP_ACCESS_CONTROL_REQUEST_HEADERS=wanted,
    )
    assert response.status_code == 204
    assert response["Access-Control-Allow-Headers"] == wanted
    assert response["Access-Control-Allow-Origin"] == "*"
    assert "POST" in response["Access-Control-Allow-Methods"]
    assert 600 <= int(response["Access-Control-Max-Age"]) <= 900
    assert "Origin" in response["Vary"]
    assert "Access-Control-Allow-Credentials" not in response


def test_reflects_nothing_that_is_no_list_of_header_names():
    response = Client().options("/v1/batch", HTTP_ACCESS_CONTROL_REQUEST_HEADERS="a\x01<b>;")
    assert response.status_code == 204
    assert "Access-Control-Allow-Headers" not in response


def test_lets_browsers_read_good_answers():
    response = post("/v1/track", TRACK, make_source(), HTTP_ORIGIN="https://shop.example")
    assert response["Access-Control-Allow-Origin"] == "*"
    assert response["Access-Control-Expose-Headers"] == "Retry-After"
    assert response["Content-Type"] == "application/json"
    assert int(response["Content-Length"]) == len(response.content)


@pytest.mark.parametrize("fault", [OperationalError, InternalError, ProgrammingError, InterfaceError])
def test_answers_503_while_storage_is_down(fault):
    key = make_source()
    assert post("/v1/track", TRACK, key).status_code == 200
    with patch("ingestion.collecting.intake.accept_request", side_effect=fault("gone")):
        response = post("/v1/track", TRACK, key)
    assert_problem(response, 503, "unavailable")
    assert int(response["Retry-After"]) <= 300
    assert "gone" not in response.content.decode()


def test_does_not_fail_while_the_broker_is_away():
    key = make_source()
    with patch("cdp.core.services.wakeups.app.send_task", side_effect=OSError("refused")):
        assert post("/v1/track", TRACK, key).status_code == 200


def test_looks_up_neither_identity_nor_suppression():
    key = make_source()
    post("/v1/track", TRACK, key)
    process()
    forget_write_keys()
    with CaptureQueriesContext(connection) as asked:
        post("/v1/identify", {**TRACK, "type": "identify", "traits": {"email": "dana@customer.example"}}, key)
        post("/v1/batch", {"batch": [TRACK]}, key)
    tables = re.compile(r"\b(?:profiles|consent|ingestion|segments)_\w+")
    read = {table for query in asked for table in tables.findall(query["sql"])}
    # Configuration (the key, whether it forwards, the identifier types) and the inbox; not one row about a person.
    assert read == {"ingestion_source", "ingestion_forwarding", "profiles_identifiertype", "ingestion_inbox"}


def test_takes_one_statement_once_the_key_is_known():
    key = make_source()
    post("/v1/track", TRACK, key)
    with CaptureQueriesContext(connection) as asked:
        post("/v1/track", TRACK, key)
    assert len(asked) == 1


def test_answers_the_same_to_known_and_unknown_people():
    key = make_source()
    answers = set()
    for user in ("dana-1", "dana-1", "nobody-yet"):
        response = post("/v1/track", {**TRACK, "userId": user, "messageId": user}, key)
        answers.add((response.status_code, response.content, tuple(sorted(response.headers.items()))))
        process()
    assert len(answers) == 1


def test_keeps_the_senders_address_of_browsers_only():
    page = {"type": "page", "userId": "u"}
    post("/v1/page", page, make_source("server"), REMOTE_ADDR="192.0.2.7", HTTP_USER_AGENT="curl")
    post("/v1/page", page, make_source("web", "browser"), REMOTE_ADDR="192.0.2.7", HTTP_USER_AGENT="Browser")
    assert [(entry.ip, entry.user_agent) for entry in inbox()] == [("", ""), ("192.0.2.0", "Browser")]


def link(*pair: object) -> dict[str, object]:
    return {"type": "merge", "mergeProperties": list(pair)}


ALEX = {"type": "user_id", "value": "alex"}
MAIL = {"type": "email", "value": "alex@customer.example"}


def test_accepts_a_link_call_with_a_secret_key():
    assert post("/v1/merge", link(ALEX, MAIL), make_source()).status_code == 200
    assert inbox()[0].endpoint == "merge"


def test_refuses_a_link_call_with_a_public_key():
    response = post("/v1/merge", link(ALEX, MAIL), make_source(kind="browser"))
    assert_problem(response, 403, "ingestion.secret_key_needed")
    assert rows() == [("rejected", "secret_key_needed", 1)]


@pytest.mark.parametrize("pair", [(ALEX,), (ALEX, MAIL, ALEX), (ALEX, {"type": "email", "value": ""})])
def test_refuses_a_link_call_without_exactly_two_typed_ids(pair):
    assert_problem(post("/v1/merge", link(*pair), make_source()), 400, "invalid_link")
    assert rows() == [("rejected", "invalid_link", 1)]
