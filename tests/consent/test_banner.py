"""The banner's script and what it asks; what people choose comes in as a message."""

import gzip

import pytest
from django.test import Client

from consent.models import Decision
from consent.services.purposes import change_purpose, create_notice, create_purpose
from tests.consent.conftest import NOW
from tests.ingestion.door import make_source, post, process
from tests.world import api

pytestmark = pytest.mark.django_db

# What a visitor's browser loads before anything else; the compressed size is what travels.
MOST_BYTES, MOST_PACKED_BYTES = 14_000, 5_500


@pytest.fixture
def key(db):
    create_purpose(key="ads", fields={"name": "Advertising"}, actor="system", now=NOW)
    more = {
        "description": "Ads that fit.",
        "words": {"de": {"name": "Werbung", "description": "Passende Anzeigen."}},
        "consent_mode": ["ad_storage"],
        "gpc": True,
    }
    change_purpose(key="ads", fields=more, actor="system", now=NOW)
    fields = {"name": "Statistics", "consent_categories": ["C2", "C3"]}
    create_purpose(key="stats", fields=fields, actor="system", now=NOW)
    create_notice(key="cookies", language="en", text="What we use.", actor="system", now=NOW)
    create_notice(key="cookies", language="de", text="Was wir benutzen.", actor="system", now=NOW)
    write_key = make_source("web", "browser")
    body = {"purposes": ["stats", "ads"], "notice_key": "cookies", "policy_url": "https://shop.example/privacy"}
    assert put(body).status_code == 201
    return write_key


def put(body: dict, source: str = "web"):
    return api("compliance_officer").put(f"/api/v1/sources/{source}/banner", body, format="json")


def test_is_small():
    plain = Client().get("/banner.js")
    packed = Client().get("/banner.js", HTTP_ACCEPT_ENCODING="gzip")
    print(f"banner.js: {len(plain.content)} bytes, {len(packed.content)} compressed")
    assert len(plain.content) <= MOST_BYTES
    assert len(packed.content) <= MOST_PACKED_BYTES
    assert gzip.decompress(packed.content) == plain.content
    assert plain["Content-Type"].startswith("text/javascript")
    assert Client().get("/banner.js", HTTP_IF_NONE_MATCH=plain["ETag"]).status_code == 304


def test_calls_nobody_but_its_own_host():
    script = Client().get("/banner.js").content.decode()
    assert "http://" not in script
    assert "https://" not in script
    assert "eval(" not in script
    assert "innerHTML" not in script


def test_asks_in_the_language_of_the_page(key):
    answer = Client().get(f"/v1/consent/{key}?language=de-AT", HTTP_ACCEPT_LANGUAGE="fr")
    body = answer.json()
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert (body["language"], body["notice"], body["text"]) == ("de", "cookies/de/1", "Was wir benutzen.")
    assert [one["key"] for one in body["purposes"]] == ["stats", "ads"]
    assert body["purposes"][0]["categories"] == ["C2", "C3"]
    assert body["purposes"][1] == {
        "key": "ads",
        "name": "Werbung",
        "description": "Passende Anzeigen.",
        "categories": ["ads"],
        "mode": ["ad_storage"],
        "gpc": True,
    }
    assert body["words"]["refuse"] == "Alles ablehnen"
    assert Client().get(f"/v1/consent/{key}", HTTP_ACCEPT_LANGUAGE="it, fr;q=0.8").json()["language"] == "fr"


def test_says_that_there_is_none(key):
    assert Client().get("/v1/consent/nokey").status_code == 404
    assert Client().get(f"/v1/consent/{make_source('other', 'browser')}").status_code == 404
    put({"purposes": ["ads"], "notice_key": "cookies", "enabled": False})
    assert Client().get(f"/v1/consent/{key}").status_code == 404
    assert Client().post(f"/v1/consent/{key}").status_code == 405


def test_reading_it_changes_nothing(key, django_assert_max_num_queries):
    with django_assert_max_num_queries(5) as queries:
        Client().get(f"/v1/consent/{key}")
    assert all(query["sql"].lstrip().upper().startswith("SELECT") for query in queries)


def test_a_choice_is_recorded_with_its_notice_and_evidence(key):
    consent = {
        "categoryPreferences": {"C2": True, "C3": True, "ads": False},
        "method": "banner",
        "notice": "cookies/de/1",
        "language": "de",
        "googleConsentMode": {"ad_storage": "denied"},
    }
    item = {
        "writeKey": key,
        "type": "track",
        "event": "Segment Consent Preference Updated",
        "anonymousId": "anon-1",
        "context": {"consent": consent},
    }
    agent = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
    post("/v1/track", item, HTTP_USER_AGENT=agent, REMOTE_ADDR="192.0.2.99")
    process()
    found = {row.purpose.key: row for row in Decision.objects.select_related("purpose", "notice")}
    assert {name: row.state for name, row in found.items()} == {"stats": "granted", "ads": "denied"}
    row = found["stats"]
    assert (row.notice.language, row.notice.version) == ("de", 1)
    assert {name: row.evidence[name] for name in ("method", "language", "user_agent", "ip", "consent_mode")} == {
        "method": "banner",
        "language": "de",
        "user_agent": "Firefox",
        "ip": "192.0.2.0",
        "consent_mode": {"ad_storage": "denied"},
    }


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"purposes": []}, 400),
        ({"purposes": ["none"]}, 404),
        ({"notice_key": "none"}, 404),
        ({"policy_url": "javascript:alert(1)"}, 400),
        ({"odd": 1}, 400),
    ],
)
def test_refuses_a_banner_that_cannot_be(key, change, status):
    body = {"purposes": ["ads"], "notice_key": "cookies", **change}
    assert put(body).status_code == status


def test_is_read_changed_and_taken_away(key):
    officer = api("compliance_officer")
    assert officer.get("/api/v1/sources/web/banner").json()["purposes"] == ["stats", "ads"]
    assert put({"purposes": ["ads"], "notice_key": "cookies"}).status_code == 200
    assert officer.get("/api/v1/sources/none/banner").json()["code"] == "consent.unknown_source"
    assert officer.delete("/api/v1/sources/web/banner").status_code == 204
    assert officer.get("/api/v1/sources/web/banner").json()["code"] == "consent.unknown_banner"
    assert api("marketer").delete("/api/v1/sources/web/banner").status_code == 403
