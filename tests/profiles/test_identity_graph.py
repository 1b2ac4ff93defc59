"""The identifier graph: its confidence, its drawing, the evidence of a link, blocking, lifting, declaring different."""

from datetime import UTC, datetime

import pytest

from cdp.core.models import AuditEntry
from profiles.identity.components import components, hold_together, reachable
from profiles.identity.confidence import Link, find_weakest, strength_of
from profiles.identity.graph import LinkKind
from profiles.models import Edge, Identifier, Merge, Profile
from profiles.queries.graph import Evidence, GraphEdge
from profiles.queries.pages import tell_link
from profiles.ui.drawing import MOST_NODES, draw
from tests.profiles.sending import alias, events_of, identify, partition, reasons, send, track
from tests.world import api, signed_in

WHEN = datetime(2026, 3, 3, 10, tzinfo=UTC)
LEFT = frozenset({"user_id:u1", "email:one@example.org"})
RIGHT = frozenset({"anonymous_id:a1"})


def edge(number: int, a: int, b: int, *, kind: str = "anonymous_id", strength: float = 0.85) -> GraphEdge:
    evidence = Evidence(LinkKind.RULE, "identify", 1, WHEN, kind, "user_id")
    return GraphEdge(number, a, b, "user_id", kind, f"m-{number}", None, strength, evidence)


def test_finds_components_and_what_would_hold_them_together():
    assert components({1, 2, 3, 4, 5}, [(1, 2), (4, 5), (5, 9)]) == [{1, 2}, {3}, {4, 5}]
    assert hold_together({1, 2, 3, 4, 5}, [(1, 2), (4, 5)]) == [(1, 3), (1, 4)]
    assert reachable({2}, [(1, 2), (4, 5)]) == {1, 2}


@pytest.mark.parametrize(
    ("kind", "priority", "score", "expected"),
    [
        (LinkKind.RULE, 2, None, 0.97),
        (LinkKind.RULE, 6, None, 0.85),
        (LinkKind.ALIAS, 1, None, 0.99),
        (LinkKind.IMPORT, 1, None, 0.97),
        (LinkKind.STEWARD, 6, None, 1.0),
        (LinkKind.MODEL, 2, 0.71, 0.71),
    ],
)
def test_trusts_a_link_as_its_weaker_end_and_its_kind(kind, priority, score, expected):
    assert strength_of(kind=kind, priority=priority, score=score) == expected


def test_takes_the_weakest_link_that_is_needed_for_the_confidence():
    # 1-2 is weak, but 1-3-2 holds the two together without it; 4 hangs on 0.9 alone.
    links = [Link(1, 1, 2, 0.5), Link(2, 1, 3, 0.97), Link(3, 2, 3, 0.95), Link(4, 3, 4, 0.9)]
    weakest = find_weakest(links)
    assert weakest is not None
    assert weakest.id == 4
    assert find_weakest([]) is None


def test_draws_hundreds_of_leaves_as_one_node():
    edges = [edge(number, 1, number) for number in range(2, 502)]
    edges.append(edge(502, 1, 900, kind="email", strength=0.97))
    drawing = draw(edges=edges, weakest=edges[0])
    assert sorted(spot.count for spot in drawing.spots) == [1, 1, 500]
    assert [line.count for line in drawing.lines] == [500, 1]
    assert drawing.lines[0].is_weakest
    assert drawing.left_out == 0


def test_draws_a_long_chain_as_far_as_there_is_room():
    drawing = draw(edges=[edge(number, number, number + 1) for number in range(1, 300)], weakest=None)
    assert len(drawing.spots) == MOST_NODES
    assert drawing.left_out == 300 - MOST_NODES
    assert all(0 <= spot.x <= drawing.size and 0 <= spot.y <= drawing.size for spot in drawing.spots)


@pytest.mark.parametrize(
    ("evidence", "told"),
    [
        (
            Evidence(LinkKind.RULE, "identify", 1, WHEN, "email", "user_id"),
            "the same e-mail was given with the user id at login on 3 March 2026 by shop-web",
        ),
        (
            Evidence(LinkKind.RULE, "track", 1, WHEN, "anonymous_id", "email"),
            "the same anonymous id was given with the e-mail in a track event on 3 March 2026 by shop-web",
        ),
        (
            Evidence(LinkKind.IMPORT, "import", 1, WHEN, "record_id", "email"),
            "the same record id was given with the e-mail in an import on 3 March 2026 by shop-web",
        ),
        (Evidence(LinkKind.STEWARD, "seen", 0, WHEN, "email", "email"), "a steward said so on 3 March 2026"),
        (
            Evidence(LinkKind.ALIAS, "alias", 1, WHEN, "user_id", "user_id"),
            "an alias call on 3 March 2026 by shop-web said that both are the same person",
        ),
    ],
)
def test_tells_why_in_plain_words(evidence, told):
    assert tell_link(evidence, sources={1: "shop-web"}) == told


def joined() -> str:
    """One person that was two."""
    send(
        identify("u1", email="one@example.org", plan="pro"),
        track("Seen", "", "a1"),
        identify("u1", "a1", city="Ulm"),
    )
    assert partition() == {LEFT | RIGHT}
    return str(Profile.objects.get().uuid)


@pytest.mark.django_db
def test_gives_the_graph_by_rest():
    person = joined()
    answer = api("identity:read", "personal_data:read").get(f"/api/v1/profiles/{person}/graph").json()
    assert (answer["confidence"], answer["complete"]) == (0.85, True)
    assert {(one["type"], one["value"]) for one in answer["identifiers"]} == {
        ("user_id", "u1"), ("email", "one@example.org"), ("anonymous_id", "a1"),
    }  # fmt: skip
    weakest = next(one for one in answer["edges"] if one["id"] == answer["weakest_edge"])
    assert (weakest["rule"], weakest["source"], weakest["strength"]) == ("identify", "server-source", 0.85)
    assert weakest["merge_id"] == str(Merge.objects.get().pk)
    masked = api("identity:read").get(f"/api/v1/profiles/{person}/graph").content.decode()
    assert "one@example.org" not in masked


@pytest.mark.django_db
def test_shows_the_graph_and_the_evidence_of_a_link():
    person = joined()
    browser = signed_in("ada")
    panel = browser.get(f"/profiles/{person}/graph").content.decode()
    assert "85 % sure" in panel
    assert "the same anonymous id was given with the user id at login on 14 March 2026 by server-source" in panel
    link = Edge.objects.get(merge__isnull=False)
    page = browser.get(f"/links/{link.pk}").content.decode()
    assert link.message_id in page
    assert "Block this link" in page
    assert "one@example.org" not in signed_in("ana").get(f"/profiles/{person}/graph").content.decode()
    assert browser.get("/links/999999999").status_code == 404


@pytest.mark.django_db
def test_says_that_nothing_had_to_be_joined():
    send(track("Seen", "u1"))
    person = Profile.objects.get().uuid
    assert "Nothing had to be joined" in signed_in("ada").get(f"/profiles/{person}/graph").content.decode()
    assert api("identity:read").get(f"/api/v1/profiles/{person}/graph").json()["confidence"] == 1.0


@pytest.mark.django_db
def test_blocks_a_link_and_gives_both_sides_their_own():
    joined()
    merge = Merge.objects.get()
    link = Edge.objects.get(merge=merge)
    client = api("identity:write", "profiles:read")
    answer = client.post(f"/api/v1/identity/edges/{link.pk}/block", {"reason": "a shared browser"}, format="json")
    assert answer.status_code == 200, answer.content
    assert (answer.json()["state"], answer.json()["blocked_for"]) == ("blocked", "edge")
    assert answer.json()["block_reason"] == "a shared browser"
    assert partition() == {LEFT, RIGHT}
    # What the link had joined is undone with it: the absorbed id is somebody again.
    merge.refresh_from_db()
    assert merge.undone_at is not None
    assert client.get(f"/api/v1/profiles/{merge.absorbed_uuid}").json()["id"] == str(merge.absorbed_uuid)
    send(identify("u1", "a1"))
    assert partition() == {LEFT, RIGHT}
    assert reasons() == ["blocked edge"]
    again = client.post(f"/api/v1/identity/edges/{link.pk}/block", {}, format="json")
    assert (again.status_code, again.json()["code"]) == (404, "edge.not_found")
    assert AuditEntry.objects.filter(action="edge.blocked").count() == 1


@pytest.mark.django_db
def test_keeps_a_profile_whole_that_other_links_hold_together():
    send(identify("u1", "a1", email="one@example.org"), identify("", "a1", email="one@example.org"))
    (whole,) = partition()
    first = Edge.objects.order_by("id").first()
    assert first is not None
    answer = api("identity:write").post(f"/api/v1/identity/edges/{first.pk}/block", {}, format="json")
    assert answer.json()["state"] == "blocked"
    assert partition() == {whole}


@pytest.mark.django_db
def test_joins_again_by_the_next_message_after_a_block_is_lifted():
    person = joined()
    client = api("identity:write")
    client.post(f"/api/v1/merges/{Merge.objects.get().pk}/undo")
    (block,) = client.get("/api/v1/identity/blocks").json()["results"]
    assert (block["blocked_for"], block["rule"]) == ("undo", "identify")
    assert client.delete(f"/api/v1/identity/blocks/{block['id']}").status_code == 204
    assert client.delete(f"/api/v1/identity/blocks/{block['id']}").status_code == 404
    assert client.get("/api/v1/identity/blocks").json()["results"] == []
    assert partition() == {LEFT, RIGHT}
    send(identify("u1", "a1"))
    assert partition() == {LEFT | RIGHT}
    assert Merge.objects.count() == 2
    assert Profile.objects.get().uuid == Profile.objects.get(uuid=person).uuid
    # The second merge can be undone as the first one was.
    client.post(f"/api/v1/merges/{Merge.objects.latest('id').pk}/undo")
    assert partition() == {LEFT, RIGHT}


@pytest.mark.django_db
def test_lets_no_message_join_two_who_were_declared_different():
    send(identify("u1", email="one@example.org"), identify("", "a1", email="two@example.org"))
    ids = [str(Identifier.objects.get(value=value).profile.uuid) for value in ("u1", "a1")]
    client = api("identity:write")
    body = {"profile_ids": ids, "reason": "father and son"}
    answer = client.post("/api/v1/identity/blocks", body, format="json")
    assert (answer.status_code, answer.json()["kind"]) == (201, "different")
    # By other identifiers than those that the block names, and in two steps through a third one.
    send(
        identify("", "a1", email="one@example.org"),
        identify("u1", "new"),
        identify("", "new", email="two@example.org"),
        alias("u1", "a1"),
    )
    assert partition() == {
        frozenset({"user_id:u1", "email:one@example.org", "anonymous_id:new"}),
        frozenset({"anonymous_id:a1", "email:two@example.org"}),
    }
    assert set(reasons()) == {"declared different"}
    assert events_of("email", "two@example.org") == 2
    # A profile that takes in another one stays apart.
    send(identify("u3"), alias("u3", "u1"), identify("u3", email="two@example.org"))
    assert len(partition()) == 2
    (block,) = client.get("/api/v1/identity/blocks").json()["results"]
    client.delete(f"/api/v1/identity/blocks/{block['id']}")
    send(identify("u1", email="two@example.org"))
    assert len(partition()) == 1


@pytest.mark.django_db
def test_keeps_people_apart_within_one_batch():
    send(identify("u1"), identify("u2", email="two@example.org"))
    ids = [str(Identifier.objects.get(value=value).profile.uuid) for value in ("u1", "u2")]
    api("identity:write").post("/api/v1/identity/blocks", {"profile_ids": ids}, format="json")
    send(identify("", "a1", email="two@example.org"), identify("u1", "a1"), one_by_one=False)
    assert partition() == {
        frozenset({"user_id:u1"}),
        frozenset({"user_id:u2", "email:two@example.org", "anonymous_id:a1"}),
    }


@pytest.mark.django_db
def test_refuses_to_declare_one_profile_different_from_itself():
    person = joined()
    absorbed = Merge.objects.get().absorbed_uuid
    body = {"profile_ids": [person, str(absorbed)]}
    answer = api("identity:write").post("/api/v1/identity/blocks", body, format="json")
    assert (answer.status_code, answer.json()["code"]) == (400, "block.invalid")
    assert api("identity:read").post("/api/v1/identity/blocks", body, format="json").status_code == 403


@pytest.mark.django_db
def test_merges_by_hand_what_was_declared_different():
    send(identify("u1"), identify("u2"))
    ids = [str(Identifier.objects.get(value=value).profile.uuid) for value in ("u1", "u2")]
    client = api("identity:write")
    client.post("/api/v1/identity/blocks", {"profile_ids": ids}, format="json")
    client.post("/api/v1/profiles/merge", {"profile_ids": ids, "reason": "the same after all"}, format="json")
    assert len(partition()) == 1
    assert client.get("/api/v1/identity/blocks").json()["results"] == []


@pytest.mark.django_db
def test_does_all_of_it_by_page():
    person = joined()
    browser = signed_in("ada")
    merge = Merge.objects.get()
    page = browser.get(f"/merges/{merge.pk}/undo").content.decode()
    assert "one@example.org" in page
    assert "Ulm" in page
    browser.post(f"/merges/{merge.pk}/undone")
    assert partition() == {LEFT, RIGHT}
    (block,) = Edge.objects.filter(state=Edge.State.BLOCKED)
    listed = browser.get("/blocked-links").content.decode()
    assert "a merge was undone" in listed
    browser.post(f"/links/{block.pk}/lifted")
    assert not Edge.objects.filter(state=Edge.State.BLOCKED).exists()
    other = str(merge.absorbed_uuid)
    compared = browser.post(f"/profiles/{person}/merge", {"other": other}).content.decode()
    assert "They are different people" in compared
    browser.post(f"/profiles/{person}/different", {"other_id": other, "reason": "two flat mates"})
    assert "two flat mates" in browser.get("/blocked-links").content.decode()
    held = Identifier.objects.get(value="one@example.org")
    assert "u1" in browser.get(f"/profiles/{person}/identifiers").content.decode()
    shown = browser.post(f"/profiles/{person}/split", {"identifier": held.pk}).content.decode()
    assert "Leaves" in shown
    browser.post(f"/profiles/{person}/split-off", {"identifier": held.pk})
    assert frozenset({"email:one@example.org"}) in partition()
    refused = browser.post(f"/profiles/{person}/split", {}, follow=True).content.decode()
    assert "Choose some of the identifiers" in refused
