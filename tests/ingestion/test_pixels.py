"""Pixels: a message in an image's address; always the image, and a row for whatever was wrong."""

import json
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote, urlencode

import pytest
from django.test import Client

from ingestion.models import Message
from ingestion.spec.pixel import read_pixel
from profiles.models import Profile
from tests.ingestion.door import basic, inbox, make_source, outcomes, process, rows

pytestmark = pytest.mark.django_db

OPENED = {"event": "Email Opened", "userId": "dana-1", "properties": {"campaign": "spring ≥ 3?>"}}


def load(path: str, **headers: str):
    """Load the image and check that it is one."""
    response = Client().get(path, **headers)
    assert response.status_code == 200
    assert response["Content-Type"] == "image/gif"
    assert response.content.startswith(b"GIF89a")
    assert response["Cache-Control"] == "no-store"
    assert not response.cookies
    return response


def encodings(message: object) -> list[str]:
    raw = json.dumps(message, ensure_ascii=False).encode()
    padded = b64encode(raw).decode()
    return [quote(padded), quote(padded.rstrip("=")), padded, urlsafe_b64encode(raw).decode().rstrip("=")]


@pytest.mark.parametrize("number", range(4))
def test_reads_base64_in_whatever_alphabet(number):
    key = make_source()
    data = encodings({**OPENED, "writeKey": key, "messageId": "m-1"})[number]
    load(f"/v1/pixel/track?data={data}")
    process()
    assert rows() == [("accepted", "", 1)]
    load(f"/v1/pixel/track?data={data}")
    process()
    assert rows() == [("accepted", "", 2)]


@pytest.mark.parametrize("path", ["/v1/pixel/track", "/pixel/v1/track", "/pixel/v1/track/"])
def test_reads_flat_fields_and_nests_at_dots(path):
    key = make_source("mail", "browser")
    query = urlencode(
        {
            "writeKey": key,
            "event": "Email Opened",
            "anonymousId": "anon-1",
            "properties.campaign": "spring",
            "context.page.title": "News",
        }
    )
    load(f"{path}?{query}", REMOTE_ADDR="192.0.2.7", HTTP_USER_AGENT="Mail")
    (entry,) = inbox()
    assert (entry.endpoint, entry.ip, entry.user_agent) == ("track", "192.0.2.0", "Mail")
    assert json.loads(bytes(entry.body)) == {
        "event": "Email Opened",
        "anonymousId": "anon-1",
        "properties": {"campaign": "spring"},
        "context": {"page": {"title": "News"}},
    }
    process()
    assert rows() == [("accepted", "", 1)]


def test_takes_every_type():
    key = make_source()
    fields = {"writeKey": key, "userId": "dana-1", "groupId": "g", "previousId": "p", "event": "A", "name": "Home"}
    for kind in ("track", "identify", "page", "screen", "group", "alias"):
        load(f"/v1/pixel/{kind}?{urlencode(fields)}")
    process()
    assert outcomes() == {"accepted": 6}
    assert Profile.objects.exists()


def test_finds_the_key_of_a_proxy_in_the_header():
    load("/pixel/v1/page?userId=dana-1", HTTP_AUTHORIZATION=basic(make_source()))
    assert len(inbox()) == 1


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {"unattributed": 1}),
        ("writeKey=nobody&event=A&userId=u", {"unattributed": 1}),
        ("data=%%%", {"unattributed": 1}),
        ("data=bm9uc2Vuc2U", {"unattributed": 1}),
        ("data=W10", {"unattributed": 1}),
        ("&".join(f"f{number}=1" for number in range(1001)), {"unattributed": 1}),
        ("writeKey=KEY&event=A", {"rejected": 1}),
        ("writeKey=KEY&userId=u", {"rejected": 1}),
        ("writeKey=KEY&userId=u&event=A&properties=x", {"rejected": 1}),
        (f"writeKey=KEY&userId=u&event=A&properties.x={'x' * 40_000}", {"rejected": 1}),
    ],
)
def test_answers_the_image_to_faults_and_keeps_what_they_were(query, expected):
    key = make_source()
    load(f"/v1/pixel/track?{query.replace('KEY', key)}")
    assert outcomes() == expected
    assert inbox() == []
    if "rejected" in expected:
        assert Message.objects.get().reason


def test_keeps_a_field_whose_dots_lead_nowhere():
    body, key = read_pixel("properties=x&properties.a=1&a..b=2&writeKey=k&" + ".".join("d" * 40) + "=3")
    assert key == "k"
    assert json.loads(body) == {"properties": "x", "properties.a": "1", "a..b": "2", ".".join("d" * 40): "3"}


def test_counts_nothing_when_only_the_head_is_asked_for():
    key = make_source()
    response = Client().head(f"/v1/pixel/track?writeKey={key}&event=A&userId=u")
    assert (response.status_code, response.content) == (200, b"")
    assert inbox() == []


def test_takes_no_post():
    response = Client().post("/v1/pixel/track")
    assert (response.status_code, response["Allow"]) == (405, "GET, HEAD, OPTIONS")
