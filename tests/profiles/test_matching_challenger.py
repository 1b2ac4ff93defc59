"""Splink beside what was learned, and to begin with: fitted without labels, measured on them, it joins nothing."""

import pytest
from django.db.models import Q
from django.utils import timezone

from profiles.matching_models import (
    MatchCandidate,
    MatchedPair,
    MatchedRecord,
    MatchLabel,
    MatchModel,
    MatchQuestion,
    MatchRun,
    MatchVersion,
)
from profiles.models import Identifier, Merge, Profile
from profiles.services import matching_challenging, matching_models, matching_work
from profiles.services.matching_versions import promote, read_version, write_version
from tests.profiles.matching_world import MODEL, client, lines, people, same, store, trained, work
from tests.world import signed_in

pytestmark = pytest.mark.django_db
__all__ = ["client", "trained"]


def challenge(client, **more):
    answer = client.post("/api/v1/identity/models/people/runs", {"engine": "splink", **more}, format="json")
    assert answer.status_code == 202, answer.content
    work()
    return client.get(f"/api/v1/identity/models/people/runs/{answer.json()['id']}").json()


@pytest.fixture
def unlabelled(client):
    """People of whom nobody has said anything; return the truth by record id."""
    rows = people(200)
    store(rows)
    assert client.post("/api/v1/identity/models", MODEL, format="json").status_code == 201
    work()
    return {f"crm/{number}": row["person"] for number, row in enumerate(rows)}


def test_begins_without_labels(client, unlabelled):
    MatchQuestion.objects.all().delete()
    run = challenge(client)
    assert (run["status"], run["error"], run["engine"]) == ("done", "", "splink")
    assert run["records"] == len(unlabelled)
    assert run["labels_used"] == 0
    clusters = {row["record_id"]: row["cluster_id"] for row in lines(client, clusters_of(run))}
    pairs = [(a, b) for a in unlabelled for b in unlabelled if a < b]
    together = {pair for pair in pairs if clusters[pair[0]] == clusters[pair[1]]}
    right = {pair for pair in pairs if unlabelled[pair[0]] == unlabelled[pair[1]]}
    assert len(together & right) >= 0.9 * len(right)
    assert len(together & right) >= 0.9 * len(together)
    # Nothing came into force, and nobody follows it.
    assert MatchModel.objects.get().live_version is None
    assert not Merge.objects.exists()

    queue = client.get("/api/v1/identity/candidates?model=people").json()["results"]
    likeliest = queue[0]
    assert same(unlabelled, likeliest["left"], likeliest["right"])
    # The bits of fields lead from the prior to the probability.
    odds = 2.0 ** sum(likeliest["contributions"].values())
    assert odds / (1 + odds) == pytest.approx(likeliest["probability"], abs=1e-3)
    assert set(likeliest["contributions"]) == {"bias", "first", "last", "born", "email"}

    asked = client.get("/api/v1/identity/models/people/questions?limit=100").json()["results"]
    said = {same(unlabelled, one["left"], one["right"]) for one in asked}
    assert said == {True, False}


def clusters_of(run):
    return f"/api/v1/identity/models/people/runs/{run['id']}/clusters?format=csv"


def test_is_measured_on_the_labels_that_the_version_in_force_knew(client, trained):
    run = challenge(client)
    assert run["status"] == "done"
    splink, live = client.get("/api/v1/identity/models/people/versions").json()["results"]
    assert (splink["engine"], splink["in_force"], splink["promoted_at"]) == ("splink", False, None)
    assert (live["engine"], live["in_force"]) == ("dedupe", True)
    assert run["version"] == splink["version"] == 2
    measured = splink["measured"]
    labels = MatchLabel.objects.exclude(answer="unsure").count()
    assert measured["labels"] == measured["frozen_labels"] == labels
    assert measured["same"] == MatchLabel.objects.filter(answer="same").count()
    assert 0.5 < measured["f1"] == measured["f1_on_frozen"] <= 1
    # A label that came after the version in force counts, but not between the two.
    body = {"pairs": [{"left": "crm/0", "right": "crm/1", "answer": "same"}]}
    client.post("/api/v1/identity/models/people/labels", body, format="json")
    again = challenge(client)["version"]
    measured = MatchVersion.objects.get(version=again).measured
    assert measured["labels"] - measured["frozen_labels"] == 1


def test_asks_about_what_the_two_disagree_on(client, trained):
    before = set(MatchCandidate.objects.values_list("pk", flat=True))
    MatchQuestion.objects.all().delete()
    run = challenge(client)
    beside = run["beside"]
    assert beside["version"] == 1
    assert beside["both"] > 20
    disagreeing = beside["only_in_force"] + beside["only_challenger"]
    labelled = {frozenset(pair) for pair in MatchLabel.objects.values_list("left_node", "right_node")}
    asked = {frozenset(pair) for pair in MatchQuestion.objects.values_list("left_node", "right_node")}
    assert len(asked) <= min(disagreeing, 20)
    assert not asked & labelled
    # The queue is that of the version in force.
    assert set(MatchCandidate.objects.values_list("pk", flat=True)) == before


def test_leaves_what_follows_the_version_in_force(client, trained):
    answer = client.post("/api/v1/identity/models/people/runs", {}, format="json")
    work()
    followed = MatchModel.objects.get().followed_run_id
    assert followed == int(answer.json()["id"])
    run = challenge(client)
    model = MatchModel.objects.get()
    assert (model.live_version, model.followed_run_id) == (1, followed)
    assert work() == 0
    again = client.post("/api/v1/identity/models/people/runs", {}, format="json").json()["id"]
    work()
    done = client.get(f"/api/v1/identity/models/people/runs/{again}").json()
    assert (done["engine"], done["version"]) == ("dedupe", 1)
    # Drift is told since the last run of its own kind.
    assert done["drift"]["since"] == followed < int(run["id"])


def test_joins_nothing(client, unlabelled):
    body = {"engine": "splink", "apply": True}
    answer = client.post("/api/v1/identity/models/people/runs", body, format="json")
    assert answer.status_code == 400, answer.content
    assert answer.json()["errors"][0]["code"] == "matching.challenger_joins_nothing"
    assert not MatchRun.objects.exists()


def test_keeps_the_word_of_people(client, unlabelled):
    pairs = [
        (a, b) for a, b in zip(list(unlabelled), list(unlabelled)[1:], strict=False) if unlabelled[a] == unlabelled[b]
    ]
    (apart, *_), (tied, *_) = (pairs[0], 0), ((pairs[1][0], pairs[2][0]), 0)
    body = {
        "pairs": [
            {"left": apart[0], "right": apart[1], "answer": "different"},
            {"left": tied[0], "right": tied[1], "answer": "same"},
        ]
    }
    assert client.post("/api/v1/identity/models/people/labels", body, format="json").status_code == 200
    clusters = {row["record_id"]: row["cluster_id"] for row in lines(client, clusters_of(challenge(client)))}
    assert clusters[apart[0]] != clusters[apart[1]]
    assert clusters[tied[0]] == clusters[tied[1]]


def test_says_so_where_there_is_nothing_to_learn_from(client):
    store([{"first": f"N{n}", "last": "", "born": "", "email": f"n{n}@post.example"} for n in range(5)])
    client.post("/api/v1/identity/models", MODEL, format="json")
    run = challenge(client)
    assert run["status"] == "failed"
    assert "could not be fitted" in run["error"] or "Too few records" in run["error"]
    assert not MatchVersion.objects.exists()


def test_says_what_is_missing_where_splink_is_not_installed(client, unlabelled, monkeypatch):
    monkeypatch.setattr(matching_models, "is_splink_on", lambda: False)
    answer = client.post("/api/v1/identity/models/people/runs", {"engine": "splink"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (503, "matching.challenger_off")


def test_keeps_the_last_run_of_both(client, trained):
    client.post("/api/v1/identity/models/people/runs", {}, format="json")
    work()
    challenge(client)
    challenge(client)
    later = MatchRun.objects.latest("id").finished_at + matching_work.timedelta(days=15)
    matching_work.forget_old_runs(later)
    kept = list(MatchRun.objects.order_by("id").values_list("engine", flat=True))
    assert kept == ["dedupe", "splink"]


def test_shows_both_beside_each_other(client, trained):
    ada = signed_in("ada")
    assert "Challenge it with Splink" in ada.get("/matching/people").content.decode()
    client.post("/api/v1/identity/models/people/runs", {}, format="json")
    work()
    assert ada.post("/matching/people/run", {"engine": "splink"}).status_code == 302
    work()
    run = MatchRun.objects.latest("id")
    assert (run.engine, run.status) == ("splink", "done")
    page = ada.get("/matching/people").content.decode()
    versions = {row.engine: row.measured for row in MatchVersion.objects.all()}
    assert f"F1 {versions['splink']['f1_on_frozen']:.3f} on the " in page
    assert f"which has {versions['dedupe']['f1']:.3f}." in page
    assert f"Both take {run.figures['beside']['both']} pairs for one person" in page
    assert "no labels (Splink)" in page
    # What is measured, and blocking, are still those of the version in force.
    assert "Measured on labels held back" in page
    assert f"Blocking of run {run.pk - 1}" in page


def test_says_beside_which_version_it_was_held_whichever_came_into_force_since(client, trained):
    ada = signed_in("ada")
    challenge(client)
    model = MatchModel.objects.get()
    better = {**MatchVersion.objects.get(version=1).measured, "f1": 1.0, "f1_on_frozen": 1.0, "log_loss_on_frozen": 0.0}
    stored = {**read_version(model=model, version=1), "measured": better}
    made = write_version(model=model, stored=stored, labels=9, auto_link=None, now=timezone.now())
    assert promote(model=model, version=made, now=timezone.now())
    page = ada.get("/matching/people").content.decode()
    first = MatchVersion.objects.get(version=1).measured
    assert f"labels that version 1 knew, which has {first['f1']:.3f}." in page
    assert "that version 3 knew" not in page


def test_says_nothing_of_the_beginning_once_a_run_of_the_model_has_filled_the_queue(client, trained):
    ada = signed_in("ada")
    MatchModel.objects.update(live_version=None)
    challenge(client)
    begun = "what it holds likely is among the possible duplicates"
    assert begun in ada.get("/matching/people").content.decode()
    MatchModel.objects.update(live_version=1)
    assert begun in ada.get("/matching/people").content.decode()
    client.post("/api/v1/identity/models/people/runs", {}, format="json")
    work()
    assert begun not in ada.get("/matching/people").content.decode()


def test_says_that_a_pair_was_scored_without_labels(client, unlabelled):
    ada = signed_in("ada")
    page = ada.get("/matching/people").content.decode()
    assert "Begin without labels" in page
    ada.post("/matching/people/run", {"engine": "splink"})
    work()
    assert "no labels (Splink)" in ada.get("/matching/people").content.decode()
    first = MatchCandidate.objects.filter(state="open").order_by("-probability", "-id").first()
    assert "without labels" in ada.get(f"/possible-duplicates/{first.pk}").content.decode()
    # What is decided is a label: the beginning of a model that learns.
    ada.post(f"/possible-duplicates/{first.pk}", {"decision": "same"})
    assert MatchLabel.objects.get().answer == "same"


def test_offers_no_splink_where_it_is_not_installed(client, unlabelled, monkeypatch):
    monkeypatch.setattr("profiles.ui.matching.is_splink_on", lambda: False)
    page = signed_in("ada").get("/matching/people").content.decode()
    assert "Begin without labels" not in page
    assert "is not installed here" in page


@pytest.mark.parametrize("how", ["restricted", "erased"])
def test_keeps_nothing_of_somebody_who_goes_while_splink_looks(client, unlabelled, monkeypatch, how):
    challenge(client)
    pair = MatchQuestion.objects.latest("id")
    late = Profile.objects.get(identifiers__id=pair.left_node)
    MatchQuestion.objects.all().delete()
    store_found = matching_challenging.store_found

    def store_and_lose(*given):
        found = store_found(*given)
        if how == "restricted":
            Profile.objects.filter(pk=late.pk).update(restricted=True)
        else:
            Identifier.objects.filter(profile=late).delete()
            Profile.objects.filter(pk=late.pk).delete()
        return found

    monkeypatch.setattr(matching_challenging, "store_found", store_and_lose)
    assert challenge(client)["status"] == "done"
    run = MatchRun.objects.latest("id")
    assert MatchQuestion.objects.exists()
    assert not MatchQuestion.objects.filter(Q(left_node=pair.left_node) | Q(right_node=pair.left_node)).exists()
    assert not MatchedRecord.objects.filter(run=run, profile_id=late.pk).exists()
    assert not MatchedPair.objects.filter(Q(left=late.pk) | Q(right=late.pk), run=run).exists()
    assert not MatchCandidate.objects.filter(Q(left=late.pk) | Q(right=late.pk), state="open").exists()


def test_asks_nothing_again_that_was_answered(client, unlabelled):
    MatchQuestion.objects.all().delete()
    challenge(client)
    asked = list(MatchQuestion.objects.all())
    answers = [{"id": str(one.pk), "answer": "unsure"} for one in asked]
    taken = client.post("/api/v1/identity/models/people/answers", {"answers": answers}, format="json")
    assert taken.json() == {"taken": len(asked), "not_open": []}
    MatchQuestion.objects.all().delete()
    challenge(client)
    answered = {(one.left_node, one.right_node) for one in asked}
    again = set(MatchQuestion.objects.values_list("left_node", "right_node"))
    assert answered
    assert not again & answered
