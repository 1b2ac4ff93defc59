"""Several stewards label one model; what they teach it comes into force only if it beats what is."""

import pytest

from profiles.matching_models import MatchLabel, MatchModel, MatchQuestion, MatchVersion
from profiles.models import Merge
from profiles.queries.matching_records import load_records
from profiles.services import matching_models
from profiles.services.matching_learning import read_labelled
from profiles.services.matching_versions import promote, write_version
from tests.profiles.matching_world import MODEL, client, people, run, same, store, trained, work
from tests.profiles.test_matching_pages import asked, questions_of
from tests.world import NOW, api, signed_in

pytestmark = pytest.mark.django_db
__all__ = ["client", "trained"]


def give(caller, pairs):
    body = {"pairs": [{"left": left, "right": right, "answer": answer} for left, right, answer in pairs]}
    answer = caller.post("/api/v1/identity/models/people/labels", body, format="json")
    assert answer.status_code == 200, answer.content


def labels(caller):
    answer = caller.get("/api/v1/identity/models/people/labels?limit=1000")
    assert answer.status_code == 200
    return answer.json()["results"]


def test_shows_how_far_stewards_agree(client, trained):
    pairs = [("crm/0", "crm/1", "same"), ("crm/0", "crm/5", "different"), ("crm/0", "crm/9", "different")]
    MatchLabel.objects.all().delete()
    give(client, pairs)
    page = signed_in("ada").get("/matching/people").content.decode()
    assert "Answered by several" in page
    assert " of 3" not in page
    other = api("identity:write", "profiles:read", "personal_data:read")
    give(other, [*pairs[:2], ("crm/0", "crm/9", "same")])
    page = signed_in("ada").get("/matching/people").content.decode()
    assert "2 of 3" in page
    # Two of three alike, where chance alone gives 1/3 · 2/3 + 2/3 · 1/3 = 4/9: (2/3 - 4/9) / (1 - 4/9) = 0.4.
    assert "kappa 0.40" in page


def test_exports_labels_that_teach_another_model_the_same(client, trained):
    told = [(one["left"], one["right"], one["answer"]) for one in labels(client)]
    assert len(told) >= 60
    MatchLabel.objects.all().delete()
    give(client, told)
    assert sorted((one["left"], one["right"], one["answer"]) for one in labels(client)) == sorted(told)
    assert client.post("/api/v1/identity/models/people/train").status_code == 202
    work()
    assert client.get("/api/v1/identity/models/people/versions").json()["results"][0]["version"] == 2


@pytest.mark.parametrize(
    ("live", "fresh", "is_better"),
    [
        ((0.90, 0.30), (0.91, 0.40), True),
        ((0.90, 0.30), (0.89, 0.10), False),
        ((0.90, 0.30), (0.90, 0.30), False),
        ((1.0, 0.30), (1.0, 0.29), True),
        ((1.0, 0.30), (1.0, 0.31), False),
        # Of an earlier release, which measured no log loss; and where the labels that it knew are gone.
        ((1.0, None), (1.0, 0.31), True),
        ((0.90, 0.30), (None, None), True),
    ],
)
def test_puts_in_force_only_what_beats_the_version_in_force(live, fresh, is_better):
    model = MatchModel.objects.create(key="people", name="People", definition={}, created_at=NOW, created_by="system")
    known = {"f1": live[0]} | ({} if live[1] is None else {"log_loss": live[1]})
    given = {"f1": 1.0, "log_loss": 0.0, "f1_on_frozen": fresh[0], "log_loss_on_frozen": fresh[1]}
    for measured in (known, given):
        made = write_version(model=model, stored={"measured": measured}, labels=9, auto_link=None, now=NOW)
        is_live = promote(model=model, version=made, now=NOW)
    assert is_live == is_better
    model.refresh_from_db()
    assert model.live_version == (2 if is_better else 1)
    assert (MatchVersion.objects.get(version=2).promoted_at is not None) == is_better


def test_training_on_the_same_labels_again_puts_nothing_in_force(client, trained):
    assert client.post("/api/v1/identity/models/people/train").status_code == 202
    work()
    again, first = client.get("/api/v1/identity/models/people/versions").json()["results"]
    assert again["measured"]["f1_on_frozen"] == first["measured"]["f1"]
    assert (again["in_force"], first["in_force"]) == (False, True)


def test_keeps_the_version_in_force_where_the_next_is_worse_on_the_labels_that_it_knew(client, trained):
    live = MatchModel.objects.get().live_version
    assert live == 1
    known = {frozenset((one["left"], one["right"])) for one in labels(client)}
    records = [f"crm/{number}" for number in range(90)]
    pairs = [(a, b) for place, a in enumerate(records) for b in records[place + 1 : place + 4]]
    wrong = [
        (a, b, "different" if same(trained, {"record_id": a}, {"record_id": b}) else "same")
        for a, b in pairs
        if frozenset((a, b)) not in known
    ]
    give(client, wrong)
    assert client.post("/api/v1/identity/models/people/train").status_code == 202
    work()
    newest, first = client.get("/api/v1/identity/models/people/versions").json()["results"]
    assert (newest["version"], newest["promoted_at"]) == (2, None)
    assert first["promoted_at"] is not None
    assert MatchModel.objects.get().live_version == live
    assert "not better" in signed_in("ada").get("/matching/people").content.decode()
    # Runs go on with the one in force.
    assert run(client)["status"] == "done"


def test_two_who_answer_at_once_are_asked_different_things_and_every_tenth_twice():
    questions = questions_of(30)
    ada, ivo = signed_in("ada"), signed_in("ivo")
    for number in range(9):
        assert asked(ada.get("/matching/people/questions")) == questions[number].pk
        ada.post("/matching/people/questions", {"question": questions[number].pk, "answer": "same"})
    # Of the 21 that are left one begins at the first, the other in the middle.
    shown = {asked(one.get("/matching/people/questions")) for one in (ada, ivo)}
    assert questions[9].pk in shown
    assert len(shown) == 2
    for _ in range(10):
        question = asked(ivo.get("/matching/people/questions"))
        ivo.post("/matching/people/questions", {"question": question, "answer": "different"})
    # What only the first has answered comes to the second, and to nobody else.
    again = MatchQuestion.objects.latest("id")
    assert again.left_node == questions[0].left_node
    assert asked(ivo.get("/matching/people/questions")) == again.pk
    assert asked(ada.get("/matching/people/questions")) != again.pk
    ivo.post("/matching/people/questions", {"question": again.pk, "answer": "same"})
    page = ada.get("/matching/people").content.decode()
    assert "1 of 1" in page
    assert not MatchQuestion.objects.filter(pk=again.pk).exists()


def test_what_was_taken_apart_again_is_different_whatever_was_said(client, trained):
    run(client)
    pair = next(
        one
        for one in client.get("/api/v1/identity/candidates?model=people").json()["results"]
        if same(trained, one["left"], one["right"])
    )
    decided = client.post(f"/api/v1/identity/candidates/{pair['id']}/decide", {"decision": "same"}, format="json")
    assert decided.status_code == 200, decided.content
    merge = Merge.objects.latest("id")
    undone = api("identity:write", "profiles:write").post(
        f"/api/v1/merges/{merge.pk}/undo", {"reason": "two"}, format="json"
    )
    assert undone.status_code == 200, undone.content
    label = MatchLabel.objects.get(origin="review")
    assert label.answer == "same"
    model = MatchModel.objects.get()
    spec = matching_models.spec_of(model)
    records = load_records(sources=spec.sources, traits=[field.trait for field in spec.fields])
    labelled = read_labelled(model, records.rows)
    assert labelled[label.left_node, label.right_node][2] is False
    others = {answer for nodes, (_, _, answer) in labelled.items() if nodes != (label.left_node, label.right_node)}
    assert others == {True, False}


def test_takes_no_label_that_two_of_one_source_are_one_where_sources_are_linked(client):
    store(people(4))
    store(people(4), key="shop")
    link = {**MODEL, "sources": ["crm", "shop"], "mode": "link"}
    assert client.post("/api/v1/identity/models", link, format="json").status_code == 201
    pairs = [
        {"left": "crm/0", "right": "shop/0", "answer": "same"},
        {"left": "crm/0", "right": "crm/1", "answer": "same"},
        {"left": "crm/0", "right": "crm/2", "answer": "different"},
    ]
    answer = client.post("/api/v1/identity/models/people/labels", {"pairs": pairs}, format="json")
    assert answer.status_code == 400
    assert [(one["path"], one["code"]) for one in answer.json()["errors"]] == [("pairs[1]", "matching.one_source")]
    assert not MatchLabel.objects.exists()
    del pairs[1]
    assert client.post("/api/v1/identity/models/people/labels", {"pairs": pairs}, format="json").json() == {"taken": 2}


def test_says_why_training_failed_until_it_is_asked_for_again(client, trained):
    told = [(one["left"], one["right"], one["answer"]) for one in labels(client)]
    MatchLabel.objects.all().delete()
    address = "/api/v1/identity/models/people"
    # One pair, and two who do not agree: there is nothing to learn from.
    give(client, [("crm/0", "crm/1", "same")])
    give(api("identity:write", "profiles:read", "personal_data:read"), [("crm/0", "crm/1", "different")])
    assert client.post(f"{address}/train").status_code == 202
    client.get(f"{address}/questions?limit=100")
    work()
    shown = client.get(address).json()
    assert shown["status"] == "failed"
    assert "on which people agree" in signed_in("ada").get("/matching/people").content.decode()
    # Questions are prepared meanwhile.
    assert client.get(f"{address}/questions").json()["results"]
    give(client, told)
    assert client.post(f"{address}/train").status_code == 202
    assert client.get(address).json()["status"] == "training"
    work()
    assert client.get(address).json()["status"] == "trained"
