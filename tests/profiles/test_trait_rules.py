"""Rules of traits: saved, tried before, applied to stored profiles; each value with its history, now and then."""

import os
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from cdp.core.models import AuditEntry, Job
from cdp.core.services.jobs import run_jobs
from profiles.errors import CannotUndo
from profiles.models import Identifier, Merge, Profile, TraitRules, Work, WorkInterest
from profiles.queries.trait_rules import read_rules
from profiles.services.settling import find_states
from profiles.services.splitting import recompute
from profiles.services.steward import merge_profiles, split_profile
from profiles.services.trait_rules import save_rules
from profiles.services.undoing import undo_merge
from profiles.survivorship.rules import KINDS
from tests.profiles.sending import NOW, identify, process, put, send, source
from tests.world import api, faults, signed_in

PATH = "/api/v1/traits/rules"
SEARCH = int(os.environ.get("TRAIT_EXAMPLES", "0"))


def said(user: str, at: str, **traits: Any) -> dict[str, Any]:
    """Return an identify of a moment in 2026."""
    return {**identify(user, **traits), "timestamp": f"2026-{at}T00:00:00Z"}


def holder(user: str = "u1") -> Profile:
    return Identifier.objects.select_related("profile").get(type__key="user_id", value=user).profile


def put_in_force(traits: dict[str, Any], sources: tuple[str, ...] = ()) -> None:
    save_rules(given={"sources": list(sources), "traits": traits}, note="", actor="key:test", now=NOW)


pytestmark = pytest.mark.django_db


@pytest.fixture
def crm() -> Any:
    return source(key="crm")


@pytest.fixture
def web() -> Any:
    return source(key="web")


def test_follows_rules_from_the_next_message_on(crm, web):
    put_in_force(
        {
            "phone": {"rule": "source_priority", "sources": ["crm", "web"]},
            "name": "longest",
            "first_identified": "earliest_value",
            "last_active": "latest_value",
            "owner": "set_once",
            "city": "most_frequent",
            "email_kind": {"rule": "verified_first", "verified_by": "email_verified"},
        }
    )
    send(
        said("u1", "02-01", phone="1", name="Annabel", city="Köln", first_identified="2026-01-05", email_verified=True,
             email_kind="work"),
        origin=crm,
    )  # fmt: skip
    send(
        said("u1", "02-02", phone="2", name="Ann", city="Bonn", owner="ivo", last_active="2026-02-02", plan="a"),
        said("u1", "02-03", city="Köln", owner="ben", last_active="2026-01-02", email_kind="home", plan="b"),
        said("u1", "01-01", owner="ana", first_identified="2026-01-06", phone="3", city="Bonn", plan="c"),
        origin=web,
        one_by_one=False,
    )
    assert holder().traits == {
        "phone": "1",
        "name": "Annabel",
        "first_identified": "2026-01-05",
        "last_active": "2026-02-02",
        "owner": "ana",
        "city": "Köln",
        "email_kind": "work",
        "email_verified": True,
        "plan": "b",
    }


def test_saves_a_version_and_the_same_again_makes_none(crm):
    client = api("identity:write")
    assert client.get(PATH).json()["version"] == 0
    body = {"sources": ["crm"], "traits": {"name": "longest"}, "note": "call centre"}
    answer = client.put(PATH, body, format="json")
    assert answer.status_code == 200, answer.content
    assert answer.json()["traits"] == {"name": {"rule": "longest"}}
    client.put(PATH, body, format="json")
    assert [row["version"] for row in client.get(f"{PATH}/versions").json()["results"]] == [1]
    assert client.get(PATH).json()["note"] == "call centre"
    assert AuditEntry.objects.get(action="trait_rules.saved").detail == {"version": 1, "traits": "all"}


def test_refuses_rules_that_cannot_be_used_and_changes_nothing():
    answer = api("identity:write").put(PATH, {"traits": {"a": "loudest"}, "source": []}, format="json")
    assert answer.status_code == 400
    assert faults(answer.json()) == [
        ("source", "trait_rules.invalid"),
        ("traits.a.rule", "trait_rules.invalid"),
    ]
    assert not TraitRules.objects.exists()
    assert api("identity:write").put(PATH, [1], format="json").status_code == 400
    assert api("identity:write").put(PATH, {"note": 1}, format="json").status_code == 400


def test_needs_the_scope():
    assert api("identity:read").put(PATH, {}, format="json").status_code == 403
    assert api("profiles:read").get(PATH).status_code == 403
    assert api("identity:read").post(f"{PATH}/preview", {}, format="json").status_code == 403


def test_shows_before_and_after_on_real_profiles_and_saves_nothing():
    send(said("u1", "02-01", name="Annabel"), said("u1", "02-02", name="Ann"), said("u2", "02-01", name="Bo"))
    body = {"traits": {"name": "longest"}}
    answer = api("identity:read", "profiles:read", "personal_data:read").post(f"{PATH}/preview", body, format="json")
    assert answer.status_code == 200, answer.content
    found = answer.json()
    assert (found["examined"], found["changed"]) == (2, 1)
    row = found["results"][0]
    assert row["profile_id"] == str(holder().uuid)
    assert (row["before"]["value"], row["after"]["value"], row["rule"]) == ("Ann", "Annabel", "longest")
    assert row["after"]["occurred_at"] == "2026-02-01T00:00:00.000Z"
    masked = api("identity:read", "profiles:read").post(f"{PATH}/preview", body, format="json").json()
    assert "Annabel" not in str(masked)
    assert holder().traits == {"name": "Ann"}
    assert not TraitRules.objects.exists()


def test_brings_stored_profiles_in_line_in_steps_and_tells_followers(monkeypatch):
    monkeypatch.setattr("profiles.services.trait_rules.STEP_PROFILES", 2)
    WorkInterest.objects.create(token="trait:name")
    for user in ("u1", "u2", "u3", "u4", "u5"):
        send(said(user, "02-01", name="Annabel"), said(user, "02-02", name="Ann" if user != "u4" else "Annabella"))
    send(said("u6", "02-01", plan="x"))
    Work.objects.all().delete()
    put_in_force({"name": "longest"})
    assert holder("u1").traits == {"name": "Ann"}
    run_jobs()
    assert {user: holder(user).traits for user in ("u1", "u4", "u5", "u6")} == {
        "u1": {"name": "Annabel"},
        "u4": {"name": "Annabella"},
        "u5": {"name": "Annabel"},
        "u6": {"plan": "x"},
    }
    progress = Job.objects.get().progress
    assert (progress["examined"], progress["changed"]) == (5, 4)
    assert {tuple(names) for names in Work.objects.values_list("names", flat=True)} == {("trait:name",)}
    assert Work.objects.count() == 4
    put_in_force({})
    run_jobs()
    assert holder("u1").traits == {"name": "Ann"}


def test_keeps_a_value_whose_event_is_gone(web):
    send(said("u1", "02-01", name="Annabel"), said("u1", "02-02", plan="x"), origin=web)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM profiles_event WHERE occurred_at < '2026-02-02'")
    put_in_force({"name": "longest"})
    run_jobs()
    assert holder().traits == {"name": "Annabel", "plan": "x"}


def test_tells_all_sources_and_why_each_lost(crm, web):
    put_in_force({"phone": {"rule": "source_priority", "sources": ["crm"]}})
    send(said("u1", "02-01", phone="1", plan="x"), origin=crm)
    send(said("u1", "02-02", phone="2"), said("u1", "02-03", phone=None), origin=web)
    send(said("u1", "01-03", phone="0"), origin=crm)
    client = api("profiles:read", "personal_data:read")
    found = client.get(f"/api/v1/profiles/{holder().uuid}/statements?trait=phone&as_of=2030-01-01").json()
    assert (found["rule"], found["rules_version"]) == ("source_priority", 1)
    assert [(one["value"], one["source"], one["wins"], one["reason"]) for one in found["results"]] == [
        ("1", "crm", True, "wins"),
        (None, "web", False, "weaker_source"),
        ("2", "web", False, "weaker_source"),
        ("0", "crm", False, "older"),
    ]
    assert found["results"][1]["why"] == "comes from a weaker source"
    assert found["results"][0]["message_id"]
    assert "'1'" not in str(api("profiles:read").get(f"/api/v1/profiles/{holder().uuid}/statements?trait=phone").json())
    refused = client.get(f"/api/v1/profiles/{holder().uuid}/statements")
    assert (refused.status_code, refused.json()["code"]) == (400, "trait.invalid")


def test_shows_what_was_sent_beside_what_cleaning_made_of_it():
    client = api("sources:write")
    origin = source(key="shop")
    steps = {"steps": [{"field": "traits.plan", "normaliser": "whitespace"}]}
    assert client.put("/api/v1/sources/shop/cleaning", steps, format="json").status_code == 200
    origin.refresh_from_db()
    send(said("u1", "02-01", plan="  pro "), origin=origin)
    client = api("profiles:read", "personal_data:read")
    row = client.get(f"/api/v1/profiles/{holder().uuid}/statements?trait=plan").json()["results"][0]
    assert (row["value"], row["raw"]) == ("pro", "  pro ")
    page = signed_in("ada").get(f"/profiles/{holder().uuid}/statements?trait=plan").content.decode()
    assert "sent as" in page


def test_tells_what_was_believed_at_a_time():
    send(said("u1", "01-10", plan="old"), at=datetime(2026, 1, 20, tzinfo=UTC))
    # Said before, received after: not known in between.
    send(said("u1", "01-15", plan="late", city="Köln"), at=datetime(2026, 2, 20, tzinfo=UTC))
    send(said("u1", "03-01", plan=None), at=datetime(2026, 3, 2, tzinfo=UTC))
    client = api("profiles:read", "personal_data:read")

    def believed(at: str) -> dict[str, Any]:
        answer = client.get(f"/api/v1/profiles/{holder().uuid}/traits?as_of={at}").json()
        return {name: one["value"] for name, one in answer["traits"].items()}

    assert believed("2026-01-01") == {}
    assert believed("2026-02-01") == {"plan": "old"}
    assert believed("2026-02-21") == {"plan": "late", "city": "Köln"}
    assert believed("2026-03-03") == {"city": "Köln"}
    assert client.get(f"/api/v1/profiles/{holder().uuid}/traits?as_of=x").status_code == 400
    page = signed_in("ada").get(f"/profiles/{holder().uuid}?as_of=2026-02-21&trait=plan").content.decode()
    assert "late" in page
    assert "As believed on" in page


def test_tells_the_past_under_the_rules_of_then():
    send(said("u1", "01-01", name="Annabel"), said("u1", "01-02", name="Ann"), at=datetime(2026, 1, 20, tzinfo=UTC))
    put_in_force({"name": "longest"})
    client = api("profiles:read", "personal_data:read")
    before, after = (
        client.get(f"/api/v1/profiles/{holder().uuid}/traits?as_of={at}").json() for at in ("2026-02-01", "2026-03-15")
    )
    assert (before["traits"]["name"]["value"], before["rules_version"]) == ("Ann", 0)
    assert (after["traits"]["name"]["value"], after["rules_version"]) == ("Annabel", 1)


def test_page_shows_what_changes_before_it_saves(crm):
    send(said("u1", "02-01", name="Annabel"), said("u1", "02-02", name="Ann"))
    page = signed_in("ada")
    assert "None yet" in page.get("/traits/rules").content.decode()
    form = {"sources": "crm", "trait-0": "name", "rule-0": "longest"}
    answer = page.post("/traits/rules", {**form, "act": "preview"})
    text = answer.content.decode()
    assert answer.status_code == 200
    assert "Annabel" in text
    assert "would change" in text
    digest = answer.context["digest"]
    assert page.post("/traits/rules", {**form, "act": "save"}).status_code == 409
    assert not TraitRules.objects.exists()
    assert page.post("/traits/rules", {**form, "act": "save", "checked": digest, "note": "why"}).status_code == 302
    run_jobs()
    assert holder().traits == {"name": "Annabel"}
    text = page.get("/traits/rules").content.decode()
    assert "Version 1 in force" in text
    wrong = page.post(
        "/traits/rules", {"trait-0": "city", "trait-1": "name", "rule-1": "verified_first", "act": "preview"}
    )
    assert wrong.status_code == 422
    assert "Choose a rule" in wrong.content.decode()
    assert "verified_by" in wrong.content.decode()
    assert "Annabel" not in signed_in("ana").get("/traits/rules").content.decode()
    assert signed_in("ana").post("/traits/rules", {**form, "act": "save"}).status_code == 403
    assert signed_in("cy").get("/traits/rules").status_code == 403


def test_profile_page_says_what_was_said_and_masks_it():
    send(said("u1", "02-01", name="Annabel"), said("u1", "02-02", name="Ann"))
    path = f"/profiles/{holder().uuid}"
    part = signed_in("ada").get(f"{path}/statements?trait=name").content.decode()
    assert "Annabel" in part
    assert "said earlier" in part
    assert "Annabel" not in signed_in("ana").get(f"{path}/statements?trait=name").content.decode()
    table = signed_in("ada").get(f"{path}/traits?as_of=2026-02-01")
    assert table["HX-Replace-Url"] == f"{path}?as_of=2026-02-01"


def test_costs_a_batch_one_look_at_the_rules():
    send(said("u1", "02-01", name="Annabel", city="Köln"))

    def statements(count: int) -> int:
        put([said(f"u{n}", "02-02", name="Ann", city=f"c{n}") for n in range(count)])
        with CaptureQueriesContext(connection) as captured:
            process()
        return len(captured)

    assert statements(3) == statements(30)
    put_in_force({"name": "longest", "city": "most_frequent"})
    run_jobs()
    assert statements(3) == statements(30)


def scratch() -> dict[int, Any]:
    """What each profile's traits are when computed from all events."""
    with connection.cursor() as cursor:
        rules = read_rules(cursor)
        wanted = {row.pk: sorted({*row.trait_meta, *TRAITS}) for row in Profile.objects.all()}
        states = find_states(cursor, wanted=wanted, rules=rules, held={})
    return {
        profile_id: {name: value for name, (value, _) in found.items() if value is not None}
        for profile_id, found in states.items()
    }


def stored() -> dict[int, Any]:
    return {row.pk: row.traits for row in Profile.objects.all()}


def metas() -> dict[int, Any]:
    return {row.pk: row.trait_meta for row in Profile.objects.all()}


TRAITS = ("t", "v")
USERS = st.sampled_from(["u1", "u2", "u3"])
VALUES = st.sampled_from([None, "a", "bb", "ccc", 7])
STATED = {"t": VALUES, "v": VALUES, "t_ok": st.booleans()}


class TraitProperties(TestCase):
    """The traits kept current are those computed from scratch, whatever happened."""

    @settings(max_examples=SEARCH or 25, derandomize=not SEARCH, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def test_equal_those_computed_from_scratch(self, data):
        kinds = st.sampled_from([kind for kind in KINDS if kind != "verified_first"])
        with transaction.atomic():
            origins = [source(key="crm"), source(key="web")]
            put_in_force(
                {"t": data.draw(kinds), "v": {"rule": "verified_first", "verified_by": "t_ok", "sources": ["web"]}},
                data.draw(st.sampled_from([("crm", "web"), ("web",)])),
            )
            for number in range(data.draw(st.integers(3, 10))):
                at = NOW + timedelta(minutes=data.draw(st.integers(0, 1)) + number // 3)
                act = data.draw(st.sampled_from(["say", "say", "say", "merge", "undo", "split"]))
                if act == "say":
                    items = [
                        {
                            **identify(
                                data.draw(USERS),
                                t=data.draw(VALUES),
                                v=data.draw(VALUES),
                                t_ok=data.draw(st.booleans()),
                            ),
                            "timestamp": f"2026-03-01T00:00:0{data.draw(st.integers(1, 3))}Z",
                            "messageId": f"t-{number}-{place}",
                        }
                        for place in range(data.draw(st.integers(1, 3)))
                    ]
                    put(items, origin=data.draw(st.sampled_from(origins)), at=at)
                    process(now=at)
                else:
                    change(data, act, at)
                assert stored() == scratch()
            kept = metas()
            with connection.cursor() as cursor:
                recompute(cursor, sorted(kept))
            assert stored() == scratch()
            assert metas() == kept
            transaction.set_rollback(True)


def change(data: Any, act: str, at: datetime) -> None:
    """Merge, undo or split somebody, where that is possible."""
    uuids = sorted(str(one) for one in Profile.objects.values_list("uuid", flat=True))
    merges = list(Merge.objects.filter(undone_at=None).order_by("id"))
    if act == "merge" and len(uuids) > 1:
        pair = data.draw(st.permutations(uuids))[:2]
        merge_profiles(public_ids=pair, reason="same", actor="key:test", now=at)
    elif act == "undo" and merges:
        try:
            with transaction.atomic():
                undo_merge(merge_id=data.draw(st.sampled_from(merges)).pk, actor="key:test", now=at)
        except CannotUndo:
            pass
    elif act == "split":
        held = Identifier.objects.select_related("type", "profile").order_by("id")
        many = [one for one in held if sum(other.profile_id == one.profile_id for other in held) > 1]
        if many:
            one = data.draw(st.sampled_from(many))
            named = [(one.type.key, one.value)]
            split_profile(public_id=str(one.profile.uuid), identifiers=named, actor="key:test", now=at)
