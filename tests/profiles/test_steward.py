"""Merging, undoing and splitting by a steward, through REST."""

import pytest
from django.utils import timezone

from consent.services.requests import NewRequest, approve_request, create_request
from consent.services.running import run_privacy_requests
from profiles.models import Edge, Identifier, Merge, Profile
from profiles.queries.people import name_identifier
from profiles.services.undoing import undo_merge
from segments.models import ListMember
from segments.queries.lists import Line
from segments.services.lists import add_to_list, create_list
from tests.profiles import oracle
from tests.profiles.sending import NOW, events_of, identify, partition, reasons, send, track
from tests.world import api, signed_in

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


def restrict(type_key, value):
    """Restrict the processing of whoever holds an identifier, by a request."""
    now = timezone.now()
    identity = name_identifier(type=type_key, value=value)
    request = create_request(new=NewRequest("restriction", [identity], "gdpr", now, "api", "test"), now=now)
    approve_request(request_id=str(request.pk), actor="test", now=now)
    run_privacy_requests(clock=timezone.now)


def restricted():
    return {one.value for one in Identifier.objects.filter(profile__restricted=True)}


def undo_latest():
    """Undo the latest merge as the system does: somebody by hand is refused while a side is restricted."""
    undo_merge(merge_id=Merge.objects.latest("id").pk, actor="system", now=timezone.now())


def test_gives_a_restriction_back_to_the_side_that_asked_for_it():
    send(identify("u1", email="one@example.org"), track("Seen", "", "a1"))
    restrict("anonymous_id", "a1")
    send(identify("u1", "a1"))
    assert restricted() == {"u1", "one@example.org", "a1"}
    undo_latest()
    assert restricted() == {"a1"}


def test_keeps_both_sides_restricted_where_nobody_knows_who_asked():
    send(identify("u1"), track("Seen", "", "a1"), identify("u1", "a1"))
    Profile.objects.update(restricted=True)
    undo_latest()
    assert restricted() == {"u1", "a1"}


def test_gives_both_sides_their_places_on_a_list_back():
    send(identify("u1"), track("Seen", "", "a1"))
    create_list(key="staff", name="Staff", actor="test", now=NOW)
    lines = [Line(type="user_id", value="u1"), Line(profile_id=str(profile_of("a1").uuid))]
    add_to_list(key="staff", lines=lines, actor="test", now=NOW)
    send(identify("u1", "a1"))
    assert ListMember.objects.count() == 1
    undo_latest()
    assert set(ListMember.objects.values_list("profile_id", flat=True)) == {profile_of("u1").pk, profile_of("a1").pk}


def test_gives_each_side_its_id_and_its_history_back():
    # The side with more events keeps its internal id, whichever public id survives.
    send(track("Seen", "", "a1"), *[track("Seen", "u1")] * 3)
    ids = {name: (profile_of(name).pk, str(profile_of(name).uuid)) for name in ("u1", "a1")}
    client = api("identity:write", "profiles:read")
    before = [client.get(f"/api/v1/profiles/{uuid}/changes").json()["results"] for _, uuid in ids.values()]
    send(identify("u1", "a1"))
    assert str(Profile.objects.get().uuid) == ids["a1"][1]
    assert Profile.objects.get().pk == ids["u1"][0]
    undo_latest()
    assert {name: (profile_of(name).pk, str(profile_of(name).uuid)) for name in ids} == ids
    for (_, uuid), changes in zip(ids.values(), before, strict=True):
        now_there = client.get(f"/api/v1/profiles/{uuid}/changes").json()["results"]
        assert [one for one in now_there if one["kind"] == "created"] == changes


def test_undoes_an_inner_merge_within_an_outer_one():
    send(track("Seen", "", "a1"), track("Seen", "", "a2"), *[track("Seen", "", "a3")] * 3)
    uuids = {name: str(profile_of(name).uuid) for name in ("a1", "a2", "a3")}
    send(identify("", "a2", email="two@example.org"), identify("", "a3", email="two@example.org"))
    inner = Merge.objects.get()
    send(identify("", "a1", email="one@example.org"), identify("u1", email="one@example.org"))
    send(identify("u1", "a2"))
    client = api("identity:write", "profiles:read")
    assert client.post(f"/api/v1/merges/{inner.pk}/undo").status_code == 200
    assert len(partition()) == 2
    assert client.get(f"/api/v1/profiles/{uuids['a3']}").json()["id"] == uuids["a3"]
    assert client.get(f"/api/v1/profiles/{uuids['a2']}").json()["id"] == uuids["a1"]
    outer = Merge.objects.latest("id")
    assert client.post(f"/api/v1/merges/{outer.pk}/undo").status_code == 200
    assert len(partition()) == 3
    for uuid in uuids.values():
        assert client.get(f"/api/v1/profiles/{uuid}").json()["id"] == uuid
    assert oracle.faults() == []


def test_undoes_an_outer_merge_before_the_inner_one():
    send(track("Seen", "", "a1"), track("Seen", "", "a2"), *[track("Seen", "", "a3")] * 3)
    uuids = {name: str(profile_of(name).uuid) for name in ("a1", "a2", "a3")}
    send(identify("", "a2", email="two@example.org"), identify("", "a3", email="two@example.org"))
    send(identify("", "a1", email="one@example.org"), identify("u1", email="one@example.org"), identify("u1", "a2"))
    inner, outer = Merge.objects.order_by("id")
    client = api("identity:write", "profiles:read")
    for merge in (outer, inner):
        assert client.post(f"/api/v1/merges/{merge.pk}/undo").status_code == 200
    for uuid in uuids.values():
        assert client.get(f"/api/v1/profiles/{uuid}").json()["id"] == uuid
    assert (len(partition()), oracle.faults()) == (3, [])


def test_tells_what_was_demoted_and_by_which_limit():
    send(identify("u1", email="one@example.org"), identify("u2", email="one@example.org"))
    (refusal,) = api("identity:read", "personal_data:read").get("/api/v1/identity/refusals").json()["results"]
    assert (refusal["identifier"], refusal["reason"], refusal["limit"]) == (
        {"type": "email", "value": "one@example.org"},
        "user_id limit",
        1,
    )
    assert "more than 1 value of user id" in signed_in("ada").get("/refusals").content.decode()


def profile_of(value):
    """Return the profile that holds a value."""
    return Identifier.objects.select_related("profile").get(value=value).profile
