"""Fuzzy matching through REST, from imported records to clusters, merges and back."""

import pytest
from django.db.models import Q
from django.utils import timezone

from cdp.core.digests import LOOKUP_BYTES, identifier_digest
from consent.services.requests import NewRequest, approve_request, create_request
from consent.services.running import run_privacy_requests
from profiles.matching_models import (
    MatchCandidate,
    MatchedPair,
    MatchedRecord,
    MatchKey,
    MatchLabel,
    MatchModel,
    MatchQuestion,
    MatchVersion,
)
from profiles.models import Identifier, IdentifierType, Merge, Profile
from profiles.queries.people import name_identifier
from profiles.services import matching_models, matching_newcomers
from tests.profiles.matching_world import MODEL, client, follow, lines, people, run, store, trained, work
from tests.profiles.sending import source
from tests.world import NOW, api, signed_in

pytestmark = pytest.mark.django_db
__all__ = ["client", "trained"]


def test_learns_from_answers_and_clusters_every_record(client, trained):
    shown = client.get("/api/v1/identity/models/people").json()
    assert shown["status"] == "trained"
    assert shown["version"] == 1
    done = run(client)
    assert done["records"] == len(trained) == 90
    assert done["labels_used"] >= 60
    assert done["seconds"] > 0
    assert done["peak_memory_bytes"] > 0
    address = f"/api/v1/identity/models/people/runs/{done['id']}"
    clusters = {row["record_id"]: row["cluster_id"] for row in lines(client, f"{address}/clusters?format=csv")}
    assert clusters.keys() == trained.keys()
    together = {frozenset((a, b)) for a in trained for b in trained if a < b and clusters[a] == clusters[b]}
    real = {frozenset((a, b)) for a in trained for b in trained if a < b and trained[a] == trained[b]}
    # 30 of 60 people have two records.
    assert len(real) == 30
    assert len(together & real) >= 28
    assert len(together - real) <= 1
    pairs = lines(client, f"{address}/pairs?format=csv")
    assert all(0.05 <= float(row["probability"]) <= 1 for row in pairs)
    assert {frozenset((row["left"], row["right"])) for row in pairs} >= together & real
    # Who comes in later shares block keys with those who are there.
    assert MatchKey.objects.count() > 90
    # 60 labels cannot show a precision of 0.995: nothing is joined.
    assert client.get("/api/v1/identity/models/people/versions").json()["results"][0]["auto_link"] is None
    again = run(client, apply=True)
    assert again["merged"] == 0
    assert Merge.objects.count() == 0
    # The same records, scored by the same version: nothing drifted.
    assert again["drift"]["since"] == int(done["id"])
    assert again["drift"]["probabilities"] == 0
    measured = client.get("/api/v1/identity/models/people/versions").json()["results"][0]["measured"]
    for name, interval in (("f1", "f1_interval"), ("b3_f1", "b3_interval")):
        low, high = measured[interval]
        assert 0 < low <= measured[name] <= high <= 1


def test_a_decision_ends_a_pair_for_good(client, trained):
    run(client)
    # The queue tells what each field contributes.
    queue = client.get("/api/v1/identity/candidates?limit=100").json()["results"]
    assert queue
    first = queue[0]
    assert {"bias", "first", "last", "born", "email"} <= first["contributions"].keys()
    decided = client.post(f"/api/v1/identity/candidates/{first['id']}/decide", {"decision": "same"}, format="json")
    assert decided.status_code == 200, decided.content
    merge = Merge.objects.get()
    assert merge.kind == Merge.Kind.MODEL
    assert merge.score == pytest.approx(first["probability"])
    again = client.post(f"/api/v1/identity/candidates/{first['id']}/decide", {"decision": "same"}, format="json")
    assert again.status_code == 409
    undone = client.post(f"/api/v1/merges/{merge.pk}/undo")
    assert undone.status_code == 200, undone.content

    # What somebody called different does not come back, and is in no cluster together.
    rejected = queue[1]
    client.post(f"/api/v1/identity/candidates/{rejected['id']}/decide", {"decision": "different"}, format="json")
    after = run(client)
    open_now = {
        frozenset((one["left"]["record_id"], one["right"]["record_id"]))
        for one in client.get("/api/v1/identity/candidates?limit=1000").json()["results"]
    }
    assert frozenset((rejected["left"]["record_id"], rejected["right"]["record_id"])) not in open_now
    address = f"/api/v1/identity/models/people/runs/{after['id']}/clusters?format=csv"
    clusters = {row["record_id"]: row["cluster_id"] for row in lines(client, address)}
    assert clusters[rejected["left"]["record_id"]] != clusters[rejected["right"]["record_id"]]
    # The merge that was undone keeps the two apart as well.
    assert clusters[first["left"]["record_id"]] != clusters[first["right"]["record_id"]]


def clusters_of(client, done):
    rows = lines(client, f"/api/v1/identity/models/people/runs/{done['id']}/clusters?format=csv")
    return {row["record_id"]: row["cluster_id"] for row in rows}


def test_compares_who_comes_in_after_a_run_and_erases_all_of_it(client, trained):
    done = run(client)
    before = clusters_of(client, done)
    someone = Identifier.objects.get(value="crm/0").profile
    store([{**someone.traits, "email": ""}], key="crm-late")
    late = Identifier.objects.get(value="crm-late/0")
    late.source_id = Identifier.objects.get(value="crm/0").source_id
    late.save()
    assert follow(late.profile) > 0
    found = client.get("/api/v1/identity/candidates?limit=100").json()["results"]
    assert {"crm/0", "crm-late/0"} in [{one["left"]["record_id"], one["right"]["record_id"]} for one in found]
    # Only the cluster that it touches is another.
    after = clusters_of(client, done)
    assert after == {**before, "crm-late/0": before["crm/0"]}
    assert MatchedPair.objects.filter(Q(left=late.profile_id) | Q(right=late.profile_id)).exists()

    # Who changed into somebody else leaves the cluster again.
    Profile.objects.filter(pk=late.profile_id).update(traits={"first": "Zoe", "last": "Quince", "born": "2001-09-09"})
    assert follow(late.profile) > 0
    alone = clusters_of(client, done)
    assert {name: one for name, one in alone.items() if name != "crm-late/0"} == before
    assert list(alone.values()).count(alone["crm-late/0"]) == 1

    # Erasure: nothing of it is left anywhere in matching.
    Identifier.objects.create(
        type=IdentifierType.objects.get(key="email"),
        lookup=identifier_digest("email", "late@post.example")[:LOOKUP_BYTES],
        value="late@post.example",
        profile=late.profile,
        first_seen_at=NOW,
        source_id=late.source_id,
    )
    pair = {"left": "crm-late/0", "right": "crm/3", "answer": "different"}
    assert client.post("/api/v1/identity/models/people/labels", {"pairs": [pair]}, format="json").json() == {"taken": 1}
    model = MatchModel.objects.get()
    MatchQuestion.objects.create(model=model, left_node=1, right_node=late.pk, asked_at=NOW)
    kept = [query.count() for query in everything_but(late)]
    now = timezone.now()
    identity = name_identifier(type="email", value="late@post.example")
    request = create_request(new=NewRequest("erasure", [identity], "gdpr", now, "api", "system"), now=now)
    approve_request(request_id=str(request.id), actor="system", now=now)
    run_privacy_requests(clock=timezone.now)
    assert not Profile.objects.filter(pk=late.profile_id).exists()
    assert [query.count() for query in everything_but(late)] == kept
    rows = (MatchQuestion, MatchLabel, MatchCandidate, MatchedRecord, MatchedPair, MatchKey)
    assert sum(kept) == sum(model.objects.count() for model in rows)


def test_keeps_nothing_of_somebody_who_goes_while_matching_looks_at_them(client, trained, monkeypatch):
    run(client)
    late = Identifier.objects.get(value="crm/0")
    before = [query.count() for query in everything_but(late)]
    read = matching_newcomers.read_some

    def read_and_lose(**asked):
        found = read(**asked)
        Profile.objects.filter(pk=late.profile_id).update(restricted=True)
        return found

    monkeypatch.setattr(matching_newcomers, "read_some", read_and_lose)
    assert follow(late.profile) > 0
    assert not MatchKey.objects.filter(profile_id=late.profile_id).exists()
    assert not MatchedRecord.objects.filter(profile_id=late.profile_id).exists()
    assert not MatchCandidate.objects.filter(sides_of(late.profile.uuid), state="open").exists()
    assert [query.count() for query in everything_but(late)] == before


def sides_of(public_id):
    held = Profile.objects.get(uuid=public_id).pk
    return Q(left=held) | Q(right=held)


def everything_but(record):
    """Return the rows of matching that do not speak of a record."""
    nodes = Q(left_node=record.pk) | Q(right_node=record.pk)
    sides = Q(left=record.profile_id) | Q(right=record.profile_id)
    return (
        MatchQuestion.objects.exclude(nodes),
        MatchLabel.objects.exclude(nodes),
        MatchCandidate.objects.exclude(nodes | sides),
        MatchedRecord.objects.exclude(profile_id=record.profile_id),
        MatchedPair.objects.exclude(sides),
        MatchKey.objects.exclude(profile_id=record.profile_id),
    )


def test_leaves_alone_who_objects_to_being_matched(client, trained):
    run(client)
    first = client.get("/api/v1/identity/candidates?limit=1").json()["results"][0]
    officer = api("compliance_officer")
    purpose = {"key": "identity_matching", "name": "Matching", "legal_basis": "legitimate_interests"}
    assert officer.post("/api/v1/purposes", purpose, format="json").status_code == 201
    says = {"profile_id": first["left"]["profile_id"], "purpose": "identity_matching", "state": "objected"}
    assert officer.post("/api/v1/consents", says, format="json").status_code == 201

    decided = client.post(f"/api/v1/identity/candidates/{first['id']}/decide", {"decision": "same"}, format="json")
    assert decided.status_code == 409
    assert Merge.objects.count() == 0
    records = clusters_of(client, run(client))
    assert trained.keys() - records.keys() == {first["left"]["record_id"]}
    # Who objects after a run leaves its clusters as soon as the worker looks.
    says["profile_id"] = client.get("/api/v1/identity/candidates?limit=1").json()["results"][0]["left"]["profile_id"]
    assert MatchCandidate.objects.filter(sides_of(says["profile_id"]), state="open").exists()
    assert officer.post("/api/v1/consents", says, format="json").status_code == 201
    assert follow(Profile.objects.get(uuid=says["profile_id"])) > 0
    left = MatchedRecord.objects.order_by("-run_id").values_list("run_id", flat=True)[:1]
    assert MatchedRecord.objects.filter(run_id__in=left).count() == len(records) - 1
    assert not MatchCandidate.objects.filter(sides_of(says["profile_id"]), state="open").exists()
    named = {
        one[side]["record_id"]
        for one in client.get("/api/v1/identity/candidates?limit=1000").json()["results"]
        for side in ("left", "right")
    }
    assert named
    assert first["left"]["record_id"] not in named


def test_says_that_matching_is_off_where_its_packages_are_missing(client, monkeypatch):
    source("import", "crm")
    assert client.post("/api/v1/identity/models", MODEL, format="json").status_code == 201
    monkeypatch.setattr(matching_models, "find_spec", lambda name: None)
    posts = {"": MODEL, "/people/answers": {"answers": []}, "/people/labels": {"pairs": []}, "/people/train": {}}
    asked = [client.post(f"/api/v1/identity/models{path}", body, format="json") for path, body in posts.items()]
    asked.append(client.post("/api/v1/identity/models/people/runs", {}, format="json"))
    asked += [client.get(f"/api/v1/identity/models{path}") for path in ("", "/people", "/people/questions")]
    assert [(one.status_code, one.json()["code"]) for one in asked] == [(503, "matching.off")] * 8
    assert work() == 0


def test_refuses_a_trained_model_that_was_changed(client, trained):
    version = MatchVersion.objects.get()
    version.artefact = version.artefact.replace('"threshold":0.5', '"threshold":0.1')
    version.save()
    answer = client.post("/api/v1/identity/models/people/runs", {}, format="json")
    work()
    failed = client.get(f"/api/v1/identity/models/people/runs/{answer.json()['id']}").json()
    assert failed["status"] == "failed"
    assert "changed" in failed["error"]


def test_applies_exactly_the_auto_link_zone(client):
    rows = people(number=80)
    store(rows)
    truth = {f"crm/{number}": row["person"] for number, row in enumerate(rows)}
    # 45 labels above the threshold, all right, show 0.93 with 95 % confidence; 0.995 would take 598.
    client.post("/api/v1/identity/models", {**MODEL, "auto_link_precision": 0.9}, format="json")
    work()
    pairs = [
        {"left": a, "right": b, "answer": "same" if truth[a] == truth[b] else "different"}
        for a, b in zip(list(truth), list(truth)[1:], strict=False)
    ]
    given = client.post("/api/v1/identity/models/people/labels", {"pairs": pairs}, format="json")
    assert given.json() == {"taken": 119}
    client.post("/api/v1/identity/models/people/train")
    work()
    version = client.get("/api/v1/identity/models/people/versions").json()["results"][0]
    assert version["auto_link"] is not None
    done = run(client, apply=True)
    assert done["merged"] > 20
    sure = [
        row
        for row in lines(client, f"/api/v1/identity/models/people/runs/{done['id']}/pairs?format=csv")
        if row["left"] != row["right"]
    ]
    assert all(float(row["probability"]) < version["auto_link"] for row in sure)
    for merge in Merge.objects.all():
        held = Identifier.objects.filter(profile__uuid=merge.survivor_uuid).values_list("value", flat=True)
        assert len({truth[value] for value in held}) == 1
    told = signed_in("ada").get("/merges").content.decode()
    assert "version 1 of the matching model people found them to be the same (probability " in told
    # Again there is nothing left to join.
    assert run(client, apply=True)["merged"] == 0


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"key": "no key"}, "key"),
        ({"fields": []}, "fields"),
        ({"fields": [{"trait": "a", "comparison": "sound"}]}, "fields[0].comparison"),
        ({"mode": "link"}, "sources"),
        ({"sources": ["nobody"]}, "sources[0]"),
        ({"auto_link_precision": 1}, "auto_link_precision"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_names_each_fault_of_a_model(client, change, path):
    source("import", "crm")
    answer = client.post("/api/v1/identity/models", {**MODEL, **change}, format="json")
    assert answer.status_code == 400
    assert path in [fault["path"] for fault in answer.json()["errors"]]


def test_refuses_a_second_model_of_a_key_and_training_without_labels(client):
    source("import", "crm")
    assert client.post("/api/v1/identity/models", MODEL, format="json").status_code == 201
    assert client.post("/api/v1/identity/models", MODEL, format="json").status_code == 409
    assert client.post("/api/v1/identity/models/people/train").status_code == 409
    assert client.post("/api/v1/identity/models/people/runs", {}, format="json").status_code == 409
    assert client.get("/api/v1/identity/models/nobody").status_code == 404


def test_needs_the_right_to_write(client):
    reader = api("identity:read")
    assert reader.post("/api/v1/identity/models", MODEL, format="json").status_code == 403
    assert reader.post("/api/v1/identity/models/people/answers", {"answers": []}, format="json").status_code == 403
    assert reader.get("/api/v1/identity/models").status_code == 200
