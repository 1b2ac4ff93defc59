"""Restriction of processing as a freeze: nobody changes, joins or separates a restricted person, by REST or by page."""

import pytest

from cdp.core.models import AuditEntry
from profiles.matching_models import MatchCandidate, MatchModel
from profiles.models import Edge, Identifier, Merge, Profile
from profiles.services.blocking import block_edge
from tests.profiles.sending import NOW, identify, partition, send, track
from tests.world import api, signed_in

pytestmark = pytest.mark.django_db

REASON = {"reason": "asked"}
FROZEN = (423, "profile.restricted")


def holder(value):
    return Profile.objects.get(identifiers__value=value)


def freeze(value):
    Profile.objects.filter(identifiers__value=value).update(restricted=True)


@pytest.fixture
def joined():
    """Two profiles that a message made one, and somebody else; the one is restricted."""
    send(identify("u1", email="one@example.org"), track("Seen", "", "a1"), identify("u1", "a1"), identify("u2"))
    freeze("u1")
    return str(holder("u1").uuid), str(holder("u2").uuid)


def acts(this, other):
    """Every change by hand of a person: name, address by REST, body, address of the page, fields of its form."""
    merge, edge = Merge.objects.get().pk, Edge.objects.filter(state=Edge.State.ACTIVE).earliest("id").pk
    pair = {"profile_ids": [this, other], **REASON}
    aside = Identifier.objects.get(value="a1").pk
    split = {"identifiers": [{"type": "anonymous_id", "value": "a1"}]}
    one = {"other_id": other, **REASON}
    trait = {"trait": "city", "value": "Ulm", **REASON}
    return {
        "merge": ("profiles/merge", pair, f"/profiles/{this}/merged", one),
        "merge from the other side": ("profiles/merge", pair, f"/profiles/{other}/merged", {**one, "other_id": this}),
        "undo": (f"merges/{merge}/undo", {}, f"/merges/{merge}/undone", {}),
        "split": (f"profiles/{this}/split", split, f"/profiles/{this}/split-off", {"identifier": aside}),
        "block": (f"identity/edges/{edge}/block", REASON, f"/links/{edge}/blocked", REASON),
        "declare different": ("identity/blocks", pair, f"/profiles/{this}/different", one),
        "correct": (f"profiles/{this}/corrections", trait, f"/profiles/{this}/corrections", trait),
    }


def test_refuses_every_change_by_hand(joined):
    client, page = api("administrator"), signed_in("ada")
    before = (partition(), Profile.objects.get(uuid=joined[0]).traits, AuditEntry.objects.count())
    for name, (address, body, form, fields) in acts(*joined).items():
        answer = client.post(f"/api/v1/{address}", body, format="json")
        assert (answer.status_code, answer.json().get("code")) == FROZEN, (name, answer.content)
        assert page.post(form, fields).status_code == 423, name
    assert (partition(), Profile.objects.get(uuid=joined[0]).traits) == before[:2]
    assert not AuditEntry.objects.filter(action__startswith="profile.").exists()


def test_changes_them_again_once_the_restriction_has_ended(joined):
    Profile.objects.update(restricted=False)
    address, body, _, _ = acts(*joined)["merge"]
    assert api("identity:write").post(f"/api/v1/{address}", body, format="json").status_code == 201


def test_lifts_no_block_of_a_restricted_person(joined):
    Profile.objects.update(restricted=False)
    edge = block_edge(edge_id=Edge.objects.earliest("id").pk, reason="", actor="test", now=NOW).edge
    Profile.objects.filter(identifiers=edge.a).update(restricted=True)
    answer = api("identity:write").delete(f"/api/v1/identity/blocks/{edge.pk}")
    assert (answer.status_code, answer.json()["code"]) == FROZEN
    assert signed_in("ada").post(f"/links/{edge.pk}/lifted").status_code == 423
    assert Edge.objects.get(pk=edge.pk).state == Edge.State.BLOCKED


@pytest.mark.parametrize("decision", ["same", "different"])
def test_decides_no_possible_duplicate_of_a_restricted_person(joined, decision):
    model = MatchModel.objects.create(key="people", name="People", definition={"fields": []}, created_at=NOW)
    nodes = sorted(Identifier.objects.filter(value__in=["u1", "u2"]).values_list("pk", flat=True))
    sides = sorted(Profile.objects.values_list("pk", flat=True))
    row = MatchCandidate.objects.create(
        model=model,
        left=sides[0],
        right=sides[1],
        left_node=nodes[0],
        right_node=nodes[1],
        probability=0.9,
        found_at=NOW,
    )
    client = api("administrator")
    answer = client.post(f"/api/v1/identity/candidates/{row.pk}/decide", {"decision": decision}, format="json")
    assert (answer.status_code, answer.json()["code"]) == FROZEN
    assert signed_in("ada").post(f"/possible-duplicates/{row.pk}", {"decision": decision}).status_code == 423
    bulk = {"model": "people", "decision": decision, "dry_run": False}
    done = client.post("/api/v1/identity/candidates/bulk", bulk, format="json")
    assert done.json() == {"pairs": 1, "decided": 0}
    row.refresh_from_db()
    assert row.state == MatchCandidate.State.OPEN


def test_says_so_instead_of_offering_what_would_be_refused(joined):
    merge, edge = Merge.objects.get(), Edge.objects.filter(state=Edge.State.ACTIVE).earliest("id")
    pages = {
        f"/profiles/{joined[0]}": ("Join with another", "Put a trait right"),
        f"/profiles/{joined[0]}/identifiers": ("Split the ticked ones off",),
        f"/merges/{merge.pk}/undo": ("Undo this merge",),
        f"/links/{edge.pk}": ("Block this link",),
    }
    page = signed_in("ada")
    for frozen in (True, False):
        Profile.objects.filter(uuid=joined[0]).update(restricted=frozen)
        for address, offers in pages.items():
            shown = page.get(address).content.decode()
            assert ("Processing of this person is restricted" in shown) is frozen, address
            assert all((offer in shown) is not frozen for offer in offers), address


def test_reveals_no_restricted_person(joined):
    ana = signed_in("ana")
    assert ana.post(f"/profiles/{joined[0]}/revealed", {"reason": "contact"}).status_code == 423
    assert "u1" not in ana.get(f"/profiles/{joined[0]}").content.decode()
