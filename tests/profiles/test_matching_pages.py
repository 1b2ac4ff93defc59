"""Fuzzy matching in the browser: a model, answers by form, the review queue."""

import itertools
import re

import pytest

from profiles.matching_models import MatchCandidate, MatchLabel, MatchModel, MatchQuestion, MatchRun
from profiles.models import Identifier, Merge
from profiles.services.matching_labels import GivenLabel, give_labels
from profiles.ui.matching_words import curve_of, mark_differences
from tests.profiles.matching_world import people, store, work
from tests.profiles.sending import source
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
    # ln(0.05) / ln(0.995) = 597.6
    assert "It takes 598 right ones in a row" in page

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
    told = ada.get("/merges").content.decode()
    assert "somebody decided so about a possible duplicate of the matching model people (probability " in told

    decide_by_rule(ada)


def decide_by_rule(ada):
    rule = {"model": "people", "decision": "different", "least": "0", "most": "1"}
    open_pairs = MatchCandidate.objects.filter(state="open")
    before = open_pairs.count()
    assert before > 0
    told = ada.post("/possible-duplicates/decided", {**rule, "act": "preview"}, follow=True)
    assert open_pairs.count() == before
    # What was asked about is what the button decides, whatever somebody types into the form after it.
    assert 'name="least" value="0"' in told.content.decode()
    # The pairs that it takes in are shown, and no others.
    likely = sorted(open_pairs.values_list("probability", flat=True))
    middle = likely[len(likely) // 2]
    some = {**rule, "least": middle, "act": "preview"}
    told = ada.post("/possible-duplicates/decided", some, follow=True).content.decode()
    shown = {int(pk) for pk in re.findall(r'/possible-duplicates/(\d+)"', told)}
    assert shown == set(open_pairs.filter(probability__gte=middle).values_list("pk", flat=True))
    assert len(shown) < before
    assert f"{len(shown)} pair" in told
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
    source("import", "crm")
    answer = ada.post("/matching", {**FORM, "fields": "first: sound"})
    assert answer.status_code == 422
    page = answer.content.decode()
    assert "Trait 1: The comparison is one of name" in page
    # Nothing has to be chosen again.
    assert re.search(r'value="crm" checked', page)


def test_hides_acts_from_those_who_only_read():
    ana = signed_in("ana")
    assert ana.get("/matching").status_code == 200
    assert ana.post("/matching", FORM).status_code == 403
    assert ana.get("/matching/people/questions").status_code == 403


def questions_of(pairs=8):
    """Store people and ask about each with the next."""
    store(people(40))
    model = MatchModel.objects.create(
        key="people", name="People", definition=DEFINITION, status="asking", created_at=NOW, created_by="user:1"
    )
    nodes = list(Identifier.objects.order_by("id").values_list("pk", flat=True)[: pairs + 1])
    return [
        MatchQuestion.objects.create(model=model, left_node=left, right_node=right, asked_at=NOW)
        for left, right in itertools.pairwise(nodes)
    ]


def asked(page):
    return int(re.search(r'name="question" value="(\d+)"', page.content.decode())[1])


def test_asks_again_first_what_was_taken_back_and_of_nobody_else(ada):
    questions = questions_of()
    assert asked(ada.get("/matching/people/questions")) == questions[0].pk
    ada.post("/matching/people/questions", {"question": questions[0].pk, "answer": "same"})
    again = ada.post("/matching/people/questions", {"answer": "undo"}, follow=True)
    taken_back = MatchQuestion.objects.get(left_node=questions[0].left_node)
    assert asked(again) == taken_back.pk
    # Who did not take it back goes on with the most informative one.
    assert asked(ada.get("/matching/people/questions")) == questions[1].pk


def test_says_that_an_answer_came_too_late(ada):
    question = questions_of()[0]
    other = signed_in("ivo")
    ada.post("/matching/people/questions", {"question": question.pk, "answer": "same"})
    late = other.post("/matching/people/questions", {"question": question.pk, "answer": "different"}, follow=True)
    assert "no longer asked about" in late.content.decode()
    assert MatchLabel.objects.get().answer == "same"


@pytest.mark.parametrize("question", ["²", "9" * 40, "-1", "x", ""])
def test_takes_no_answer_to_a_question_that_cannot_be(ada, question):
    questions_of()
    answer = ada.post("/matching/people/questions", {"question": question, "answer": "same"})
    assert answer.status_code == 302
    assert not MatchLabel.objects.exists()


def candidate_of(question):
    holders = [Identifier.objects.get(pk=node).profile_id for node in (question.left_node, question.right_node)]
    return MatchCandidate.objects.create(
        model=question.model,
        left=min(holders),
        right=max(holders),
        left_node=question.left_node,
        right_node=question.right_node,
        probability=0.7,
        contributions={"bias": -1.0, "born": 2.2},
        found_at=NOW,
    )


@pytest.mark.parametrize(
    "wrong", [{"decision": ""}, {"decision": "both"}, {"least": ""}, {"least": "nan"}, {"most": "1e9"}, {"most": "all"}]
)
def test_decides_nothing_by_a_rule_that_it_cannot_read(ada, wrong):
    row = candidate_of(questions_of()[0])
    rule = {"model": "people", "decision": "same", "least": "0.5", "most": "1", "act": "decide", **wrong}
    assert ada.post("/possible-duplicates/decided", rule).status_code == 400
    assert ada.post(f"/possible-duplicates/{row.pk}", {"decision": wrong.get("decision", "")}).status_code == 400
    row.refresh_from_db()
    assert row.state == "open"
    assert not MatchLabel.objects.exists()


def test_offers_to_decide_by_rule_only_what_was_shown(ada):
    row = candidate_of(questions_of()[0])
    assert "Decide them" not in ada.get("/possible-duplicates").content.decode()
    rule = {"model": "people", "decision": "same", "least": "0.5", "most": "1"}
    page = ada.post("/possible-duplicates/decided", {**rule, "act": "preview"}, follow=True).content.decode()
    assert "joins this pair" in page
    assert f"/possible-duplicates/{row.pk}" in page


def test_shows_the_pair_after_this_one_of_the_same_model(ada):
    rows = [candidate_of(question) for question in questions_of(3)]
    # Of two as likely the later comes first; after the last one it begins anew.
    assert f'href="/possible-duplicates/{rows[1].pk}" rel="next"' in page_of(ada, rows[2])
    assert f'href="/possible-duplicates/{rows[2].pk}" rel="next"' in page_of(ada, rows[0])
    ada.post(f"/possible-duplicates/{rows[1].pk}", {"decision": "different"})
    assert f'href="/possible-duplicates/{rows[0].pk}" rel="next"' in page_of(ada, rows[2])
    assert "Different, " in page_of(ada, rows[1])


def page_of(browser, row):
    return browser.get(f"/possible-duplicates/{row.pk}").content.decode()


def test_tells_what_a_model_does_until_it_is_done(ada):
    questions_of()
    MatchModel.objects.update(status="training")
    page = ada.get("/matching/people").content.decode()
    assert 'hx-get="/matching/people?part=state"' in page
    part = ada.get("/matching/people?part=state")
    assert "being trained" in part.content.decode()
    assert "HX-Refresh" not in part
    MatchModel.objects.update(status="asking")
    assert ada.get("/matching/people?part=state")["HX-Refresh"] == "true"
    assert "hx-get" not in ada.get("/matching/people?part=state").content.decode()


def test_counts_the_pairs_of_the_last_run_by_threshold():
    # Twenty bins: one pair in the lowest, one at 0.52, two at 0.97.
    bins = [1, *[0] * 9, 1, *[0] * 8, 2]
    run = MatchRun(figures={"histogram": bins})
    measured = {"same": 4, "curve": [{"threshold": t, "claimed": 4, "right": 3} for t in (0.05, 0.5, 0.55, 0.95)]}
    assert [one["pairs"] for one in curve_of(measured, run)] == [3, 3, 2, 2]
    assert {(one["precision"], one["recall"]) for one in curve_of(measured, None)} == {(0.75, 0.75)}


@pytest.mark.parametrize(
    ("one", "other", "left", "right"),
    [
        ("Allen", "Alan", [("Al", False), ("le", True), ("n", False)], [("Al", False), ("a", True), ("n", False)]),
        ("Anna", "Anna", [("Anna", False)], [("Anna", False)]),
        ("Kai", "Jacob", [("Kai", True)], [("Jacob", True)]),
        (None, "x", None, [("x", False)]),
        (["a", None], {"k": True}, [("a, nothing", True)], [("k yes", True)]),
        ("x" * 301, "y", [("x" * 301, False)], [("y", False)]),
    ],
)
def test_marks_the_letters_that_differ(one, other, left, right):
    assert mark_differences(one, other) == (left, right)


def test_says_that_values_are_masked_and_who_may_decide():
    row = candidate_of(questions_of()[0])
    ivo, ana = signed_in("ivo"), signed_in("ana")
    assert "a guess teaches the model wrong" in ivo.get("/matching/people/questions").content.decode()
    assert "Your role may look, and not decide" in page_of(ana, row)
    assert "Personal data masked" in page_of(ana, row)
    assert "/possible-duplicates?model=people" in ana.get("/matching/people").content.decode()
