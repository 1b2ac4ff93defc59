"""What SDKs ask for before they send, and the addresses of theirs that keep nothing."""

import gzip
import json

import pytest
from django.test import Client, override_settings
from prometheus_client.parser import text_string_to_metric_families

from cdp.core.queries.metrics import read_metrics
from ingestion.collecting.watch import write_tallies
from ingestion.services.sources import change_source
from tests.ingestion.door import TRACK, basic, inbox, make_source, outcomes, post
from tests.world import NOW

pytestmark = pytest.mark.django_db


def test_tells_segments_sdk_where_to_send():
    key = make_source("web", "browser")
    response = Client().get(f"/v1/projects/{key}/settings", HTTP_HOST="track.shop.example:8443")
    assert response.status_code == 200
    assert response["Access-Control-Allow-Origin"] == "*"
    document = response.json()
    # The key of the address: it overrides the one given to load(). One integration only: a second stalls the SDK.
    assert document["integrations"] == {
        "Segment.io": {"apiKey": key, "apiHost": "track.shop.example:8443/v1", "protocol": "http"}
    }
    assert document["metrics"] == {"sampleRate": 0}
    assert document["plan"]["track"]["__default"]["enabled"] is True


def test_tells_customerios_sdk_under_its_own_name():
    key = make_source("web", "browser")
    document = Client().get(f"/customerio/v1/projects/{key}/settings/").json()
    assert list(document["integrations"]) == ["Customer.io Data Pipelines"]


@override_settings(
    ALLOWED_HOSTS=["cdp.example", "track.shop.example"], PRODUCTION=True, CDP_BASE_URL="https://cdp.example/in"
)
@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"HTTP_HOST": "cdp.example"}, ("https", "cdp.example/in/v1")),
        (
            {"HTTP_HOST": "track.shop.example", "HTTP_X_FORWARDED_PROTO": "https"},
            ("https", "track.shop.example/v1"),
        ),
        ({"HTTP_HOST": "evil.example"}, ("https", "cdp.example/in/v1")),
        ({"HTTP_HOST": "a b\x00"}, ("https", "cdp.example/in/v1")),
    ],
)
def test_names_only_hosts_of_its_own(headers, expected):
    key = make_source("web", "browser")
    integration = Client().get(f"/v1/projects/{key}/settings", **headers).json()["integrations"]["Segment.io"]
    assert (integration["protocol"], integration["apiHost"]) == expected


def test_answers_an_unchanged_document_with_304():
    key = make_source("web", "browser")
    for path in (f"/v1/projects/{key}/settings", f"/sourceConfig/?writeKey={key}"):
        first = Client().get(path)
        assert first["Cache-Control"] == "max-age=60"
        again = Client().get(path, HTTP_IF_NONE_MATCH=f'"other", W/{first["ETag"]}')
        assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])
        assert again["Access-Control-Allow-Origin"] == "*"
        assert Client().get(path, HTTP_IF_NONE_MATCH='"other"').status_code == 200


def test_knows_no_settings_of_an_unknown_or_disabled_key():
    key = make_source("web", "browser")
    change_source(key="web", changes={"enabled": False}, actor="system", now=NOW)
    for name in ("nobody", key):
        response = Client().get(f"/v1/projects/{name}/settings")
        assert response.status_code == 404
        assert response.json()["message"]
        assert response["Access-Control-Allow-Origin"] == "*"
    # Such an SDK sends nothing that could be counted later.
    assert outcomes() == {"unattributed": 2}
    assert Client().get("/v1/projects/a/b/settings").status_code == 404
    assert Client().get("/v1/projects//settings").status_code == 404


@pytest.mark.parametrize("path", ["/sourceConfig", "/sourceConfig/"])
def test_tells_rudderstacks_sdk_that_its_source_is_on(path):
    key = make_source("web", "browser")
    for way in ({"QUERY_STRING": f"p=npm&writeKey={key}"}, {"HTTP_AUTHORIZATION": basic(key)}):
        response = Client().get(path, **way)
        document = response.json()
        assert document["source"]["writeKey"] == key
        assert document["source"]["enabled"] is True
        assert document["source"]["config"]["statsCollection"] == {
            "errors": {"enabled": False},
            "metrics": {"enabled": False},
        }
        head = Client().head(path, **way)
        assert (head.status_code, head.content, head["ETag"]) == (200, b"", response["ETag"])
    refused = Client().get(path, HTTP_AUTHORIZATION=basic("nobody"))
    assert (refused.status_code, refused.json()["code"]) == (401, "ingestion.unknown_write_key")
    assert Client().get(path).status_code == 401
    assert outcomes() == {"unattributed": 2}


def test_allows_the_headers_of_a_preflight_before_the_source_configuration():
    response = Client().options(
        "/sourceConfig/",
        HTTP_ORIGIN="https://shop.example",
        HTTP_ACCESS_CONTROL_REQUEST_METHOD="GET",
        HTTP_ACCESS_CONTROL_REQUEST_HEADERS="authorization",
    )
    assert response.status_code == 204
    assert response["Access-Control-Allow-Headers"] == "authorization"
    assert "GET" in response["Access-Control-Allow-Methods"]


@pytest.mark.parametrize("path", ["/v1/m", "/v1/m/", "/rsaMetrics"])
def test_keeps_nothing_of_what_sdks_say_about_themselves(path):
    response = post(path, {"series": [{"type": "Counter", "metric": "analytics_js.invoke", "value": 1}]})
    assert (response.status_code, response.json()) == (200, {"success": True})
    assert (inbox(), outcomes()) == ([], {})


def test_takes_a_beacon_that_has_no_header_but_the_query():
    key = make_source("web", "browser")
    response = Client().post(
        f"/beacon/v1/batch?writeKey={key}", json.dumps({"batch": [TRACK, TRACK]}), content_type="text/plain"
    )
    assert response.status_code == 200
    assert [(entry.endpoint, entry.items) for entry in inbox()] == [("batch", 2)]


@pytest.mark.parametrize("path", ["/api/s/track", "/api/s/s2s/track", "/api/s/track/"])
def test_takes_jitsus_messages_by_the_key_of_the_header(path):
    key = make_source("web", "browser")
    # Jitsu masks the key in the body.
    message = {**TRACK, "writeKey": f"{key}:***"}
    assert post(path, message, HTTP_X_WRITE_KEY=f"{key}:secret").status_code == 200
    assert [(entry.endpoint, entry.items) for entry in inbox()] == [("track", 1)]


def test_answers_rudderstacks_health_check():
    response = Client().get("/health")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


def make_script(folder, name="standalone.js", text="window.analytics=1"):
    """Put a script where npm would."""
    place = folder / "node_modules/@segment/analytics-next/dist/umd"
    place.mkdir(parents=True, exist_ok=True)
    (place / name).write_text(text)
    (place / f"{name}.gz").write_bytes(gzip.compress(text.encode()))


def test_says_how_to_install_the_script_of_the_snippet(tmp_path):
    key = make_source("web", "browser")
    with override_settings(CDP_SNIPPET_DIR=tmp_path):
        response = Client().get(f"/analytics.js/v1/{key}/analytics.min.js")
    assert response.status_code == 404
    assert "make snippet" in response.json()["message"]


def test_serves_the_script_of_the_snippet_and_its_parts(tmp_path):
    key = make_source("web", "browser")
    make_script(tmp_path)
    make_script(tmp_path, "queryString.bundle.34b193ada8fe288d1bd1.js", "part")
    with override_settings(CDP_SNIPPET_DIR=tmp_path):
        plain = Client().get(f"/analytics.js/v1/{key}/analytics.min.js")
        packed = Client().get(f"/analytics.js/v1/{key}/analytics.min.js", HTTP_ACCEPT_ENCODING="gzip, br")
        again = Client().get(f"/analytics.js/v1/{key}/analytics.min.js", HTTP_IF_NONE_MATCH=plain["ETag"])
        part = Client().get("/analytics-next/bundles/queryString.bundle.34b193ada8fe288d1bd1.js")
        wrong = [
            Client().get(f"/analytics-next/bundles/{name}").status_code
            for name in ("standalone.js", "..%2Fstandalone.js", "other.bundle.34b193ada8fe288d1bd1.js")
        ]
        unknown = Client().get("/analytics.js/v1/nobody/analytics.min.js")
    assert (plain.content, plain["Content-Type"]) == (b"window.analytics=1", "text/javascript; charset=utf-8")
    assert gzip.decompress(packed.content) == plain.content
    assert packed["Content-Encoding"] == "gzip"
    assert again.status_code == 304
    assert part.content == b"part"
    assert "immutable" in part["Cache-Control"]
    assert wrong == [404, 404, 404]
    assert unknown.status_code == 404


def metric(name: str, **labels: str) -> float:
    return sum(
        sample.value
        for family in text_string_to_metric_families(read_metrics().decode())
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def test_counts_each_answer_by_address_and_status():
    key = make_source()
    before = [metric("cdp_requests_total", route="v1/track", status=status) for status in ("200", "401")]
    times = metric("cdp_collection_seconds_count", route="v1/track", status="200")
    for one in (key, key, "nobody"):
        post("/v1/track", TRACK, one)
    after = [metric("cdp_requests_total", route="v1/track", status=status) for status in ("200", "401")]
    assert [new - old for new, old in zip(after, before, strict=True)] == [2, 1]
    assert metric("cdp_collection_seconds_count", route="v1/track", status="200") - times == 2


def test_logs_how_often_each_address_answered_what_and_nothing_else(caplog):
    key = make_source()
    write_tallies()
    caplog.set_level("INFO")
    caplog.clear()
    for _ in range(3):
        Client().get(f"/pixel/v1/page?writeKey={key}&userId=dana-secret")
    Client().generic("BREW", f"/v1/projects/{key}/settings")
    Client().get(f"/v1/projects/{key}/settings")
    write_tallies()
    lines = [record for record in caplog.records if record.name == "cdp.requests"]
    assert [(line.method, line.route, line.status, line.count) for line in lines] == [
        ("GET", "pixel/v1/page", 200, 3),
        ("GET", "v1/projects/…/settings", 200, 1),
        ("other", "v1/projects/…/settings", 405, 1),
    ]
    text = "".join(str(vars(line)) for line in lines)
    assert key not in text
    assert "dana" not in text
    write_tallies()
    assert len([record for record in caplog.records if record.name == "cdp.requests"]) == 3
