"""What happens after a run: another version comes into force, people are joined, a worker ends in the middle."""

import pytest
from django.utils import timezone

from profiles.matching_models import (
    MatchCandidate,
    MatchedRecord,
    MatchLabel,
    MatchQuestion,
    MatchRun,
)
from profiles.models import Identifier, IdentifierType, Profile
from profiles.services.matching_merging import Matched, merge_matched
from tests.profiles.matching_world import client, follow, run, store, trained
from tests.profiles.sending import source
from tests.profiles.test_matching_pages import questions_of
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
