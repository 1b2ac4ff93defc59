"""What comes of an erased person afterwards: messages, decisions, aliases, and the way back."""

import pytest

from ingestion.models import Message
from profiles.models import Identifier, Profile
from tests.consent.zora import ANONYMOUS_ID, EMAIL, SECRETS, USER_ID, erase, live, send, traces

pytestmark = pytest.mark.django_db


def test_turns_the_messages_into_suppressed_ones(shop, officer):
    live(shop)
    erase(officer)
    for message_id, outcome in (
        ("z-1", "suppressed"),
        ("z-2", "suppressed"),
        ("z-3", "suppressed"),
        ("o-1", "accepted"),
    ):
        row = Message.objects.order_by("id")[["z-1", "z-2", "z-3", "o-1"].index(message_id)]
        assert row.get_outcome_display() == outcome
        assert row.reason == ("erased" if outcome == "suppressed" else "")


def test_refuses_what_comes_of_the_person_afterwards(shop, officer):
    live(shop)
    erase(officer)
    send(
        shop,
        {"type": "track", "event": "Back", "userId": USER_ID, "messageId": "z-9"},
        {"type": "track", "event": "Order Completed", "userId": USER_ID, "messageId": "z-3"},
    )
    assert not Identifier.objects.filter(value__icontains="quill").exists()
    assert Message.objects.filter(outcome=5).count() == 4
    # A weaker identifier of hers is dropped, and the other person's message is kept.
    send(shop, {"type": "identify", "userId": "somebody-else-1", "traits": {"email": EMAIL}, "messageId": "o-2"})
    assert traces(SECRETS) == []
    assert not Identifier.objects.filter(value__icontains="quill").exists()


@pytest.mark.parametrize("named", [USER_ID, ANONYMOUS_ID])
def test_keeps_nothing_of_an_alias_that_names_the_erased_as_a_former_id(shop, officer, named):
    live(shop)
    erase(officer)
    send(shop, {"type": "alias", "userId": "somebody-else-2", "previousId": named, "messageId": "o-3"})
    assert Identifier.objects.filter(value="somebody-else-2").exists()
    assert not Identifier.objects.filter(value__icontains="quill").exists()
    assert traces(SECRETS) == []


def test_lets_the_person_return_once_the_suppression_is_lifted_with_a_reason(shop, officer):
    live(shop)
    erase(officer)
    (row,) = officer.get("/api/v1/suppressions", {"identifier": f"user_id:{USER_ID}"}).json()["results"]
    assert officer.delete(f"/api/v1/suppressions/{row['id']}", {}, format="json").status_code == 400
    lifted = officer.delete(f"/api/v1/suppressions/{row['id']}", {"reason": "signed up again"}, format="json")
    assert lifted.status_code == 204
    send(shop, {"type": "track", "event": "Back", "userId": USER_ID, "messageId": "z-9"})
    assert Identifier.objects.filter(value=USER_ID).exists()


def test_refuses_a_grant_and_accepts_a_refusal_of_the_erased(shop, officer):
    officer.post("/api/v1/purposes", {"key": "marketing", "name": "Marketing"}, format="json")
    live(shop)
    erase(officer)
    body = {"identifier": {"type": "email", "value": EMAIL}, "purpose": "marketing"}
    answers = {
        state: officer.post("/api/v1/consents", {**body, "state": state}, format="json")
        for state in ("granted", "withdrawn", "objected")
    }
    assert {state: answer.status_code for state, answer in answers.items()} == {
        "granted": 409,
        "withdrawn": 201,
        "objected": 201,
    }
    assert answers["withdrawn"].json()["profile_id"] is None
    assert traces(SECRETS) == []


def test_suppresses_an_identifier_that_nobody_has_yet(shop, officer):
    done = erase(officer, ("email", "nobody-yet@example.org"))
    assert done["status"] == "completed"
    send(shop, {"type": "identify", "traits": {"email": "nobody-yet@example.org"}, "messageId": "n-1"})
    assert not Profile.objects.exists()
