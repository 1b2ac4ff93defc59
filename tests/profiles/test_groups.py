"""Groups: traits by the last statement, members by who was named with them; a relation, never a merge."""

from datetime import timedelta
from typing import Any

import pytest

from cdp.core.registries import Subject
from profiles.models import Group, GroupMembership, Identifier, Profile
from profiles.personal_data import Groups
from profiles.services.steward import merge_profiles
from profiles.services.undoing import undo_merge
from tests.profiles.sending import NOW, send
from tests.world import api, signed_in

pytestmark = pytest.mark.django_db


def grouped(group: str, user: str, minutes: float = 0, **traits: Any) -> dict[str, Any]:
    """Return a group call, some minutes before the present."""
    at = (NOW - timedelta(minutes=minutes)).isoformat()
    return {"type": "group", "groupId": group, "userId": user, "traits": traits, "timestamp": at}


def holder(user: str) -> Profile:
    """Return the profile of a user id."""
    return Identifier.objects.select_related("profile").get(type__key="user_id", value=user).profile


def test_keeps_the_most_recent_statement_of_each_trait_and_merges_nobody():
    send(grouped("acme", "u1", minutes=1, name="Acme", plan="pro", seats=5), one_by_one=False)
    send(grouped("acme", "u2", minutes=9, name="Acme Old", city="Köln"), grouped("acme", "u1", plan=None))
    client = api("profiles:read", "personal_data:read")
    found = client.get("/api/v1/groups/acme").json()
    assert {name: one["value"] for name, one in found["traits"].items()} == {
        "name": "Acme",
        "seats": 5,
        "city": "Köln",
    }
    assert found["members"] == 2
    assert Profile.objects.count() == 2
    assert [one["id"] for one in client.get("/api/v1/groups").json()["results"]] == ["acme"]


def test_lists_members_and_the_groups_of_a_person():
    send(grouped("acme/de 1", "u1", minutes=5), grouped("acme/de 1", "u1"), grouped("b", "u1", name="Bee"))
    client = api("profiles:read", "personal_data:read")
    members = client.get("/api/v1/groups/acme%2Fde%201/members").json()["results"]
    assert members == [
        {
            "profile_id": str(holder("u1").uuid),
            "since": "2026-03-14T15:04:26.000Z",
            "last_at": "2026-03-14T15:09:26.000Z",
        }
    ]
    of_person = client.get(f"/api/v1/profiles/{holder('u1').uuid}/groups").json()["results"]
    assert {(one["id"], one["name"]) for one in of_person} == {("acme/de 1", ""), ("b", "Bee")}
    page = signed_in("ana").get(f"/profiles/{holder('u1').uuid}/origin").content.decode()
    assert "acme/de 1" in page


def test_masks_traits_without_the_right_and_refuses_without_the_scope():
    send(grouped("acme", "u1", email="boss@acme.example"))
    assert "boss" not in api("profiles:read").get("/api/v1/groups/acme").content.decode()
    assert api("segments:read").get("/api/v1/groups/acme").status_code == 403
    assert api("profiles:read").get("/api/v1/groups/other").status_code == 404


def test_shows_the_group_on_the_event():
    send(grouped("acme", "u1"))
    event = api("profiles:read", "personal_data:read").get(f"/api/v1/profiles/{holder('u1').uuid}/events").json()
    assert event["results"][0]["properties"] == {"groupId": "acme"}


def test_follows_merge_and_undo():
    send(grouped("a", "u1"), grouped("b", "u2"), grouped("a", "u2"))
    uuids = [str(holder(user).uuid) for user in ("u1", "u2")]
    merge = merge_profiles(public_ids=uuids, reason="same", actor="key:test", now=NOW)
    rows = set(GroupMembership.objects.values_list("group__group_id", "profile_id"))
    assert rows == {("a", holder("u1").pk), ("b", holder("u1").pk)}
    assert api("profiles:read").get("/api/v1/groups/a").json()["members"] == 1
    undo_merge(merge_id=merge.pk, actor="key:test", now=NOW)
    rows = set(GroupMembership.objects.values_list("group__group_id", "profile_id"))
    assert rows == {("a", holder("u1").pk), ("b", holder("u2").pk), ("a", holder("u2").pk)}


def test_keeps_the_group_when_a_member_is_erased():
    send(grouped("a", "u1", name="A"), grouped("a", "u2"))
    subject = Subject((holder("u1").pk,), (), (), (), ())
    assert Groups().count(subject=subject) == 1
    assert Groups().export(subject=subject)["groups"][0]["id"] == "a"
    while Groups().erase(subject=subject, limit=10):
        pass
    assert Group.objects.get().traits == {"name": "A"}
    assert GroupMembership.objects.get().profile_id == holder("u2").pk
