"""Pages of exports and destinations."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from guardian.shortcuts import assign_perm

from cdp.core.services.jobs import run_jobs
from segments.sending_models import Destination, Export, ExportSchedule
from segments.ui.sending_forms import read_column_lines, write_column_lines
from tests.listening import LOCAL, OtherServer
from tests.segments.audience import audience, decide
from tests.segments.delivering import deliver, destination
from tests.world import signed_in, staff

pytestmark = pytest.mark.django_db
MOST_STATEMENTS = 15


@pytest.fixture(autouse=True)
def _open_to_this_machine(settings):
    settings.CDP_OUTGOING_ALLOW = LOCAL


@pytest.fixture
def other():
    with OtherServer() as server:
        yield server


ASKED = {"segment": "all", "purpose": "marketing", "channel": "email", "recipient": "Us", "format": "csv"}


def test_an_export_is_asked_for_followed_and_fetched():
    audience(["ana", "ben"])
    decide("ben", "withdrawn")
    browser = signed_in("ada")
    columns = "E-mail = email\ntrait:city | hash_city"
    made = browser.post("/exports/new", {**ASKED, "preset": "columns", "columns": columns})
    assert made.status_code == 302, made.content.decode()[:3000]
    assert b"running" in browser.get(made.url).content
    run_jobs()
    page = browser.get(f"{made.url}/progress").content.decode()
    assert "withdrawn" in page
    assert "Fetch the file" in page
    raw = b"".join(browser.get(f"{made.url}/file").streaming_content).decode()
    assert raw.splitlines()[0] == "E-mail,city"
    assert raw.splitlines()[1].startswith("ana@customer.example,")
    assert b"all" in browser.get("/exports").content
    browser.post(f"{made.url}/delete")
    assert not Export.objects.exists()


def test_the_form_says_which_line_is_wrong():
    audience([])
    answer = signed_in("ada").post("/exports/new", {**ASKED, "preset": "columns", "columns": "email\nage of trait"})
    assert answer.status_code == 422
    assert "Line 2:" in answer.content.decode()
    answer = signed_in("ada").post("/exports/new", {**ASKED, "preset": "columns", "columns": ""})
    assert "at least one column" in answer.content.decode()


def test_a_schedule_is_set_up_paused_and_deleted():
    audience([])
    browser = signed_in("ada")
    given = {**ASKED, "name": "Nightly", "preset": "contacts", "every": "week", "weekday": "2", "at": "06:30"}
    assert browser.post("/exports/schedules/new", given).status_code == 302
    made = ExportSchedule.objects.get()
    assert (made.weekday, made.preset, made.enabled) == (2, "contacts", True)
    assert b"Nightly" in browser.get("/exports/schedules").content
    browser.post(f"/exports/schedules/{made.pk}/pause")
    assert not ExportSchedule.objects.get().enabled
    browser.post(f"/exports/schedules/{made.pk}/resume")
    assert ExportSchedule.objects.get().enabled
    browser.post(f"/exports/schedules/{made.pk}/delete")
    assert not ExportSchedule.objects.exists()


def test_a_destination_is_set_up_tried_changed_and_deleted(other):
    audience(["ana"])
    browser = signed_in("ada")
    given = {
        **{name: ASKED[name] for name in ("segment", "purpose", "channel", "recipient")},
        "name": "Mail house",
        "key": "mail-house",
        "kind": "request",
        "method": "POST",
        "url": other.url + "/{{event}}",
        "headers": '{"X-Token": "{{secret.token}}"}',
        "body": '{"id": "{{person.id}}", "what": "{{event}}"}',
        "columns": "id",
        "secrets": '{"token": "t0ken"}',
        "send_entered": "on",
        "send_left": "on",
    }
    made = browser.post("/destinations/new", given)
    assert made.status_code == 200, made.content.decode()[:2000]
    browser.post("/destinations/mail-house/test")
    deliver()
    assert [request.path for request in other.received] == ["/test", "/entered"]
    assert other.received[1].headers["x-token"] == "t0ken"
    page = browser.get("/destinations/mail-house?outcome=sent").content.decode()
    assert "t0ken" not in page
    assert "entered" in page
    form = browser.get("/destinations/mail-house/change").content.decode()
    assert "t0ken" not in form
    changed = {**given, "name": "Other house", "secrets": "", "url": other.url + "/x/{{event}}"}
    assert browser.post("/destinations/mail-house/change", changed).status_code == 302
    browser.post("/destinations/mail-house/sync")
    deliver()
    assert (other.received[2].path, other.received[2].headers["x-token"]) == ("/x/member", "t0ken")
    browser.post("/destinations/mail-house/pause")
    assert b"paused" in browser.get("/destinations/mail-house/state").content
    browser.post("/destinations/mail-house/delete")
    assert not Destination.objects.exists()


def test_shows_the_secret_of_a_webhook_once(other):
    audience([])
    destination(other)
    page = signed_in("ada").post("/destinations/crm/rotate").content.decode()
    assert "whsec_" in page
    assert "whsec_" not in signed_in("ada").get("/destinations/crm").content.decode()


@pytest.mark.parametrize(
    "address",
    ["/exports", "/exports/new", "/exports/schedules", "/exports/schedules/new", "/destinations", "/destinations/new"],
)
def test_pages_take_few_statements_and_need_rights(address):
    audience(["ana"])
    browser = signed_in("ada")
    browser.get(address)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert browser.get(address).status_code == 200
    assert len(queries) <= MOST_STATEMENTS
    assert signed_in("cy").get(address).status_code == 403


def test_one_destination_takes_few_statements_and_can_be_shared(other):
    audience(["ana"])
    destination(other)
    deliver()
    browser = signed_in("ada")
    for address in ("/destinations/crm", "/destinations/crm/change", "/destinations/crm/state"):
        browser.get(address)
        with CaptureQueriesContext(connection) as queries:
            assert browser.get(address).status_code == 200
        assert len(queries) <= MOST_STATEMENTS
    cy = signed_in("cy")
    assert cy.get("/destinations/crm").status_code == 403
    assign_perm("view_destination", staff("cy"), Destination.objects.get())
    assert cy.get("/destinations/crm").status_code == 200
    assert cy.post("/destinations/crm/pause").status_code == 403
    assert signed_in("ben").post("/destinations/crm/pause").status_code == 403


def test_columns_are_the_same_after_being_written_and_read():
    text = "id\nE-mail = email | hash_email\ntrait:city"
    columns = [
        {"transform": "", "name": one.get("name", one["source"].rpartition(":")[2]), **one}
        for one in read_column_lines(text)
    ]
    assert write_column_lines(columns) == text
