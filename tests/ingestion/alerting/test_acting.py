"""What people do about alerts: acknowledge, mute, set rules, say whom to tell; by REST and on the pages."""

from datetime import timedelta

import pytest

from cdp.core.models import AuditEntry
from cdp.core.registries import Subject
from ingestion.alert_models import Alert, AlertChannel, AlertMute, EventHour, SourceHour
from ingestion.personal_data_watching import WatchedNames
from ingestion.services.alerts import RuleSettings, create_channel, set_rule
from ingestion.services.keeping_watch import keep_watch
from tests.ingestion.watching import (
    HERE,
    count,
    counted,
    look,
    look_every,
    mails,
    open_spike,
    source,
    standing,
    told,
)
from tests.world import api, faults, signed_in

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


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
