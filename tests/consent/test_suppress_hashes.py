"""Identifiers of which only a hash is known are kept out as well; nothing passes where the look-up fails."""

import hashlib
from typing import Any

import pytest
from django.db import OperationalError

from cdp.core import registries
from cdp.core.models import AuditEntry
from consent.errors import Suppressed
from consent.services.decisions import NewDecision, record_decision
from consent.suppression_models import Suppression
from ingestion.models import InboxEntry, Message, Outcome
from ingestion.services import screen
from profiles.models import Event, Profile
from profiles.queries.people import name_identifier
from tests.profiles.sending import NOW, identify, process, put, send
from tests.world import api, signed_in

pytestmark = pytest.mark.django_db
EMAIL = "dana@example.org"


def suppress(form: str, value: str, **more: Any) -> Any:
    body = {"identifier": {"type": "email", "value": value, "format": form}, "reason": "list of a partner", **more}
    return api("compliance_officer").post("/api/v1/suppressions", body, format="json")


def hashed(form: str, value: str = EMAIL) -> str:
    return hashlib.new(form, value.encode()).hexdigest()


@pytest.mark.parametrize("form", ["sha256", "sha1", "md5"])
def test_keeps_out_whom_it_knows_by_a_hash_alone(form: str) -> None:
    answer = suppress(form, hashed(form).upper())
    assert (answer.status_code, answer.json()["format"]) == (201, form)
    send({"type": "identify", "traits": {"email": " Dana@Example.org "}})
    assert Message.objects.get().outcome == Outcome.SUPPRESSED
    assert not Profile.objects.exists()


def test_drops_it_where_a_stronger_identifier_is_not_suppressed() -> None:
    suppress("sha256", hashed("sha256"))
    send(identify("dana-1", email=EMAIL))
    event = Event.objects.get()
    assert Message.objects.get().outcome == Outcome.ACCEPTED
    assert EMAIL not in str(event.properties) + str(event.context) + str(Profile.objects.get().traits)


@pytest.mark.parametrize("form", ["sha256", "sha1", "md5"])
def test_suppresses_whoever_has_it_already_and_gives_back_both(form: str) -> None:
    send(identify("dana-1", email=EMAIL))
    made = suppress(form, hashed(form)).json()
    assert Suppression.objects.count() == 2
    found = api("compliance_officer").get(f"/api/v1/suppressions?identifier=email:{EMAIL}").json()["results"]
    assert len(found) == 2
    assert api("compliance_officer").delete(f"/api/v1/suppressions/{made['id']}").status_code == 400
    lifted = api("compliance_officer").delete(f"/api/v1/suppressions/{made['id']}?reason=error")
    assert lifted.status_code == 204
    assert Suppression.objects.count() == 0
    assert AuditEntry.objects.get(action="suppression.lifted").detail["form"] == form


def test_refuses_a_grant_for_them(marketing: Any) -> None:
    suppress("sha256", hashed("sha256"))
    new = NewDecision("marketing", None, "granted", "system", identifier=name_identifier(type="email", value=EMAIL))
    with pytest.raises(Suppressed):
        record_decision(new=new, now=NOW)


@pytest.mark.parametrize("value", ["abc", "g" * 64, hashed("sha1")])
def test_refuses_what_is_no_hash(value: str) -> None:
    assert suppress("sha256", value).status_code == 400
    assert not Suppression.objects.exists()


def test_costs_messages_of_other_types_nothing(django_assert_num_queries: Any) -> None:
    (check,) = registries.suppression_checks
    with django_assert_num_queries(2):
        assert check([("email", EMAIL, b"")]) == set()
    suppress("sha256", hashed("sha256"))
    with django_assert_num_queries(2):
        assert check([("user_id", "dana-1", b"")]) == set()


def test_page_takes_a_hash() -> None:
    form = {"identifier_type": "email", "value": hashed("md5"), "format": "md5", "reason": "list"}
    page = signed_in("ben").post("/suppressions", form, follow=True).content.decode()
    assert '<span class="chip">md5</span>' in page


def test_stores_nothing_while_the_look_up_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Any) -> set[bytes]:
        raise OperationalError

    monkeypatch.setattr(screen, "suppression_checks", [fail])
    put([identify("dana-1")])
    with pytest.raises(OperationalError):
        process()
    assert not Event.objects.exists()
    monkeypatch.undo()
    assert InboxEntry.objects.count() == 1
    process()
    assert Event.objects.count() == 1
