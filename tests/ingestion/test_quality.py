"""Quality: measured from messages that were really sent, scored, and led back to them."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from cdp.core.models import AuditEntry, Job
from cdp.core.registries import Subject
from cdp.core.services.jobs import run_jobs
from ingestion.models import (
    FedIdentifier,
    KnownValue,
    Message,
    QualityAgreement,
    QualityCount,
    QualityRule,
    QualityState,
    Source,
)
from ingestion.personal_data import KnownValues, NamesSeen, QualityRules
from ingestion.queries.write_keys import forget_write_keys
from ingestion.services import measuring
from ingestion.services.discovering import forget_discovered
from ingestion.services.measuring import keep_quality, start_measuring
from tests.ingestion.door import make_source, post, process
from tests.world import api, faults, signed_in

pytestmark = pytest.mark.django_db
QUALITY = "/api/v1/sources/shop/quality"
RULES = f"{QUALITY}/rules"


@pytest.fixture
def key():
    forget_discovered()
    return make_source("shop")


def order(number, user="dana-1", **properties):
    return {
        "type": "track",
        "event": "Order Completed",
        "userId": user,
        "messageId": str(number),
        "properties": properties,
    }


def identify(number, user="dana-1", **traits):
    return {"type": "identify", "userId": user, "messageId": f"i-{number}", "traits": traits}


def send(key, *items):
    assert post("/v1/batch", {"batch": list(items)}, key).status_code == 200
    process()


def measure():
    """Let the job look at what came."""
    job = start_measuring(now=timezone.now())
    run_jobs()
    if job is not None:
        job.refresh_from_db()
        assert (job.status, job.error) == ("done", "")
    return job


def report(key="shop", **query):
    answer = api("sources:read").get(f"/api/v1/sources/{key}/quality", query)
    assert answer.status_code == 200, answer.content
    return answer.json()


def field(found, name, event="Order Completed"):
    (one,) = [one for one in found["fields"] if (one["event"], one["field"]) == (event, name)]
    return one


def offenders(dimension, *scopes, source="shop", **query):
    client = api("sources:read", *scopes)
    answer = client.get(f"/api/v1/sources/{source}/quality/messages", {"dimension": dimension, **query})
    assert answer.status_code == 200, answer.content
    return answer.json()


ORDERS = {"type": "track", "event": "Order Completed"}


def test_measures_what_fields_hold(key):
    send(key, order(1, total=1, coupon="A"), order(2, total="2"), order(3, total=3, coupon=" "), order(4, total=4))
    assert report()["score"] is not None  # of outcomes alone
    measure()
    found = report()
    total, coupon = field(found, "total"), field(found, "coupon")
    assert (total["kind"], total["filled"], total["odd"], total["expected"]) == ("number", 4, 1, True)
    assert total["dimensions"]["completeness"] == 100
    assert total["dimensions"]["validity"] == 75
    # One of four came with a text that says something: too seldom to be expected.
    assert (coupon["filled"], coupon["expected"], coupon["dimensions"]["completeness"]) == (1, False, 25)
    assert found["dimensions"]["completeness"] == 100
    # Four sound values of five, no message stopped.
    assert found["dimensions"]["validity"] == 80
    assert (found["received"], found["measured"], found["late"]) == (4, 4, 0)
    assert found["dimensions"]["timeliness"] == 100
    assert found["dimensions"]["uniqueness"] == 100
    assert found["dimensions"]["conformity"] is None
    assert found["dimensions"]["consistency"] is None
    # (25 * 100 + 25 * 80 + 15 * 100 + 10 * 100) / 75
    assert found["score"] == 93.3
    assert [event["messages"] for event in found["events"]] == [4]


def test_counts_each_message_once_in_any_number_of_runs(key):
    assert measure() is None
    send(key, order(1, total=1))
    measure()
    assert measure() is None
    send(key, order(2, total=1), order(1, total=1))
    measure()
    found = report()
    assert field(found, "total")["filled"] == 2
    assert (found["received"], found["duplicates"]) == (3, 1)
    # Two of three messages are the first of their kind.
    assert found["dimensions"]["uniqueness"] == 66.7
    copies = offenders("uniqueness")["results"]
    assert [one["copies"] for one in copies] == [2]


def test_never_runs_twice_at_once_and_goes_on_where_it_stopped(key, monkeypatch):
    monkeypatch.setattr(measuring, "STEP", 2)
    send(key, *[order(number, total=1) for number in range(5)])
    now = timezone.now()
    first = Message.objects.order_by("id").values_list("id", flat=True)[0]
    QualityState.objects.create(after_id=first - 1, measured_at=now)
    job = start_measuring(now=now)
    assert start_measuring(now=now) is None
    assert Job.objects.filter(kind=measuring.JOB).count() == 1
    run_jobs(seconds=0)
    half = QualityState.objects.get().after_id
    assert half < job.arguments["until"]
    run_jobs()
    assert QualityState.objects.get().after_id == job.arguments["until"]
    assert field(report(), "total")["filled"] == 5


def test_looks_at_fewer_of_many_and_says_about_as_much(key, monkeypatch):
    monkeypatch.setattr(measuring, "MOST_LOOKED", 10)
    send(key, *[order(number, total=1) for number in range(40)])
    first = Message.objects.order_by("id").values_list("id", flat=True)[0]
    QualityState.objects.create(after_id=first - 1, measured_at=timezone.now())
    job = measure()
    assert job.arguments["every"] == 4
    found = field(report(), "total")
    # Ten of forty are looked at, and count as four each.
    assert (found["filled"], found["messages"]) == (40, 40)


def test_leads_to_the_messages_behind_a_number(key):
    send(key, order(1, total=1), order(2, total="x"), order(3), order(4, total=4))
    measure()
    missing = offenders("completeness", field="total", **ORDERS)
    assert (missing["looked"], missing["whole"]) == (4, True)
    assert [one["value"] for one in missing["results"]] == [None]
    odd = offenders("validity", "personal_data:read", field="total", **ORDERS)["results"]
    assert [one["value"] for one in odd] == ["x"]
    page = signed_in("ivo").get(f"/messages/{odd[0]['id']}")
    assert page.status_code == 200
    # Without the right the value is masked, like in the debugger.
    masked = offenders("validity", field="total", **ORDERS)["results"]
    assert masked[0]["value"] != "x"


def test_finds_late_messages_and_tells_how_late(key):
    then = (datetime.now(UTC) - timedelta(hours=3)).isoformat()
    send(key, {**order(1), "timestamp": then}, order(2), order(3), order(4))
    measure()
    found = report()
    assert (found["late"], found["dimensions"]["timeliness"]) == (1, 75)
    assert found["p50_seconds"] < 60
    assert 3600 < found["p95_seconds"] <= 6 * 3600
    late = offenders("timeliness")["results"]
    assert [one["event"] for one in late] == ["Order Completed"]
    assert datetime.fromisoformat(late[0]["occurred_at"]) < datetime.fromisoformat(late[0]["received_at"])


def test_judges_how_well_an_expected_frequency_is_kept(key):
    send(key, order(1))
    Source.objects.update(expected_every_minutes=60, created_at=timezone.now() - timedelta(hours=10))
    since = (timezone.now() - timedelta(hours=4)).isoformat()
    found = report(since=since)
    # Four whole hours without a message; the one that came is in the hour that has not ended.
    assert found["frequency_kept"] == 0
    assert found["dimensions"]["timeliness"] == 0
    assert found["by"] == "hour"


def test_counts_what_the_plan_and_the_cleaning_find(key):
    rule = {
        **ORDERS,
        "schema": {"type": "object", "required": ["order_id"], "properties": {"total": {"type": "number"}}},
    }
    plan = {"rules": [rule]}
    assert api("sources:write").put("/api/v1/tracking-plans/shop", plan, format="json").status_code == 200
    send(key, order(1, total=1), order(2, total=2), order(3, total="x", order_id="o-3"))
    measure()
    found = report()
    # The plan asks for it, so it is expected though it comes seldom.
    number = field(found, "order_id")
    assert (number["expected"], number["dimensions"]["completeness"]) == (True, 33.3)
    total = field(found, "total")
    # One value that is odd and breaks the plan is one bad value with two faults, at most all three are bad.
    assert (total["odd"], total["faults"], total["dimensions"]["validity"]) == (1, 1, 33.3)
    broken = offenders("validity", "personal_data:read", field="total", **ORDERS)["results"]
    assert [one["value"] for one in broken] == ["x"]


def test_takes_stopped_messages_from_validity_but_not_those_left_out_by_a_filter(key):
    steps = [{"op": "filter", "when": {"event": "Heartbeat"}}]
    address = "/api/v1/sources/shop/transformations"
    assert api("sources:write").put(address, {"steps": steps}, format="json").status_code == 200
    forget_write_keys()
    send(key, {**order(1), "event": "Heartbeat"}, order(2), order(3), {"type": "track", "userId": "dana-1"})
    measure()
    found = report()
    assert (found["received"], found["faulty"]) == (4, 1)
    # Of four messages one was put into quarantine; the heartbeat was left out on purpose.
    assert found["dimensions"]["validity"] == 75


def save_rule(**rule):
    return api("sources:write").post(RULES, {**ORDERS, **rule}, format="json")


def test_holds_fields_against_rules(key):
    saved = save_rule(field="total", minimum=0, maximum=100)
    assert saved.status_code == 201
    assert save_rule(field="currency", allowed=["EUR", "CHF"], required=True).status_code == 201
    send(key, order(1, total=5, currency="EUR"), order(2, total=-5), order(3, total="7", currency="USD"), order(4))
    measure()
    found = report()
    total, currency = field(found, "total"), field(found, "currency")
    assert (total["checked"], total["broken"], total["dimensions"]["conformity"]) == (3, 1, 66.7)
    assert (currency["checked"], currency["broken"], currency["expected"]) == (2, 1, True)
    # Three of five values keep their rule.
    assert found["dimensions"]["conformity"] == 60
    broken = offenders("conformity", "personal_data:read", field="currency", **ORDERS)["results"]
    assert [one["value"] for one in broken] == ["USD"]
    listed = api("sources:read").get(RULES).json()["results"]
    assert [one["field"] for one in listed] == ["currency", "total"]
    # The same field again: its rule is replaced.
    assert save_rule(field="total", minimum=1).status_code == 201
    (only,) = [one for one in api("sources:read").get(RULES).json()["results"] if one["field"] == "total"]
    assert (only["minimum"], only["maximum"]) == (1, None)
    assert api("sources:write").delete(f"{RULES}/{only['id']}").status_code == 204
    assert api("sources:write").delete(f"{RULES}/{only['id']}").status_code == 404
    assert QualityRule.objects.count() == 1


@pytest.mark.parametrize(
    ("rule", "path"),
    [
        ({"field": "total"}, "required"),
        ({"field": "total", "minimum": 2, "maximum": 1}, "maximum"),
        ({"field": "", "minimum": 2}, "field"),
        ({"field": "dana@customer.example", "minimum": 2}, "field"),
        ({"field": "total", "event": "", "minimum": 2}, "event"),
        ({"field": "total", "type": "identify", "minimum": 2}, "event"),
        ({"field": "total", "allowed": [" "]}, "allowed"),
        ({"field": "total", "least": 1}, "least"),
        ({"field": "total", "known_in": {"source": "shop", "event": "", "field": "id"}}, "known_event"),
    ],
)
def test_refuses_a_rule_that_asks_nothing_sensible(key, rule, path):
    answer = save_rule(**rule)
    assert answer.status_code == 400
    assert faults(answer.json())[0][0].startswith(path)
    assert not QualityRule.objects.exists()


def test_holds_references_against_what_another_source_names(key):
    catalogue = make_source("catalogue")
    product = {"type": "track", "event": "Product Added", "userId": "system"}
    send(catalogue, {**product, "messageId": "p1", "properties": {"id": "p-1"}})
    known_in = {"source": "catalogue", "event": "Product Added", "field": "id"}
    saved = save_rule(field="product_id", known_in=known_in)
    assert (saved.status_code, saved.json()["learned"]) == (201, False)
    # What was sent before is looked through by a job.
    run_jobs()
    assert QualityRule.objects.get().is_learned
    # What comes now is learned while it is measured.
    send(catalogue, {**product, "messageId": "p2", "properties": {"id": 2}})
    send(key, order(1, product_id="p-1"), order(2, product_id="2"), order(3, product_id="p-9"), order(4))
    measure()
    found = field(report(), "product_id")
    assert (found["referred"], found["unknown"], found["dimensions"]["conformity"]) == (3, 1, 66.7)
    unknown = offenders("conformity", "personal_data:read", field="product_id", **ORDERS)["results"]
    assert [one["value"] for one in unknown] == ["p-9"]
    assert KnownValue.objects.count() == 2
    nobody = api("sources:write").post(
        RULES, {**ORDERS, "field": "x", "known_in": {**known_in, "source": "none"}}, format="json"
    )
    assert nobody.status_code == 404


def test_compares_what_sources_say_of_the_same_person(key):
    crm = make_source("crm")
    send(crm, identify(1, name="Dana Dale", plan="gold", city="Rome"))
    send(key, identify(2, name=" dana  DALE", plan="silver"))
    measure()
    for name in ("shop", "crm"):
        found = report(name)
        same = {one["trait"]: (one["compared"], one["agreed"]) for one in found["agreement"]}
        assert same == {"name": (1, 1), "plan": (1, 0)}
        assert found["dimensions"]["consistency"] == 50
    disagreeing = offenders("consistency", "personal_data:read", type="identify", field="plan")["results"]
    assert [(one["value"], one["other_value"], one["other_source"]) for one in disagreeing] == [
        ("silver", "gold", "crm")
    ]
    assert offenders("consistency", type="identify", field="name")["results"] == []


def test_tells_the_inventory_which_identifiers_come_and_how_good_the_source_is(key):
    send(key, identify(1, email="dana@customer.example"))
    measure()
    (one,) = api("sources:read").get("/api/v1/inventory").json()["results"]
    assert one["identifiers"] == ["email", "user_id"]
    assert one["score"] == report()["score"] == 100
    assert FedIdentifier.objects.count() == 2


def test_folds_past_hours_into_days_and_deletes_old_ones(key, settings):
    send(key, order(1, total=1), order(2, total="x"))
    measure()
    before = report(since=(timezone.now() - timedelta(days=6)).isoformat())
    day = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=3)
    QualityCount.objects.update(hour=day + timedelta(hours=5))
    first, *_ = QualityCount.objects.filter(field="").order_by("id")
    twin = QualityCount.objects.get(pk=first.pk)
    twin.pk = None
    twin.hour = day + timedelta(hours=7)
    twin.save()
    keep_quality(timezone.now())
    folded = QualityCount.objects.get(field="")
    assert (folded.hour, folded.messages) == (day, 4)
    assert sum(folded.delays) == 4
    assert QualityCount.objects.count() == 2
    keep_quality(timezone.now())
    assert QualityCount.objects.count() == 2
    after = report(since=(timezone.now() - timedelta(days=6)).isoformat())
    assert field(after, "total")["filled"] == field(before, "total")["filled"]
    assert after["by"] == "day"
    QualityAgreement.objects.create(
        source_id=1, other_id=2, hour=day - timedelta(days=400), trait="x", compared=1, agreed=1
    )
    keep_quality(timezone.now() + timedelta(days=settings.CDP_CHANGE_DAYS))
    assert not QualityCount.objects.exists()
    assert not QualityAgreement.objects.exists()


def test_shows_the_course_by_day(key):
    send(key, order(1, total=1))
    measure()
    found = report()
    # The last seven days and today.
    assert len(found["series"]) == 8
    assert found["series"][-1]["score"] == found["score"]
    assert found["series"][0]["score"] is None


@pytest.mark.parametrize(
    ("address", "path"),
    [
        (f"{QUALITY}?since=yesterday", "since"),
        (f"{QUALITY}?since=2026-01-02&until=2026-01-01", "until"),
        (f"{QUALITY}?since=2001-01-01", "until"),
        (f"{QUALITY}/messages", "dimension"),
        (f"{QUALITY}/messages?dimension=beauty", "dimension"),
        (f"{QUALITY}/messages?dimension=validity", "field"),
        (f"{QUALITY}/messages?dimension=validity&type=tracks&field=a", "type"),
    ],
)
def test_says_what_is_wrong_with_a_question(key, address, path):
    answer = api("sources:read").get(address)
    assert answer.status_code == 400
    assert [fault[0] for fault in faults(answer.json())] == [path]


def test_lets_only_who_may(key):
    for address in (QUALITY, f"{QUALITY}/messages?dimension=timeliness", RULES):
        assert api().get(address).status_code == 401
        assert api("segments:read").get(address).status_code == 403
    assert api("sources:read").post(RULES, {}, format="json").status_code == 403
    assert api("sources:read").get("/api/v1/sources/none/quality").status_code == 404
    for address in ("/sources/shop/quality", "/sources/shop/quality/rules"):
        assert signed_in("cy").get(address).status_code == 403
        assert signed_in("ana").get(address).status_code == 200
    assert signed_in("ana").post("/sources/shop/quality/rules", {}).status_code == 403
    assert "Save the rule" not in signed_in("ana").get("/sources/shop/quality/rules").content.decode()


def page(address, who="ivo"):
    answer = signed_in(who).get(address)
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", answer.content.decode())


def test_shows_scores_in_words_and_leads_to_messages(key):
    assert "Nothing was measured in this time" in page("/sources/shop/quality")
    send(key, order(1, total=1, currency="EUR"), order(2, total="secret@x.example"), order(3, total=2, currency="EUR"))
    measure()
    text = page("/sources/shop/quality")
    chart = json.loads(re.search(r'id="quality-data" type="application/json">(.*?)</script>', text)[1])
    assert chart["series"][0]["label"] == "Score"
    assert chart["series"][0]["values"][-1] is not None
    assert "1 of 5 values are of an unusual kind" in text.replace("\u202f", " ")
    assert "Nothing was held against a rule yet" in text
    link = re.search(r'href="(/sources/shop/quality/messages\?dimension=completeness[^"]*)"', text)[1]
    listed = page(link.replace("&amp;", "&"))
    assert listed.count('<th scope="row">') == 1
    link = re.search(r'href="(/sources/shop/quality/messages\?dimension=validity[^"]*)"', text)[1]
    assert "secret@x.example" not in page(link.replace("&amp;", "&"))
    assert "secret@x.example" in page(link.replace("&amp;", "&"), who="ada")
    assert "currency" not in page("/sources/shop/quality?of=Nothing").partition('id="fields"')[2]
    for days in ("1", "30", "90", "nonsense"):
        assert "Order Completed" in page(f"/sources/shop/quality?days={days}")


def test_measures_at_once_when_asked(key):
    address = "/sources/shop/quality/measure"
    assert signed_in("ana").post(address).status_code == 403
    send(key, order(1, total=1))
    browser = signed_in("ivo")
    assert browser.post(address).status_code == 302
    assert "Measuring has begun" in browser.get("/sources/shop/quality").content.decode()
    run_jobs()
    assert QualityCount.objects.filter(field="total").exists()
    browser.post(address)
    assert "Nothing new has come" in browser.get("/sources/shop/quality").content.decode()


def test_makes_and_takes_away_rules_in_the_browser(key):
    browser = signed_in("ivo")
    address = "/sources/shop/quality/rules"
    assert "No rule yet" in browser.get(address).content.decode()
    given = {"event": "Order Completed", "field": "currency", "allowed": "EUR\nCHF\n", "required": "on"}
    assert browser.post(address, given).status_code == 302
    row = QualityRule.objects.get()
    assert (row.type, row.event, row.allowed, row.is_required) == ("track", "Order Completed", ["EUR", "CHF"], True)
    assert browser.post(address, {"event": "identify", "field": "age", "minimum": "18"}).status_code == 302
    assert QualityRule.objects.get(field="age").type == "identify"
    for wrong, said in [
        ({"event": "e", "field": "f"}, "Ask something"),
        ({"event": "e", "field": "f", "minimum": "2", "maximum": "1"}, "below the smallest"),
        ({"event": "e", "field": "f", "known_source": "shop"}, "Name it"),
    ]:
        refused = browser.post(address, wrong)
        assert refused.status_code == 422
        assert said in refused.content.decode()
    assert browser.post(f"{address}/{row.pk}/delete").status_code == 302
    assert QualityRule.objects.count() == 1
    assert AuditEntry.objects.filter(action="quality_rule.deleted").count() == 1


def test_forgets_a_person_who_is_named_in_rules_and_counts(key):
    subject = Subject((), (), (("email", "dana@customer.example"), ("user_id", "p-1")), (), ())
    save_rule(field="to", allowed=["dana@customer.example", "EUR"])
    catalogue = make_source("catalogue")
    send(
        catalogue,
        {"type": "track", "event": "Product Added", "userId": "s", "messageId": "1", "properties": {"id": "p-1"}},
    )
    save_rule(field="product_id", known_in={"source": "catalogue", "event": "Product Added", "field": "id"})
    run_jobs()
    QualityCount.objects.create(
        source_id=1,
        hour=timezone.now(),
        type="track",
        event="Mail to dana@customer.example",
        field="",
        messages=1,
        **dict.fromkeys(measuring.NAMES, 0),
    )
    for store in (KnownValues(), QualityRules(), NamesSeen()):
        assert store.count(subject=subject) == 1, store.name
        store.export(subject=subject)
        assert store.erase(subject=subject, limit=10) == 1
        assert store.count(subject=subject) == 0
    assert QualityRule.objects.get(field="to").allowed == ["erased", "EUR"]
