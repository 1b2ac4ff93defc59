"""What happens after a run: another version comes into force, people are joined, a worker ends in the middle."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from profiles.matching_models import (
    MatchCandidate,
    MatchedPair,
    MatchedRecord,
    MatchKey,
    MatchLabel,
    MatchModel,
    MatchQuestion,
    MatchRun,
)
from profiles.models import ChangeKind, Identifier, IdentifierType, Merge, Profile
from profiles.services import matching_runs, matching_work
from profiles.services.matching_merging import Matched, merge_matched
from profiles.services.matching_versions import promote, read_version, write_version
from profiles.services.merging import write_changes
from tests.profiles.matching_world import client, follow, lines, look, run, store, trained, work
from tests.profiles.sending import source
from tests.profiles.test_matching_pages import questions_of
from tests.profiles.test_matching_respect import object_to_matching
from tests.world import NOW, signed_in

pytestmark = pytest.mark.django_db
__all__ = ["client", "trained"]
ADDRESS = "/api/v1/identity/models/people"


def held(name):
    """Return the profile of a record."""
    return Identifier.objects.get(value=name).profile


def late_double(of="crm/0", key="late"):
    """Store a record of somebody who is there already, as an import into the model's source does."""
    store([{**held(of).traits, "email": ""}], key=key)
    late = Identifier.objects.get(value=f"{key}/0")
    Identifier.objects.filter(pk=late.pk).update(source_id=Identifier.objects.get(value="crm/0").source_id)
    return late.profile


def open_pairs():
    """Return the profiles of each open pair."""
    return [frozenset(pair) for pair in MatchCandidate.objects.filter(state="open").values_list("left", "right")]


def clusters_now():
    last = MatchRun.objects.filter(engine="dedupe").latest("id")
    return dict(MatchedRecord.objects.filter(run=last).values_list("node", "cluster"))


def join(one, other):
    merge_matched(pairs=[Matched(one.pk, other.pk, 0.9)], model="people", actor="user:1", now=timezone.now())


def put_in_force():
    """Put a version in force that looks at the same rules in another order."""
    model = MatchModel.objects.get()
    stored = read_version(model=model, version=1)
    better = {"f1_on_frozen": 1.0, "log_loss_on_frozen": 0.0, "frozen_labels": 9}
    stored = {**stored, "rules": stored["rules"][::-1], "measured": {**stored["measured"], **better}}
    made = write_version(model=model, stored=stored, labels=9, auto_link=None, now=timezone.now())
    assert promote(model=model, version=made, now=timezone.now())
    return made.version


def test_newcomers_are_compared_by_the_rules_of_a_version_that_came_into_force(client, trained):
    run(client)
    before = set(MatchKey.objects.values_list("key", "profile_id"))
    put_in_force()
    assert work() > 0
    assert set(MatchKey.objects.values_list("key", "profile_id")) != before
    late = late_double()
    assert follow(late) > 0
    assert frozenset((held("crm/0").pk, late.pk)) in open_pairs()
    # Once is enough.
    assert work() == 0


def test_a_run_takes_the_version_that_came_into_force_since_it_was_asked_for(client, trained):
    asked = client.post(f"{ADDRESS}/runs", {}, format="json").json()
    version = put_in_force()
    work()
    done = client.get(f"{ADDRESS}/runs/{asked['id']}").json()
    assert (done["status"], done["version"]) == ("done", version)


def test_compares_who_came_before_the_keys_of_a_run_were_stored_whose_worker_ended(client, trained, monkeypatch):
    def end(basis):
        raise SystemExit

    monkeypatch.setattr(matching_runs, "prepare_following", end)
    asked = client.post(f"{ADDRESS}/runs", {}, format="json").json()
    with pytest.raises(SystemExit):
        work()
    assert client.get(f"{ADDRESS}/runs/{asked['id']}").json()["status"] == "done"
    monkeypatch.undo()
    # Some minutes later another worker begins; somebody came in meanwhile.
    MatchRun.objects.update(started_at=timezone.now() - timedelta(minutes=5))
    late = late_double()
    with connection.cursor() as cursor:
        write_changes(cursor, [(late.pk, ChangeKind.CREATED, {})], timezone.now() - timedelta(minutes=1))
    look()
    assert MatchKey.objects.filter(profile_id=late.pk).exists()
    look()
    assert frozenset((held("crm/0").pk, late.pk)) in open_pairs()


def test_gives_a_run_up_that_ends_the_worker_again_and_again(client, trained, monkeypatch):
    def end(**asked):
        raise SystemExit

    monkeypatch.setattr(matching_runs, "run_match", end)
    asked = client.post(f"{ADDRESS}/runs", {}, format="json").json()
    for _ in range(matching_work.MOST_BEGUN):
        with pytest.raises(SystemExit):
            work()
    monkeypatch.undo()
    work()
    given_up = client.get(f"{ADDRESS}/runs/{asked['id']}").json()
    assert given_up["status"] == "failed"
    assert "The worker ended 5 times" in given_up["error"]
    assert run(client)["status"] == "done"


def test_reads_a_profile_by_its_records_of_the_model_whoever_reads_it(client, trained):
    web = source("web", "shop")
    late = late_double()
    # An identifier of another source that is older than the record.
    record = Identifier.objects.get(value="late/0")
    first = Identifier.objects.create(
        type=IdentifierType.objects.get(key="anonymous_id"),
        lookup=b"a" * 16,
        value="a1",
        profile=late,
        first_seen_at=NOW,
        source_id=web.pk,
    )
    Identifier.objects.filter(pk=record.pk).update(id=first.pk + 1)
    run(client)
    pair = frozenset((held("crm/0").pk, late.pk))
    assert open_pairs().count(pair) == 1
    assert follow(late) > 0
    assert open_pairs().count(pair) == 1
    row = MatchCandidate.objects.get(left_node=Identifier.objects.get(value="crm/0").pk, right=late.pk, state="open")
    assert row.right_node == first.pk + 1


def test_two_user_ids_are_two_people_whichever_source_told_them(client, trained):
    web = source("web", "shop")
    run(client)
    pair = MatchCandidate.objects.filter(state="open").order_by("-probability").first()
    for number, profile_id in enumerate((pair.left, pair.right)):
        Identifier.objects.create(
            type=IdentifierType.objects.get(key="user_id"),
            lookup=bytes([number]) * 16,
            value=f"u{number}",
            profile_id=profile_id,
            first_seen_at=NOW,
            source_id=web.pk,
        )
    run(client)
    assert open_pairs()
    assert frozenset((pair.left, pair.right)) not in open_pairs()


def test_keeps_the_last_run_that_is_done_though_a_later_one_failed(client, trained):
    done = run(client)
    MatchRun.objects.create(
        model=MatchModel.objects.get(),
        version=1,
        status="failed",
        created_at=timezone.now(),
        finished_at=timezone.now(),
        created_by="user:1",
    )
    matching_work.forget_old_runs(timezone.now() + timedelta(days=15))
    assert list(MatchRun.objects.order_by("id").values_list("status", flat=True)) == ["done", "failed"]
    assert MatchedRecord.objects.filter(run_id=done["id"]).exists()


def test_what_was_let_go_comes_back_when_it_is_found_anew(client, trained):
    run(client)
    pair = MatchCandidate.objects.filter(state="open").order_by("-probability").first()
    someone = Profile.objects.get(pk=pair.left)
    Profile.objects.filter(pk=someone.pk).update(restricted=True)
    follow(someone)
    pair.refresh_from_db()
    assert pair.state == "gone"
    Profile.objects.filter(pk=someone.pk).update(restricted=False)
    follow(someone)
    pair.refresh_from_db()
    assert (pair.state, pair.decided_at) == ("open", None)
    # A run finds it as well, and what somebody decided stays.
    MatchCandidate.objects.filter(pk=pair.pk).update(state="gone", left=0)
    decided = MatchCandidate.objects.filter(state="open").order_by("-probability").first()
    MatchCandidate.objects.filter(pk=decided.pk).update(state="different")
    run(client)
    pair.refresh_from_db()
    decided.refresh_from_db()
    assert (pair.state, pair.left, decided.state) == ("open", someone.pk, "different")


def test_two_who_are_different_are_asked_about_by_no_other_record_of_theirs(client, trained):
    run(client)
    rows = {}
    for name in ("crm/0", "crm/3"):
        rows[name] = MatchCandidate.objects.create(
            model=MatchModel.objects.get(),
            left=held(name).pk,
            right=held("crm/5").pk,
            left_node=Identifier.objects.get(value=name).pk,
            right_node=Identifier.objects.get(value="crm/5").pk,
            probability=0.9,
            found_at=NOW,
        )
    join(held("crm/0"), held("crm/3"))
    decide = f"/api/v1/identity/candidates/{rows['crm/0'].pk}/decide"
    assert client.post(decide, {"decision": "different"}, format="json").status_code == 200
    states = {name: MatchCandidate.objects.get(pk=row.pk).state for name, row in rows.items()}
    assert states == {"crm/0": "different", "crm/3": "gone"}
    assert MatchCandidate.objects.filter(state="open").exists()


def test_asks_nothing_about_two_records_of_one_profile():
    first, second, *_ = questions_of(3)
    join(*(Identifier.objects.get(pk=node).profile for node in (first.left_node, first.right_node)))
    ada = signed_in("ada")
    page = ada.get("/matching/people/questions").content.decode()
    assert f'name="question" value="{second.pk}"' in page
    ada.post("/matching/people/questions", {"question": first.pk, "answer": "same"})
    assert not MatchLabel.objects.exists()


def test_asks_a_second_person_about_two_people_only():
    questions = questions_of(24)
    ada, ivo = signed_in("ada"), signed_in("ivo")
    for question in questions[:3]:
        ada.post("/matching/people/questions", {"question": question.pk, "answer": "same"})
    # The first pair is one profile by now: nobody can say anything about it.
    join(*(Identifier.objects.get(pk=node).profile for node in (questions[0].left_node, questions[0].right_node)))
    for question in questions[3:13]:
        ivo.post("/matching/people/questions", {"question": question.pk, "answer": "different"})
    again = MatchQuestion.objects.latest("id")
    assert (again.left_node, again.right_node) == (questions[1].left_node, questions[1].right_node)


def test_a_further_record_of_somebody_joins_their_cluster(client, trained):
    done = run(client)
    late = late_double()
    join(held("crm/0"), late)
    record = Identifier.objects.get(value="late/0")
    assert record.pk not in clusters_now()
    assert follow(record.profile) > 0
    assert clusters_now()[record.pk] == clusters_now()[Identifier.objects.get(value="crm/0").pk]
    names = [row["record_id"] for row in lines(client, f"{ADDRESS}/runs/{done['id']}/clusters?format=csv")]
    assert len(names) == len(set(names)) == len(trained) + 1


def test_no_record_is_lost_of_whoever_is_joined_while_a_run_looks(client, trained, monkeypatch):
    best = matching_runs.best_undecided

    def join_and_go_on(*given, **asked):
        join(held("crm/0"), held("crm/1"))
        return best(*given, **asked)

    run(client)
    # As the rows of a run are that are stored, but not committed yet, when others join two people.
    monkeypatch.setattr("profiles.services.matching_following.connection", Nothing())
    monkeypatch.setattr(matching_runs, "best_undecided", join_and_go_on)
    run(client)
    assert Merge.objects.count() == 1
    assert set(clusters_now()) == set(Identifier.objects.filter(value__startswith="crm/").values_list("pk", flat=True))
    assert not MatchedPair.objects.exclude(left__in=Profile.objects.all()).filter(run=MatchRun.objects.latest("id"))


class Nothing:
    """A connection to which nothing is said."""

    def cursor(self):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *given):
        return None

    def execute(self, *given):
        return None


def test_shows_a_pair_of_which_one_goes_while_it_is_read(client, trained, monkeypatch):
    run(client)
    monkeypatch.setattr(Profile.objects, "in_bulk", lambda ids: {})
    row = MatchCandidate.objects.filter(state="open").first()
    shown = client.get(f"/api/v1/identity/candidates/{row.pk}")
    assert shown.status_code == 200
    assert shown.json()["left"]["record_id"] is None


def test_decides_by_rule_only_as_many_as_were_shown(client, trained):
    run(client)
    ada = signed_in("ada")
    rule = {"model": "people", "decision": "different", "least": "0.5", "most": "1"}
    page = ada.post("/possible-duplicates/decided", {**rule, "act": "preview"}, follow=True).content.decode()
    shown = MatchCandidate.objects.filter(state="open", probability__gte=0.5).count()
    assert f'name="shown" value="{shown}"' in page
    late = late_double()
    follow(late)
    again = ada.post("/possible-duplicates/decided", {**rule, "act": "decide", "shown": shown}, follow=True)
    assert "nothing was decided" in again.content.decode()
    now = MatchCandidate.objects.filter(state="open", probability__gte=0.5).count()
    assert now > shown
    assert f'name="shown" value="{now}"' in again.content.decode()
    ada.post("/possible-duplicates/decided", {**rule, "act": "decide", "shown": now})
    assert not MatchCandidate.objects.filter(state="open", probability__gte=0.5).exists()


def test_writes_no_pair_of_somebody_with_themselves(client, trained):
    done = run(client)
    pair = MatchCandidate.objects.filter(state="open").order_by("-probability").first()
    join(Profile.objects.get(pk=pair.left), Profile.objects.get(pk=pair.right))
    rows = lines(client, f"{ADDRESS}/runs/{done['id']}/pairs?format=csv")
    assert rows
    assert not [row for row in rows if row["left"] == row["right"]]


@pytest.mark.parametrize("is_trained", [False, True])
def test_who_objects_leaves_the_queue_that_splink_began(client, trained, is_trained):
    model = MatchModel.objects.get()
    MatchModel.objects.update(live_version=None)
    asked = client.post(f"{ADDRESS}/runs", {"engine": "splink"}, format="json").json()
    work()
    assert client.get(f"{ADDRESS}/runs/{asked['id']}").json()["status"] == "done"
    if is_trained:
        MatchModel.objects.update(live_version=model.live_version)
    pair = MatchCandidate.objects.filter(state="open").first()
    someone = Profile.objects.get(pk=pair.left)
    object_to_matching(someone)
    follow(someone)
    assert open_pairs()
    assert not [one for one in open_pairs() if someone.pk in one]
    assert not MatchedRecord.objects.filter(profile_id=someone.pk).exists()
    assert not MatchedPair.objects.filter(left=someone.pk).exists()


def test_matches_everybody_anew_where_the_worker_was_off_for_longer_than_it_looks_back(client, trained):
    first = run(client)
    late = late_double()
    days = timedelta(days=4)
    with connection.cursor() as cursor:
        write_changes(cursor, [(late.pk, ChangeKind.CREATED, {})], timezone.now() - timedelta(days=3))
    # Before the run: it knows them.
    look()
    assert MatchRun.objects.count() == 1
    MatchRun.objects.filter(pk=first["id"]).update(started_at=timezone.now() - days)
    look()
    assert MatchRun.objects.filter(created_by="system").count() == 1
    work()
    assert frozenset((held("crm/0").pk, late.pk)) in open_pairs()
    look()
    assert MatchRun.objects.count() == 2
