"""What an erasure proves: control, search in every form, holds, and a certificate to be verified."""

import base64
import gzip
import hashlib
import json
import zipfile

import pytest
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.utils import timezone

from cdp.core.models import Job
from cdp.core.signing import SignatureInvalid, verify_document
from consent.models import PrivacyRequest
from consent.proof_models import ErasureProof, WithheldRow
from consent.services.running import run_privacy_requests
from consent.services.withholding import delete_due_rows
from consent.suppression_models import Suppression
from consent.traces.needles import make_needles
from profiles.models import Profile
from profiles.queries.people import name_identifier
from tests.erasing import ask_erasure, erase, live
from tests.profiles.sending import send, source, track
from tests.segments.asking import definition, trait
from tests.world import api, staff

pytestmark = pytest.mark.django_db
EMAIL = "nora.needle@example.org"


@pytest.mark.parametrize(
    "text",
    [
        EMAIL,
        EMAIL.upper(),
        "see:nora.needle%40example.org",
        "nora.needle&#64;example.org",
        "nora.needle=40example.org",
        EMAIL.encode().hex(),
        EMAIL.encode().hex().upper(),
        *(base64.b64encode(before + EMAIL.encode() + b"...").decode() for before in (b"", b"a", b"ab", b'{"e":"')),
        base64.urlsafe_b64encode(b"??>" + EMAIL.encode()).decode(),
        hashlib.sha256(EMAIL.encode()).hexdigest(),
        hashlib.md5(EMAIL.encode(), usedforsecurity=False).hexdigest().upper(),
        hashlib.sha1(EMAIL.encode(), usedforsecurity=False).hexdigest(),
    ],
)
def test_finds_a_name_in_every_form_by_sql_and_in_bytes(text):
    needles = make_needles(names=[EMAIL], uuids=[])
    assert needles.found_in(f'{{"x": "{text}"}}'.encode())
    with connection.cursor() as cursor:
        for expression, flags in needles.expressions:
            cursor.execute(f"SELECT %s {'~*' if flags else '~'} %s", [text, expression])
            if cursor.fetchone()[0]:
                break
        else:
            pytest.fail("SQL does not find it")
        cursor.execute('SELECT lower(%s COLLATE "C") LIKE ANY(%s)', [text, needles.patterns])
        assert cursor.fetchone()[0]


def test_finds_nothing_in_what_only_looks_alike():
    needles = make_needles(names=[EMAIL, "user-needle-7"], uuids=[])
    for text in ("anora.needle@example.org", "user-needle-77", "nora.needle@example.organic", "needle"):
        assert not needles.found_in(text.encode())


def test_gives_a_signed_certificate_without_personal_data(officer):
    person = live("certified-person-1")
    request = ask_erasure(person)
    address = f"/api/v1/privacy-requests/{request.id}"
    assert officer.get(f"{address}/certificate").status_code == 409
    run_privacy_requests(clock=timezone.now)
    answer = officer.get(f"{address}/certificate")
    assert answer.status_code == 200
    document = answer.json()
    assert verify_document(document, purpose="erasure_certificate")
    assert person.word not in json.dumps(document)
    assert document["subject"] == {"profiles": 1, "identifiers": {"email": 1, "user_id": 1}}
    control = document["search"]["positive_control"]["found"]
    assert {"profiles_identifier", "profiles_event", "profiles_profile"} <= set(control)
    assert (document["search"]["found"], document["search"]["looked_at"]["tables"] > 50) == (0, True)
    assert document["database_files"]["scrubbed_at"] is None
    assert {step["remaining"] for step in document["stores"]} == {0}
    assert officer.get(f"{address}/certificate").json() == document
    document["search"]["found"] = 1
    with pytest.raises(SignatureInvalid):
        verify_document(document)


def test_gives_no_certificate_where_the_search_is_blind(officer, monkeypatch):
    from consent.traces import database

    monkeypatch.setattr(database, "_condition", lambda *_: "false")
    monkeypatch.setattr(database, "columns_in_statistics", lambda _: [])
    request = erase(live("unseen-person-1"))
    assert request.status == "partial"
    assert [step["store"] for step in request.steps if step["remaining"]] == ["search control"]
    assert officer.get(f"/api/v1/privacy-requests/{request.id}/certificate").status_code == 409


def test_takes_names_out_of_what_no_store_answers_for():
    person = live("mentioned-person-1")
    admin = staff("ada")
    LogEntry.objects.create(
        user=admin,
        content_type=ContentType.objects.get_for_model(Profile),
        object_id="1",
        object_repr=f"Profile of {person.email}",
        action_flag=2,
        change_message=json.dumps([{"changed": {"name": person.word}}]),
    )
    Job.objects.create(
        kind="x", arguments={"who": person.email, "n": 1}, run_at=timezone.now(), created_at=timezone.now()
    )
    made = api("marketer").post(
        "/api/v1/segments",
        {
            "key": "one-person",
            "name": f"Only {person.email}",
            "definition": definition(trait("email", "eq", person.email)),
        },
        format="json",
    )
    log = settings.CDP_DATA_DIR / "logs" / "web.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(f"GET /?who={person.email}\n")
    try:
        assert erase(person).status == "completed"
        assert log.read_text() == f"GET /?who={'x' * len(person.email)}\n"
    finally:
        log.unlink()
    assert LogEntry.objects.get().object_repr == "Profile of erased"
    assert Job.objects.get(kind="x").arguments == {"who": "erased", "n": 1}
    assert made.status_code == 201, made.json()
    shown = api("marketer").get("/api/v1/segments/one-person").json()
    assert (shown["name"], shown["definition"]["match"]["value"]) == ("Only erased", "erased")


def test_replaces_a_number_in_json_by_a_text():
    person = live("4400112233")
    Job.objects.create(
        kind="x",
        arguments={"who": 4400112233, "list": [4400112233, 1]},
        run_at=timezone.now(),
        created_at=timezone.now(),
    )
    assert erase(person).status == "completed"
    assert Job.objects.get(kind="x").arguments == {"who": "erased", "list": ["erased", 1]}


def test_leaves_accounts_of_staff_and_says_so(officer):
    staff("ana")
    send({"type": "identify", "userId": "ana-as-customer", "traits": {"email": "ana@house.example"}}, origin=source())
    request = officer.post(
        "/api/v1/privacy-requests",
        {"type": "erasure", "identities": [{"type": "user_id", "value": "ana-as-customer"}]},
        format="json",
    ).json()
    officer.post(f"/api/v1/privacy-requests/{request['id']}/approve")
    run_privacy_requests(clock=timezone.now)
    done = officer.get(f"/api/v1/privacy-requests/{request['id']}").json()
    assert done["status"] == "completed"
    assert [(step["store"], step["withheld"]) for step in done["steps"] if step["withheld"]] == [
        ("accounts of staff (core_user)", 1)
    ]
    assert staff("ana").email == "ana@house.example"


def test_searches_packed_files():
    person = live("packed-person-1")
    folder = settings.CDP_DATA_DIR / "files"
    folder.mkdir(parents=True, exist_ok=True)
    packed, sheet = folder / "one.gz", folder / "two.xlsx"
    packed.write_bytes(gzip.compress(person.email.encode()))
    with zipfile.ZipFile(sheet, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/sharedStrings.xml", f"<t>{person.email}</t>")
    try:
        request = erase(person)
        assert (request.status, ErasureProof.objects.get().found) == ("partial", {"files": 2})
    finally:
        packed.unlink()
        sheet.unlink()


def test_withholds_what_a_law_makes_the_house_keep_and_deletes_it_when_its_time_is_up(officer):
    hold = {
        "key": "invoices",
        "name": "Invoices",
        "legal_basis": "§ 147 AO",
        "event_names": ["Order Completed"],
        "keep_days": 3650,
    }
    assert officer.post("/api/v1/legal-holds", hold, format="json").status_code == 201
    person = live("buying-person-1")
    send(track("Order Completed", person.word, order_id="o-1"), track("Seen", person.word), origin=source())
    request = erase(person)
    assert request.status == "completed"
    (events,) = [step for step in request.steps if step["store"] == "events"]
    # Signed up, twice seen, ordered, seen: five events, one of them an order.
    assert (events["before"], events["erased"], events["withheld"], events["remaining"]) == (5, 4, 1, 0)
    address = f"/api/v1/privacy-requests/{request.id}"
    (kept,) = officer.get(f"{address}/certificate").json()["withheld"]
    assert (kept["rows"], kept["legal_basis"]) == (1, "§ 147 AO")
    assert api("privacy:read").get(f"{address}/withheld").status_code == 403
    (row,) = officer.get(f"{address}/withheld").json()["results"]
    assert row["row"]["properties"] == {"order_id": "o-1"}
    delete_due_rows(WithheldRow.objects.get().until)
    assert not WithheldRow.objects.exists()
    assert officer.delete("/api/v1/legal-holds/invoices").status_code == 204
    assert officer.delete("/api/v1/legal-holds/invoices").status_code == 404


def test_does_not_suppress_an_identifier_that_is_others_too():
    person = live("sharing-person-1")
    send(track("Seen", "other-person-1", by=person.email), origin=source())
    request = ask_erasure(person)
    shared = name_identifier(type="email", value=person.email)
    PrivacyRequest.objects.filter(id=request.id).update(shared=[shared.digest.hex()])
    run_privacy_requests(clock=timezone.now)
    request.refresh_from_db()
    assert request.status == "completed"
    assert list(Suppression.objects.values_list("identifier_type", flat=True)) == ["user_id"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT properties ->> 'by' FROM profiles_event")
        assert cursor.fetchall() == [(person.email,)]


def test_shows_the_proof_live(officer):
    from tests.world import signed_in

    person = live("shown-person-1")
    request = ask_erasure(person)
    ben = signed_in("ben")
    address = f"/privacy-requests/{request.id}/proof"
    assert "Nothing has been done yet" in ben.get(address).content.decode()
    run_privacy_requests(clock=timezone.now)
    page = ben.get(address, headers={"HX-Request": "true"}).content.decode()
    assert "0 traces" in page
    assert "profiles_identifier" in page
    assert ben.get(f"/privacy-requests/{request.id}/certificate").json()["type"] == "erasure_certificate"
    assert officer.get(f"/api/v1/privacy-requests/{request.id}/proof").json()["stage"] == "searched"
    assert signed_in("ana").get(address).status_code == 403
