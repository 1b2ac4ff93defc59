"""OpenDSR from outside: the exchange of a controller with this processor, with signatures and callbacks."""

import base64
import hashlib
import json
import uuid
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.utils import timezone

from consent.models import PrivacyRequest
from consent.opendsr.signatures import domains_of, is_valid, make_self_signed, sign
from consent.queries.suppressions import find_suppressed
from consent.request_models import Callback, ControllerRequest
from consent.services.callbacks import send_callbacks
from consent.services.running import run_privacy_requests
from profiles.models import Profile
from profiles.queries.people import name_identifier
from tests.listening import LOCAL, OtherServer
from tests.world import api, key_with

pytestmark = pytest.mark.django_db

EMAIL = "nora.dial@example.org"
V2 = "/opendsr/v2"


@pytest.fixture
def controller():
    return api("privacy:write", name="onetrust")


@pytest.fixture
def nora(make_profile):
    return make_profile(email=EMAIL, user_id="nora-1")


def message(**more):
    now = timezone.now()
    return {
        "regulation": "gdpr",
        "subject_request_id": str(uuid.uuid4()),
        "subject_request_type": "erasure",
        "submitted_time": (now - timedelta(days=1)).isoformat(),
        "subject_identities": [{"identity_type": "email", "identity_value": EMAIL, "identity_format": "raw"}],
        "api_version": "2.0",
        **more,
    }


def send(client, body, address=f"{V2}/requests"):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post(address, raw, content_type="application/json")


def approve_and_run(request_id):
    api("privacy:write").post(f"/api/v1/privacy-requests/{request_id}/approve")
    run_privacy_requests(clock=timezone.now)


def signed(answer, client, prefix="X-OpenDSR"):
    pem = client.get("/opendsr/certificate.pem").content
    assert domains_of(pem) == [answer[f"{prefix}-Processor-Domain"]]
    return is_valid(answer.content, signature=answer[f"{prefix}-Signature"], certificate_pem=pem)


class TestExchange:
    """One exchange from discovery to the last callback."""

    def test_from_discovery_to_the_last_callback(self, controller, nora, settings):
        settings.CDP_OUTGOING_ALLOW = LOCAL
        discovery = api().get(f"{V2}/discovery")
        found = discovery.json()
        assert (discovery.status_code, found["api_version"]) == (200, "2.0")
        assert found["supported_subject_request_types"] == ["access", "portability", "erasure"]
        assert {"identity_type": "email", "identity_format": "sha256"} in found["supported_identities"]
        assert found["processor_certificate"].endswith("/opendsr/certificate.pem")
        with OtherServer(reply=lambda _: (202, {}, b"")) as listener:
            url = f"http://127.0.0.1:{listener.port}/told?x=1"
            body = json.dumps(message(status_callback_urls=[url])).encode()
            answer = send(controller, body)
            made = answer.json()
            assert answer.status_code == 201
            assert base64.b64decode(made["encoded_request"]) == body
            assert made["controller_id"] == "onetrust"
            assert signed(answer, controller)
            request_id = made["subject_request_id"]
            assert controller.get(f"{V2}/requests/{request_id}").json()["request_status"] == "pending"
            send_callbacks(clock=timezone.now)
            approve_and_run(request_id)
            send_callbacks(clock=timezone.now)
            status = controller.get(f"{V2}/requests/{request_id}")
            assert (status.json()["request_status"], signed(status, controller)) == ("completed", True)
            assert controller.get(f"{V2}/status/{request_id}").json() == status.json()
            told = listener.received
        assert not Profile.objects.exists()
        assert [json.loads(one.body)["request_status"] for one in told] == ["pending", "in_progress", "completed"]
        pem = controller.get("/opendsr/certificate.pem").content
        for one in told:
            assert json.loads(one.body)["status_callback_url"] == url
            assert is_valid(one.body, signature=one.headers["x-opendsr-signature"], certificate_pem=pem)
            assert EMAIL not in one.body.decode()
            signed_text = f"{one.headers['webhook-id']}.{one.headers['webhook-timestamp']}.".encode() + one.body
            public = found["extensions"][one.headers["x-opendsr-processor-domain"]]["webhook_public_key"]
            key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public.removeprefix("whpk_")))
            key.verify(base64.b64decode(one.headers["webhook-signature"].removeprefix("v1a,")), signed_text)
        assert len({one.headers["webhook-id"] for one in told}) == len(told)

    def test_cancels_only_what_is_pending(self, controller, nora):
        request_id = send(controller, message()).json()["subject_request_id"]
        answer = controller.delete(f"{V2}/requests/{request_id}")
        assert (answer.status_code, answer.json()["subject_request_id"]) == (202, request_id)
        assert signed(answer, controller)
        assert controller.get(f"{V2}/requests/{request_id}").json()["request_status"] == "cancelled"
        assert PrivacyRequest.objects.get().status == "cancelled"
        again = controller.delete(f"{V2}/requests/{request_id}")
        assert (again.status_code, again.json()["error"]["code"]) == (400, 400)
        other = send(controller, message()).json()["subject_request_id"]
        approve_and_run(other)
        assert controller.delete(f"{V2}/requests/{other}").status_code == 400

    def test_counts_the_period_from_when_the_person_asked(self, controller, nora):
        answer = send(controller, message(submitted_time="2026-03-05T12:00:00Z")).json()
        assert answer["expected_completion_time"] == "2026-04-06T23:59:59.000Z"

    def test_names_where_a_copy_is(self, controller, nora):
        request_id = send(controller, message(subject_request_type="access")).json()["subject_request_id"]
        assert controller.get(f"{V2}/requests/{request_id}").json()["results_url"] is None
        approve_and_run(request_id)
        status = controller.get(f"{V2}/requests/{request_id}").json()
        assert status["results_url"].endswith(f"/api/v1/privacy-requests/{request_id}/package")
        assert status["results_count"] == 1


@pytest.mark.parametrize("form", ["sha256", "md5", "sha1"])
def test_finds_people_by_the_hash_of_an_identifier(controller, nora, form):
    value = hashlib.new(form, EMAIL.encode()).hexdigest().upper()
    identity = {"identity_type": "email", "identity_value": value, "identity_format": form}
    answer = send(controller, message(subject_identities=[identity]))
    assert answer.status_code == 201
    assert PrivacyRequest.objects.get().identities == [{"type": "email", "value": EMAIL}]


def test_keeps_out_a_hash_that_nobody_has_yet(controller, nora):
    value = hashlib.sha256(b"nobody@example.org").hexdigest()
    identity = {"identity_type": "email", "identity_value": value, "identity_format": "sha256"}
    request_id = send(controller, message(subject_identities=[identity])).json()["subject_request_id"]
    assert controller.get(f"{V2}/requests/{request_id}").json()["request_status"] == "completed"
    nobody = name_identifier(type="email", value="nobody@example.org")
    assert find_suppressed([(nobody.type, nobody.value, nobody.digest)])
    assert Profile.objects.count() == 1


def test_cancels_with_the_reason_where_nobody_has_the_hash(controller, nora):
    value = hashlib.sha256(b"nobody@example.org").hexdigest()
    identity = {"identity_type": "email", "identity_value": value, "identity_format": "sha256"}
    body = message(subject_identities=[identity], subject_request_type="access")
    request_id = send(controller, body).json()["subject_request_id"]
    status = controller.get(f"{V2}/requests/{request_id}").json()
    assert status["request_status"] == "cancelled"
    assert [one["reason"] for one in status["extensions"].values()] == ["no_match"]


def test_says_that_a_request_was_refused(controller, nora):
    request_id = send(controller, message()).json()["subject_request_id"]
    api("privacy:write").post(f"/api/v1/privacy-requests/{request_id}/reject", {"reason": "x"}, format="json")
    status = controller.get(f"{V2}/requests/{request_id}").json()
    assert status["request_status"] == "cancelled"
    assert [one["reason"] for one in status["extensions"].values()] == ["other"]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"regulation": "lgpd"}, "regulation"),
        ({"subject_request_type": "rectification"}, "subject_request_type"),
        ({"subject_request_id": "A" * 36}, "subject_request_id"),
        ({"subject_request_id": str(uuid.uuid4()).upper()}, "subject_request_id"),
        ({"subject_request_id": str(uuid.uuid1())}, "subject_request_id"),
        ({"submitted_time": "yesterday"}, "submitted_time"),
        ({"submitted_time": "2999-01-01T00:00:00Z"}, "submitted_time"),
        ({"submitted_time": "2026-02-30T00:00:00Z"}, "submitted_time"),
        ({"subject_identities": []}, "subject_identities"),
        (
            {"subject_identities": [{"identity_type": "x", "identity_value": "y"}]},
            "subject_identities[0].identity_type",
        ),
        (
            {"subject_identities": [{"identity_type": "email", "identity_value": "zz", "identity_format": "md5"}]},
            "subject_identities[0].identity_value",
        ),
        ({"status_callback_urls": ["ftp://example.org"]}, "status_callback_urls[0]"),
    ],
)
def test_refuses_what_is_wrong_without_repeating_it(controller, wrong, reason):
    answer = send(controller, message(**wrong))
    assert answer.status_code == 400
    (fault,) = answer.json()["error"]["errors"]
    assert (fault["domain"], fault["reason"]) == ("Validation", reason)
    assert signed(answer, controller)
    assert EMAIL not in answer.content.decode()


def test_refuses_what_is_no_json(controller):
    raw = json.dumps(message()).encode()
    assert send(controller, raw[:-1] + b",}").status_code == 400
    assert send(controller, b"[]").status_code == 400


def test_takes_a_number_once_and_the_same_wish_once(controller, nora):
    first = message()
    assert send(controller, first).status_code == 201
    assert send(controller, first).status_code == 400
    again = send(controller, message())
    assert (again.status_code, again.json()["error"]["code"]) == (409, 409)
    assert send(controller, message(subject_request_type="access")).status_code == 201


def test_needs_a_regulation_unless_the_settings_name_one(controller, nora, settings):
    body = message()
    del body["regulation"]
    assert send(controller, body).status_code == 400
    settings.CDP_OPENDSR_DEFAULT_REGULATION = "ccpa"
    assert send(controller, body).status_code == 201
    assert PrivacyRequest.objects.get().regulation == "ccpa"


def test_honours_the_first_version_for_ever(controller, nora):
    body = message(api_version="1.0")
    del body["regulation"]
    answer = send(controller, body, "/opendsr/v1/opengdpr_requests")
    assert (answer.status_code, signed(answer, controller, prefix="X-OpenGDPR")) == (201, True)
    request_id = answer.json()["subject_request_id"]
    status = controller.get(f"/opendsr/v1/opengdpr_requests/{request_id}").json()
    assert (status["request_status"], status["api_version"]) == ("pending", "1.0")
    assert controller.delete(f"/opendsr/v1/opengdpr_requests/{request_id}").status_code == 202
    assert api().get("/opendsr/v1/discovery").json()["api_version"] == "1.0"


class TestRehearsal:
    def test_goes_through_all_states_and_touches_nobody(self, controller, nora, settings):
        settings.CDP_OUTGOING_ALLOW = LOCAL
        with OtherServer() as listener:
            body = message(status_callback_urls=[f"http://127.0.0.1:{listener.port}/told"])
            answer = send(controller, body, "/opendsr/stub/v2/requests")
            assert (answer.status_code, signed(answer, controller)) == (201, True)
            row = ControllerRequest.objects.get()
            seen = []
            for seconds in (0, 6, 11):
                ControllerRequest.objects.update(received_at=timezone.now() - timedelta(seconds=seconds))
                send_callbacks(clock=timezone.now)
                seen.append(controller.get(f"/opendsr/stub/v2/requests/{row.pk}").json()["request_status"])
            told = [json.loads(one.body)["request_status"] for one in listener.received]
        assert seen == told == ["pending", "in_progress", "completed"]
        assert not PrivacyRequest.objects.exists()
        assert controller.get(f"{V2}/requests/{row.pk}").status_code == 404
        assert Profile.objects.count() == 1

    def test_keeps_no_identity(self, controller):
        send(controller, message(), "/opendsr/stub/v2/requests")
        assert EMAIL not in str(ControllerRequest.objects.values().get())


class TestCallbacks:
    def test_are_sent_again_and_given_up_where_the_address_is_gone(self, controller, nora, settings):
        settings.CDP_OUTGOING_ALLOW = LOCAL
        replies = [(500, {}, b""), (200, {}, b"")]
        with OtherServer(reply=lambda _: replies.pop(0)) as listener:
            send(controller, message(status_callback_urls=[f"http://127.0.0.1:{listener.port}/"]))
            assert send_callbacks(clock=timezone.now) == 0
            assert send_callbacks(clock=timezone.now) == 0  # not due yet
            assert send_callbacks(clock=lambda: timezone.now() + timedelta(minutes=1)) == 1
            assert len(listener.received) == 2
        assert Callback.objects.get().delivered_at is not None

    def test_tell_nobody_inside(self, controller, nora):
        answer = send(controller, message(status_callback_urls=["http://169.254.169.254/latest"]))
        request_id = answer.json()["subject_request_id"]
        assert send_callbacks(clock=timezone.now) == 0
        callback = Callback.objects.get()
        assert (callback.retry_at, callback.delivered_at) == (None, None)
        status = controller.get(f"{V2}/requests/{request_id}").json()
        (ours,) = status["extensions"].values()
        assert ours["undelivered_callbacks"][0]["status"] == "pending"


def test_needs_a_key_that_may(nora):
    assert send(api(), message()).status_code == 401
    assert signed(send(api(), message()), api())
    assert send(api("privacy:read"), message()).status_code == 403
    assert send(api("marketer"), message()).status_code == 403


def test_takes_a_key_by_http_basic(nora):
    client = api()
    given = base64.b64encode(f"anything:{key_with('privacy:write')}".encode()).decode()
    client.credentials(HTTP_AUTHORIZATION=f"Basic {given}")
    assert send(client, message()).status_code == 201
    client.credentials(HTTP_AUTHORIZATION="Basic bm9wZQ==")
    assert send(client, message()).status_code == 401


def test_lists_a_group(controller, nora):
    send(controller, message(group_id="week-12"))
    send(controller, message(group_id="week-13", subject_request_type="access"))
    (one,) = controller.get(f"{V2}/requests", {"group_id": "week-12"}).json()
    assert (one["group_id"], one["request_status"]) == ("week-12", "pending")
    assert controller.get(f"{V2}/requests").status_code == 400


def test_signs_the_body_as_well_where_that_is_wanted(controller, nora, settings):
    settings.CDP_OPENDSR_BODY_SIGNATURE = True
    answer = send(controller, message())
    assert signed(answer, controller)
    assert answer.json()["processor_signature"]


def test_a_signature_holds_for_its_bytes_and_certificate_only():
    now = timezone.now()
    key, certificate = make_self_signed(domain="opendsr.example.org", now=now)
    other = make_self_signed(domain="opendsr.example.org", now=now)[1]
    signature = sign(b"body", key_pem=key)
    assert len(base64.b64decode(signature)) == 256
    assert is_valid(b"body", signature=signature, certificate_pem=certificate)
    assert not is_valid(b"body ", signature=signature, certificate_pem=certificate)
    assert not is_valid(b"body", signature=signature, certificate_pem=other)
    assert not is_valid(b"body", signature="no base64!", certificate_pem=certificate)
