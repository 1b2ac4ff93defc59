"""The officer's desk in the browser."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from cdp.core.models import OutboxMail
from consent.models import PrivacyRequest
from consent.proof_models import LegalHold, RecipientAddress, RecipientNotice
from consent.queries.matrix import build_matrix, count_kept
from consent.queries.queue import count_weeks, read_clock
from consent.request_models import Letter, Package, RequestNote
from consent.services.running import run_privacy_requests
from profiles.models import Edge, Identifier
from tests.ingestion.door import make_source, post
from tests.listening import LOCAL
from tests.profiles.sending import process
from tests.world import api, signed_in

pytestmark = pytest.mark.django_db

EMAIL = "olga.desk@example.org"


@pytest.fixture
def ben():
    return signed_in("ben")


def ask(type="erasure", **more):
    body = {"type": type, "identities": [{"type": "email", "value": EMAIL}], **more}
    made = api("privacy:write").post("/api/v1/privacy-requests", body, format="json")
    return PrivacyRequest.objects.get(pk=made.json()["id"])


def page(browser, row, query=""):
    answer = browser.get(f"/privacy-requests/{row.pk}{query}")
    assert answer.status_code == 200
    return answer.content.decode()


class TestQueue:
    def test_lists_the_next_due_first_with_its_clock(self, ben, django_assert_max_num_queries):
        later = ask(received_at=(timezone.now() - timedelta(days=2)).isoformat())
        sooner = ask("access", received_at=(timezone.now() - timedelta(days=20)).isoformat())
        with django_assert_max_num_queries(25):
            shown = ben.get("/privacy-requests").content.decode()
        assert shown.index(f"/privacy-requests/{sooner.pk}") < shown.index(f"/privacy-requests/{later.pk}")
        assert len(re.findall(r"\d+ days? left", shown)) == 2
        assert "data-queue" in shown

    def test_shows_what_is_late_and_what_waits_for_the_person(self, ben):
        late = ask(received_at="2026-01-05T12:00:00Z")
        waiting = ask("access", contact=EMAIL)
        ben.post(f"/privacy-requests/{waiting.pk}/ask-identity")
        assert str(late.pk) in ben.get("/privacy-requests?show=late").content.decode()
        shown = ben.get("/privacy-requests?show=waiting").content.decode()
        assert str(waiting.pk) in shown
        assert str(late.pk) not in shown
        assert str(late.pk) not in ben.get("/privacy-requests?type=access").content.decode()

    def test_counts_load_and_timeliness_by_week(self):
        row, other = ask(), ask("access")
        PrivacyRequest.objects.filter(pk=row.pk).update(status="completed", completed_at=timezone.now())
        past = timezone.now() - timedelta(minutes=1)
        PrivacyRequest.objects.filter(pk=other.pk).update(status="rejected", completed_at=timezone.now(), due_at=past)
        last = count_weeks(now=timezone.now())[-1]
        assert (last.received, last.in_time, last.late) == (2, 1, 1)

    def test_clock_stands_still_while_the_person_is_asked(self):
        row = ask(contact=EMAIL)
        row.identity_asked_at = row.received_at
        assert read_clock(row, now=row.due_at + timedelta(days=9)).level == "good"
        row.identity_asked_at = None
        assert read_clock(row, now=row.due_at + timedelta(days=9)).level == "bad"

    def test_is_closed_to_others(self):
        for name in ("ana", "ivo", "cy"):
            assert signed_in(name).get("/privacy-requests").status_code == 403


class TestMatrix:
    def test_shows_every_store_with_a_reason(self, ben, make_profile):
        make_profile(email=EMAIL)
        shown = ben.get(f"/privacy-requests/{ask().pk}/preview").content.decode()
        assert "Traits and identifiers are deleted" in shown
        assert "Stores in which nothing of the person is" in shown
        assert "Withhold" in shown

    def test_shows_what_a_legal_hold_keeps(self, ben):
        key = make_source()
        send = {"type": "track", "event": "Order Completed", "userId": "olga-1", "messageId": "m-1"}
        other = {"type": "track", "event": "Seen", "userId": "olga-1", "messageId": "m-2"}
        named = {"type": "identify", "userId": "olga-1", "traits": {"email": EMAIL}, "messageId": "m-3"}
        assert post("/v1/batch", {"batch": [send, other, named]}, key).status_code == 200
        process(now=timezone.now())
        LegalHold.objects.create(
            key="tax",
            name="Tax law",
            legal_basis="AO 147",
            event_names=["Order Completed"],
            keep_days=3650,
            created_at=timezone.now(),
        )
        cells = build_matrix(counts={"events": 3}, withheld=count_kept(request=ask(), now=timezone.now()))
        assert (cells[0].erase, cells[0].withhold) == (2, 1)
        row = PrivacyRequest.objects.get()
        assert "Withheld: Tax law." in ben.get(f"/privacy-requests/{row.pk}/preview").content.decode()

    def test_shows_other_holders_and_keeps_the_decision(self, ben, make_profile):
        olga = make_profile(email=EMAIL, phone="+4915100000001")
        other = make_profile(user_id="somebody-else")
        phone = Identifier.objects.get(profile=olga, type__key="phone")
        theirs = Identifier.objects.get(profile=other)
        Edge.objects.create(
            a=phone.pk, b=theirs.pk, kind=1, rule="limit", source_id=1, created_at=timezone.now(), state=4
        )
        row = ask()
        address = f"/privacy-requests/{row.pk}/preview"
        shown = ben.get(address).content.decode()
        assert f"/profiles/{other.uuid}" in shown
        (digest,) = re.findall(r'name="shared" value="([0-9a-f]{64})"', shown)
        ben.post(f"/privacy-requests/{row.pk}/share", {"shared": [digest]})
        row.refresh_from_db()
        assert row.shared == [digest]
        assert re.search(rf'value="{digest}"\s+checked', ben.get(address).content.decode())


class TestLetters:
    @pytest.mark.parametrize(
        ("language", "words"),
        [("en", "Kind regards"), ("de", "Mit freundlichen"), ("fr", "Cordialement"), ("es", "Un saludo")],
    )
    def test_are_offered_in_four_languages(self, ben, language, words):
        assert words in page(ben, ask(), f"?letter=received&language={language}")

    def test_are_changed_sent_and_kept(self, ben):
        row = ask(contact=EMAIL)
        ben.post(
            f"/privacy-requests/{row.pk}/letters",
            {"kind": "free", "language": "en", "text": "Dear Olga, soon.", "send": "1"},
        )
        assert (OutboxMail.objects.get().to, OutboxMail.objects.get().body) == (EMAIL, "Dear Olga, soon.")
        assert "Dear Olga, soon." in page(ben, row)
        assert b"Olga" not in bytes(Letter.objects.get().sealed)

    def test_that_went_another_way_are_noted(self, ben):
        row = ask()
        ben.post(f"/privacy-requests/{row.pk}/letters", {"kind": "free", "language": "en", "text": "By post."})
        letter = Letter.objects.get()
        assert "not sent yet" in page(ben, row)
        ben.post(f"/privacy-requests/{row.pk}/letters/{letter.pk}", {"by": "hand"})
        letter.refresh_from_db()
        assert (letter.state, letter.by_mail) == ("sent", False)


def test_keeps_notes_sealed_until_the_erasure(ben):
    row = ask()
    ben.post(f"/privacy-requests/{row.pk}/notes", {"text": "Called her; it is Olga."})
    assert "Called her; it is Olga." in page(ben, row)
    assert b"Olga" not in bytes(RequestNote.objects.get().sealed)
    ben.post(f"/privacy-requests/{row.pk}/approve")
    run_privacy_requests(clock=timezone.now)
    row.refresh_from_db()
    assert (row.status, RequestNote.objects.count()) == ("completed", 0)


def test_corrects_and_hands_out_copies(ben, make_profile):
    make_profile(email=EMAIL)
    row = ask("rectification")
    ben.post(f"/privacy-requests/{row.pk}/correct", {"trait": "lastName", "value": "Deskova"})
    assert "Deskova" in page(ben, row)
    copy = ask("access")
    ben.post(f"/privacy-requests/{copy.pk}/approve")
    run_privacy_requests(clock=timezone.now)
    assert "Download" in page(ben, copy)
    answer = ben.post(f"/privacy-requests/{copy.pk}/copy")
    assert answer["Content-Type"] == "application/zip"
    assert b"".join(answer.streaming_content)
    assert "It was taken" in page(ben, copy)
    assert Package.objects.get().taken_by.startswith("user:")


def test_checks_who_it_is_by_mail_or_by_the_officer(ben):
    row = ask("access", contact=EMAIL)
    ben.post(f"/privacy-requests/{row.pk}/ask-identity")
    row.refresh_from_db()
    assert row.status == "awaiting_identity"
    assert "Approve and carry out" not in page(ben, row)
    ben.post(f"/privacy-requests/{row.pk}/verify")
    row.refresh_from_db()
    assert (row.status, row.verified_by.startswith("user:")) == ("open", True)
    ben.post(f"/privacy-requests/{row.pk}/cancel", {"reason": "took it back"})
    row.refresh_from_db()
    assert row.status == "cancelled"


def test_says_what_is_wrong_with_what_was_typed(ben):
    row = ask()
    answer = ben.post(f"/privacy-requests/{row.pk}/notes", {"text": ""}, headers={"referer": "/"})
    assert answer.status_code in (302, 400, 422)
    assert not RequestNote.objects.exists()


class TestDuties:
    HOLD = {"key": "invoices", "name": "Invoices", "legal_basis": "AO § 147", "event_names": "Paid", "keep_days": 3650}

    def test_makes_changes_and_ends_a_legal_hold(self, ben, django_assert_max_num_queries):
        assert ben.post("/legal-holds", self.HOLD).status_code == 302
        assert ben.post("/legal-holds", {**self.HOLD, "keep_days": 400, "is_off": "on"}).status_code == 302
        row = LegalHold.objects.get()
        assert (row.keep_days, row.event_names, row.enabled) == (400, ["Paid"], False)
        with django_assert_max_num_queries(15):
            shown = ben.get("/legal-holds").content.decode()
        assert "AO § 147" in shown
        assert ben.post("/legal-holds", {**self.HOLD, "keep_days": ""}).status_code == 422
        assert ben.post("/legal-holds/invoices/end").status_code == 302
        assert not LegalHold.objects.exists()

    def test_addresses_recipients_and_notes_who_was_told(self, ben, settings):
        settings.CDP_OUTGOING_ALLOW = LOCAL
        row = ask()
        RecipientNotice.objects.create(
            request_id=row.pk, recipient="Mailer Ltd", status="skipped", created_at=timezone.now()
        )
        address = {"recipient": "Mailer Ltd", "protocol": "webhook", "url": "http://127.0.0.1:9/told"}
        assert "whsec_" in ben.post("/recipients", address).content.decode()
        assert ben.post("/recipients", {**address, "url": "no address"}).status_code == 422
        shown = ben.get("/recipients").content.decode()
        assert "by hand" in shown
        assert "whsec_" not in shown
        told = {"recipient": "Mailer Ltd", "from_list": "1"}
        assert ben.post(f"/privacy-requests/{row.pk}/told", told)["Location"] == "/recipients"
        assert RecipientNotice.objects.get().status == "completed"
        assert "Everybody knows" in ben.get("/recipients").content.decode()
        assert "Mailer Ltd" in ben.get("/recipients?show=all").content.decode()
        assert ben.post(f"/recipients/{RecipientAddress.objects.get().pk}/remove").status_code == 302
        assert not RecipientAddress.objects.exists()

    def test_are_for_officers(self):
        ana = signed_in("ana")
        assert ana.get("/legal-holds").status_code == ana.post("/recipients", {}).status_code == 403

    def test_lead_from_one_request_to_the_next_due(self, ben):
        ask(received_at=(timezone.now() - timedelta(days=2)).isoformat())
        sooner = ask("access", received_at=(timezone.now() - timedelta(days=20)).isoformat())
        last = ask("portability")
        shown = page(ben, last)
        assert f'href="/privacy-requests/{sooner.pk}" data-shortcut="j"' in shown
        assert 'data-shortcut="a" data-reach' in shown
