"""When somebody is to be looked at again is kept for those alone who can change by time, and who are there."""

import pytest
from django.db import connection

from profiles.models import Profile
from segments.models import NextCheck
from segments.queries.following import read_followed
from segments.queries.segments import LiveSegment, read_setting
from segments.services.evaluation import Reason, evaluate_some
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


@pytest.mark.django_db
def test_of_a_segment_that_has_just_gone_live_are_read_for_those_alone_who_are_looked_at():
    known = segment("known", did("Seen", "P1D"))
    fresh = segment("fresh", did("Seen", "P2D"))
    for number in range(20):
        track(f"user-{number}", "Other", NOW)
    fill(known.pk, 20_000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE segments_nextcheck")
    # The planner has not heard of these.
    fill(fresh.pk, 5_000)
    before = rows_read()
    looked_at = {profile_id: Reason("event") for profile_id in Profile.objects.values_list("id", flat=True)}
    evaluate_some(read_live("fresh"), looked_at, now=NOW + SECOND, setting=read_setting())
    assert rows_read() - before < 100


def fill(segment_id: int, count: int) -> None:
    """Have people who are not there be looked at again in a week."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO segments_nextcheck (segment_id, profile_id, at)"
            " SELECT %s, 1000000 + n, %s FROM generate_series(1, %s) AS n",
            [segment_id, NOW + 7 * DAY, count],
        )


def rows_read() -> int:
    """Return how many rows of next checks this transaction has read."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'segments_nextcheck'"
        )
        return int(cursor.fetchone()[0])


def read_live(key: str) -> LiveSegment:
    """Return a live segment as it is followed."""
    found = [one for one in read_followed(due=[]) if one.token == f"segment:{key}"]
    assert isinstance(found[0], LiveSegment)
    return found[0]
