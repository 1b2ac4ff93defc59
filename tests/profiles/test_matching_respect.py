"""Whom fuzzy matching leaves alone, and what it says where data is odd or missing."""

import pytest
from django.utils import timezone

from profiles.matching_models import MatchCandidate, MatchLabel, MatchModel, MatchQuestion
from profiles.models import Identifier, Merge, Profile
from profiles.services import matching_learning
from tests.profiles.matching_world import MODEL, client, people, store, work
from tests.profiles.sending import source
from tests.profiles.test_matching_pages import candidate_of, questions_of
from tests.world import NOW, api, signed_in

pytestmark = pytest.mark.django_db
__all__ = ["client"]
ADDRESS = "/api/v1/identity/models/people"


def object_to_matching(profile):
    officer = api("compliance_officer")
    purpose = {"key": "identity_matching", "name": "Matching", "legal_basis": "legitimate_interests"}
    assert officer.post("/api/v1/purposes", purpose, format="json").status_code == 201
    says = {"profile_id": str(profile.uuid), "purpose": "identity_matching", "state": "objected"}
    assert officer.post("/api/v1/consents", says, format="json").status_code == 201


def restrict(profile):
    Profile.objects.filter(pk=profile.pk).update(restricted=True)


def lose(profile):
    Identifier.objects.filter(profile=profile).delete()
    profile.delete()


@pytest.mark.parametrize("leave_alone", [object_to_matching, restrict, lose])
def test_asks_nothing_about_whoever_must_be_left_alone(client, leave_alone):
    first, second, *_ = questions_of(3)
    leave_alone(Identifier.objects.get(pk=first.left_node).profile)
    shown = client.get(f"{ADDRESS}/questions?limit=10").json()["results"]
    assert [one["id"] for one in shown] == [str(second.pk), str(second.pk + 1)]
    page = signed_in("ada").get(f"/matching/people/questions?question={first.pk}").content.decode()
    assert f'name="question" value="{second.pk}"' in page
    answers = [{"id": str(one.pk), "answer": "same"} for one in (first, second)]
    answer = client.post(f"{ADDRESS}/answers", {"answers": answers}, format="json")
    assert answer.json() == {"taken": 1, "not_open": [str(first.pk)]}
    assert MatchLabel.objects.get().left_node == second.left_node


@pytest.mark.parametrize("leave_alone", [object_to_matching, restrict, lose])
def test_a_learner_asks_nothing_about_whoever_it_knew_before(client, leave_alone):
    store(people(40))
    matching_learning.forget_learners()
    assert client.post("/api/v1/identity/models", MODEL, format="json").status_code == 201
    work()
    kept = list(MatchQuestion.objects.values_list("pk", flat=True))
    assert kept
    # Somebody of whom a question is open already, and whom the learner would ask about again.
    gone = MatchQuestion.objects.earliest("id").left_node
    leave_alone(Identifier.objects.get(pk=gone).profile)
    MatchQuestion.objects.filter(pk__in=kept[5:]).delete()
    MatchModel.objects.update(wants_questions_at=timezone.now())
    work()
    nodes = {node for pair in MatchQuestion.objects.values_list("left_node", "right_node") for node in pair}
    assert len(nodes) > 10
    assert gone not in nodes


def test_joins_nobody_who_is_restricted_and_decides_nothing_about_them(client):
    row = candidate_of(questions_of()[0])
    Profile.objects.filter(pk=row.left).update(restricted=True)
    for decision in ("same", "different"):
        answer = client.post(f"/api/v1/identity/candidates/{row.pk}/decide", {"decision": decision}, format="json")
        assert answer.status_code == 423
    ada = signed_in("ada")
    assert "is restricted" in ada.get(f"/possible-duplicates/{row.pk}").content.decode()
    assert not Merge.objects.exists()
    assert not MatchLabel.objects.exists()
    assert MatchCandidate.objects.get().state == "open"


def test_says_why_labels_that_people_disagree_on_train_nothing(client):
    store(people(40))
    assert client.post("/api/v1/identity/models", MODEL, format="json").status_code == 201
    work()
    question = MatchQuestion.objects.earliest("id")
    for actor, answer in (("user:1", "same"), ("user:2", "different")):
        MatchLabel.objects.create(
            model=question.model,
            left_node=question.left_node,
            right_node=question.right_node,
            answer=answer,
            origin="given",
            actor=actor,
            answered_at=NOW,
        )
    assert client.post(f"{ADDRESS}/train").status_code == 202
    work()
    model = client.get(ADDRESS).json()
    assert model["status"] == "failed"
    assert "on which people agree" in model["error"]
    assert "on which people agree" in signed_in("ada").get("/matching/people").content.decode()


def test_says_that_no_record_has_what_it_is_to_learn_from(client):
    store(people(10))
    fields = [{"trait": "nobody_has_it", "comparison": "name"}]
    assert client.post("/api/v1/identity/models", {**MODEL, "fields": fields}, format="json").status_code == 201
    work()
    pairs = [
        {"left": "crm/0", "right": f"crm/{number}", "answer": answer}
        for number, answer in ((1, "same"), (2, "different"))
    ]
    assert client.post(f"{ADDRESS}/labels", {"pairs": pairs}, format="json").status_code == 200
    assert client.post(f"{ADDRESS}/train").status_code == 202
    work()
    assert "No record has any of the model's traits" in client.get(ADDRESS).json()["error"]


@pytest.mark.parametrize("rows", [[], [{"first": "Ann", "last": "", "born": "", "email": ""}] * 2])
def test_says_where_there_is_nothing_to_ask(client, rows):
    source("import", "crm")
    store(rows)
    fields = [{"trait": "nobody_has_it", "comparison": "name"}]
    assert client.post("/api/v1/identity/models", {**MODEL, "fields": fields}, format="json").status_code == 201
    work()
    assert client.get(ADDRESS).json()["status"] == "asking"
    ada = signed_in("ada")
    assert "There is nothing to ask" in ada.get("/matching/people").content.decode()
    assert "no two records agree" in ada.get("/matching/people/questions").content.decode()


def test_a_misspelt_bound_decides_nothing(client):
    candidate_of(questions_of()[0])
    rule = {"model": "people", "decision": "different", "leest": 0.99, "dry_run": False}
    answer = client.post("/api/v1/identity/candidates/bulk", rule, format="json")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["path"] == "leest"
    assert MatchCandidate.objects.get().state == "open"


@pytest.mark.parametrize(
    "value",
    [10**300, -(2**64), [1, {"a": 10**30}], "x" * 50_000, "\u202eZo\u00eb \U0001f600", {"a": {"b": None}}, True],
)
def test_shows_traits_of_any_kind(client, value):
    question = questions_of()[0]
    Profile.objects.filter(identifiers=question.left_node).update(traits={"born": value, "first": "Ann"})
    row = candidate_of(question)
    for address in (f"{ADDRESS}/questions", f"/api/v1/identity/candidates/{row.pk}", "/api/v1/identity/candidates"):
        assert client.get(address).status_code == 200
    ada = signed_in("ada")
    for address in ("/matching/people/questions", "/possible-duplicates", f"/possible-duplicates/{row.pk}"):
        assert ada.get(address).status_code == 200
