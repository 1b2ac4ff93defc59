"""Fuzzy matching in the browser: a model, answers by form, the review queue."""

import re

import pytest

from profiles.matching_models import MatchCandidate, MatchLabel, MatchModel, MatchQuestion, MatchRun
from profiles.models import Merge
from profiles.services.matching_models import GivenLabel, give_labels
from tests.profiles.test_matching_api import people, store, work
from tests.world import NOW, signed_in

pytestmark = pytest.mark.django_db
FORM = {
    "key": "people",
    "name": "People",
    "mode": "deduplicate",
    "precision": "0.995",
    "sources": ["crm"],
    "fields": "first: name\nlast: name\nborn: date\nemail: email\n",
}
DEFINITION = {
    "key": "people",
    "name": "People",
    "sources": [],
    "fields": [{"trait": "born", "comparison": "date"}],
    "mode": "deduplicate",
    "auto_link_precision": 0.995,
}


@pytest.fixture
def ada():
    return signed_in("ada")


def test_leads_from_a_model_through_answers_to_a_decision(ada):
    rows = people(40)
    store(rows)
    made = ada.post("/matching", FORM)
    assert made.status_code == 302, made.content
    work()
    page = ada.get("/matching/people/questions").content.decode()
    question = re.search(r'name="question" value="(\d+)"', page)
    assert question is not None
    assert "<kbd>s</kbd>" in page
    ada.post("/matching/people/questions", {"question": question[1], "answer": "different"})
    assert MatchLabel.objects.get().answer == "different"
    ada.post("/matching/people/questions", {"answer": "undo"})
    assert not MatchLabel.objects.exists()
    assert MatchQuestion.objects.exists()

    model = MatchModel.objects.get()
    labels = [
        GivenLabel(f"crm/{n}", f"crm/{n + 1}", "same" if rows[n]["person"] == rows[n + 1]["person"] else "different")
        for n in range(20)
    ]
    give_labels(model=model, labels=labels, actor="user:1", now=NOW)
    assert ada.post("/matching/people/trained").status_code == 302
    work()
    assert ada.post("/matching/people/run").status_code == 302
    work()
    page = ada.get("/matching/people").content.decode()
    assert "Measured on labels held back" in page
    assert "in force" in page
    assert "nothing: too few labels" in page

    queue = ada.get("/possible-duplicates").content.decode()
    first = MatchCandidate.objects.filter(state="open").order_by("-probability", "-id").first()
    assert f"/possible-duplicates/{first.pk}" in queue
    page = ada.get(f"/possible-duplicates/{first.pk}").content.decode()
    assert "before any field" in page
    # On a narrow screen each value stands below its field, and says whose it is.
    assert 'data-label="The other"' in page
    assert "A merge would change: consent" in page
    ada.post(f"/possible-duplicates/{first.pk}", {"decision": "same"})
    assert Merge.objects.get().kind == Merge.Kind.MODEL

    decide_by_rule(ada)


def decide_by_rule(ada):
    rule = {"model": "people", "decision": "different", "least": "0", "most": "1"}
    open_pairs = MatchCandidate.objects.filter(state="open")
    before = open_pairs.count()
    assert before > 0
    told = ada.post("/possible-duplicates/decided", {**rule, "act": "preview"}, follow=True)
    assert open_pairs.count() == before
    # What was asked about stands there still, so that it is what is decided.
    assert 'value="0.0"' in told.content.decode()
    # The pairs that it takes in are shown, and no others.
    likely = sorted(open_pairs.values_list("probability", flat=True))
    middle = likely[len(likely) // 2]
    some = {**rule, "least": middle, "act": "preview"}
    told = ada.post("/possible-duplicates/decided", some, follow=True).content.decode()
    shown = {int(pk) for pk in re.findall(r'/possible-duplicates/(\d+)"', told)}
    assert shown == set(open_pairs.filter(probability__gte=middle).values_list("pk", flat=True))
    assert len(shown) < before
    assert f"{len(shown)} open pairs" in told
    ada.post("/possible-duplicates/decided", {**rule, "act": "decide"})
    assert open_pairs.count() == 0


def test_names_blocking_rules_in_words(ada):
    model = MatchModel.objects.create(
        key="people", name="People", definition=DEFINITION, status="trained", created_at=NOW, created_by="user:1"
    )
    rules = {
        "born.year + ~names.words:3": "the year of born, one of the 3 rarest words of all names together",
        "email.learned:sameThreeCharStartPredicate": "email by what dedupe learned (same three char start)",
        "a.b": "a.b",
        "~names": "all names together",
    }
    blocking = [{"rule": one, "pairs": 1, "dropped_blocks": 0, "dropped_pairs": 0} for one in rules]
    figures = {"clusters": 1, "blocking": blocking}
    MatchRun.objects.create(
        model=model, version=1, status="done", figures=figures, created_at=NOW, finished_at=NOW, created_by="user:1"
    )
    page = ada.get("/matching/people").content.decode()
    assert [f">{words}</th>" in page for words in rules.values()] == [True] * len(rules)


def test_says_what_is_wrong_with_a_model(ada):
    answer = ada.post("/matching", {**FORM, "fields": "first: sound"})
    assert answer.status_code == 422
    assert "fields[0].comparison" in answer.content.decode()


def test_hides_acts_from_those_who_only_read():
    ana = signed_in("ana")
    assert ana.get("/matching").status_code == 200
    assert ana.post("/matching", FORM).status_code == 403
    assert ana.get("/matching/people/questions").status_code == 403
