"""Merging, undoing and splitting by a steward, through REST."""

import pytest

from profiles.models import Edge, Identifier, Merge, Profile
from tests.profiles.sending import events_of, identify, partition, reasons, send, track
from tests.world import api

pytestmark = pytest.mark.django_db

LEFT = frozenset({"user_id:u1", "email:one@example.org"})
RIGHT = frozenset({"anonymous_id:a1"})


def merged_by_rule():
    """Two profiles with two events each, then a message that joins them."""
    send(
        identify("u1", email="one@example.org", plan="pro"),
        track("Seen", "u1"),
        track("Seen", "", "a1"),
        track("Seen", "", "a1"),
        identify("u1", "a1"),
    )
    assert partition() == {LEFT | RIGHT}
    return str(Profile.objects.get().uuid)


def test_undoes_a_merge_exactly():
    survivor = merged_by_rule()
    client = api("identity:write", "profiles:read")
    merge = client.get(f"/api/v1/profiles/{survivor}/merges").json()["results"][0]
    answer = client.post(f"/api/v1/merges/{merge['id']}/undo")
    assert answer.status_code == 200, answer.content
    assert answer.json()["undone_at"] is not None
    assert partition() == {LEFT, RIGHT}
    # The joining message stays with its strongest identifier.
    assert (events_of("user_id", "u1"), events_of("anonymous_id", "a1")) == (3, 2)
    assert client.get(f"/api/v1/profiles/{merge['absorbed_id']}").json()["id"] == merge["absorbed_id"]
    assert Profile.objects.get(uuid=survivor).traits == {"email": "one@example.org", "plan": "pro"}


def test_blocks_what_was_undone():
    survivor = merged_by_rule()
    client = api("identity:write", "profiles:read")
    merge = client.get(f"/api/v1/profiles/{survivor}/merges").json()["results"][0]
    client.post(f"/api/v1/merges/{merge['id']}/undo")
    send(identify("u1", "a1"))
    assert partition() == {LEFT, RIGHT}
    assert reasons() == ["blocked edge"]
    assert events_of("user_id", "u1") == 4


def test_refuses_to_undo_twice():
    survivor = merged_by_rule()
    client = api("identity:write", "profiles:read")
    merge = client.get(f"/api/v1/profiles/{survivor}/merges").json()["results"][0]
    client.post(f"/api/v1/merges/{merge['id']}/undo")
    answer = client.post(f"/api/v1/merges/{merge['id']}/undo")
    assert (answer.status_code, answer.json()["code"]) == (409, "merge.cannot_undo")


def test_merges_two_identified_profiles_by_hand_and_back():
    send(identify("u1", email="one@example.org"), identify("u2", "a2"))
    ids = [str(Identifier.objects.get(value=value).profile.uuid) for value in ("u1", "u2")]
    client = api("identity:write", "profiles:read")
    answer = client.post("/api/v1/profiles/merge", {"profile_ids": ids, "reason": "same person"}, format="json")
    assert answer.status_code == 201, answer.content
    assert answer.json()["kind"] == "steward"
    assert len(partition()) == 1
    assert {client.get(f"/api/v1/profiles/{one}").json()["id"] for one in ids} == {answer.json()["survivor_id"]}
    client.post(f"/api/v1/merges/{answer.json()['id']}/undo")
    assert partition() == {LEFT, frozenset({"user_id:u2", "anonymous_id:a2"})}


def test_splits_identifiers_off():
    survivor = merged_by_rule()
    client = api("identity:write", "profiles:read")
    answer = client.post(
        f"/api/v1/profiles/{survivor}/split",
        {"identifiers": [{"type": "email", "value": "One@example.org"}]},
        format="json",
    )
    assert answer.status_code == 200, answer.content
    assert partition() == {frozenset({"user_id:u1", "anonymous_id:a1"}), frozenset({"email:one@example.org"})}
    assert Edge.objects.filter(state=Edge.State.BLOCKED).count() == 1


def test_refuses_to_split_everything_off():
    send(identify("u1"))
    profile = Profile.objects.get()
    answer = api("identity:write").post(
        f"/api/v1/profiles/{profile.uuid}/split",
        {"identifiers": [{"type": "user_id", "value": "u1"}]},
        format="json",
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "split.invalid")


def test_needs_the_scope_to_merge():
    answer = api("profiles:read").post("/api/v1/profiles/merge", {"profile_ids": []}, format="json")
    assert answer.status_code == 403


def test_keeps_a_restriction_through_a_merge():
    send(identify("u1", email="one@example.org"), track("Seen", "", "a1"))
    Profile.objects.filter(identifiers__value="a1").update(restricted=True)
    send(identify("u1", "a1"))
    assert Profile.objects.get().restricted


def test_leaves_what_came_later_with_the_side_it_hangs_on():
    send(identify("", "a1", email="one@example.org"), identify("", "a3", email="two@example.org"))
    # The link, and one identifier more for the absorbed side, in one batch: both carry the same time.
    send(identify("", "a1", email="two@example.org"), identify("", "a2", email="two@example.org"), one_by_one=False)
    merge = Merge.objects.get()
    answer = api("identity:write").post(f"/api/v1/merges/{merge.pk}/undo")
    assert answer.status_code == 200, answer.content
    assert partition() == {
        frozenset({"anonymous_id:a1", "email:one@example.org"}),
        frozenset({"anonymous_id:a2", "anonymous_id:a3", "email:two@example.org"}),
    }
