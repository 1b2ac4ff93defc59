"""OpenDSR from the other end: erasures passed on to processors, whose callbacks are believed by signature only."""

import json
import uuid
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from django.utils import timezone

from cdp.core.models import AuditEntry
from cdp.core.secrets import seal
from consent.models import PrivacyRequest, Purpose
from consent.opendsr.signatures import make_self_signed, sign
from consent.proof_models import RecipientAddress, RecipientNotice
from consent.services.disclosures import Terms, record_disclosures
from consent.services.processors import callback_url
from consent.services.recipients import tell_recipients
from consent.services.running import run_privacy_requests
from tests.listening import LOCAL, OtherServer
from tests.world import api, signed_in

pytestmark = pytest.mark.django_db

DOMAIN = "opendsr.mailer.example"
EMAIL = "nils.passed@example.org"


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _signed(subject, key, issuer, by, *, authority, domain=None, days=30):
    now = timezone.now()
    made = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=60))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(not authority, False, False, False, False, authority, authority, False, False), critical=True
        )
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if domain is not None:
        made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(domain)]), critical=False)
        made = made.add_extension(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    return made.sign(by, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


AUTHORITY, OWN = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
ROOT = _signed("An authority", AUTHORITY, "An authority", AUTHORITY, authority=True)
CERTIFICATES = {
    "good": _signed(DOMAIN, OWN, "An authority", AUTHORITY, authority=False, domain=DOMAIN),
    "other name": _signed(DOMAIN, OWN, "An authority", AUTHORITY, authority=False, domain="somebody.example"),
    "expired": _signed(DOMAIN, OWN, "An authority", AUTHORITY, authority=False, domain=DOMAIN, days=-1),
    "signed by itself": _signed(DOMAIN, OWN, DOMAIN, OWN, authority=False, domain=DOMAIN),
}


class Processor:
    """A processor with its own requests: answers and signs as OpenDSR says."""

    def __init__(self):
        self.certificate = CERTIFICATES["good"]
        self.key = _pem(OWN)
        self.requests = {}
        self.state = "pending"
        self.server = OtherServer(reply=self.reply)

    def signed(self, status, body):
        raw = json.dumps(body).encode()
        return status, self.headers(raw), raw

    def headers(self, raw, prefix="X-OpenDSR"):
        return {f"{prefix}-Processor-Domain": DOMAIN, f"{prefix}-Signature": sign(raw, key_pem=self.key)}

    def reply(self, request):
        if request.path == "/v2/discovery":
            types = [{"identity_type": name, "identity_format": "raw"} for name in ("email", "controller_customer_id")]
            return self.signed(
                200,
                {
                    "api_version": "2.0",
                    "supported_identities": types,
                    "supported_subject_request_types": ["erasure"],
                    "processor_certificate": f"{self.server.url}/cert.pem",
                },
            )
        if request.path == "/cert.pem":
            return 200, {}, self.certificate
        if request.headers.get("authorization") != "Bearer theirs":
            return self.signed(401, {"error": {"code": 401}})
        if request.method == "POST":
            body = json.loads(request.body)
            if body["subject_request_id"] in self.requests:
                return self.signed(400, {"error": {"code": 400}})
            self.requests[body["subject_request_id"]] = body
            return self.signed(201, self.told(body["subject_request_id"]))
        number = request.path.rpartition("/")[2]
        if number not in self.requests:
            return self.signed(404, {"error": {"code": 404}})
        return self.signed(200, self.told(number))

    def told(self, number, **more):
        return {
            "controller_id": "us",
            "subject_request_id": number,
            "request_status": self.state,
            "expected_completion_time": "2027-01-15T12:00:00Z",
            **more,
        }

    def call_back(self, number, state, *, prefix="X-OpenDSR", url=None, key=None, **more):
        body = self.told(number, request_status=state, status_callback_url=url or callback_url(), **more)
        raw = json.dumps(body).encode()
        headers = self.headers(raw, prefix)
        if key is not None:
            headers[f"{prefix}-Signature"] = sign(raw, key_pem=key)
        named = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
        return api().post("/opendsr/callbacks", raw, content_type="application/json", **named)


@pytest.fixture
def processor(settings, tmp_path):
    settings.CDP_OUTGOING_ALLOW = LOCAL
    Purpose.objects.create(key="ads", name="Ads", created_at=timezone.now())
    (tmp_path / "root.pem").write_bytes(ROOT)
    settings.CDP_OUTGOING_CA_FILE = str(tmp_path / "root.pem")
    one = Processor()
    with one.server:
        yield one


def address(processor, **more):
    body = {
        "recipient": "Mailer Ltd",
        "protocol": "opendsr",
        "url": f"{processor.server.url}/v2",
        "domain": DOMAIN,
        "authorization": "Bearer theirs",
        **more,
    }
    made = api("privacy:write").post("/api/v1/recipient-addresses", body, format="json")
    assert made.status_code == 201, made.json()
    assert "theirs" not in made.content.decode()


def erase(make_profile):
    """Erase somebody whose data went to the recipient; return the notice."""
    person = make_profile(email=EMAIL, user_id="nils-1", anonymous_id="a-nils")
    terms = Terms("export", "Mailer Ltd", "ads", None, ("email",))
    record_disclosures(profile_ids=[person.pk], terms=terms, at=timezone.now(), reference="export:1")
    body = {"type": "erasure", "identities": [{"type": "email", "value": EMAIL}]}
    made = api("privacy:write").post("/api/v1/privacy-requests", body, format="json").json()
    api("privacy:write").post(f"/api/v1/privacy-requests/{made['id']}/approve")
    run_privacy_requests(clock=timezone.now)
    return RecipientNotice.objects.get()


def states():
    row = PrivacyRequest.objects.get()
    return [(one["status"], one["status_message"]) for one in row.recipients]


def tell(minutes=0):
    return tell_recipients(clock=lambda: timezone.now() + timedelta(minutes=minutes))


class TestExchange:
    def test_asks_and_believes_what_is_called_back(self, processor, make_profile):
        address(processor)
        erase(make_profile)
        assert tell() == 1
        ((number, asked),) = processor.requests.items()
        assert uuid.UUID(number).version == 4
        assert sorted(asked) == [
            "api_version",
            "regulation",
            "status_callback_urls",
            "subject_identities",
            "subject_request_id",
            "subject_request_type",
            "submitted_time",
        ]
        assert {(one["identity_type"], one["identity_value"]) for one in asked["subject_identities"]} == {
            ("email", EMAIL),
            ("controller_customer_id", "nils-1"),
        }
        assert asked["status_callback_urls"] == [callback_url()]
        assert states() == [("sent", "")]
        notice = RecipientNotice.objects.get()
        assert (notice.body_sealed, notice.due_at.isoformat()) == (None, "2027-01-15T12:00:00+00:00")
        for state, seen in (("pending", "sent"), ("in-progress", "in_progress"), ("completed", "completed")):
            assert processor.call_back(number, state).status_code == 202
            assert states() == [(seen, "")]
        assert RecipientNotice.objects.get().told_at is not None
        assert AuditEntry.objects.filter(action="recipient.answered").count() == 2

    def test_never_goes_back_and_takes_repeats(self, processor, make_profile):
        address(processor)
        erase(make_profile)
        tell()
        (number,) = processor.requests
        for state in ("completed", "completed", "in_progress", "pending", "cancelled"):
            assert processor.call_back(number, state).status_code == 202
        assert states() == [("completed", "")]
        assert AuditEntry.objects.filter(action="recipient.answered").count() == 1

    def test_says_why_a_processor_refused(self, processor, make_profile):
        address(processor)
        erase(make_profile)
        tell()
        (number,) = processor.requests
        processor.call_back(number, "canceled", extensions={DOMAIN: {"reason": "legal_hold"}})
        assert states() == [("failed", "cancelled: legal_hold")]

    def test_asks_those_that_do_not_tell(self, processor, make_profile):
        address(processor)
        erase(make_profile)
        tell()
        processor.state = "completed"
        tell(minutes=5)
        assert states() == [("sent", "")]
        tell(minutes=6 * 60 + 1)
        assert states() == [("completed", "")]

    def test_does_not_ask_twice_after_a_crash(self, processor, make_profile):
        address(processor)
        erase(make_profile)
        tell()
        # A worker that died after sending: the processor knows the number, the notice does not say so.
        body = b'{"type": "privacy.erasure", "timestamp": "2026-01-01T00:00:00+00:00", "data": {}}'
        RecipientNotice.objects.update(
            status="pending", attempts=1, retry_at=None, body_sealed=seal(body, context="notice of erasure")
        )
        assert tell() == 1
        assert len(processor.requests) == 1
        assert states() == [("sent", "")]

    def test_leaves_to_people_what_a_processor_cannot_do(self, processor, make_profile):
        address(processor)
        person = make_profile(anonymous_id="only-this")
        terms = Terms("export", "Mailer Ltd", "ads", None, ("id",))
        record_disclosures(profile_ids=[person.pk], terms=terms, at=timezone.now(), reference="export:1")
        body = {"type": "erasure", "identities": [{"type": "anonymous_id", "value": "only-this"}]}
        made = api("privacy:write").post("/api/v1/privacy-requests", body, format="json").json()
        api("privacy:write").post(f"/api/v1/privacy-requests/{made['id']}/approve")
        run_privacy_requests(clock=timezone.now)
        assert tell() == 0
        assert states()[0][0] == "skipped"
        ben = signed_in("ben")
        assert "none of the kinds of identifiers" in ben.get("/recipients").content.decode()
        assert ben.post(f"/privacy-requests/{made['id']}/told", {"recipient": "Mailer Ltd"}).status_code == 302
        assert states() == [("completed", "told by hand")]


class TestTrust:
    @pytest.mark.parametrize("kind", ["other name", "expired", "signed by itself"])
    def test_asks_nobody_whose_certificate_cannot_be_believed(self, processor, make_profile, kind):
        processor.certificate = CERTIFICATES[kind]
        address(processor)
        erase(make_profile)
        assert tell() == 0
        assert processor.requests == {}
        notice = RecipientNotice.objects.get()
        assert (notice.status, "certificate" in notice.status_message) == ("pending", True)
        assert RecipientAddress.objects.get().certificate == ""

    @pytest.mark.parametrize("kind", ["other name", "expired", "signed by itself"])
    def test_refuses_callbacks_under_such_a_certificate(self, processor, make_profile, kind):
        address(processor)
        erase(make_profile)
        tell()
        (number,) = processor.requests
        processor.certificate = CERTIFICATES[kind]
        RecipientAddress.objects.update(certificate="")
        assert processor.call_back(number, "completed").status_code == 401
        assert states() == [("sent", "")]

    def test_refuses_what_another_key_signed(self, processor, make_profile):
        address(processor)
        erase(make_profile)
        tell()
        (number,) = processor.requests
        stranger, _ = make_self_signed(domain=DOMAIN, now=timezone.now())
        calls = len(processor.server.received)
        for _ in range(3):
            assert processor.call_back(number, "completed", key=stranger).status_code == 403
        assert states() == [("sent", "")]
        # The certificate is fetched anew once, not for each of them.
        assert len(processor.server.received) == calls + 2

    def test_follows_a_processor_to_its_next_certificate(self, processor, make_profile):
        address(processor)
        erase(make_profile)
        tell()
        (number,) = processor.requests
        fresh = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        processor.key = _pem(fresh)
        processor.certificate = _signed(DOMAIN, fresh, "An authority", AUTHORITY, authority=False, domain=DOMAIN)
        assert processor.call_back(number, "completed").status_code == 202
        assert states() == [("completed", "")]

    def test_takes_the_headers_of_the_first_version(self, processor, make_profile):
        address(processor)
        erase(make_profile)
        tell()
        (number,) = processor.requests
        assert processor.call_back(number, "completed", prefix="X-OpenGDPR").status_code == 202
        assert states() == [("completed", "")]

    def test_reads_nothing_of_strangers(self, processor, make_profile):
        address(processor, domain="elsewhere.example")
        raw = b"no json"
        answers = [
            api().post("/opendsr/callbacks", raw, content_type="application/json"),
            processor.call_back(str(uuid.uuid4()), "completed"),
        ]
        assert [one.status_code for one in answers] == [401, 401]

    def test_refuses_what_is_signed_and_wrong(self, processor, make_profile):
        address(processor)
        erase(make_profile)
        tell()
        (number,) = processor.requests
        assert processor.call_back(number, "completed", url="https://elsewhere.example/told").status_code == 400
        assert processor.call_back(number, "vanished").status_code == 400
        assert processor.call_back(str(uuid.uuid4()), "completed").status_code == 202
        assert states() == [("sent", "")]

    def test_lets_a_processor_speak_for_its_own_notices_only(self, processor, make_profile):
        address(processor)
        erase(make_profile)
        tell()
        (number,) = processor.requests
        RecipientNotice.objects.update(recipient="Another Ltd")
        assert processor.call_back(number, "completed").status_code == 202
        assert RecipientNotice.objects.get().status == "sent"
