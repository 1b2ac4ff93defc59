"""The watch over time: real messages, moved clocks and an outbox folder."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cdp.core.models import AuditEntry
from cdp.core.services.jobs import run_jobs
from ingestion.alert_models import Alert, EventHour, SourceHour
from ingestion.models import InboxEntry, Outcome
from ingestion.queries.alerts import read_learning
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
from tests.profiles.sending import process, put, track
from tests.world import api

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


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
