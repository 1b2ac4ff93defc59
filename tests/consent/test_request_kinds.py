"""What each kind of request does once it is approved, by REST, on data that came in by collection."""

import csv
import hashlib
import io
import json
import zipfile

import pytest
from django.core.cache import cache
from django.utils import timezone

from cdp.core.models import OutboxMail
from cdp.core.sealed_files import sealed_directory
from consent.models import PrivacyRequest, Purpose
from consent.request_models import Letter, Package, RequestDetails
from consent.services.letters import read_letter
from consent.services.packages import delete_old_packages
from consent.services.running import run_privacy_requests
from tests.ingestion.door import make_source, post
from tests.profiles.sending import process
from tests.world import api

pytestmark = pytest.mark.django_db

EMAIL = "vera.lux@example.org"
FORMULA = '=HYPERLINK("http://evil.example","x")'


@pytest.fixture
def officer():
    cache.clear()
    return api("administrator")


@pytest.fixture
def vera(officer):
    """Somebody with traits, an event that would like to be a formula, and an id that a merge dropped."""
    key = make_source()
    send(
        key,
        {"type": "track", "event": "Seen", "anonymousId": "anon-vera-1", "messageId": "v-1"},
        {"type": "track", "event": "Seen", "anonymousId": "anon-vera-2", "messageId": "v-2"},
        {
            "type": "identify",
            "userId": "vera-1",
            "anonymousId": "anon-vera-1",
            "traits": {"email": EMAIL, "lastName": "Luks"},
            "messageId": "v-3",
        },
        {"type": "identify", "userId": "vera-1", "anonymousId": "anon-vera-2", "messageId": "v-4"},
        {
            "type": "track",
            "event": "Note Written",
            "userId": "vera-1",
            "properties": {"text": FORMULA, "number": -5, "deep": {"list": [1, {"a": None}]}},
            "messageId": "v-5",
        },
        {"type": "track", "event": "Seen", "userId": "somebody-else", "messageId": "o-1"},
    )
    return key


def send(key, *items):
    assert post("/v1/batch", {"batch": list(items)}, key).status_code == 200
    process(now=timezone.now())


def ask(client, type, **more):
    body = {"type": type, "identities": [{"type": "email", "value": EMAIL}], **more}
    made = client.post("/api/v1/privacy-requests", body, format="json")
    assert made.status_code == 201, made.json()
    return made.json()


def carry_out(client, type, **more):
    made = ask(client, type, **more)
    address = f"/api/v1/privacy-requests/{made['id']}"
    approved = client.post(f"{address}/approve")
    assert approved.status_code == 200, approved.json()
    run_privacy_requests(clock=timezone.now)
    return client.get(address).json()


def take(client, request):
    answer = client.get(f"/api/v1/privacy-requests/{request['id']}/package")
    return answer, b"".join(answer.streaming_content) if answer.streaming else answer.content


def unpack(raw):
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def profile_of(client):
    return client.get("/api/v1/profiles", {"identifier": "user_id:vera-1"}).json()["results"][0]


class TestAccess:
    def test_hands_out_all_that_the_stores_hold(self, officer, vera):
        done = carry_out(officer, "access")
        assert done["status"] == "completed"
        answer, raw = take(officer, done)
        assert (answer.status_code, answer["Content-Type"]) == (200, "application/zip")
        assert int(answer["Content-Length"]) == len(raw)
        files = unpack(raw)
        data = json.loads(files["data.json"])["data"]
        assert {event["message_id"] for event in data["events"]["events"]} == {f"v-{n}" for n in range(1, 6)}
        (written,) = [event for event in data["events"]["events"] if event["message_id"] == "v-5"]
        assert written["properties"] == {"text": FORMULA, "number": -5, "deep": {"list": [1, {"a": None}]}}
        assert data["profile"]["profile"][0]["traits"]["lastName"]["value"] == "Luks"
        assert "somebody-else" not in files["data.json"].decode()
        assert "vera" in files["read-me.html"].decode()
        # Both profiles that became one.
        assert len(json.loads(files["manifest.json"])["profiles"]) == 2

    def test_counts_and_hashes_every_file(self, officer, vera):
        files = unpack(take(officer, carry_out(officer, "access"))[1])
        listed = {one["name"]: one for one in json.loads(files.pop("manifest.json"))["files"]}
        assert set(listed) == set(files)
        for name, content in files.items():
            assert listed[name]["bytes"] == len(content)
            assert listed[name]["sha256"] == hashlib.sha256(content).hexdigest()
        rows = list(csv.reader(io.StringIO(files["csv/events.csv"].decode())))
        assert listed["csv/events.csv"]["rows"] == len(rows) - 1 == 5

    @pytest.mark.parametrize(
        ("language", "title", "heading", "basis"),
        [
            ("en", "Copy of your data", "Events", "consent"),
            ("de", "Kopie Ihrer Daten", "Ereignisse", "Einwilligung"),
            ("fr", "Copie de vos données", "Événements", "consentement"),
            ("es", "Copia de sus datos", "Eventos", "consentimiento"),
        ],
    )
    def test_is_readable_in_the_language_of_the_person(self, officer, vera, language, title, heading, basis):
        Purpose.objects.create(key="ads", name="Ads", created_at=timezone.now())
        files = unpack(take(officer, carry_out(officer, "access", language=language))[1])
        page = files["read-me.html"].decode()
        assert f'<html lang="{language}">' in page
        assert (f"<h1>{title}</h1>" in page, f"<h2>{heading}</h2>" in page) == (True, True)
        assert f"<td>{basis}</td>" in page

    def test_lets_no_spreadsheet_run_anything(self, officer, vera):
        files = unpack(take(officer, carry_out(officer, "access"))[1])
        for name, content in files.items():
            if name.endswith(".csv"):
                for row in csv.reader(io.StringIO(content.decode())):
                    assert not [cell for cell in row if cell[:1] in ("=", "+", "@", "\t") or cell[:2] == "-H"]
        assert f"'{FORMULA}" in [
            cell for row in csv.reader(io.StringIO(files["csv/events.csv"].decode())) for cell in row
        ]
        assert "&lt;" not in FORMULA
        assert FORMULA not in files["read-me.html"].decode()  # its quotes are escaped

    def test_says_what_the_data_is_for(self, officer, vera):
        officer.post(
            "/api/v1/purposes",
            {"key": "news", "name": "News", "retention_days": 400, "recipients": ["Mailer Ltd"]},
            format="json",
        )
        processing = json.loads(unpack(take(officer, carry_out(officer, "access"))[1])["data.json"])["processing"]
        assert processing["purposes"][0] == {
            "purpose": "news",
            "name": "News",
            "legal_basis": "consent",
            "retention_days": 400,
            "recipients": ["Mailer Ltd"],
            "special_category": False,
        }
        assert processing["sources"]
        assert any("Art. 77" in right for right in processing["rights"])

    def test_works_once_and_leaves_nothing_on_disk(self, officer, vera):
        done = carry_out(officer, "access")
        stored = Package.objects.get().stored
        on_disk = (sealed_directory() / stored).read_bytes()
        assert EMAIL.encode() not in on_disk
        assert not zipfile.is_zipfile(io.BytesIO(on_disk))
        assert take(officer, done)[0].status_code == 200
        assert not (sealed_directory() / stored).exists()
        answer, _ = take(officer, done)
        assert (answer.status_code, answer.json()["code"]) == (410, "privacy.package_gone")

    def test_is_not_used_up_by_looking(self, officer, vera):
        done = carry_out(officer, "access")
        assert officer.head(f"/api/v1/privacy-requests/{done['id']}/package").status_code == 405
        assert take(officer, done)[0].status_code == 200

    def test_goes_when_its_time_is_up(self, officer, vera):
        done = carry_out(officer, "access")
        package = Package.objects.get()
        path = sealed_directory() / package.stored
        delete_old_packages(package.expires_at)
        assert not path.exists()
        assert take(officer, done)[0].status_code == 410

    def test_needs_the_right_to_see_personal_data(self, officer, vera):
        done = carry_out(officer, "access")
        assert take(api("privacy:write"), done)[0].status_code == 403
        assert take(api("privacy:read", "personal_data:read"), done)[0].status_code == 200

    def test_has_no_package_before(self, officer, vera):
        answer, _ = take(officer, ask(officer, "access"))
        assert (answer.status_code, answer.json()["code"]) == (404, "privacy.no_package")

    def test_sends_the_person_a_link(self, officer, vera):
        carry_out(officer, "access", contact=EMAIL, language="de")
        mail = OutboxMail.objects.get()
        assert (mail.to, "/packages/" in mail.body) == (EMAIL, True)
        assert mail.subject == "Ihre Daten liegen bereit"
        # What is kept of the letter does not open the package.
        assert "/packages/" not in read_letter(Letter.objects.get())[1]

    def test_goes_with_an_erasure_before_anybody_took_it(self, officer, vera):
        carry_out(officer, "access", contact=EMAIL)
        path = sealed_directory() / Package.objects.get().stored
        OutboxMail.objects.all().delete()
        assert carry_out(officer, "erasure")["status"] == "completed"
        assert not path.exists()
        assert not RequestDetails.objects.exists()
        assert not Letter.objects.exclude(sealed=None).exists()


def test_portability_leaves_out_what_the_house_worked_out(officer, vera):
    segment = {
        "key": "all",
        "name": "All",
        "definition": {"version": 1, "where": {"trait": "lastName", "op": "exists"}},
        "status": "draft",
    }
    officer.post("/api/v1/segments", segment, format="json")
    copies = {
        kind: json.loads(unpack(take(officer, carry_out(officer, kind))[1])["data.json"])["data"]
        for kind in ("access", "portability")
    }
    assert {"segments", "merges_and_history"} <= set(copies["access"])
    assert not {"segments", "merges_and_history", "identity_rules"} & set(copies["portability"])
    assert len(copies["portability"]["events"]["events"]) == 5


class TestRectification:
    def test_puts_right_what_later_messages_do_not_revert(self, officer, vera):
        done = carry_out(officer, "rectification", corrections=[{"trait": "lastName", "value": "Lux"}])
        assert (done["status"], done["steps"][0]["before"]) == ("completed", 1)
        send(vera, {"type": "identify", "userId": "vera-1", "traits": {"lastName": "Luks"}, "messageId": "v-9"})
        assert profile_of(officer)["traits"]["lastName"]["value"] == "Lux"

    def test_is_not_approved_without_corrections_and_takes_them_later(self, officer, vera):
        made = ask(officer, "rectification")
        address = f"/api/v1/privacy-requests/{made['id']}"
        refused = officer.post(f"{address}/approve")
        assert (refused.status_code, refused.json()["code"]) == (409, "privacy.nothing_to_correct")
        changed = officer.patch(address, {"corrections": [{"trait": "lastName", "value": "Lux"}]}, format="json")
        assert changed.json()["corrections"] == [{"trait": "lastName", "value": "Lux"}]
        assert officer.post(f"{address}/approve").status_code == 200

    def test_masks_them(self, officer, vera):
        made = ask(officer, "rectification", corrections=[{"trait": "lastName", "value": "Lux-Berg"}])
        shown = api("privacy:read").get(f"/api/v1/privacy-requests/{made['id']}").json()
        assert shown["corrections"] == [{"trait": "lastName", "value": "L***"}]
        raw = bytes(RequestDetails.objects.get().sealed)
        assert b"Lux-Berg" not in raw

    @pytest.mark.parametrize(
        ("type", "more"),
        [
            ("rectification", {"corrections": [{"trait": "$bad", "value": 1}]}),
            ("rectification", {"corrections": [{"trait": "name"}]}),
            ("access", {"corrections": [{"trait": "name", "value": 1}]}),
            ("access", {"purposes": ["news"]}),
        ],
    )
    def test_refuses_what_cannot_be(self, officer, type, more):
        body = {"type": type, "identities": [{"type": "email", "value": EMAIL}], **more}
        assert officer.post("/api/v1/privacy-requests", body, format="json").status_code == 400


class TestObjection:
    @pytest.fixture(autouse=True)
    def purposes(self, officer):
        for key, basis, gpc in (
            ("news", "consent", False),
            ("ads", "legitimate_interests", True),
            ("invoices", "contract", False),
        ):
            made = officer.post(
                "/api/v1/purposes", {"key": key, "name": key, "legal_basis": basis, "gpc": gpc}, format="json"
            )
            if made.status_code == 400:
                officer.post("/api/v1/purposes", {"key": key, "name": key, "legal_basis": basis}, format="json")
                officer.patch(f"/api/v1/purposes/{key}/signals", {"gpc": gpc}, format="json")

    def states(self, client):
        profile = profile_of(client)["id"]
        return {
            key: client.get("/api/v1/consents/check", {"profile": profile, "purpose": key}).json()["state"]
            for key in ("news", "ads", "invoices")
        }

    def test_concerns_all_that_can_be_objected_to(self, officer, vera):
        carry_out(officer, "objection")
        assert self.states(officer) == {"news": "objected", "ads": "objected", "invoices": "unknown"}

    def test_concerns_what_was_named(self, officer, vera):
        carry_out(officer, "objection", purposes=["news"])
        assert self.states(officer) == {"news": "objected", "ads": "unknown", "invoices": "unknown"}

    def test_opt_out_concerns_what_is_sold_or_shared(self, officer, vera):
        carry_out(officer, "opt_out", regulation="ccpa")
        assert self.states(officer) == {"news": "unknown", "ads": "objected", "invoices": "unknown"}

    def test_refuses_an_unknown_purpose(self, officer):
        body = {"type": "objection", "identities": [{"type": "email", "value": EMAIL}], "purposes": ["nope"]}
        assert officer.post("/api/v1/privacy-requests", body, format="json").status_code == 404


class TestExtension:
    def test_tells_the_person_why(self, officer):
        made = ask(officer, "access", contact=EMAIL, language="fr", received_at=timezone.now().isoformat())
        address = f"/api/v1/privacy-requests/{made['id']}"
        extended = officer.post(f"{address}/extend", {"reason": "Vingt systèmes"}, format="json").json()
        assert extended["extended_to"] > extended["due_at"]
        mail = OutboxMail.objects.get()
        assert "Vingt systèmes" in mail.body
        assert mail.subject == "Votre demande prend plus de temps"
        again = officer.post(f"{address}/extend", {"reason": "x"}, format="json")
        assert (again.status_code, again.json()["code"]) == (409, "privacy.wrong_status")

    def test_leaves_a_letter_to_send_where_no_address_is_known(self, officer):
        made = ask(officer, "access")
        officer.post(f"/api/v1/privacy-requests/{made['id']}/extend", {"reason": "Twenty systems"}, format="json")
        letter = Letter.objects.get()
        assert (letter.state, letter.kind) == ("draft", "extended")

    def test_is_not_for_opt_outs_under_the_ccpa(self, officer):
        made = ask(officer, "opt_out", regulation="ccpa")
        answer = officer.post(f"/api/v1/privacy-requests/{made['id']}/extend", {"reason": "x"}, format="json")
        assert answer.status_code == 409

    def test_counts_holidays_where_the_installation_has_them(self, officer, settings):
        settings.CDP_HOLIDAYS = "DE"
        made = ask(officer, "access", received_at="2026-03-05T12:00:00Z")
        assert made["due_at"].startswith("2026-04-07T23:59:59")


def test_cancels_what_the_person_takes_back(officer):
    made = ask(officer, "erasure")
    address = f"/api/v1/privacy-requests/{made['id']}"
    assert (
        officer.post(f"{address}/cancel", {"reason": "changed my mind"}, format="json").json()["status"] == "cancelled"
    )
    assert officer.post(f"{address}/approve").status_code == 409
    assert run_privacy_requests(clock=timezone.now) == 0
    assert PrivacyRequest.objects.get().status == "cancelled"


class TestLifting:
    def check(self, client):
        return client.get("/api/v1/consents/check", {"profile": profile_of(client)["id"], "purpose": "news"}).json()

    def test_ends_a_restriction_and_tells_the_person_before(self, officer, vera):
        officer.post("/api/v1/purposes", {"key": "news", "name": "News", "legal_basis": "contract"}, format="json")
        done = carry_out(officer, "restriction", contact=EMAIL)
        OutboxMail.objects.all().delete()
        assert self.check(officer)["reason"] == "restricted"
        address = f"/api/v1/privacy-requests/{done['id']}/lift"
        assert officer.post(address, {"reason": " "}, format="json").status_code == 400
        assert officer.post(address, {"reason": "The dispute is over."}, format="json").status_code == 200
        assert "The dispute is over." in OutboxMail.objects.get().body
        assert self.check(officer)["reason"] != "restricted"
        assert officer.post(address, {"reason": "again"}, format="json").status_code == 409

    def test_needs_somebody_to_have_told_the_person(self, officer, vera):
        done = carry_out(officer, "restriction")
        address = f"/api/v1/privacy-requests/{done['id']}/lift"
        refused = officer.post(address, {"reason": "over"}, format="json")
        assert (refused.status_code, refused.json()["code"]) == (409, "privacy.person_not_told")
        assert officer.post(address, {"reason": "over", "person_told": True}, format="json").status_code == 200

    def test_keeps_what_another_request_restricts(self, officer, vera):
        officer.post("/api/v1/purposes", {"key": "news", "name": "News", "legal_basis": "contract"}, format="json")
        first, second = carry_out(officer, "restriction"), carry_out(officer, "restriction")
        for request, reason in ((first, True), (second, False)):
            body = {"reason": "over", "person_told": True}
            assert (
                officer.post(f"/api/v1/privacy-requests/{request['id']}/lift", body, format="json").status_code == 200
            )
            assert (self.check(officer)["reason"] == "restricted") is reason
