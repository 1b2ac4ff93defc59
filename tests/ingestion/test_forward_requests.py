"""Accepted requests are also sent to another system: a real server beside, real rows, the real worker's service."""

import hashlib
import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from consent.services.suppressions import suppress, suppress_hash
from ingestion.collecting.copying import count_uncopied
from ingestion.models import ForwardedCopy, Forwarding, InboxEntry, Source
from ingestion.queries.write_keys import forget_write_keys
from ingestion.services import forward_bodies
from ingestion.services import forward_copies as forwarding
from ingestion.services.forwarding import (
    ForwardingSettings,
    discard_copies,
    expire_copies,
    measure_copies,
    replay_copies,
    set_forwarding,
)
from profiles.models import Profile
from profiles.queries.people import name_identifier
from tests.consent.zora import EMAIL, SECRETS, erase, live, traces
from tests.ingestion.door import make_source, post, process
from tests.listening import LOCAL, OtherServer
from tests.world import api, faults, signed_in

pytestmark = pytest.mark.django_db

TRACK = {"type": "track", "event": "Seen", "userId": "dana-1"}


@pytest.fixture(autouse=True)
def _open_to_this_machine(settings, monkeypatch):
    settings.CDP_OUTGOING_ALLOW = LOCAL
    # A busy machine takes seconds from one line of a test to the next; what a delay does has tests of its own.
    monkeypatch.setattr(forward_bodies, "DELAY", timedelta(hours=1))


def forward_copies() -> int:
    """Send what waits, however long this machine takes for it."""
    return forwarding.forward_copies(seconds=60)


@pytest.fixture
def other():
    with OtherServer() as server:
        yield server


@pytest.fixture
def shop(other):
    """Return the write key of a source that forwards to the other system."""
    key = make_source()
    forward(other)
    return key


def forward(server, key="shop", **changes):
    wanted = {"url": f"{server.url}/v1", "write_key": "old-key", "same_controller": True, **changes}
    return set_forwarding(key=key, wanted=ForwardingSettings(**wanted), actor="user:1", now=timezone.now())


def state() -> Forwarding:
    return Forwarding.objects.get()


def due_again() -> None:
    """Let the pause after a failure be over."""
    Forwarding.objects.update(retry_at=timezone.now() - timedelta(seconds=1))
    ForwardedCopy.objects.filter(retry_at__isnull=False).update(retry_at=timezone.now() - timedelta(seconds=1))


def ids(server) -> list[str]:
    """Return the message ids that arrived, in order."""
    found = []
    for request in server.received:
        body = json.loads(request.body)
        found += [item["messageId"] for item in body.get("batch", [body])]
    return found


def send(key, *names, **fields):
    for name in names:
        assert post("/v1/track", {**TRACK, "messageId": name, **fields}, key).status_code == 200


def test_sends_each_request_on_as_it_came_with_the_other_systems_key(shop, other):
    single = b'{"type":"track", "event":"Seen","userId":"dana-1","messageId":"a","n":1.50}'
    several = b'{"batch":[{"type":"track","event":"Seen","userId":"dana-1","messageId":"b"}],"sentAt":"2026-03-14"}'
    assert post("/v1/t", single, shop).status_code == 200
    assert post("/v1/b", several, shop).status_code == 200
    assert forward_copies() == 2
    assert [(one.path, one.body) for one in other.received] == [("/v1/track", single), ("/v1/batch", several)]
    basic = "Basic " + b64encode(b"old-key:").decode()
    assert {one.headers["authorization"] for one in other.received} == {basic}
    assert ForwardedCopy.objects.count() == 0
    row = state()
    assert (row.sent_requests, row.sent_messages, row.last_status, row.failures) == (2, 2, 200, 0)


def test_copies_only_what_was_accepted_and_only_of_sources_that_forward(shop, other):
    quiet = make_source("quiet")
    assert post("/v1/track", {"type": "track", "userId": "x"}, shop).status_code == 400
    assert post("/v1/track", TRACK, quiet).status_code == 200
    assert (InboxEntry.objects.count(), ForwardedCopy.objects.count()) == (1, 0)


def test_copies_nothing_while_it_is_off_and_keeps_what_waits(shop, other):
    send(shop, "a")
    forward(other, enabled=False)
    forget_write_keys()
    send(shop, "b")
    assert forward_copies() == 0
    forward(other)
    assert forward_copies() == 1
    assert ids(other) == ["a"]


def test_keeps_the_sealed_key_to_itself(shop):
    assert b"old-key" not in bytes(state().write_key_sealed)


def test_sends_on_what_a_browser_sent_with_the_address_it_came_from(other):
    key = make_source("site", "browser")
    forward(other, "site")
    post("/v1/p", {"type": "page", "anonymousId": "a-1"}, key, REMOTE_ADDR="198.51.100.77", HTTP_USER_AGENT="Moz ☃")
    forward_copies()
    request = other.received[0]
    # A browser source keeps the network of the address only, unless it is told otherwise.
    assert json.loads(request.body)["context"]["ip"] == request.headers["x-forwarded-for"] == "198.51.100.0"
    assert request.path == "/v1/page"


def test_sends_large_requests_too(shop, other):
    items = [{**TRACK, "messageId": f"m-{number}", "properties": {"text": "x" * 1000}} for number in range(20)]
    assert post("/v1/batch", {"batch": items}, shop).status_code == 200
    forward_copies()
    assert len(ids(other)) == 20


def test_keeps_the_order_and_delivers_each_once(shop, other):
    names = [f"m-{number:03}" for number in range(12)]
    send(shop, *names)
    forward_copies()
    assert ids(other) == names


def test_sends_several_at_a_time_when_many_wait(shop, other):
    names = [f"m-{number:03}" for number in range(40)]
    send(shop, *names)
    assert forward_copies() == 40
    assert sorted(ids(other)) == names
    assert len({request.peer for request in other.received}) == 8


# --- who may not be sent ---------------------------------------------------------------------------------------------


def test_leaves_suppressed_people_out_at_the_moment_of_sending(shop, other):
    items = [{**TRACK, "messageId": name, "userId": user} for name, user in (("a", "dana-1"), ("b", "eve-1"))]
    post("/v1/batch", {"batch": items}, shop)
    send(shop, "c", userId="eve-1")
    post("/v1/alias", {"type": "alias", "userId": "new-1", "previousId": "eve-1", "messageId": "d"}, shop)
    suppress(named=[name_identifier(type="user_id", value="eve-1")], reason="test", request_id=None, now=timezone.now())
    forward_copies()
    assert ids(other) == ["a"]
    row = state()
    assert (row.sent_messages, row.suppressed_messages) == (1, 3)
    assert ForwardedCopy.objects.count() == 0


def test_leaves_out_whom_only_a_hash_suppresses(shop, other):
    hashed = hashlib.sha256(b"eve@example.org").hexdigest()
    suppress_hash(type="email", form="sha256", hashed=hashed, reason="test", actor="system", now=timezone.now())
    send(shop, "a")
    post("/v1/identify", {"messageId": "b", "userId": "eve-1", "traits": {"email": " Eve@Example.org"}}, shop)
    forward_copies()
    assert ids(other) == ["a"]
    assert state().suppressed_messages == 1


def test_keeps_nothing_of_suppressed_people_while_the_line_is_paused(shop, other):
    suppress(named=[name_identifier(type="user_id", value="eve-1")], reason="test", request_id=None, now=timezone.now())
    Forwarding.objects.update(retry_at=timezone.now() + timedelta(hours=1), failures=3)
    items = [{**TRACK, "messageId": name, "userId": user} for name, user in (("a", "dana-1"), ("b", "eve-1"))]
    post("/v1/batch", {"batch": items, "context": {"x": 1}}, shop)
    send(shop, "c", userId="eve-1")
    assert forward_copies() == 0
    left = ForwardedCopy.objects.get()
    assert b"eve-1" not in bytes(left.body)
    assert (left.items, state().suppressed_messages) == (1, 2)
    due_again()
    forward_copies()
    assert ids(other) == ["a"]
    assert state().suppressed_messages == 2


def test_does_not_send_what_cannot_be_read(shop, other):
    post("/v1/batch", {"batch": [{**TRACK, "messageId": "a"}, {"type": "track", "event": "No one"}]}, shop)
    forward_copies()
    assert ids(other) == ["a"]
    assert state().unreadable_messages == 1


def test_does_not_send_what_is_about_restricted_people(shop, other):
    send(shop, "a")
    process()
    Profile.objects.update(restricted=True)
    send(shop, "b", userId="other-1")
    forward_copies()
    assert ids(other) == ["b"]
    assert state().refused_messages == 1


@pytest.fixture
def purpose():
    client = api("administrator")
    answer = client.post(
        "/api/v1/purposes", {"key": "sharing", "name": "Sharing", "legal_basis": "consent"}, format="json"
    )
    assert answer.status_code == 201, answer.json()
    return client


def grant(client, user):
    answer = client.post(
        "/api/v1/consents",
        {
            "identifier": {"type": "user_id", "value": user},
            "purpose": "sharing",
            "state": "granted",
            "source": "test",
            "actor": "subject",
            "occurred_at": datetime.now(UTC).isoformat(),
        },
        format="json",
    )
    assert answer.status_code == 201, answer.json()


def long_ago():
    ForwardedCopy.objects.update(received_at=timezone.now() - timedelta(minutes=1))


def test_sends_only_what_people_allow_where_a_purpose_is_named(other, purpose):
    key = make_source()
    forward(other, same_controller=False, purpose="sharing")
    send(key, "before", userId="dana-1")
    # Before it was processed nobody knows whose it is: it waits.
    long_ago()
    InboxEntry.objects.update(received_at=timezone.now() - timedelta(minutes=2))
    assert forward_copies() == 0
    process()
    grant(purpose, "dana-1")
    send(key, "granted", userId="dana-1")
    send(key, "unknown", userId="eve-1")
    process()
    assert forward_copies() == 3
    assert ids(other) == ["before", "granted"]
    assert state().refused_messages == 1


def test_sends_nothing_that_the_source_itself_may_not_store(other, purpose):
    key = make_source(required_purpose="sharing")
    forward(other)
    send(key, "held")
    process()
    forward_copies()
    assert other.received == []
    assert state().refused_messages == 1


def test_erasure_takes_a_persons_waiting_copies_out(other):
    key = make_source()
    forward(other)
    live(key, near="dana-1")
    assert ForwardedCopy.objects.count() == 1
    assert "ingestion_forwardedcopy" in {table for table, _ in traces(SECRETS)}
    assert erase(api("administrator"))["status"] == "completed"
    assert traces(SECRETS) == []


def test_erasure_leaves_the_messages_of_others_in_the_line(other):
    key = make_source()
    forward(other)
    live(key)
    kept = {**TRACK, "messageId": "kept", "userId": "somebody-9"}
    gone = {**TRACK, "messageId": "gone", "properties": {"mail": EMAIL.upper()}}
    post("/v1/batch", {"batch": [gone, kept]}, key)
    process()
    assert erase(api("administrator"))["status"] == "completed"
    forward_copies()
    assert ids(other) == ["kept"]


# --- when the other system does not answer well ----------------------------------------------------------------------


def test_accepting_goes_on_while_the_other_system_is_away_and_everything_arrives_in_order_afterwards(shop):
    with OtherServer() as gone:
        forward(gone)
    send(shop, "a", "b", "c")
    forward_copies()
    row = state()
    assert (row.failures, row.last_status, row.last_reason) == (1, None, "connect")
    assert row.retry_at > timezone.now()
    # Nobody is asked during the pause.
    assert forward_copies() == 0
    send(shop, "d")
    due_again()
    with OtherServer(port=gone.port) as back:
        forward_copies()
    assert ids(back) == ["a", "b", "c", "d"]
    assert (state().failures, state().retry_at) == (0, None)


def test_pauses_longer_with_each_failure(shop):
    with OtherServer() as gone:
        forward(gone)
    send(shop, "a")
    pauses = []
    for _ in range(4):
        forward_copies()
        pauses.append((state().retry_at - state().last_at).total_seconds())
        due_again()
    # Between half and the whole of 1, 2, 4, 8 seconds.
    assert all(longest / 2 <= pause <= longest for pause, longest in zip(pauses, (1, 2, 4, 8), strict=True))


@pytest.mark.parametrize("status", [401, 403, 404, 302, 429, 502, 503, 408])
def test_stops_the_line_and_loses_nothing(shop, other, status):
    other.reply = lambda request: (status, {"Location": "/elsewhere"}, b"")
    send(shop, "a", "b")
    forward_copies()
    assert len(other.received) == 1
    assert ForwardedCopy.objects.filter(dead_at=None).count() == 2
    assert (state().last_status, state().failures) == (status, 1)


@pytest.mark.parametrize(
    ("value", "at_least", "at_most"),
    [
        ("120", 119, 121),
        (timedelta(hours=30), 3599, 3601),  # as a date
        ("999999999999", 3599, 3601),
        ("soon", 0, 2),
        ("-5", 0, 2),
    ],
)
def test_waits_as_long_as_it_is_asked_to_but_an_hour_at_most(shop, other, value, at_least, at_most):
    if isinstance(value, timedelta):
        value = (datetime.now(UTC) + value).strftime("%a, %d %b %Y %H:%M:%S GMT")
    other.reply = lambda request: (429, {"Retry-After": value}, b"")
    send(shop, "a")
    forward_copies()
    assert at_least <= (state().retry_at - state().last_at).total_seconds() <= at_most


def test_gives_a_request_up_that_is_refused_for_good_and_replays_it(shop, other):
    other.reply = lambda request: (400 if b'"b"' in request.body else 200, {}, b"")
    send(shop, "a", "b", "c")
    forward_copies()
    assert ids(other) == ["a", "b", "c"]
    dead = ForwardedCopy.objects.get()
    assert (dead.reason, state().failures) == ("http 400", 0)
    other.reply = lambda request: (200, {}, b"")
    assert replay_copies(key="shop", actor="user:1", now=timezone.now()) == 1
    forward_copies()
    assert ids(other)[3:] == ["b"]
    assert ForwardedCopy.objects.count() == 0


def test_goes_round_a_request_that_the_other_system_fails_at(shop, other):
    other.reply = lambda request: (500 if b'"a"' in request.body else 200, {}, b"")
    send(shop, "a", "b", "c")
    forward_copies()
    assert ids(other) == ["a"]
    # The pause of the line ends before that of the request.
    assert ForwardedCopy.objects.order_by("pk")[0].retry_at > state().retry_at
    for _ in range(forwarding.OWN_FAULT_ATTEMPTS):
        Forwarding.objects.update(retry_at=None)
        forward_copies()
    assert sorted(set(ids(other))) == ["a", "b", "c"]
    # After some more attempts it keeps its own pauses, and the line goes on without it.
    later = timezone.now() + timedelta(minutes=5)
    assert ForwardedCopy.objects.update(attempts=forwarding.OWN_FAULT_ATTEMPTS, retry_at=later) == 1
    Forwarding.objects.update(retry_at=None)
    send(shop, "d", "e")
    before = len(other.received)
    forward_copies()
    assert ids(other)[before:] == ["d", "e"]


def test_gives_up_what_waited_too_long_and_deletes_it_a_week_later(shop, other, settings):
    send(shop, "a")
    past = timezone.now() - timedelta(hours=settings.CDP_FORWARD_HOURS, minutes=1)
    ForwardedCopy.objects.update(received_at=past, queued_at=past)
    forward_copies()
    assert (ids(other), ForwardedCopy.objects.get().reason) == ([], "expired")
    replay_copies(key="shop", actor="user:1", now=timezone.now())
    forward_copies()
    assert ids(other) == ["a"]
    send(shop, "b")
    ForwardedCopy.objects.update(dead_at=timezone.now() - timedelta(days=8), reason="expired")
    expire_copies(timezone.now())
    assert ForwardedCopy.objects.count() == 0


def test_deletes_what_was_given_up(shop):
    send(shop, "a", "b")
    first = ForwardedCopy.objects.order_by("pk").values_list("pk")[:1]
    ForwardedCopy.objects.filter(pk__in=first).update(dead_at=timezone.now(), reason="expired")
    assert discard_copies(key="shop", actor="user:1", now=timezone.now()) == 1
    assert ForwardedCopy.objects.count() == 1


def test_accepts_without_a_copy_and_says_so_when_too_many_wait(shop, settings):
    settings.CDP_FORWARD_MAX_MB = 1
    send(shop, "a")
    ForwardedCopy.objects.update(size=2_000_000)
    measure_copies()
    forget_write_keys()
    send(shop, "b", "c")
    count_uncopied()
    assert InboxEntry.objects.count() == 3
    assert ForwardedCopy.objects.count() == 1
    row = state()
    assert (row.is_full, row.uncopied_requests) == (True, 2)
    ForwardedCopy.objects.all().delete()
    measure_copies()
    forget_write_keys()
    send(shop, "d")
    assert ForwardedCopy.objects.count() == 1


def test_judges_again_what_was_not_sent_at_once(shop, other, monkeypatch):
    monkeypatch.setattr(forwarding, "JUDGED_SECONDS", -1.0)
    send(shop, "a")
    assert forward_copies() == 0
    assert other.received == []


def test_does_not_reach_what_the_installation_does_not_allow(shop, other, settings):
    send(shop, "a")
    settings.CDP_OUTGOING_ALLOW = []
    forward_copies()
    assert other.received == []
    assert (state().last_reason, ForwardedCopy.objects.count()) == ("not allowed", 1)


# --- REST and page ---------------------------------------------------------------------------------------------------

ADDRESS = "/api/v1/sources/shop/forwarding"


def test_is_set_read_and_removed_by_rest(other):
    make_source()
    client = api("sources:write", "sources:read")
    assert client.get(ADDRESS).status_code == 404
    body = {"url": f"{other.url}/v1/", "write_key": "old-key", "same_controller": True}
    made = client.put(ADDRESS, body, format="json")
    assert made.status_code == 200, made.json()
    found = made.json()
    assert (found["url"], found["state"], found["same_controller"], found["purpose"]) == (
        f"{other.url}/v1",
        "on",
        True,
        None,
    )
    assert "old-key" not in made.content.decode()
    assert client.put(ADDRESS, {**body, "write_key": "", "enabled": False}, format="json").status_code == 400
    changed = client.put(ADDRESS, {"url": body["url"], "same_controller": True, "enabled": False}, format="json")
    assert changed.json()["state"] == "off"
    assert client.delete(ADDRESS).status_code == 204
    assert client.get(ADDRESS).status_code == 404


def test_is_tested_by_rest(shop, other):
    client = api("sources:write")
    answer = client.post(f"{ADDRESS}/test").json()
    assert (answer["works"], answer["status"]) == (True, 200)
    sent = json.loads(other.received[0].body)
    assert (sent["event"], sent["anonymousId"]) == ("Forwarding Tested", "forwarding-test")
    other.reply = lambda request: (401, {}, b"dana@secret.example")
    refused = client.post(f"{ADDRESS}/test")
    assert (refused.json()["works"], refused.json()["status"]) == (False, 401)
    assert "dana" not in refused.content.decode()


def test_copies_are_replayed_and_discarded_by_rest(shop):
    client = api("sources:write")
    send(shop, "a", "b")
    ForwardedCopy.objects.update(dead_at=timezone.now(), reason="http 400")
    shown = api("sources:read").get(ADDRESS).json()
    assert (shown["given_up"], shown["given_up_reasons"]) == (2, {"http 400": 2})
    assert client.post(f"{ADDRESS}/replay").json() == {"copies": 2}
    assert client.post(f"{ADDRESS}/discard").json() == {"copies": 0}


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"url": "https://10.0.0.1/v1"}, "url"),
        ({"url": "http://93.184.216.34/v1"}, "url"),
        ({"url": "nonsense"}, "url"),
        ({"url": "http://127.0.0.1:1/v1?a=b"}, "url"),
        ({"write_key": ""}, "write_key"),
        ({"write_key": "a:b"}, "write_key"),
        ({"same_controller": False}, "purpose"),
        ({"purpose": "nowhere", "same_controller": False}, "purpose"),
        ({"purpose": "nowhere"}, "purpose"),
    ],
)
def test_refuses_settings_that_would_not_work(change, path, other):
    make_source()
    body = {"url": "http://127.0.0.1:1/v1", "write_key": "old-key", "same_controller": True, **change}
    refused = api("sources:write").put(ADDRESS, body, format="json")
    assert refused.status_code == 400
    assert path in {place for place, _ in faults(refused.json())}
    assert not Forwarding.objects.exists()


def test_needs_the_scope_to_write(shop):
    reader = api("sources:read")
    assert reader.get(ADDRESS).status_code == 200
    assert reader.put(ADDRESS, {"url": "https://x.example"}, format="json").status_code == 403
    for act in ("test", "replay", "discard"):
        assert reader.post(f"{ADDRESS}/{act}").status_code == 403
    assert reader.delete(ADDRESS).status_code == 403


def test_the_page_sets_it_up_and_shows_how_it_goes(other):
    key = make_source()
    browser = signed_in("ivo")
    assert "Nothing is forwarded" in browser.get("/sources/shop/forwarding").content.decode()
    form = {"url": f"{other.url}/v1", "write_key": "old-key", "basis": "", "enabled": "on"}
    assert browser.post("/sources/shop/forwarding", form).status_code == 422
    saved = browser.post("/sources/shop/forwarding", {**form, "basis": "same_controller"}, follow=True)
    assert "Requests are copied within five seconds" in saved.content.decode()
    assert "old-key" not in saved.content.decode()
    send(key, "a")
    assert "1 request," in browser.get("/sources/shop/forwarding/state").content.decode()
    tried = browser.post("/sources/shop/forwarding/test", follow=True).content.decode()
    assert "The other system took the test event: 200" in tried
    forward_copies()
    assert "1 message in 1 request" in browser.get("/sources/shop/forwarding").content.decode()
    browser.post("/sources/shop/forwarding/remove")
    assert not Forwarding.objects.exists()


def test_an_import_has_nothing_to_forward():
    make_source()
    Source.objects.update(kind=Source.Kind.IMPORT)
    refused = api("sources:write").put(
        ADDRESS, {"url": "http://127.0.0.1:1/v1", "write_key": "k", "same_controller": True}, format="json"
    )
    assert ("source", "forwarding.invalid") in list(faults(refused.json()))
