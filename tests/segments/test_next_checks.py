"""When somebody is to be looked at again is kept for those alone who can change by time, and who are there."""

import pytest

from profiles.models import Profile
from segments.models import NextCheck
from tests.profiles.sending import NOW, send
from tests.segments.asking import DAY, SECOND, catch_up, did, members, profile_of, redefine, segment, track


def checks() -> dict[int, float]:
    """Return in how many days each profile is looked at again."""
    return {
        profile_id: round((at - NOW) / DAY, 3) for profile_id, at in NextCheck.objects.values_list("profile_id", "at")
    }


@pytest.mark.django_db
def test_follow_a_definition_to_another_window_and_to_none():
    track("ana", "Seen", NOW)
    later = NOW + SECOND
    segment("recent", did("Seen", "P1D"), now=later)
    ana = profile_of("ana")
    assert checks() == {ana: 1}
    redefine("recent", did("Seen", "P3D"), now=later)
    assert checks() == {ana: 3}
    redefine("recent", did("Seen"), now=later)
    assert (members("recent"), checks()) == ({"ana"}, {})


@pytest.mark.django_db
def test_leave_with_the_profile_that_a_merge_drops():
    segment("recent", did("Seen", "P1D"))
    track("ana", "Seen", NOW)
    send({"type": "track", "event": "Seen", "anonymousId": "browser"}, at=NOW)
    catch_up(NOW + SECOND)
    assert len(checks()) == 2
    send({"type": "identify", "userId": "ana", "anonymousId": "browser"}, at=NOW)
    assert checks().keys() <= set(Profile.objects.values_list("id", flat=True))
    catch_up(NOW + SECOND)
    assert checks() == {profile_of("ana"): 1}
