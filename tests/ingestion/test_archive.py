"""Accepted messages are kept as they were received; of any other nothing is."""

from datetime import UTC, datetime, timedelta

import orjson
import pytest
from django.db import connection

from consent.traces.needles import make_needles
from ingestion.models import Archived, Message
from ingestion.queries.archived import find_raw, read_raws
from ingestion.services.archive import keep_archive
from ingestion.services.taking_out import take_out_mentions
from tests.consent.zora import EMAIL, SECRETS, erase, live, traces
from tests.ingestion.door import TRACK, make_source, outcomes, post, process
from tests.world import api

pytestmark = pytest.mark.django_db


def track(message_id, user="dana-1", **fields):
    return {**TRACK, "userId": user, "messageId": message_id, **fields}


def send(key, *items, **shared):
    assert post("/v1/batch", {"batch": list(items), **shared}, key).status_code == 200
    process()


def archived() -> dict[int, dict]:
    """Return what is kept, by the id of the message's row."""
    return {raw.row_id: raw.item for row in Archived.objects.order_by("first_id") for raw in read_raws(row)}


def rows() -> dict[str, int]:
    """Return the id of the row of each message that was accepted."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT message_id, id FROM profiles_event")
        return dict(cursor.fetchall())


def test_keeps_a_request_as_it_came():
    key = make_source()
    body = orjson.dumps({"batch": [track("a"), track("b", properties={"n": 1.50})]}, option=orjson.OPT_INDENT_2)
    assert post("/v1/batch", body, key).status_code == 200
    process()
    kept = Archived.objects.get()
    assert bytes(kept.body) == body
    ids = rows()
    assert (kept.first_id, kept.last_id) == (ids["a"], ids["b"])
    raw = find_raw(message=Message.objects.get(pk=ids["b"]))
    assert raw is not None
    assert (raw.item["messageId"], raw.items) == ("b", 2)


def test_keeps_only_what_was_accepted_at_its_id():
    key = make_source()
    send(key, track("a"))
    send(
        key,
        track("b"),
        track("a"),  # a copy
        {"type": "track", "userId": "dana-1", "messageId": "nameless"},  # quarantined
        track("c"),
        track("d"),
        context={"app": {"name": "till"}},
    )
    found, ids = archived(), rows()
    assert {found[ids[name]]["messageId"] for name in "abcd"} == set("abcd")
    assert all(found[ids[name]]["messageId"] == name for name in "abcd")
    assert set(found) == {ids[name] for name in "abcd"}
    raw = find_raw(message=Message.objects.get(pk=ids["d"]))
    assert raw is not None
    assert raw.batch.context == {"app": {"name": "till"}}


def test_keeps_nothing_of_a_message_that_is_suppressed_or_held():
    shop, officer = make_source(), api("administrator")
    named = {"identifier": {"type": "email", "value": "gone@customer.example"}, "reason": "asked"}
    assert officer.post("/api/v1/suppressions", named, format="json").status_code == 201
    traits = {"email": "gone@customer.example"}
    send(shop, {"type": "identify", "userId": "u-1", "messageId": "weak", "traits": traits}, track("good"))
    send(shop, {"type": "identify", "messageId": "whole", "traits": traits})
    officer.post("/api/v1/purposes", {"key": "analytics", "name": "A", "legal_basis": "consent"}, format="json")
    send(make_source("asks", required_purpose="analytics"), track("waits", "unasked"))
    assert outcomes() == {"accepted": 2, "suppressed": 1, "held": 1}
    assert [item["messageId"] for item in archived().values()] == ["good"]


def test_keeps_no_key_of_a_server():
    secret, public = make_source("till"), make_source("site", kind="browser")
    send(secret, track("a", writeKey=secret), writeKey=secret)
    send(public, track("b"), writeKey=public)
    bodies = {row.source_id: bytes(row.body) for row in Archived.objects.all()}
    assert sorted(public.encode() in body for body in bodies.values()) == [False, True]
    assert not any(secret.encode() in body for body in bodies.values())


@pytest.mark.parametrize(
    ("path", "item"),
    [
        ("track", track("one")),
        ("merge", {"mergeProperties": [{"type": "user_id", "value": "a"}, {"type": "user_id", "value": "b"}]}),
    ],
)
def test_keeps_single_messages_with_the_path_they_came_to(path, item):
    key = make_source()
    assert post(f"/v1/{path}", {**item, "writeKey": key}, key).status_code == 200
    process()
    kept = Archived.objects.get()
    (raw,) = read_raws(kept)
    expected = {**item, "type": "track"} if path == "track" else item
    assert raw.item == expected
    assert kept.endpoint == ("batch" if path == "track" else "merge")


def test_keeps_nothing_if_told_so(settings):
    settings.CDP_ARCHIVE_DAYS = 0
    send(make_source(), track("a"))
    assert (outcomes(), Archived.objects.count()) == ({"accepted": 1}, 0)


def test_drops_days_whose_time_is_up(settings):
    settings.CDP_ARCHIVE_DAYS = 7
    send(make_source(), track("a"))
    now = datetime.now(UTC)
    keep_archive(now + timedelta(days=7))
    assert Archived.objects.count() == 1
    keep_archive(now + timedelta(days=8))
    assert Archived.objects.count() == 0


def test_erases_the_persons_messages_and_those_that_mention_her():
    shop = make_source()
    live(shop)
    send(shop, track("kept", "somebody-else-2"), track("mentions", "somebody-else-2", properties={"to": EMAIL.upper()}))
    assert len(archived()) == 6
    done = erase(api("administrator"))
    assert done["status"] == "completed"
    assert {step["store"]: step["erased"] for step in done["steps"]}["archive"] == 3
    # Hers, that of the one who invited her, and that which names her in capitals.
    assert [item["messageId"] for item in archived().values()] == ["kept"]
    assert traces(SECRETS) == []
    assert find_raw(message=Message.objects.get(pk=rows()["kept"])) is not None


def test_takes_out_what_names_a_person_beside_the_items():
    shop = make_source()
    body = orjson.dumps({"batch": [track("a"), track("b")], "note": "for dana@customer.example"})
    assert post("/v1/batch", body, shop).status_code == 200
    send(shop, track("c"), track("d"), context={"page": {"url": "https://x.example/?m=dana@customer.example"}})
    needles = make_needles(names=["dana@customer.example"], uuids=[])
    assert take_out_mentions(needles, lambda: None) == 3
    assert [item["messageId"] for item in archived().values()] == ["a", "b"]
    assert not needles.found_in(b"".join(bytes(row.body) for row in Archived.objects.all()))
    assert take_out_mentions(needles, lambda: None) == 0
