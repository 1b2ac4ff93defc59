"""The review queue of fuzzy matching: who comes into it, and decisions while others merge and match."""

import threading

import pytest
from django.db import connection

from cdp.core import locks
from profiles.errors import AlreadyDecided
from profiles.matching_models import MatchCandidate, MatchedPair, MatchLabel, MatchModel, MatchRun
from profiles.models import Identifier, IdentifierType, Merge, Profile
from profiles.services import matching_queue, matching_refilling
from profiles.services.matching_review import BulkRule, decide_candidate, decide_in_bulk
from tests.profiles.matching_world import client, look, people, run, store, trained
from tests.profiles.test_identity_races import identifier_types
from tests.profiles.test_matching_pages import DEFINITION
from tests.two_connections import other_connection
from tests.world import NOW

__all__ = ["client", "identifier_types", "trained"]
TAKE = f"SELECT pg_advisory_xact_lock({locks.IDENTITY})"


def queue(pairs):
    """Store people and put pairs of them, by their numbers, into a queue."""
    store(people(20))
    model = MatchModel.objects.create(
        key="people", name="People", definition=DEFINITION, status="trained", created_at=NOW, created_by="user:1"
    )
    nodes = list(Identifier.objects.order_by("id").values_list("pk", "profile_id"))
    rows = []
    for place, (a, b) in enumerate(pairs):
        (left_node, left), (right_node, right) = sorted((nodes[a], nodes[b]))
        rows.append(
            MatchCandidate.objects.create(
                model=model,
                left=left,
                right=right,
                left_node=left_node,
                right_node=right_node,
                probability=0.9 - place / 100,
                found_at=NOW,
            )
        )
    return rows


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("by_rule", [True, False])
def test_waits_for_merges_of_others_before_it_holds_a_pair(by_rule):
    rows = queue([(0, 1)])
    errors = []

    def decide():
        try:
            if by_rule:
                decide_in_bulk(rule=BulkRule("people", "same"), dry_run=False, actor="user:1", now=NOW)
            else:
                decide_candidate(candidate_id=rows[0].pk, decision="same", actor="user:1", now=NOW)
        except Exception as error:  # noqa: BLE001 - shown by the assertion
            errors.append(error)
        finally:
            connection.close()

    with other_connection() as other:
        other.execute("BEGIN")
        other.execute(TAKE)
        thread = threading.Thread(target=decide)
        thread.start()
        waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        with connection.cursor() as cursor:
            while cursor.execute(waits) or cursor.fetchone()[0] == 0:
                pass
        # As the merge of a batch does: it would wait for the pair for ever, if that were held already.
        other.execute("SET LOCAL lock_timeout = '2s'")
        other.execute("UPDATE profiles_matchcandidate SET probability = 0.5")
        other.execute("COMMIT")
        thread.join()
    assert errors == []
    assert Merge.objects.count() == 1


@pytest.mark.django_db
def test_decides_a_rule_in_few_statements_and_leaves_what_cannot_be_joined(django_assert_max_num_queries):
    rows = queue([(0, 1), (1, 2), (0, 2), (4, 5), (6, 7), (8, 9), (10, 11), (12, 13), (14, 15), (16, 17)])
    user_id = IdentifierType.objects.get(key="user_id")
    for number, profile_id in enumerate((rows[3].left, rows[3].right)):
        Identifier.objects.create(
            type=user_id,
            lookup=bytes([number]) * 16,
            value=f"u{number}",
            profile_id=profile_id,
            first_seen_at=NOW,
            source_id=1,
        )
    IdentifierType.objects.filter(pk=user_id.pk).update(value_limit=1)
    Profile.objects.filter(pk=rows[4].left).update(restricted=True)
    with django_assert_max_num_queries(80):
        told = decide_in_bulk(rule=BulkRule("people", "same"), dry_run=False, actor="user:1", now=NOW)
    # Ten pairs; two user ids, and one who is restricted, stay.
    assert told == (10, 8)
    states = {row.pk: row.state for row in MatchCandidate.objects.all()}
    assert [states[row.pk] for row in rows] == ["merged"] * 3 + ["open"] * 2 + ["merged"] * 5
    # Three records are one by two merges; the third pair was one already.
    assert Merge.objects.count() == 7
    assert MatchLabel.objects.filter(answer="same", origin="review").count() == 8
    with pytest.raises(AlreadyDecided):
        decide_candidate(candidate_id=rows[3].pk, decision="same", actor="user:1", now=NOW)
    assert MatchCandidate.objects.get(pk=rows[3].pk).state == "open"


def queue_of(client):
    found = client.get("/api/v1/identity/candidates?limit=1000").json()["results"]
    return {frozenset((one["left"]["record_id"], one["right"]["record_id"])) for one in found}


@pytest.mark.django_db
def test_asks_nobody_about_pairs_that_cannot_be_one(client, trained):
    run(client)
    first = client.get("/api/v1/identity/candidates?limit=1").json()["results"][0]
    pair = frozenset((first["left"]["record_id"], first["right"]["record_id"]))
    user_id = IdentifierType.objects.get(key="user_id")
    for number, side in enumerate(("left", "right")):
        Identifier.objects.create(
            type=user_id,
            lookup=bytes([number]) * 16,
            value=f"u{number}",
            profile=Profile.objects.get(uuid=first[side]["profile_id"]),
            source_id=Identifier.objects.get(value="crm/0").source_id,
            first_seen_at=NOW,
        )
    run(client)
    assert queue_of(client)
    assert pair not in queue_of(client)


@pytest.mark.django_db
def test_what_was_decided_takes_no_place_in_the_queue(client, trained, monkeypatch):
    monkeypatch.setattr(matching_queue, "MOST_REVIEWED", 3)
    monkeypatch.setattr(matching_refilling, "FEW_OPEN", 0)
    run(client)
    before = queue_of(client)
    assert len(before) == 3
    for one in client.get("/api/v1/identity/candidates").json()["results"]:
        client.post(f"/api/v1/identity/candidates/{one['id']}/decide", {"decision": "different"}, format="json")
    run(client)
    assert len(queue_of(client)) == 3
    assert not queue_of(client) & before


def decide_all(client, decision):
    ids = [one["id"] for one in client.get("/api/v1/identity/candidates").json()["results"]]
    for one in ids:
        answer = client.post(f"/api/v1/identity/candidates/{one}/decide", {"decision": decision}, format="json")
        assert answer.status_code == 200, answer.content


@pytest.mark.django_db
def test_goes_on_with_the_next_pairs_as_those_at_the_top_are_decided(client, trained, monkeypatch):
    run(client)
    whole = queue_of(client)
    monkeypatch.setattr(matching_queue, "MOST_REVIEWED", 3)
    monkeypatch.setattr(matching_refilling, "FEW_OPEN", 2)
    monkeypatch.setattr(matching_refilling, "AT_ONCE", 4)
    run(client)
    seen = queue_of(client)
    assert len(seen) == 3
    look()
    # Enough are open.
    assert queue_of(client) == seen
    while queue_of(client):
        decide_all(client, "different")
        look()
        assert not queue_of(client) & seen
        seen |= queue_of(client)
    assert seen == whole
    # The end was reached: another look asks for nothing more.
    assert MatchRun.objects.latest("id").figures["queue_left"] is None


@pytest.mark.django_db
def test_who_went_or_was_joined_since_is_not_put_into_the_queue(client, trained, monkeypatch):
    run(client)
    whole = queue_of(client)
    monkeypatch.setattr(matching_queue, "MOST_REVIEWED", 1)
    run(client)
    (first,) = queue_of(client)
    by_pair = sorted(whole - {first}, key=sorted)
    gone = Identifier.objects.get(value=sorted(by_pair[0])[0])
    Profile.objects.filter(pk=gone.profile_id).update(restricted=True)
    decide_all(client, "same")
    look()
    names = {name for pair in queue_of(client) for name in pair}
    assert names
    assert sorted(by_pair[0])[0] not in names
    assert first not in queue_of(client)


@pytest.mark.django_db
def test_ends_where_nobody_of_the_next_pairs_may_be_matched(client, trained, monkeypatch):
    monkeypatch.setattr(matching_queue, "MOST_REVIEWED", 1)
    monkeypatch.setattr(matching_refilling, "FEW_OPEN", 0)
    run(client)
    assert MatchRun.objects.latest("id").figures["queue_left"] is not None
    monkeypatch.setattr(matching_refilling, "FEW_OPEN", 500)
    Profile.objects.update(restricted=True)
    look()
    assert MatchModel.objects.get().status == "trained"
    assert MatchRun.objects.latest("id").figures["queue_left"] is None
    # And where none is left at all.
    MatchRun.objects.update(figures={"queue_left": {"from": 0.1, "after": 0}})
    look()
    assert MatchModel.objects.get().status == "trained"
    assert MatchRun.objects.latest("id").figures["queue_left"] is None


def three_alike(client):
    """Have three records of one person found, with room for one pair in the queue; return their names."""
    someone = Identifier.objects.get(value="crm/0").profile
    store([{**someone.traits, "last": f"{someone.traits['last']}{end}"} for end in ("a", "e")], key="late")
    source_id = Identifier.objects.get(value="crm/0").source_id
    Identifier.objects.filter(value__startswith="late/").update(source_id=source_id)
    run(client)
    names = {"crm/0", "late/0", "late/1"}
    return {pair for pair in queue_of(client) if pair <= names}


@pytest.mark.django_db
def test_asks_once_about_two_profiles_however_many_pairs_of_the_run_they_hold_by_now(client, trained, monkeypatch):
    alike = three_alike(client)
    assert len(alike) == 3
    run_id = MatchRun.objects.latest("id").pk
    MatchRun.objects.filter(pk=run_id).update(
        figures={**MatchRun.objects.get(pk=run_id).figures, "queue_left": {"from": 1.0, "after": 0}}
    )
    # Two of the three are joined: of the other pairs each is a pair of the same two profiles now, one of none.
    for one in client.get("/api/v1/identity/candidates?limit=1000").json()["results"]:
        if {one["left"]["record_id"], one["right"]["record_id"]} == {"crm/0", "late/0"}:
            decided = client.post(
                f"/api/v1/identity/candidates/{one['id']}/decide", {"decision": "same"}, format="json"
            )
            assert decided.status_code == 200, decided.content
    MatchCandidate.objects.filter(state="open").delete()
    # What a merge takes over of traits is known by where they came from, which these rows do not say.
    other = Identifier.objects.get(value="late/1").profile
    Profile.objects.filter(identifiers__value="crm/0").update(traits=other.traits)
    look()
    model = MatchModel.objects.get()
    assert (model.status, model.error) == ("trained", "")
    assert MatchRun.objects.get(pk=run_id).figures["queue_left"] is None
    held = [
        tuple(Identifier.objects.get(pk=node).profile_id for node in pair)
        for pair in MatchCandidate.objects.filter(state="open").values_list("left_node", "right_node")
    ]
    assert held
    assert not [pair for pair in held if pair[0] == pair[1]]
    assert len({frozenset(pair) for pair in held}) == len(held)


@pytest.mark.django_db
def test_goes_on_to_the_end_where_it_falls_between_two_looks(client, trained, monkeypatch):
    run(client)
    whole = queue_of(client)
    likely = MatchedPair.objects.filter(run=MatchRun.objects.latest("id"), probability__gte=0.25).count()
    monkeypatch.setattr(matching_queue, "MOST_REVIEWED", 1)
    # The first step takes exactly what there is, and the next one nothing.
    monkeypatch.setattr(matching_refilling, "AT_ONCE", likely)
    run(client)
    look()
    assert MatchModel.objects.get().error == ""
    assert queue_of(client) == whole
    assert MatchRun.objects.latest("id").figures["queue_left"] is None


@pytest.mark.django_db
def test_leaves_out_none_of_those_that_are_as_likely_as_each_other(client, trained, monkeypatch):
    run(client)
    whole = queue_of(client)
    last = MatchRun.objects.latest("id")
    MatchedPair.objects.filter(run=last, probability__gte=0.25).update(probability=0.9)
    MatchRun.objects.filter(pk=last.pk).update(figures={**last.figures, "queue_left": {"from": 0.9, "after": 0}})
    MatchCandidate.objects.filter(state="open").delete()
    # Fewer at a time than are as likely: each step goes on behind the last one.
    monkeypatch.setattr(matching_refilling, "AT_ONCE", 4)
    look()
    assert queue_of(client) == whole
    assert MatchRun.objects.get(pk=last.pk).figures["queue_left"] is None


def begin_queue_anew():
    """Empty the queue, and have it filled from the beginning of what the last run found."""
    last = MatchRun.objects.latest("id")
    MatchRun.objects.filter(pk=last.pk).update(figures={**last.figures, "queue_left": {"from": 1.0, "after": 0}})
    first = MatchCandidate.objects.filter(state="open").order_by("-probability").first()
    MatchCandidate.objects.filter(state="open").delete()
    return first


@pytest.mark.django_db
def test_goes_on_without_pairs_that_cannot_be_one(client, trained):
    run(client)
    pair = begin_queue_anew()
    for number, profile_id in enumerate((pair.left, pair.right)):
        Identifier.objects.create(
            type=IdentifierType.objects.get(key="user_id"),
            lookup=bytes([number]) * 16,
            value=f"u{number}",
            profile_id=profile_id,
            source_id=Identifier.objects.get(value="crm/0").source_id,
            first_seen_at=NOW,
        )
    look()
    queued = set(MatchCandidate.objects.filter(state="open").values_list("left", "right"))
    assert queued
    assert (pair.left, pair.right) not in queued


@pytest.mark.django_db
def test_keeps_nothing_of_somebody_who_goes_while_the_queue_goes_on(client, trained, monkeypatch):
    run(client)
    pair = begin_queue_anew()
    load = matching_refilling.load_as_all

    def load_and_restrict(*given):
        found = load(*given)
        Profile.objects.filter(pk=pair.left).update(restricted=True)
        return found

    monkeypatch.setattr(matching_refilling, "load_as_all", load_and_restrict)
    look()
    queued = {one for row in MatchCandidate.objects.filter(state="open").values_list("left", "right") for one in row}
    assert queued
    assert pair.left not in queued


@pytest.mark.django_db
def test_goes_on_with_what_the_model_found_whatever_its_challenger_did_since(client, trained, monkeypatch):
    run(client)
    whole = queue_of(client)
    monkeypatch.setattr(matching_queue, "MOST_REVIEWED", 1)
    monkeypatch.setattr(matching_refilling, "FEW_OPEN", 0)
    run(client)
    assert run(client, engine="splink")["engine"] == "splink"
    monkeypatch.setattr(matching_refilling, "FEW_OPEN", 500)
    look()
    assert queue_of(client) == whole
