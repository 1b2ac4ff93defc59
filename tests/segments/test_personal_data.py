"""What segments hold about a person is exported, counted and erased."""

import pytest

from cdp.core.registries import Subject
from profiles.models import Profile
from segments.models import Membership, MembershipChange, NextCheck, Segment
from segments.personal_data import Memberships
from tests.profiles.sending import NOW
from tests.segments.asking import SECOND, catch_up, did, profile_of, segment, track

pytestmark = pytest.mark.django_db


def subject_of(user: str) -> Subject:
    profile = Profile.objects.get(pk=profile_of(user))
    return Subject((profile.pk,), (str(profile.uuid),), (), (), ())


def test_erases_everything_of_one_person_and_nothing_of_others() -> None:
    segment("recent", did("X", "PT5S"))
    track("ana", "X")
    track("ben", "X")
    catch_up(NOW + SECOND)
    store, ana, ben = Memberships(), subject_of("ana"), subject_of("ben")
    # Membership, the next check, one entry.
    assert (store.count(subject=ana), store.count(subject=ben)) == (3, 3)
    while store.erase(subject=ana, limit=1):
        pass
    assert (store.count(subject=ana), store.count(subject=ben)) == (0, 3)
    catch_up(NOW + 2 * SECOND)
    assert Segment.objects.get().member_count == Membership.objects.count() == 1
    assert NextCheck.objects.count() == MembershipChange.objects.count() == 1


def test_exports_membership_and_history() -> None:
    segment("recent", did("X", "PT5S"))
    track("ana", "X")
    catch_up(NOW + SECOND)
    found = Memberships().export(subject=subject_of("ana"))
    assert found["segments"] == [{"segment": "recent", "since": NOW + SECOND}]
    assert [(row["segment"], row["kind"]) for row in found["segment_changes"]] == [("recent", "entered")]
