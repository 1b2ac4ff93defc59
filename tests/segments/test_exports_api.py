"""Exports by REST: everybody in the file passed the gate, when it was made and when it was fetched."""

import csv
import hashlib
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow.parquet
import pytest
from django.conf import settings
from django.utils import timezone

from cdp.core.registries import Subject
from cdp.core.services.jobs import run_jobs
from consent.disclosure_models import Disclosure
from consent.services.field_tags import NewFieldTag, tag_field
from consent.services.suppressions import suppress_identifier
from profiles.models import Profile
from profiles.queries.people import name_identifier
from segments.models import Segment
from segments.personal_data_sending import ExportedRows
from segments.sending_models import Export, ExportPart
from segments.services.sending import exports
from tests.profiles.sending import send
from tests.segments.asking import catch_up, segment
from tests.segments.audience import NOW, audience, decide, person, profile, purpose
from tests.world import api, faults

pytestmark = pytest.mark.django_db


def officer() -> Any:
    return api("segments:write", "personal_data:read")


def export(client: Any = None, **asked: Any) -> dict[str, Any]:
    """Make an export and return what REST says of it once it is done."""
    client = client or officer()
    given = {"segment": "all", "purpose": "marketing", "channel": "email", **asked}
    made = client.post("/api/v1/exports", given, format="json")
    assert made.status_code == 202, made.json()
    run_jobs()
    return client.get(f"/api/v1/exports/{made.json()['id']}").json()


def fetch(made: dict[str, Any], client: Any = None) -> bytes:
    answer = (client or officer()).get(f"/api/v1/exports/{made['id']}/file")
    assert answer.status_code == 200, answer.json()
    return b"".join(answer.streaming_content)


def table(raw: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(raw.decode(), newline="")))


def test_exports_those_who_allow_it_and_counts_the_others_by_reason():
    audience(["ana", "ben", "cleo", "dora", "ed"])
    decide("ben", "withdrawn")
    person("fay", email="fay@customer.example")
    Profile.objects.filter(pk=profile("dora").pk).update(restricted=True)
    suppress_identifier(
        named=name_identifier(type="email", value="ed@customer.example"), reason="asked", actor="system", now=NOW
    )
    catch_up(timezone.now())
    made = export(columns=["identifier:email", {"name": "Name", "source": "trait:first_name"}])
    # Fay was never asked; Dora is a member until segments hear of the restriction.
    assert (made["status"], made["rows"]) == ("done", 2)
    assert made["skipped"] == {"withdrawn": 1, "unknown": 1, "suppressed": 1, "restricted": 1}
    assert table(fetch(made)) == [
        {"email": "ana@customer.example", "Name": "Ana"},
        {"email": "cleo@customer.example", "Name": "Cleo"},
    ]


def test_whoever_withdraws_after_it_was_made_is_not_in_the_file():
    audience(["ana", "ben"])
    made = export(columns=["email"])
    decide("ben", "withdrawn")
    assert made["rows"] == 2
    assert table(fetch(made)) == [{"email": "ana@customer.example"}]
    assert [row.profile_id for row in Disclosure.objects.all()] == [profile("ana").pk]


def test_whoever_withdraws_while_it_is_made_is_left_out_from_the_next_batch_on(monkeypatch):
    audience(["ana", "ben", "cleo"])
    monkeypatch.setattr(exports, "BATCH", 1)
    release = exports.release

    def withdraw_after_the_first(**asked: Any) -> Any:
        found = release(**asked)
        if asked["profile_ids"] == [profile("ana").pk]:
            decide("cleo", "withdrawn")
        return found

    monkeypatch.setattr(exports, "release", withdraw_after_the_first)
    made = export(columns=["email"])
    assert (made["rows"], made["skipped"]) == (2, {"withdrawn": 1})


def test_asks_with_a_constant_number_of_statements(django_assert_max_num_queries):
    audience([f"user-{number}" for number in range(12)])
    made = Export.objects.get(pk=export()["id"])
    job = type("Job", (), {"arguments": {"export": made.pk}})()
    Export.objects.update(status="running", last_profile_id=0)
    # The export, the members; purpose, profiles, cells, existence, identifiers, suppressions, values, orders, computed
    # traits with their defaults; the lock, who may still be in (purpose to suppressions again); the part.
    with django_assert_max_num_queries(23):
        assert exports.write_part(job) is False


@pytest.mark.parametrize(("preset", "heading"), [("google_customer_match", "Email"), ("meta_custom_audience", "email")])
def test_presets_hash_the_normal_form_and_need_no_right_to_see_it(preset, heading):
    audience(["ana"])
    send({"type": "identify", "userId": "ana", "traits": {"email": " Ana@Customer.Example ", "country": "DE"}}, at=NOW)
    marketer = api("marketer")
    made = export(marketer, preset=preset)
    (row,) = table(fetch(made, marketer))
    assert row[heading] == hashlib.sha256(b"ana@customer.example").hexdigest()
    # The country is not hashed in Google's list, so it is hidden from who sees values masked.
    country = row["Country"] if "Country" in row else row["country"]
    assert country == ("***" if preset.startswith("google") else hashlib.sha256(b"de").hexdigest())
    assert "customer.example" not in fetch(made, marketer).decode()


def test_hides_values_from_who_may_not_see_them():
    audience(["ana"])
    marketer = api("marketer")
    made = export(marketer, columns=["id", "email"])
    assert made["masked"] is True
    assert table(fetch(made, marketer)) == [{"id": str(profile("ana").uuid), "email": "a***@***.example"}]
    open_one = export(columns=["email"])
    answer = marketer.get(f"/api/v1/exports/{open_one['id']}/file")
    assert (answer.status_code, answer.json()["code"]) == (403, "export.hidden")


def test_no_cell_runs_as_a_formula():
    audience(["ana"])
    person("ana", first_name="=cmd|'/c calc'!A1", note="@sum(1)", minus=-5)
    made = export(columns=["trait:first_name", "trait:note", "trait:minus"])
    assert table(fetch(made)) == [{"first_name": "'=cmd|'/c calc'!A1", "note": "'@sum(1)", "minus": "-5"}]


def test_parquet_keeps_types_and_everyone_s_computed_traits_add_up():
    purpose("analytics", legal_basis="legitimate_interests", channels=[])
    for user, amounts in {"ana": [10.25, 20], "ben": [5.5], "cleo": []}.items():
        person(user, age=30)
        for number, amount in enumerate(amounts):
            properties = {"order_id": f"{user}-{number}", "revenue": amount, "currency": "EUR"}
            send({"type": "track", "userId": user, "event": "Order Completed", "properties": properties}, at=NOW)
    segment("all", {"type": "everyone"}, now=NOW)
    columns = ["identifier:user_id", "trait:orders_count", "trait:orders_revenue", "trait:age", "trait:nothing"]
    made = export(purpose="analytics", channel=None, format="parquet", columns=columns)
    found = pyarrow.parquet.read_table(io.BytesIO(fetch(made)))
    assert [str(kind) for kind in found.schema.types] == ["string", "int64", "double", "int64", "string"]
    assert sum(value or 0 for value in found["orders_revenue"].to_pylist()) == 35.75
    assert found["orders_count"].to_pylist() == [2, 1, None]
    as_csv = table(fetch(export(purpose="analytics", channel=None, columns=columns)))
    assert sum(float(row["orders_revenue"] or 0) for row in as_csv) == 35.75


def test_erasure_writes_the_file_again_without_the_person():
    audience(["ana", "ben"])
    made = export(columns=["email"])
    ana = profile("ana")
    store, subject = ExportedRows(), Subject((ana.pk,), (str(ana.uuid),), (), (), ())
    before = ExportPart.objects.get().stored
    assert store.count(subject=subject) == 1
    assert [store.erase(subject=subject, limit=10) for _ in range(2)] == [1, 0]
    assert (store.count(subject=subject), Export.objects.get().rows) == (0, 1)
    assert ExportPart.objects.get().stored != before
    assert table(fetch(made)) == [{"email": "ben@customer.example"}]


def test_the_file_is_sealed_and_goes_when_its_time_is_up(django_capture_on_commit_callbacks):
    audience(["ana"])
    made = export(columns=["email"])
    (part,) = ExportPart.objects.all()
    path = settings.CDP_DATA_DIR / "files" / part.stored
    assert b"customer" not in path.read_bytes()
    with django_capture_on_commit_callbacks(execute=True):
        exports.expire_exports(datetime.now(UTC) + timedelta(days=8))
    assert not path.exists()
    answer = officer().get(f"/api/v1/exports/{made['id']}/file")
    assert (answer.status_code, answer.json()["code"]) == (410, "export.expired")


def test_the_file_says_whose_it_is_and_is_not_kept_by_browsers():
    audience(["ana"])
    made = export()
    answer = officer().get(f"/api/v1/exports/{made['id']}/file", HTTP_ACCEPT="text/csv")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="all-{made["id"]}.csv"'


@pytest.mark.parametrize(
    ("asked", "path", "code"),
    [
        ({"columns": ["trait:"]}, "columns.0.source", "unknown_source"),
        ({"columns": [{"source": "email", "transform": "rot13"}]}, "columns.0.transform", "unknown_transform"),
        ({"columns": ["email", "identifier:email"]}, "columns", "repeated"),
        ({"preset": "google_customer_match", "columns": ["email"]}, "columns", "with_preset"),
        ({"format": "xls"}, "format", "invalid_choice"),
        ({"segment": "all", "color": "red"}, "color", "unknown"),
    ],
)
def test_refuses_what_cannot_be_exported(asked, path, code):
    audience([])
    answer = officer().post("/api/v1/exports", {"segment": "all", "purpose": "marketing", **asked}, format="json")
    assert answer.status_code in {400, 422}
    assert (path, code) in faults(answer.json())


def test_refuses_a_purpose_that_does_not_fit_and_a_segment_that_is_not_live():
    made = audience([], purpose="marketing", channel="email")
    purpose("research")
    client = officer()
    for asked in ({"purpose": "research"}, {"channel": "sms"}):
        answer = client.post("/api/v1/exports", {"segment": "all", **asked}, format="json")
        assert (answer.status_code, answer.json()["code"]) == (422, "sending.purpose_does_not_fit")
    Segment.objects.filter(pk=made.pk).update(purpose="", channel="")
    answer = client.post("/api/v1/exports", {"segment": "all"}, format="json")
    assert answer.json()["code"] == "sending.purpose_does_not_fit"
    Segment.objects.filter(pk=made.pk).update(status="draft")
    answer = client.post("/api/v1/exports", {"segment": "all", "purpose": "marketing"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "sending.segment_not_live")
    assert client.post("/api/v1/exports", {"segment": "none"}, format="json").status_code == 404


def test_needs_the_right_to_change_segments():
    audience(["ana"])
    reader = api("segments:read")
    assert reader.post("/api/v1/exports", {"segment": "all"}, format="json").status_code == 403
    made = export()
    assert reader.get("/api/v1/exports").json()["results"][0]["id"] == made["id"]
    assert reader.get(f"/api/v1/exports/{made['id']}/file").status_code == 403
    assert reader.delete(f"/api/v1/exports/{made['id']}").status_code == 403
    assert officer().delete(f"/api/v1/exports/{made['id']}").status_code == 204
    assert officer().get(f"/api/v1/exports/{made['id']}").status_code == 404


def test_refuses_a_column_that_may_not_serve_the_purpose():
    audience(["ana"])
    purpose("delivery")
    tag = NewFieldTag(kind="trait", name="city", purposes=["delivery"], sensitivity="personal")
    tag_field(new=tag, actor="system", now=NOW)
    answer = officer().post(
        "/api/v1/exports", {"segment": "all", "purpose": "marketing", "columns": ["email", "trait:city"]}, format="json"
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "sending.purpose_does_not_fit")
    assert faults(answer.json()) == [("columns.1", "does_not_fit")]


def test_a_computed_trait_of_everyone_adds_up_over_the_export():
    purpose("analytics", legal_basis="legitimate_interests", channels=[])
    for user, amounts in {"ana": [10.5, 20], "ben": [5], "cleo": []}.items():
        person(user)
        for amount in amounts:
            send({"type": "track", "userId": user, "event": "Order", "properties": {"total": amount}}, at=NOW)
    segment("all", {"type": "everyone"}, now=NOW)
    compute = {"type": "summary", "fn": "sum", "name": "Order", "property": "total"}
    definition = {"version": 1, "timezone": "UTC", "compute": compute}
    body = {"key": "spent", "name": "Spent", "definition": definition, "status": "live"}
    answer = officer().post("/api/v1/computed-traits", body, format="json")
    assert answer.status_code == 201, answer.json()
    made = export(purpose="analytics", channel=None, columns=["identifier:user_id", "trait:spent"])
    found = {row["user_id"]: float(row["spent"] or 0) for row in table(fetch(made))}
    assert found == {"ana": 30.5, "ben": 5.0, "cleo": 0.0}
