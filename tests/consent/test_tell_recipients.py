"""Recipients of an erased person's data: who is told how, and what the request is until they know."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from cdp.core.models import AuditEntry
from cdp.core.services.jobs import run_jobs
from consent.models import PrivacyRequest, Purpose
from consent.proof_models import RecipientNotice
from consent.services.disclosures import Terms, record_disclosures
from consent.services.recipients import tell_recipients
from consent.services.running import count_waiting, run_privacy_requests
from profiles.models import Profile
from tests.erasing import Living, ask_erasure, erase, live
from tests.listening import LOCAL, OtherServer
from tests.segments.audience import audience
from tests.world import api, signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def ads():
    return Purpose.objects.create(key="ads", name="Ads", created_at=timezone.now())


@pytest.fixture
def mailer(settings):
    settings.CDP_OUTGOING_ALLOW = LOCAL
    with OtherServer() as server:
        yield server


def disclosed(*names, kind="export"):
    person = live("disclosed-person-1")
    profile = Profile.objects.get()
    for name in names:
        record_disclosures(
            profile_ids=[profile.pk], terms=Terms(kind, name, "ads", None, ("email",)), at=timezone.now()
        )
    return person


def address(officer, server, name="Mailer Ltd"):
    body = {"recipient": name, "url": f"http://127.0.0.1:{server.port}/erasures"}
    assert officer.post("/api/v1/recipient-addresses", body, format="json").status_code == 201


def states(request):
    return {one["name"]: (one["status"], one["answer"]) for one in request.recipients}


def tell_by_hand(officer, request, name, **answer):
    url = f"/api/v1/privacy-requests/{request.pk}/recipients/told"
    return officer.post(url, {"recipient": name, **answer}, format="json")


def shown(officer, request):
    return officer.get(f"/api/v1/privacy-requests/{request.pk}").json()


def test_completes_once_the_last_recipient_was_told(officer, mailer):
    address(officer, mailer)
    person = disclosed("Mailer Ltd")
    request = erase(person)
    before = shown(officer, request)
    assert (before["status"], before["completed_at"], before["identities"]) == ("running", None, [])
    assert before["clean_at"] is not None
    assert tell_recipients(clock=timezone.now) == 1
    (notice,) = mailer.received
    assert {"type": "email", "value": person.email} in json.loads(notice.body)["data"]["identities"]
    after = shown(officer, request)
    assert (after["status"], after["clean_at"]) == ("completed", before["clean_at"])
    assert after["completed_at"] > after["clean_at"]
    assert [one["status"] for one in after["recipients"]] == ["completed"]
    assert RecipientNotice.objects.get().body_sealed is None
    assert AuditEntry.objects.filter(action="privacy_request.completed").count() == 1


def test_completes_at_once_where_the_recipient_was_told_first(officer, mailer):
    address(officer, mailer)
    person = disclosed("Mailer Ltd")
    request = ask_erasure(person)
    RecipientNotice.objects.create(
        request_id=request.pk, recipient="Mailer Ltd", status="completed", created_at=timezone.now()
    )
    run_privacy_requests(clock=timezone.now)
    assert shown(officer, request)["status"] == "completed"


def test_is_not_carried_out_again_while_recipients_are_told(officer, mailer):
    address(officer, mailer)
    request = erase(disclosed("Mailer Ltd"))
    fence = request.fence
    assert (count_waiting(), run_privacy_requests(clock=timezone.now)) == (0, 0)
    request.refresh_from_db()
    assert (request.status, request.fence) == ("running", fence)
    assert officer.post(f"/api/v1/privacy-requests/{request.pk}/approve").json()["status"] == "running"


def test_is_partial_while_somebody_has_to_be_told_by_hand(officer):
    request = erase(disclosed("Mailer Ltd", "Paper Mill"))
    assert (request.status, states(request)) == (
        "partial",
        {"Mailer Ltd": ("skipped", None), "Paper Mill": ("skipped", None)},
    )
    again = officer.post(f"/api/v1/privacy-requests/{request.pk}/approve")
    assert (again.status_code, again.json()["code"]) == (409, "privacy.recipients_left")
    assert tell_by_hand(officer, request, "Paper Mill").status_code == 204
    assert shown(officer, request)["status"] == "partial"
    assert tell_by_hand(officer, request, "Mailer Ltd", not_told_because="impossible").status_code == 204
    request.refresh_from_db()
    assert (request.status, states(request)) == (
        "completed",
        {"Mailer Ltd": ("skipped", "impossible"), "Paper Mill": ("completed", None)},
    )
    assert AuditEntry.objects.get(action="recipient.not_told").detail["because"] == "impossible"


def test_knows_no_other_reason_than_those_of_the_law(officer):
    request = erase(disclosed("Paper Mill"))
    answer = tell_by_hand(officer, request, "Paper Mill", not_told_because="too busy")
    assert (answer.status_code, shown(officer, request)["status"]) == (400, "partial")


def test_is_partial_when_a_recipient_could_not_be_told(officer, mailer):
    address(officer, mailer)
    mailer.reply = lambda _: (500, {}, b"")
    request = erase(disclosed("Mailer Ltd"))
    now = timezone.now()
    for hours in range(12):
        tell_recipients(clock=lambda hours=hours: now + timedelta(hours=2 * hours))
    request.refresh_from_db()
    assert (request.status, states(request)) == ("partial", {"Mailer Ltd": ("failed", None)})
    tell_by_hand(officer, request, "Mailer Ltd")
    assert shown(officer, request)["status"] == "completed"


def test_gives_the_certificate_before_recipients_know(officer):
    request = erase(disclosed("Paper Mill"))
    url = f"/api/v1/privacy-requests/{request.pk}/certificate"
    early = officer.get(url).json()
    assert (early["status"], early["completed_at"], early["search"]["found"]) == ("partial", None, 0)
    tell_by_hand(officer, request, "Paper Mill")
    late = officer.get(url).json()
    assert (late["status"], late["clean_at"]) == ("completed", early["clean_at"])
    assert [one["status"] for one in late["recipients"]] == ["completed"]


def test_waits_for_nobody_who_exported_without_naming_a_recipient(officer):
    audience(["exported-person-1"])
    marketer = api("marketer", "personal_data:read")
    made = marketer.post(
        "/api/v1/exports", {"segment": "all", "purpose": "marketing", "channel": "email"}, format="json"
    )
    assert made.status_code == 202, made.json()
    run_jobs()
    file = marketer.get(f"/api/v1/exports/{made.json()['id']}/file")
    assert str(Profile.objects.get().uuid) in b"".join(file.streaming_content).decode()
    request = erase(Living("exported-person-1"))
    assert (request.status, list(states(request).values())) == ("completed", [("skipped", "in_house")])


def test_leaves_deliveries_of_no_known_destination_to_the_officer():
    request = erase(disclosed("Mailer Ltd", kind="delivery"))
    assert (request.status, states(request)) == ("partial", {"Mailer Ltd": ("skipped", None)})


def test_tells_a_recipient_that_got_a_file_as_well_as_deliveries():
    person = disclosed("Mailer Ltd", kind="delivery")
    record_disclosures(
        profile_ids=[Profile.objects.get().pk],
        terms=Terms("export", "Mailer Ltd", "ads", None, ("email",)),
        at=timezone.now(),
    )
    request = erase(person)
    assert (request.status, states(request)) == ("partial", {"Mailer Ltd": ("skipped", None)})


def test_says_so_on_the_page_of_the_request():
    request = erase(disclosed("Paper Mill"))
    ben = signed_in("ben")
    page = ben.get(f"/privacy-requests/{request.pk}").content.decode()
    assert "Not every recipient could be told" in page
    assert "Try again" not in page
    assert (
        f"/privacy-requests/{request.pk}/certificate"
        in ben.get(f"/privacy-requests/{request.pk}/proof").content.decode()
    )
    told = {"recipient": "Paper Mill", "not_told_because": "disproportionate"}
    assert ben.post(f"/privacy-requests/{request.pk}/told", told).status_code == 302
    assert PrivacyRequest.objects.get().status == "completed"
    assert "Everybody knows" in ben.get("/recipients").content.decode()


def test_tells_a_regulation_and_a_controller_the_same(officer):
    person = disclosed("Paper Mill")
    body = {"regulationType": "SUPPRESS_WITH_DELETE", "subjectType": "USER_ID", "subjectIds": [person.word]}
    made = officer.post("/api/v1/regulations", body, format="json").json()["data"]["regulateId"]
    run_privacy_requests(clock=timezone.now)
    request = PrivacyRequest.objects.get()

    def overall():
        return officer.get(f"/api/v1/regulations/{made}").json()["data"]["regulation"]["overallStatus"]

    assert overall() == "PARTIAL_SUCCESS"
    tell_by_hand(officer, request, "Paper Mill")
    assert overall() == "FINISHED"
