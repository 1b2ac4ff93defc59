"""The watch over time: real messages, moved clocks, an outbox folder and a real receiver of webhooks."""

import json
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from standardwebhooks.webhooks import Webhook

from cdp.core.models import AuditEntry, Job
from cdp.core.registries import Subject
from cdp.core.services.jobs import run_jobs
from ingestion.alert_models import Alert, AlertChannel, AlertMute, AlertNotice, EventHour, SourceHour
from ingestion.models import InboxEntry, Outcome
from ingestion.personal_data_watching import WatchedNames
from ingestion.queries.alerts import read_learning
from ingestion.services.alerts import RuleSettings, create_channel, set_rule
from ingestion.services.delivering import read_secret, sign
from ingestion.services.keeping_watch import keep_watch
from ingestion.services.measuring import start_measuring
from tests.ingestion.watching import (
    HERE,
    LOOK,
    count,
    counted,
    look,
    look_every,
    mails,
    send_real,
    source,
    standing,
    told,
)
from tests.listening import LOCAL, OtherServer
from tests.profiles.sending import process, put, track
from tests.world import api, faults, signed_in

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


@pytest.fixture
def outbox(settings, tmp_path):
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = str(tmp_path)
    return tmp_path


@pytest.fixture
def ivo_is_told(outbox):
    return create_channel(kind="email", target="ivo@house.example", name="Ivo", actor="system", now=HERE)


def test_tells_that_a_source_fell_silent_and_that_it_is_back(ivo_is_told, outbox):
    shop, web = source(key="shop"), source("browser", key="web")
    for day in range(15, 0, -1):
        for hour in range(3):
            for origin in (shop, web):
                send_real(origin, HERE - timedelta(days=day) + hour * HOUR + timedelta(minutes=20))
    # Today the shop sends at ten to ten for the last time; the web site goes on.
    send_real(shop, HERE - timedelta(minutes=10))
    for hour in range(3):
        send_real(web, HERE + hour * HOUR + timedelta(minutes=20))
    look(HERE + timedelta(minutes=55))
    assert told() == []
    look(HERE + HOUR + timedelta(minutes=2))
    assert told() == [("pending", "silence", "shop")]
    assert mails(outbox) == []
    look(HERE + HOUR + timedelta(minutes=7))
    assert told() == [("open", "silence", "shop")]
    (mail,) = mails(outbox)
    assert "To: ivo@house.example" in mail
    assert "Subject: Silence: shop (alert)" in mail
    assert "shop: no message; about 30 were expected meanwhile." in mail
    assert "user-" not in mail
    look(HERE + HOUR + timedelta(minutes=12))
    assert mails(outbox) == []

    send_real(shop, HERE + HOUR + timedelta(minutes=20))
    look_every(HERE + HOUR + timedelta(minutes=25), 20)
    assert told() == [("resolved", "silence", "shop")]
    (mail,) = mails(outbox)
    assert "Subject: Silence: shop (alert over)" in mail
    assert list(AuditEntry.objects.filter(object__startswith="alert:").values_list("action", flat=True)) == [
        "alert.opened",
        "alert.ended",
    ]


def test_a_global_outage_is_one_notice(ivo_is_told, outbox):
    for number in range(12):
        counted(source(key=f"source-{number}"), per_hour=200 + number)
    look_every(HERE + HOUR + timedelta(minutes=2), 60)
    assert standing() == [("outage", "")]
    assert Alert.objects.filter(state="open").count() == 13
    (mail,) = mails(outbox)
    assert "No source has sent anything" in mail
    assert "source-3" not in mail
    shown = api("sources:read").get("/api/v1/alerts", {"state": "open"}).json()["results"]
    (outage,) = [one for one in shown if one["kind"] == "outage"]
    assert {one["follows_from"] for one in shown if one["kind"] == "silence"} == {outage["id"]}
    # All but one come back: the outage is over, and the one that stays silent is told by itself.
    back = HERE + 3 * HOUR
    for number in range(11):
        for hour in range(3):
            count(source(key=f"source-{number}"), back + hour * HOUR, 200 + number)
    look_every(back + timedelta(minutes=5), 40)
    assert standing() == [("silence", "")]
    texts = "".join(mails(outbox))
    assert "source-11: no message" in texts
    assert "source-3" not in texts


def test_many_alerts_at_once_are_one_notice_and_the_next_waits(ivo_is_told, outbox):
    for number in range(30):
        counted(source(key=f"source-{number}"), per_hour=100)
        count(source(key=f"source-{number}"), HERE, 5000)
    look_every(HERE + timedelta(minutes=20), 5)
    (mail,) = mails(outbox)
    assert "Subject: 30 alerts: source-0, source-1, source-2 and 27 more" in " ".join(mail.split())
    assert "and 10 more" in mail
    late = source(key="late")
    counted(late, per_hour=100)
    count(late, HERE, 5000)
    look_every(HERE + timedelta(minutes=26), 5)
    assert Alert.objects.filter(state="open").count() == 31
    assert mails(outbox) == []
    look(HERE + timedelta(minutes=41))
    (mail,) = mails(outbox)
    assert "late: 5\u202f000 messages" in mail or "late" in mail


def test_finds_spikes_drops_and_rejected_messages():
    for key in ("spike", "drop", "broken", "quiet"):
        counted(source(key=key), per_hour=200, refused=2)
    count(source(key="spike"), HERE, 1500)
    count(source(key="drop"), HERE, 40)
    count(source(key="broken"), HERE, 120)
    count(source(key="broken"), HERE, 80, Outcome.REJECTED)
    count(source(key="quiet"), HERE, 190)
    for key in ("spike", "drop", "broken", "quiet"):
        count(source(key=key), HERE + HOUR, 30)
    look_every(HERE + HOUR + timedelta(minutes=4), 5)
    assert sorted(told()) == [("open", "drop", "drop"), ("open", "rejected", "broken"), ("open", "spike", "spike")]
    texts = [one["text"] for one in api("sources:read").get("/api/v1/alerts").json()["results"]]
    assert sorted(texts) == [
        "broken: 40 % of the messages are rejected or in quarantine; 1 % is usual.",
        "drop: only 40 messages in an hour; 200 are usual.",
        "spike: 1\u202f500 messages in an hour; 200 are usual.",
    ]


def test_says_nothing_while_it_learns_but_that_half_is_rejected():
    young = source(key="young")
    counted(young, weeks=2 / 7, per_hour=100)
    count(young, HERE, 9000)
    look_every(HERE + timedelta(minutes=20), 5)
    assert told() == []
    count(young, HERE, 12_000, Outcome.QUARANTINED)
    look_every(HERE + timedelta(minutes=30), 5)
    assert told() == [("open", "rejected", "young")]
    assert [key for key, _ in read_learning(now=HERE)] == ["young"]
    assert read_learning(now=HERE + timedelta(days=14)) == []


def test_messages_that_wait_in_the_inbox_are_no_silence():
    shop = source(key="shop")
    counted(shop, per_hour=100)
    InboxEntry.objects.create(source_id=shop.pk, received_at=HERE + HOUR, endpoint="batch", items=100, body=b"{}")
    look_every(HERE + HOUR + timedelta(minutes=4), 5)
    assert told() == []


def test_a_steady_flow_that_stops_is_told_within_a_quarter_of_an_hour():
    shop = source(key="shop")
    counted(shop, per_hour=600)
    SourceHour.objects.bulk_create(
        SourceHour(source_id=shop.pk, hour=HERE - timedelta(hours=back), looks=12, news=12)
        for back in range(1, 14 * 24)
    )
    send_real(shop, HERE + timedelta(minutes=30))
    look_every(HERE + timedelta(minutes=35), 5)
    assert told() == []
    look_every(HERE + timedelta(minutes=46), 5)
    assert told() == [("open", "silence", "shop")]


def test_an_event_that_stops_is_told_while_the_others_go_on():
    shop = source(key="shop")
    # Discovery knows both events; the past of each is in hours.
    send_real(shop, HERE - timedelta(minutes=10))
    send_real(shop, HERE + 3 * HOUR, event="Page Seen")
    EventHour.objects.bulk_create(
        EventHour(
            source_id=shop.pk, type="track", event="Order Completed", hour=HERE - timedelta(hours=back), volume=50
        )
        for back in range(1, 21 * 24)
    )
    look(HERE + HOUR + timedelta(minutes=3))
    assert standing() == []
    look(HERE + HOUR + timedelta(minutes=8))
    assert standing() == [("silence", "Order Completed")]
    send_real(shop, HERE + HOUR + timedelta(minutes=10))
    look_every(HERE + HOUR + timedelta(minutes=13), 20)
    assert standing() == []


def test_what_a_source_says_of_how_often_it_sends_counts_alone():
    rare = source(key="rare", expected_every_minutes=90)
    send_real(rare, HERE, 3)
    look_every(HERE + timedelta(minutes=80), 10)
    assert told() == []
    look_every(HERE + timedelta(minutes=95), 5)
    assert told() == [("open", "silence", "rare")]
    (alert,) = api("sources:read").get("/api/v1/alerts").json()["results"]
    assert alert["text"] == "rare: no message for 100 minutes; one is expected every 90 minutes."


def test_tells_that_a_field_has_gone_missing(ivo_is_told, outbox):
    shop = source(key="shop")
    for back in range(14, 0, -1):
        send_real(shop, HERE - back * HOUR + timedelta(minutes=20), 12)
    # From ten o'clock on the total is null in most messages; the coupon never stood in many.
    hour = HERE + timedelta(minutes=20)
    put(
        [track("Order Completed", f"user-{n}", total=None if n % 5 else n, coupon=None) for n in range(60)],
        origin=shop,
        at=hour,
    )
    process(now=hour)
    start_measuring(now=hour)
    run_jobs()
    look(HERE + HOUR + timedelta(minutes=5))
    assert told() == []
    look(HERE + HOUR + timedelta(minutes=12))
    assert told() == [("open", "missing", "shop")]
    (mail,) = mails(outbox)
    assert "shop, Order Completed, total: missing or empty in 80 % of the messages; 0 % is usual." in mail
    for back in (1, 2):
        send_real(shop, HERE + back * HOUR + timedelta(minutes=20), 60)
    start_measuring(now=hour)
    run_jobs()
    look(HERE + 2 * HOUR + timedelta(minutes=12), HERE + 3 * HOUR + timedelta(minutes=12))
    assert told() == [("resolved", "missing", "shop")]


def test_counts_what_came_between_two_looks():
    shop = source(key="shop")
    send_real(shop, HERE)
    look(HERE + timedelta(minutes=1))
    assert EventHour.objects.count() == 0
    send_real(shop, HERE + timedelta(minutes=2), 20)
    look(HERE + timedelta(minutes=4))
    send_real(shop, HERE + timedelta(minutes=5), 10, event="Cart Viewed")
    look(HERE + timedelta(minutes=7), HERE + timedelta(minutes=7, seconds=30))
    assert dict(EventHour.objects.values_list("event", "volume")) == {"Order Completed": 20, "Cart Viewed": 10}
    (hour,) = SourceHour.objects.all()
    # The first look saw what had come before it; the look half a minute after another is none.
    assert (hour.looks, hour.news, hour.seen) == (3, 3, 60)


def test_a_pause_of_the_product_makes_no_false_hours():
    shop = source(key="shop")
    send_real(shop, HERE)
    look(HERE + timedelta(minutes=1))
    send_real(shop, HERE + 5 * HOUR, 20)
    look(HERE + 6 * HOUR)
    assert EventHour.objects.count() == 0


def test_two_at_once_look_once():
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    shop = source(key="shop")
    counted(shop)
    look(HERE, HERE)
    assert SourceHour.objects.get().looks == 1


def test_looks_with_few_statements_however_many_sources_there_are():
    for number in range(3):
        counted(source(key=f"source-{number}"))
    look(HERE)
    with CaptureQueriesContext(connection) as few:
        look(HERE + HOUR + LOOK)
    for number in range(3, 20):
        counted(source(key=f"source-{number}"))
    with CaptureQueriesContext(connection) as many:
        look(HERE + HOUR + 3 * LOOK)
    # What differs is what opens and is told, not how many sources there are.
    assert max(len(few), len(many)) <= 25


# --- What people do ---------------------------------------------------------------------------------------------------


def open_spike(key="shop"):
    """Open a spike of a source and return the alert's id."""
    counted(source(key=key), per_hour=100)
    count(source(key=key), HERE, 5000)
    look_every(HERE + timedelta(minutes=20), 5)
    return Alert.objects.get(source__key=key, state="open").pk


def test_reminds_once_a_day_unless_somebody_acknowledged(ivo_is_told, outbox):
    alert = open_spike()
    assert len(mails(outbox)) == 1
    day = timedelta(days=1)
    for number in range(1, 30):
        count(source(key="shop"), HERE + number * HOUR, 5000)
    look_every(HERE + timedelta(minutes=30), 25 * 60, step=30)
    (mail,) = mails(outbox)
    assert "Still open:" in mail
    answer = api("sources:write").post(f"/api/v1/alerts/{alert}/acknowledge", {"reason": "Sale"}, format="json")
    assert answer.status_code == 200, answer.content
    assert (answer.json()["reason"], answer.json()["acknowledged_by"][:4]) == ("Sale", "key:")
    look_every(HERE + day + timedelta(minutes=90), 2 * 60, step=30)
    assert mails(outbox) == []


def test_mutes_what_an_alert_is_about(ivo_is_told, outbox):
    channel = AlertChannel.objects.get()
    AlertChannel.objects.update(enabled=False)
    alert = open_spike()
    AlertChannel.objects.update(enabled=True)
    writer = api("sources:write")
    answer = writer.post(f"/api/v1/alerts/{alert}/mute", {"reason": "Known"}, format="json")
    assert (answer.status_code, answer.json()["muted"], answer.json()["muted_until"]) == (200, True, None)
    look(HERE + timedelta(minutes=40))
    assert mails(outbox) == []
    (mute,) = api("sources:read").get("/api/v1/alert-mutes").json()["results"]
    assert (mute["kind"], mute["source"], mute["reason"]) == ("spike", "shop", "Known")
    assert writer.delete(f"/api/v1/alert-mutes/{mute['id']}").status_code == 204
    assert writer.delete(f"/api/v1/alert-mutes/{mute['id']}").status_code == 404
    look(HERE + timedelta(minutes=45))
    assert len(mails(outbox)) == 1
    assert channel.pk
    assert set(AuditEntry.objects.filter(action__startswith="alert.").values_list("action", flat=True)) == {
        "alert.opened",
        "alert.muted",
        "alert.unmuted",
    }


def test_refuses_to_acknowledge_what_is_over_and_to_mute_without_a_reason():
    alert = open_spike()
    writer = api("sources:write")
    bad = writer.post(f"/api/v1/alerts/{alert}/mute", {"reason": " "}, format="json")
    assert (bad.status_code, faults(bad.json())[0][0]) == (400, "reason")
    past = writer.post(f"/api/v1/alerts/{alert}/mute", {"reason": "x", "until": "2020-01-01T00:00:00Z"}, format="json")
    assert (past.status_code, faults(past.json())) == (400, [("until", "alert.invalid")])
    Alert.objects.update(state="resolved", resolved_at=HERE)
    over = writer.post(f"/api/v1/alerts/{alert}/acknowledge", {}, format="json")
    assert (over.status_code, over.json()["code"]) == (409, "alert.is_over")
    assert writer.post("/api/v1/alerts/999999/acknowledge", {}, format="json").status_code == 404
    assert api("sources:read").post(f"/api/v1/alerts/{alert}/acknowledge", {}, format="json").status_code == 403
    assert api("profiles:read").get("/api/v1/alerts").status_code == 403
    assert api("sources:read").get("/api/v1/alerts", {"state": "pending"}).status_code == 400


def test_rules_say_what_is_watched_and_whom_it_is_told(ivo_is_told, outbox):
    other = create_channel(kind="email", target="ana@house.example", name="", actor="system", now=HERE)
    writer = api("sources:write")
    rule = {"source": "shop", "kind": "spike", "channels": [str(other.pk)]}
    source(key="shop")
    answer = writer.put("/api/v1/alert-rules", rule, format="json")
    assert answer.status_code == 200, answer.content
    assert answer.json() == {**rule, "enabled": True, "sensitivity": "normal"}
    open_spike()
    (mail,) = mails(outbox)
    assert "To: ana@house.example" in mail
    # Switched off, what is open ends without a word of it being good.
    answer = writer.put("/api/v1/alert-rules", {"kind": "spike", "source": "shop", "enabled": False}, format="json")
    assert answer.status_code == 200
    look_every(HERE + timedelta(minutes=30), 5)
    assert standing() == []
    address = "/api/v1/alert-rules?source=shop&kind=spike"
    assert [writer.delete(address).status_code for _ in range(2)] == [204, 204]
    rules = api("sources:read").get("/api/v1/alert-rules").json()["results"]
    assert [one["kind"] for one in rules] == ["outage", "silence", "spike", "drop", "rejected", "missing"]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"kind": "noise"}, "kind"),
        ({"kind": "outage", "source": "shop"}, "source"),
        ({"kind": "spike", "sensitivity": "extreme"}, "sensitivity"),
        ({"kind": "spike", "channels": ["999"]}, "channels"),
        ({"kind": "spike", "colour": "red"}, "colour"),
    ],
)
def test_refuses_rules_that_make_no_sense(body, path):
    source(key="shop")
    answer = api("sources:write").put("/api/v1/alert-rules", body, format="json")
    assert (answer.status_code, [place for place, _ in faults(answer.json())]) == (400, [path])


def test_sensitivity_decides():
    shop = source(key="shop")
    counted(shop, per_hour=100)
    count(shop, HERE, 190)
    look_every(HERE + timedelta(minutes=20), 5)
    assert told() == []
    set_rule(source="shop", kind="spike", settings=RuleSettings(True, "high"), actor="system", now=HERE)
    look_every(HERE + timedelta(minutes=30), 5)
    assert told() == [("open", "spike", "shop")]


# --- Webhooks ---------------------------------------------------------------------------------------------------------


def test_signs_as_standard_webhooks_does():
    body = (
        b'{"type":"contact.created","timestamp":"2022-11-03T20:26:10.344522Z",'
        b'"data":{"id":"1f81eb52-5198-4599-803e-771906343485"}}'
    )
    moment = timezone.datetime.fromtimestamp(1674087231, tz=HERE.tzinfo)
    headers = sign(
        secret="whsec_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB",
        webhook_id="msg_2KWPBgLlAfxdpx2AI54pPJ85f4W",
        body=body,
        now=moment,
    )
    assert headers["webhook-signature"] == "v1,YR0kwLVOTYZHq4ZgXGYpi/MoMzVzebep1gSxQXanFMY="
    assert headers["webhook-timestamp"] == "1674087231"


def hook(url):
    made = api("sources:write").post("/api/v1/alert-channels", {"kind": "webhook", "target": url}, format="json")
    assert made.status_code == 201, made.content
    return made.json()


def deliver():
    """Run what waits, as if its time had come."""
    Job.objects.filter(status="queued").update(run_at=timezone.now())
    run_jobs()


def test_delivers_a_signed_webhook_and_tries_again_with_the_same_id(settings):
    settings.CDP_OUTGOING_ALLOW = LOCAL
    answers = iter([(500, {}, b""), (429, {"Retry-After": "1800"}, b""), (200, {}, b"ok")])
    with OtherServer(reply=lambda _: next(answers)) as server:
        channel = hook(f"http://127.0.0.1:{server.port}/hook")
        assert channel["secret"].startswith("whsec_")
        alert = open_spike()
        deliver()
        notice = AlertNotice.objects.get()
        assert (notice.state, notice.attempts, notice.answer) == ("waiting", 1, "It answered with status 500.")
        assert notice.retry_at > timezone.now() + timedelta(seconds=5)
        deliver()
        assert AlertNotice.objects.get().retry_at > timezone.now() + timedelta(minutes=25)
        deliver()
        notice = AlertNotice.objects.get()
        assert (notice.state, notice.attempts) == ("delivered", 3)
        assert len(server.received) == 3
        assert {one.headers["webhook-id"] for one in server.received} == {notice.webhook_id}
        last = server.received[-1]
        body = Webhook(channel["secret"]).verify(last.body, last.headers)
    assert body["type"] == "alerts.changed"
    assert body["data"]["opened"]["count"] == 1
    assert body["data"]["opened"]["alerts"][0]["id"] == str(alert)
    assert body["data"]["opened"]["alerts"][0]["source"] == "shop"
    shown = api("sources:write").get(f"/api/v1/alert-channels/{channel['id']}").json()
    assert (shown["problem"], shown["delivered_at"] is None) == ("", False)


def test_a_receiver_that_is_gone_for_good_is_switched_off(settings):
    settings.CDP_OUTGOING_ALLOW = LOCAL
    with OtherServer(reply=lambda _: (410, {}, b"")) as server:
        channel = hook(f"http://127.0.0.1:{server.port}/hook")
        tested = api("sources:write").post(f"/api/v1/alert-channels/{channel['id']}/test")
        assert (tested.status_code, tested.json()["state"]) == (202, "waiting")
        deliver()
        assert json.loads(server.received[0].body)["type"] == "alerts.test"
    shown = api("sources:write").get(f"/api/v1/alert-channels/{channel['id']}").json()
    assert (shown["enabled"], "410" in shown["problem"]) == (False, True)
    again = api("sources:write").post(f"/api/v1/alert-channels/{channel['id']}/test")
    assert again.status_code == 400
    turned = api("sources:write").patch(f"/api/v1/alert-channels/{channel['id']}", {"enabled": True}, format="json")
    assert (turned.json()["enabled"], turned.json()["problem"]) == (True, "")


def test_gives_up_after_some_hours(settings):
    settings.CDP_OUTGOING_ALLOW = LOCAL
    with OtherServer() as server:
        hook(f"http://127.0.0.1:{server.port}/hook")
    channel = AlertChannel.objects.get()
    api("sources:write").post(f"/api/v1/alert-channels/{channel.pk}/test")
    for _ in range(12):
        deliver()
    notice = AlertNotice.objects.get()
    assert (notice.state, notice.attempts) == ("failed", 12)
    assert "Given up after 12 attempts." in notice.answer
    assert Job.objects.get().status == "done"
    assert read_secret(channel).startswith("whsec_")


def test_never_calls_what_the_installation_must_not(settings):
    settings.CDP_OUTGOING_ALLOW = LOCAL
    with OtherServer() as server:
        channel = hook(f"http://127.0.0.1:{server.port}/hook")
        settings.CDP_OUTGOING_ALLOW = []
        api("sources:write").post(f"/api/v1/alert-channels/{channel['id']}/test")
        deliver()
        assert server.received == []
    assert AlertNotice.objects.get().state == "failed"
    for target in ("http://169.254.169.254/latest", "ftp://x.example/", "nonsense"):
        refused = api("sources:write").post(
            "/api/v1/alert-channels", {"kind": "webhook", "target": target}, format="json"
        )
        assert 400 <= refused.status_code < 500, refused.content


def test_channels_are_for_who_may_change_sources(outbox):
    writer = api("sources:write")
    made = writer.post("/api/v1/alert-channels", {"kind": "email", "target": "Ivo@House.example"}, format="json")
    assert (made.status_code, made.json()["target"], made.json()["name"]) == (201, *["ivo@house.example"] * 2)
    again = writer.post("/api/v1/alert-channels", {"kind": "email", "target": "ivo@house.example"}, format="json")
    assert (again.status_code, again.json()["code"]) == (409, "alert.channel_exists")
    bad = writer.post("/api/v1/alert-channels", {"kind": "email", "target": "ivo"}, format="json")
    assert (bad.status_code, faults(bad.json())) == (400, [("target", "alert.invalid")])
    assert api("sources:read").get("/api/v1/alert-channels").status_code == 403
    tested = writer.post(f"/api/v1/alert-channels/{made.json()['id']}/test")
    assert tested.status_code == 202
    (mail,) = mails(outbox)
    assert "notices of alerts arrive here" in mail
    assert writer.delete(f"/api/v1/alert-channels/{made.json()['id']}").status_code == 204
    assert writer.get("/api/v1/alert-channels").json()["results"] == []


# --- Pages, keeping, erasure ------------------------------------------------------------------------------------------


def test_pages_show_alerts_and_take_what_people_do_about_them(outbox):
    alert = open_spike()
    browser = signed_in("ada")
    page = browser.get("/alerts").content.decode()
    assert "messages in an hour; 100 are usual." in page
    assert "Nobody is told of alerts yet" in page
    for address in ("/", "/sources/shop"):
        assert "messages in an hour; 100 are usual." in signed_in("ana").get(address).content.decode(), address
    assert browser.post(f"/alerts/{alert}/acknowledged", {"reason": "Sale"})["Location"] == "/alerts"
    assert browser.post(f"/alerts/{alert}/muted", {"reason": "Sale", "hours": "8"})["Location"] == "/alerts"
    page = browser.get("/alerts").content.decode()
    assert "acknowledged" in page
    assert "muted until" in page
    assert browser.post("/alerts/channels", {"kind": "email", "target": "ivo@house.example"}).status_code == 302
    channel = AlertChannel.objects.get()
    for act in ("test", "off", "on"):
        assert browser.post(f"/alerts/channels/{channel.pk}/{act}").status_code == 302
    assert len(mails(outbox)) == 1
    given = {"kind": "drop", "sensitivity": "high", "channels": [channel.pk]}
    assert browser.post("/alerts/rules", {**given, "source": "shop", "enabled": "on"}).status_code == 302
    assert browser.post("/alerts/rules", {**given, "kind": "noise"}, follow=True).status_code == 200
    page = browser.get("/alerts/settings").content.decode()
    assert "ivo@house.example" in page
    assert "high" in page
    assert "Tell again" in page
    assert browser.post("/alerts/rules/removed", {"source": "shop", "kind": "drop"}).status_code == 302
    assert browser.post(f"/alerts/mutes/{AlertMute.objects.get().pk}/removed").status_code == 302
    assert browser.post(f"/alerts/channels/{channel.pk}/delete").status_code == 302
    assert AlertChannel.objects.count() == 0
    reader = signed_in("ana")
    assert "Acknowledge or mute" not in reader.get("/alerts").content.decode()
    assert reader.post(f"/alerts/{alert}/acknowledged").status_code == 403
    Alert.objects.update(state="resolved", resolved_at=HERE)
    assert "messages in an hour" in browser.get("/alerts/history").content.decode()


def test_forgets_what_is_old():
    open_spike()
    Alert.objects.update(state="resolved", resolved_at=HERE)
    keep_watch(HERE + timedelta(days=60))
    assert (Alert.objects.count(), SourceHour.objects.count()) == (1, 0)
    keep_watch(HERE + timedelta(days=91))
    assert Alert.objects.count() == 0


def test_erasure_deletes_names_that_mention_the_person(ivo_is_told):
    shop = source(key="shop")
    EventHour.objects.create(source_id=shop.pk, type="track", event="mail eve@customer.example", hour=HERE, volume=1)
    alert = open_spike()
    api("sources:write").post(f"/api/v1/alerts/{alert}/mute", {"reason": "asked eve@customer.example"}, format="json")
    subject = Subject(
        profile_ids=(), uuids=(), identifiers=(("email", "eve@customer.example"),), identifier_ids=(), lookups=()
    )
    store = WatchedNames()
    assert store.count(subject=subject) == 2
    assert store.export(subject=subject)["alerts"] == ["asked eve@customer.example", "mail eve@customer.example"]
    assert store.erase(subject=subject, limit=10) == 2
    assert (store.count(subject=subject), Alert.objects.count()) == (0, 1)
