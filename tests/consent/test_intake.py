"""The public pages on which people ask for their rights and show who they are."""

import re
from datetime import timedelta

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from cdp.core.models import OutboxMail
from cdp.core.services.mail import send_mail
from consent.asking_models import FormUse
from consent.models import PrivacyRequest
from consent.request_models import IdentityCheck, Letter, RequestAlarm, RequestDetails
from consent.services.alarms import warn_of_requests
from consent.services.identity import forget_unconfirmed
from consent.services.running import run_privacy_requests
from consent.suppression_models import Suppression
from consent.words.choosing import LANGUAGES
from consent.words.intake import INTAKE
from profiles.models import Profile
from tests.world import api, staff

pytestmark = pytest.mark.django_db

EMAIL = "iris.opal@example.org"


@pytest.fixture
def browser():
    return Client(headers={"accept-language": "de"})


def ask(browser, type="erasure", **more):
    return browser.post("/privacy", {"type": type, "email": EMAIL, **more})


def mail():
    return OutboxMail.objects.latest("id")


def link_in(text):
    return re.search(r"/privacy/confirm/\S+", text)[0]


def code_in(text):
    return re.search(r"\b\d{6}\b", text)[0]


def ticket_in(answer):
    return re.search(r'name="ticket" value="([0-9a-f]{64})"', answer.content.decode())[1]


def test_asks_confirms_and_erases(browser, make_profile):
    make_profile(email=EMAIL, user_id="iris-1")
    answer = ask(browser)
    assert (answer.status_code, EMAIL in answer.content.decode()) == (200, False)
    row = PrivacyRequest.objects.get()
    assert (row.status, row.verified_by, row.came_by, row.language) == ("awaiting_identity", "", "form", "de")
    assert mail().subject == "Bitte bestätigen Sie Ihre Anfrage"
    address = link_in(mail().body)
    # A scanner that follows the link changes nothing.
    assert browser.get(address).status_code == 200
    row.refresh_from_db()
    assert row.status == "awaiting_identity"
    assert "bestätigt" in browser.post(address).content.decode()
    row.refresh_from_db()
    assert (row.status, row.verified_by) == ("open", "link")
    assert browser.post(address).status_code == 404
    api("privacy:write").post(f"/api/v1/privacy-requests/{row.pk}/approve")
    assert mail().subject == "Ihre Anfrage ist erledigt"
    run_privacy_requests(clock=timezone.now)
    row.refresh_from_db()
    assert row.status == "running"  # until the letter is out
    while send_mail():
        pass
    run_privacy_requests(clock=timezone.now)
    row.refresh_from_db()
    assert (row.status, row.identities) == ("completed", [])
    assert not Profile.objects.exists()
    assert not RequestDetails.objects.exists()
    assert not Letter.objects.exclude(sealed=None).exists()
    assert Letter.objects.filter(kind="done", state="sent").count() == 1
    folder = settings.CDP_OUTBOX_DIR
    assert not folder.exists() or not [one for one in folder.iterdir() if EMAIL.encode() in one.read_bytes()]


def test_says_the_same_to_everybody(browser, make_profile):
    make_profile(email=EMAIL)
    Suppression.objects.create(digest=b"x" * 32, identifier_type="email", reason="erased", created_at=timezone.now())
    shown = [
        re.sub(r"[0-9a-f]{64}", "TICKET", browser.post("/privacy", given).content.decode())
        for given in (
            {"type": "access", "email": EMAIL},
            {"type": "access", "email": "nobody@example.org"},
            {"type": "access", "email": "robot@example.org", "website": "http://spam.example"},
        )
    ]
    assert shown[0] == shown[1] == shown[2]
    # The robot's was dropped.
    assert PrivacyRequest.objects.count() == 2


class TestCode:
    def test_confirms(self, browser):
        answer = ask(browser, "access")
        given = {"ticket": ticket_in(answer), "code": f" {code_in(mail().body)} "}
        assert "bestätigt" in browser.post("/privacy/code", given).content.decode()
        assert PrivacyRequest.objects.get().verified_by == "code"

    def test_locks_after_five_wrong_ones(self, browser):
        ticket = ticket_in(ask(browser, "access"))
        right = code_in(mail().body)
        wrong = f"{(int(right) + 1) % 1_000_000:06d}"
        for _ in range(5):
            assert browser.post("/privacy/code", {"ticket": ticket, "code": wrong}).status_code == 422
        answer = browser.post("/privacy/code", {"ticket": ticket, "code": right})
        assert answer.status_code == 422
        assert PrivacyRequest.objects.get().status == "awaiting_identity"
        # The link still works: whoever has it reads that mailbox.
        assert browser.post(link_in(mail().body)).status_code == 200

    def test_is_kept_as_a_keyed_digest_only(self, browser):
        ask(browser, "access")
        assert code_in(mail().body).encode() not in bytes(IdentityCheck.objects.get().code_digest)

    @pytest.mark.parametrize("ticket", ["", "zz", "ab" * 32])
    def test_says_nothing_about_a_ticket_that_leads_nowhere(self, browser, ticket):
        assert browser.post("/privacy/code", {"ticket": ticket, "code": "123456"}).status_code == 422

    def test_of_an_older_mail_opens_nothing(self, browser):
        first = ticket_in(ask(browser, "access"))
        code = code_in(mail().body)
        row = PrivacyRequest.objects.get()
        answer = api("privacy:write").post(f"/api/v1/privacy-requests/{row.pk}/ask-identity")
        assert answer.json()["status"] == "awaiting_identity"
        assert browser.post("/privacy/code", {"ticket": first, "code": code}).status_code == 422

    def test_leads_back_to_the_form_in_the_language_that_was_chosen(self, browser):
        answer = browser.get("/privacy/code?language=fr")
        assert (answer.status_code, answer["Location"]) == (302, "/privacy?language=fr")


def test_links_expire_and_tokens_are_long(browser):
    ask(browser, "access")
    address = link_in(mail().body)
    assert len(address.rpartition("/")[2]) >= 43  # 256 bits in base64url
    IdentityCheck.objects.update(expires_at=timezone.now())
    assert browser.get(address).status_code == 404
    assert browser.post(address).status_code == 404


def test_stops_the_clock_until_the_person_answers(browser, monkeypatch):
    ask(browser, "access")
    row = PrivacyRequest.objects.get()
    before = row.due_at
    PrivacyRequest.objects.update(identity_asked_at=timezone.now() - timedelta(days=10))
    browser.post(link_in(mail().body))
    row.refresh_from_db()
    assert row.paused_days == 10
    # Ten days, and at most the days to the next working day.
    assert timedelta(days=10 - 2) <= row.due_at - before <= timedelta(days=10 + 2)


def test_sends_three_mails_a_day_to_an_address_and_thirty_an_hour_from_a_network(browser):
    for _ in range(5):
        assert ask(browser, "access").status_code == 200
    assert OutboxMail.objects.count() == PrivacyRequest.objects.count() == 3
    FormUse.objects.update(count=30)
    assert ask(browser, "access").status_code == 429


@pytest.mark.parametrize("wrong", [{"email": "nothing"}, {"type": "forget"}, {"type": ""}])
def test_says_what_is_missing(browser, wrong):
    answer = ask(browser, **{"type": "access", **wrong})
    assert (answer.status_code, 'role="alert"' in answer.content.decode()) == (422, True)
    assert not PrivacyRequest.objects.exists()


@pytest.mark.parametrize("language", list(LANGUAGES))
def test_speaks_four_languages_and_sets_no_cookie(browser, language):
    answer = browser.get("/privacy", {"language": language})
    assert INTAKE[language].title in answer.content.decode()
    assert f'lang="{language}"' in answer.content.decode()
    assert not answer.cookies
    assert "unsafe" not in answer["Content-Security-Policy"]
    assert set(INTAKE[language].types) == set(PrivacyRequest.Type.values)


def test_hands_the_copy_to_the_person_by_post_once(browser, make_profile):
    make_profile(email=EMAIL)
    ask(browser, "access")
    browser.post(link_in(mail().body))
    row = PrivacyRequest.objects.get()
    api("privacy:write").post(f"/api/v1/privacy-requests/{row.pk}/approve")
    run_privacy_requests(clock=timezone.now)
    address = re.search(r"/packages/\S+", mail().body)[0]
    assert "Herunterladen" in browser.get(address).content.decode()
    answer = browser.post(address)
    assert (answer["Content-Type"], len(b"".join(answer.streaming_content)) > 0) == ("application/zip", True)
    assert browser.get(address).status_code == browser.post(address).status_code == 404


def test_forgets_what_nobody_confirms(browser):
    ask(browser, "access")
    forget_unconfirmed(timezone.now() + timedelta(days=29))
    assert PrivacyRequest.objects.get().status == "awaiting_identity"
    forget_unconfirmed(timezone.now() + timedelta(days=31))
    row = PrivacyRequest.objects.get()
    assert (row.status, row.identities) == ("cancelled", [])
    assert not RequestDetails.objects.exists()


class TestAlarms:
    @pytest.fixture
    def row(self):
        staff("ben")
        made = api("privacy:write").post(
            "/api/v1/privacy-requests",
            {"type": "access", "identities": [{"type": "email", "value": EMAIL}]},
            format="json",
        )
        return PrivacyRequest.objects.get(pk=made.json()["id"])

    def test_come_before_and_when_late_once_each(self, row):
        for when in (-10, -3, -3, 1, 2):
            warn_of_requests(row.due_at + timedelta(days=when))
        subjects = list(OutboxMail.objects.order_by("id").values_list("subject", flat=True))
        assert subjects == ["A privacy request has to be answered soon", "A privacy request is late"]
        assert {one.to for one in OutboxMail.objects.all()} == {"ben@house.example"}
        assert EMAIL not in mail().body
        assert RequestAlarm.objects.count() == 2

    def test_are_quiet_once_it_is_over(self, row):
        PrivacyRequest.objects.update(status="rejected")
        warn_of_requests(row.due_at + timedelta(days=1))
        assert not OutboxMail.objects.exists()
