"""Exports that are made again and again."""

from datetime import UTC, datetime, time, timedelta

import pytest

from cdp.core.models import ApiKey
from segments.models import Segment
from segments.sending.calendar import Rhythm, next_after
from segments.sending_models import Export, ExportSchedule
from segments.services.sending.schedules import make_due_exports
from tests.segments.audience import audience
from tests.world import api

ASKED = {"segment": "all", "purpose": "marketing", "preset": "google_customer_match", "every": "day", "at": "06:30"}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("rhythm", "after", "due"),
    [
        (Rhythm("day", time(6, 30), "UTC"), "2026-03-14T06:30", "2026-03-15T06:30"),
        (Rhythm("day", time(6, 30), "UTC"), "2026-03-14T06:29", "2026-03-14T06:30"),
        # Berlin is at UTC+1, from 29 March 2026 on at UTC+2.
        (Rhythm("day", time(6, 30), "Europe/Berlin"), "2026-03-28T06:00", "2026-03-29T04:30"),
        # 02:30 does not exist on 29 March: an hour later, 03:30 of summer time.
        (Rhythm("day", time(2, 30), "Europe/Berlin"), "2026-03-28T12:00", "2026-03-29T01:30"),
        # 02:30 comes twice on 25 October: the first time, still summer time.
        (Rhythm("day", time(2, 30), "Europe/Berlin"), "2026-10-24T12:00", "2026-10-25T00:30"),
        (Rhythm("day", time(2, 30), "Europe/Berlin"), "2026-10-25T00:30", "2026-10-26T01:30"),
        # 14 March 2026 is a Saturday.
        (Rhythm("week", time(8), "UTC", weekday=0), "2026-03-14T12:00", "2026-03-16T08:00"),
        (Rhythm("month", time(8), "UTC", day=31), "2026-01-31T08:00", "2026-02-28T08:00"),
        (Rhythm("month", time(8), "UTC", day=30), "2028-01-30T08:00", "2028-02-29T08:00"),
    ],
)
def test_is_due_by_the_calendar_of_its_zone(rhythm, after, due):
    assert next_after(rhythm, at(after)) == at(due)


@pytest.mark.django_db
def test_makes_a_file_each_time_and_one_for_all_that_was_missed():
    audience(["ana"])
    made = api("segments:write").post("/api/v1/export-schedules", ASKED, format="json")
    assert made.status_code == 201
    first = ExportSchedule.objects.get().next_at
    assert make_due_exports(now=first - timedelta(seconds=1)) == 0
    assert make_due_exports(now=first) == 1
    assert make_due_exports(now=first) == 0
    later = first + timedelta(days=5, hours=1)
    assert make_due_exports(now=later) == 1
    assert [row.preset for row in Export.objects.all()] == ["google_customer_match"] * 2
    assert ExportSchedule.objects.get().next_at == first + timedelta(days=6)


@pytest.mark.django_db
def test_stops_when_whoever_set_it_up_may_no_longer_export():
    audience(["ana"])
    client = api("segments:write", name="nightly")
    made = client.post("/api/v1/export-schedules", ASKED, format="json").json()
    due = ExportSchedule.objects.get().next_at
    ApiKey.objects.filter(name="nightly").update(revoked_at=due)
    make_due_exports(now=due)
    other = api("segments:write")
    shown = other.get(f"/api/v1/export-schedules/{made['id']}").json()
    assert (shown["enabled"], Export.objects.count()) == (False, 0)
    assert "no longer" in shown["fault"]
    again = other.patch(f"/api/v1/export-schedules/{made['id']}", {"enabled": True}, format="json").json()
    assert (again["enabled"], again["fault"]) == (True, None)
    make_due_exports(now=ExportSchedule.objects.get().next_at)
    assert Export.objects.count() == 1


@pytest.mark.django_db
def test_waits_for_the_next_time_while_the_segment_is_a_draft():
    made = audience(["ana"])
    api("segments:write").post("/api/v1/export-schedules", ASKED, format="json")
    due = ExportSchedule.objects.get().next_at
    Segment.objects.filter(pk=made.pk).update(status="draft")
    make_due_exports(now=due)
    schedule = ExportSchedule.objects.get()
    assert (schedule.enabled, schedule.next_at) == (True, due + timedelta(days=1))
    assert "not live" in schedule.fault


@pytest.mark.django_db
def test_is_listed_paused_and_deleted():
    audience([])
    client = api("segments:write")
    made = client.post("/api/v1/export-schedules", {**ASKED, "timezone": "Nowhere"}, format="json")
    assert (made.status_code, made.json()["errors"][0]["path"]) == (400, "timezone")
    made = client.post("/api/v1/export-schedules", {**ASKED, "every": "week", "weekday": 4}, format="json").json()
    (shown,) = client.get("/api/v1/export-schedules").json()["results"]
    assert shown == made
    assert (shown["every"], shown["weekday"], shown["at"]) == ("week", 4, "06:30")
    address = f"/api/v1/export-schedules/{made['id']}"
    assert client.patch(address, {"enabled": False}, format="json").json()["next_at"] is None
    assert client.delete(address).status_code == 204
    assert client.get(address).status_code == 404
    assert api("segments:read").post("/api/v1/export-schedules", ASKED, format="json").status_code == 403
