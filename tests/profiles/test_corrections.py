"""Corrections by hand: they stand above every message until lifted, follow merges and undo, are exported and erased."""

from typing import Any

import pytest
from django.db import connection

from cdp.core.models import AuditEntry
from cdp.core.registries import Subject
from consent.traces.database import redact_mentions
from consent.traces.needles import make_needles
from profiles.models import Change, Correction, Event, Identifier, Profile, Work, WorkInterest
from profiles.personal_data import Corrections
from profiles.queries.corrections import find_corrected
from profiles.services.steward import merge_profiles
from profiles.services.taking_back import Giver, take_events_back
from profiles.services.trait_rules import save_rules
from profiles.services.undoing import undo_merge
from tests.profiles.sending import NOW, identify, send, source
from tests.world import api, signed_in

pytestmark = pytest.mark.django_db


def said(user: str, at: str, **traits: Any) -> dict[str, Any]:
    """Return an identify of a moment in 2026."""
    return {**identify(user, **traits), "timestamp": f"2026-{at}T00:00:00Z"}


def holder(user: str = "u1") -> Profile:
    return Identifier.objects.select_related("profile").get(type__key="user_id", value=user).profile


def correct(trait: str, value: Any, user: str = "u1", *, reason: str = "told us by phone") -> dict[str, Any]:
    path = f"/api/v1/profiles/{holder(user).uuid}/corrections"
    answer = api("profiles:write", "personal_data:read").post(
        path, {"trait": trait, "value": value, "reason": reason}, format="json"
    )
    assert answer.status_code == 201, answer.content
    found: dict[str, Any] = answer.json()
    return found


def test_stands_above_later_messages_until_it_is_lifted():
    send(said("u1", "02-01", city="Koeln", plan="a"))
    made = correct("city", "Köln")
    send(said("u1", "03-01", city="Bonn", plan="b"))
    assert holder().traits == {"city": "Köln", "plan": "b"}
    client = api("profiles:write", "personal_data:read")
    shown = client.get(f"/api/v1/profiles/{holder().uuid}").json()["traits"]["city"]
    assert (shown["value"], shown["source"]) == ("Köln", "correction")
    assert shown["occurred_at"] == made["created_at"]
    path = f"/api/v1/profiles/{holder().uuid}/corrections"
    lifted = client.delete(f"{path}/{made['id']}").json()
    assert lifted["lifted_at"]
    assert holder().traits == {"city": "Bonn", "plan": "b"}
    assert client.delete(f"{path}/{made['id']}").status_code == 404
    assert [one["id"] for one in client.get(path).json()["results"]] == [made["id"]]
    assert list(
        AuditEntry.objects.filter(action__startswith="trait.").order_by("id").values_list("action", flat=True)
    ) == [
        "trait.corrected",
        "trait.correction_lifted",
    ]


@pytest.mark.parametrize("rule", ["most_frequent", "longest", "set_once", "latest_value"])
def test_stands_above_every_rule(rule):
    save_rules(given={"traits": {"city": rule}}, note="", actor="key:test", now=NOW)
    send(said("u1", "02-01", city="Bonn"))
    correct("city", "B")
    send(said("u1", "03-01", city="Zwickau"), said("u1", "01-01", city="Aue"), said("u1", "03-02", city=None))
    assert holder().traits == {"city": "B"}


def test_keeps_a_trait_empty_and_brings_in_one_that_nobody_said():
    send(said("u1", "02-01", city="Bonn"))
    correct("city", None)
    correct("vip", True)
    send(said("u1", "03-01", city="Bonn"))
    assert holder().traits == {"vip": True}


def test_takes_the_place_of_an_earlier_one():
    send(said("u1", "02-01", city="Bonn"))
    correct("city", "Köln")
    second = correct("city", "Ulm")
    assert holder().traits == {"city": "Ulm"}
    api("profiles:write").delete(f"/api/v1/profiles/{holder().uuid}/corrections/{second['id']}")
    assert holder().traits == {"city": "Bonn"}


def test_follows_a_merge_and_its_undo():
    send(said("u1", "02-01", city="Bonn"), said("u2", "02-02", city="Ulm", plan="x"))
    correct("city", "Köln", "u2")
    uuids = [str(holder(user).uuid) for user in ("u1", "u2")]
    merge = merge_profiles(public_ids=uuids, reason="same", actor="key:test", now=NOW)
    assert holder().traits == {"city": "Köln", "plan": "x"}
    send(said("u1", "03-01", city="Aue"))
    assert holder().traits["city"] == "Köln"
    undo_merge(merge_id=merge.pk, actor="key:test", now=NOW)
    assert holder("u1").traits == {"city": "Aue"}
    assert holder("u2").traits == {"city": "Köln", "plan": "x"}
    assert Correction.objects.get().profile_id == holder("u2").pk


def test_lets_the_last_of_two_stand_in_a_merge():
    send(said("u1", "02-01", city="Bonn"), said("u2", "02-02", city="Ulm"))
    correct("city", "first", "u1")
    correct("city", "second", "u2")
    uuids = [str(holder(user).uuid) for user in ("u1", "u2")]
    merge_profiles(public_ids=uuids, reason="same", actor="key:test", now=NOW)
    assert holder().traits == {"city": "second"}


def test_stays_when_the_messages_are_taken_back():
    origin = source(key="file")
    send(said("u1", "02-01", city="Bonn"), origin=origin)
    correct("city", "Köln")
    assert find_corrected([holder().pk]) == {holder().pk}
    events = list(Event.objects.values_list("id", "occurred_at"))
    with connection.cursor() as cursor:
        take_events_back(cursor, events=events, giver=Giver(origin.pk, None), now=NOW, detail={})
    assert holder().traits == {"city": "Köln"}


def test_is_told_in_history_and_to_followers():
    WorkInterest.objects.create(token="trait:city")
    send(said("u1", "02-01", city="Bonn"))
    Work.objects.all().delete()
    correct("city", "Köln")
    assert Work.objects.get().names == ["trait:city"]
    assert Change.objects.order_by("-id").first().detail == {"names": ["city"], "by_hand": True}
    client = api("profiles:read", "personal_data:read")
    rows = client.get(f"/api/v1/profiles/{holder().uuid}/statements?trait=city").json()["results"]
    assert [(one["value"], one["reason"], one["source"]) for one in rows] == [
        ("Köln", "stands", "correction"),
        ("Bonn", "corrected", "server-source"),
    ]
    before = client.get(f"/api/v1/profiles/{holder().uuid}/traits?as_of={NOW.isoformat()[:19]}Z").json()
    assert before["traits"]["city"]["value"] == "Bonn"


def test_is_exported_counted_erased_and_redacted():
    send(said("u1", "02-01", city="Bonn"), said("u2", "02-01", city="Bonn"))
    correct("city", "Köln", reason="he said so")
    correct("contact", "ask u-one@example.org", "u2")
    needles = make_needles(names=["u-one@example.org"], uuids=[])
    redact_mentions(needles)
    assert "u-one" not in str(Correction.objects.get(trait="contact").statement)
    store = Corrections()
    subject = Subject((holder().pk,), (), (), (), ())
    exported = store.export(subject=subject)["corrections"]
    assert [(one["trait"], one["value"], one["reason"]) for one in exported] == [("city", "Köln", "he said so")]
    assert store.count(subject=subject) == 1
    assert store.erase(subject=subject, limit=10) == 1
    assert list(Correction.objects.values_list("trait", flat=True)) == ["contact"]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"trait": "", "value": 1}, "trait"),
        ({"trait": "$order", "value": 1}, "trait"),
        ({"trait": "orders_count", "value": 1}, "trait"),
        ({"trait": "city"}, "value"),
        ({"trait": "city", "value": "x" * 40_000}, "value"),
        ({"trait": "city", "value": 1, "reason": "x" * 2_000}, "reason"),
    ],
)
def test_refuses_what_cannot_be_stored(body, path):
    send(said("u1", "02-01", city="Bonn"))
    answer = api("profiles:write").post(f"/api/v1/profiles/{holder().uuid}/corrections", body, format="json")
    assert answer.status_code == 400
    assert path in [one["path"] for one in answer.json()["errors"]]
    assert not Correction.objects.exists()


def test_masks_and_needs_the_scope():
    send(said("u1", "02-01", city="Bonn"))
    made = correct("city", "Wuppertal", reason="a reason to hide")
    path = f"/api/v1/profiles/{holder().uuid}/corrections"
    masked = api("profiles:read").get(path).content.decode()
    assert "Wuppertal" not in masked
    assert "reason to hide" not in masked
    assert api("profiles:read").post(path, {"trait": "a", "value": 1}, format="json").status_code == 403
    assert api("profiles:read").delete(f"{path}/{made['id']}").status_code == 403
    unknown = "/api/v1/profiles/00000000-0000-4000-8000-000000000000/corrections"
    assert api("profiles:write").post(unknown, {"trait": "a", "value": 1}, format="json").status_code == 404


def test_page_corrects_and_lifts():
    send(said("u1", "02-01", city="Bonn", age=41))
    officer, path = signed_in("ben"), f"/profiles/{holder().uuid}"
    answer = officer.post(f"{path}/corrections", {"trait": "city", "value": "Köln", "reason": "letter"})
    assert answer["Location"] == f"{path}?trait=city#statements"
    assert holder().traits["city"] == "Köln"
    text = officer.get(f"{path}?trait=city").content.decode()
    assert "put right by hand" in text
    assert "Lift it" in text
    officer.post(f"{path}/corrections", {"trait": "age", "value": "42", "reason": "letter"})
    assert holder().traits["age"] == 42
    assert officer.post(f"{path}/corrections", {"trait": "age", "value": "old", "reason": "x"}).status_code == 400
    officer.post(f"{path}/corrections", {"trait": "age", "value": "43"})
    assert holder().traits["age"] == 42
    row = Correction.objects.get(trait="city")
    officer.post(f"{path}/corrections/{row.pk}/lifted")
    assert holder().traits["city"] == "Bonn"
    marketer = signed_in("ana")
    assert marketer.post(f"{path}/corrections", {"trait": "city", "value": "x", "reason": "x"}).status_code == 403
    assert "Put a trait right" not in marketer.get(path).content.decode()
