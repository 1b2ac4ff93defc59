"""What happens after a run: another version comes into force, people are joined, a worker ends in the middle."""

import pytest
from django.utils import timezone

from profiles.matching_models import (
    MatchCandidate,
    MatchedRecord,
    MatchRun,
)
from profiles.models import Identifier, Profile
from profiles.services.matching_merging import Matched, merge_matched
from tests.profiles.matching_world import client, follow, run, store, trained

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
