"""Who comes in or changes after a run: what it costs to compare them, and what is kept of it."""

import random
from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from profiles.matching_models import MatchCandidate, MatchedPair, MatchKey, MatchModel, MatchRun
from profiles.models import ChangeKind, Identifier, Profile
from profiles.services import matching_keys, matching_newcomers, matching_runs
from profiles.services.matching_components import load_decided
from profiles.services.matching_frequencies import load_as_all
from profiles.services.matching_models import spec_of
from profiles.services.matching_work import count_matching_work
from profiles.services.merging import write_changes
from tests.profiles.matching_world import client, follow, run, store, trained, work

pytestmark = pytest.mark.django_db
__all__ = ["client", "trained"]


SUMMARISE = """
SELECT brin_summarize_new_values(inhrelid) FROM pg_inherits WHERE inhparent = 'profiles_change_in_order'::regclass
"""


def held(number):
    """Return the profile of a record."""
    return Identifier.objects.get(value=f"crm/{number}").profile


def test_asks_the_database_as_often_for_many_as_for_few(client, trained):
    run(client)
    # Every third of the rows is a duplicate: both batches hold some that are likely to be somebody else.
    few, many = [held(number) for number in range(4)], [held(number) for number in range(4, 30)]
    follow(*few)
    with CaptureQueriesContext(connection) as of_few:
        follow(*few)
    with CaptureQueriesContext(connection) as of_many:
        follow(*many)
    assert len(of_many) == len(of_few)


def test_writes_no_key_again_that_stayed_as_it_was(client, trained):
    run(client)
    someone = held(0)
    keys = MatchKey.objects.filter(profile_id=someone.pk)
    before = set(keys.values_list("key", flat=True))
    rows = versions_of(someone)
    assert follow(someone) > 0
    assert versions_of(someone) == rows

    Profile.objects.filter(pk=someone.pk).update(traits={"first": "Zoe", "last": "Quince", "born": "1931-03-03"})
    assert follow(someone) > 0
    after = set(keys.values_list("key", flat=True))
    assert not before & after
    assert after


def versions_of(profile):
    """Return where the rows of its keys lie: a row that is written again lies elsewhere."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT key, ctid::text FROM profiles_matchkey WHERE profile_id = %s", [profile.pk])
        found = set(cursor.fetchall())
        cursor.execute("SELECT 0, ctid::text FROM profiles_matchkeylist WHERE profile_id = %s", [profile.pk])
        return found | set(cursor.fetchall())


def test_an_open_pair_is_as_likely_as_its_profiles_are_alike_now(client, trained):
    run(client)
    first = MatchCandidate.objects.filter(state="open").order_by("-probability").first()
    decided = MatchCandidate.objects.filter(state="open").exclude(pk=first.pk).order_by("-probability").first()
    MatchCandidate.objects.filter(pk=decided.pk).update(state="different")
    for pair in (first, decided):
        left, right = Profile.objects.get(pk=pair.left), Profile.objects.get(pk=pair.right)
        # One and the same in everything, whatever differed before.
        Profile.objects.filter(pk=left.pk).update(traits=right.traits)
        MatchCandidate.objects.filter(pk=pair.pk).update(probability=0.3, contributions={})
        assert follow(left) > 0
    first.refresh_from_db()
    decided.refresh_from_db()
    assert first.probability > 0.3
    assert "bias" in first.contributions
    assert decided.probability == 0.3


def test_a_contact_that_too_many_share_says_nothing_of_a_newcomer_either(client, trained):
    # More than 30 have the address (`MOST_SHARED`), of whom only two are looked at.
    store([{"first": f"A{n}", "last": "B", "born": "", "email": "desk@post.example"} for n in range(31)], key="desk")
    model = MatchModel.objects.get()
    MatchModel.objects.update(definition={**model.definition, "sources": ["crm", "desk"]})
    run(client)
    model = MatchModel.objects.get()
    some = [Identifier.objects.get(value=f"desk/{number}").profile_id for number in range(2)]
    records, table = load_as_all(model, spec_of(model), some)
    assert len(records) == 2
    assert [table.columns["email"].text(row) for row in range(2)] == [None, None]
    assert load_decided(model, spec_of(model), records, table).must == []


def test_a_newcomer_is_as_likely_somebody_as_in_a_run_of_everybody(client, trained):
    run(client)
    # Values that are rare among a few are common among all, and so are words of the joint names.
    before = likely_pairs()
    assert len(before) > 20
    MatchedPair.objects.all().delete()
    for number in range(30):
        follow(held(number))
    after = likely_pairs()
    both = before.keys() & after.keys()
    assert len(both) > 5
    # Six digits are stored.
    assert max(abs(before[pair] - after[pair]) for pair in both) <= 2e-6


@pytest.mark.parametrize("at_once", [1, 5, 20])
def test_newcomers_end_where_a_run_of_everybody_puts_them(client, trained, at_once):
    run(client)
    rng = random.Random(3)
    changed = [held(number) for number in rng.sample(range(len(trained)), 20)]
    others = [held(number) for number in range(0, len(trained), 7)]
    for number, profile in enumerate(changed):
        # Spelt otherwise, somebody else's double, and like nobody.
        traits = dict(profile.traits if number % 3 == 0 else rng.choice(others).traits)
        traits["last"] = f"Q{number}uince" if number % 3 == 2 else traits["last"][:-1] + "y"
        if number % 3 == 2:
            traits |= {"born": f"19{number + 10}-01-02", "email": f"only{number}@post.example"}
        Profile.objects.filter(pk=profile.pk).update(traits=traits)
    queued = open_pairs()
    before = clusters_now()
    for start in range(0, len(changed), at_once):
        assert follow(*changed[start : start + at_once]) > 0
    after, review = clusters_now(), open_pairs()
    assert MatchRun.objects.count() == 1
    run(client)
    assert after == clusters_now()
    assert after != before
    # Who is to decide is not asked less; what was asked before stays until a run.
    assert open_pairs() <= review <= open_pairs() | queued
    assert review - queued


def clusters_now():
    """Return who is one in the last run."""
    last = MatchRun.objects.order_by("-id").first()
    parts = {}
    for profile_id, cluster in last.records.values_list("profile_id", "cluster"):
        parts.setdefault(cluster, set()).add(profile_id)
    return {frozenset(part) for part in parts.values()}


def open_pairs():
    return {frozenset(pair) for pair in MatchCandidate.objects.filter(state="open").values_list("left", "right")}


def likely_pairs():
    rows = MatchedPair.objects.filter(probability__gte=0.25).values_list("left", "right", "probability")
    return {frozenset((left, right)): likely for left, right, likely in rows}


def test_matches_everybody_anew_where_too_many_wait(client, trained, monkeypatch):
    run(client)
    monkeypatch.setattr(matching_newcomers, "AT_ONCE", 4)
    monkeypatch.setattr(matching_newcomers, "MOST_BEHIND", 12)
    follow(*(held(number) for number in range(10)))
    assert MatchRun.objects.count() == 1
    follow(*(held(number) for number in range(20)))
    work()
    made = MatchRun.objects.get(created_by="system")
    assert made.status == "done"
    model = MatchModel.objects.get()
    assert model.followed_run_id == made.pk
    # Changes count once they are some seconds old: the run knows those.
    assert not count_matching_work()
    # One that failed is not asked for again and again.
    MatchRun.objects.filter(pk=made.pk).update(status="failed")
    follow(*(held(number) for number in range(20)))
    assert MatchRun.objects.count() == 2


def test_counts_anew_what_is_rare_once_many_have_changed(client, trained, monkeypatch):
    run(client)
    monkeypatch.setattr(matching_newcomers, "AT_ONCE", 4)
    monkeypatch.setattr(matching_newcomers, "MOST_SINCE", 6)
    monkeypatch.setattr(matching_newcomers, "EACH_SINCE", 0)
    follow(*(held(number) for number in range(4)))
    assert MatchRun.objects.count() == 1
    follow(*(held(number) for number in range(8)))
    work()
    assert MatchRun.objects.filter(created_by="system", status="done").count() == 1


def test_stores_keys_that_a_worker_that_ended_has_not_stored(client, trained):
    run(client)
    keys = set(MatchKey.objects.values_list("key", "profile_id"))
    assert keys
    MatchKey.objects.all().delete()
    MatchModel.objects.update(followed_run_id=None, matched_change_id=0)
    assert work() > 0
    assert set(MatchKey.objects.values_list("key", "profile_id")) == keys
    assert work() == 0


def test_a_run_is_done_whatever_becomes_of_the_keys_for_newcomers(client, trained, monkeypatch):
    def fail(**asked):
        raise ValueError

    monkeypatch.setattr(matching_runs, "store_keys", fail)
    done = run(client)
    assert done["status"] == "done"
    assert done["clusters"] > 0
    model = MatchModel.objects.get()
    assert model.status == "failed"
    # It is not tried over and over.
    assert work() == 0


def test_stores_no_keys_of_blocks_past_the_cap(client, trained, monkeypatch):
    run(client)
    keys = Counter(MatchKey.objects.values_list("key", flat=True))
    most = max(keys.values())
    assert most > 1
    monkeypatch.setattr(matching_keys, "MOST_IN_BLOCK", most - 1)
    MatchModel.objects.update(followed_run_id=None)
    work()
    left = Counter(MatchKey.objects.values_list("key", flat=True))
    assert left == {key: count for key, count in keys.items() if count < most}


def test_finds_the_last_changes_without_reading_all_of_the_day(client, trained):
    run(client)
    model, someone = MatchModel.objects.get(), held(0)
    with connection.cursor() as cursor:
        now = timezone.now()
        write_changes(cursor, [(someone.pk, ChangeKind.CREATED, {})] * 20_000, now - timedelta(minutes=1))
        cursor.execute("SELECT max(id) - 1 FROM profiles_change")
        MatchModel.objects.update(matched_change_id=cursor.fetchone()[0])
        # What the server does by itself, some seconds after pages are full.
        cursor.execute(SUMMARISE)
        cursor.execute("ANALYZE profiles_change")
        model.refresh_from_db()
        read = matching_newcomers._wanted(model, now)
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {matching_newcomers.CHANGED}", read)
        plan = cursor.fetchone()[0][0]["Plan"]
    assert plan["Actual Rows"] == 1
    assert read_rows(plan) < 5_000


def read_rows(plan):
    """Return how many rows were looked at in the steps of a plan that read tables."""
    own = plan.get("Rows Removed by Filter", 0) + plan.get("Rows Removed by Index Recheck", 0)
    return own * plan["Actual Loops"] + sum(map(read_rows, plan.get("Plans", ())))
