"""People enter and leave as things happen and as time passes."""

from datetime import timedelta

import pytest

from cdp.core.registries import MergePair
from profiles.models import Change, ChangeKind, Profile, Work, WorkInterest
from segments.models import MembershipChange, NextCheck, Segment
from segments.services.definitions import change_segment
from segments.services.following import count_changes, count_due_checks, follow_changes
from tests.profiles.sending import NOW, send
from tests.segments.asking import (
    ACTOR,
    DAY,
    SECOND,
    catch_up,
    did,
    history,
    identify,
    members,
    profile_of,
    redefine,
    segment,
    track,
    trait,
)

pytestmark = pytest.mark.django_db
TICK = timedelta(microseconds=1)


def test_enters_after_an_event_with_its_message_as_the_reason() -> None:
    segment("buyers", did("Order Completed"))
    track("ana", "Order Completed")
    catch_up(NOW + SECOND)
    assert members("buyers") == {"ana"}
    [(kind, reason)] = history("buyers")
    assert (kind, reason["kind"]) == ("entered", "event")
    assert reason["message_id"].startswith("m-")
    assert Segment.objects.get(key="buyers").member_count == 1


def test_enters_and_leaves_with_a_trait() -> None:
    segment("pro", trait("plan", "eq", "pro"))
    identify("ana", plan="pro")
    catch_up(NOW + SECOND)
    assert members("pro") == {"ana"}
    identify("ana", NOW + DAY, plan="free")
    catch_up(NOW + DAY + SECOND)
    assert members("pro") == set()
    assert [kind for kind, _ in history("pro")] == ["entered", "left"]
    assert Segment.objects.get(key="pro").member_count == 0


def test_has_its_members_as_soon_as_it_is_live() -> None:
    identify("ana", plan="pro")
    identify("ben", plan="free")
    assert segment("pro", trait("plan", "eq", "pro")).member_count == 1
    assert members("pro") == {"ana"}


def test_keeps_nobody_while_it_is_a_draft() -> None:
    identify("ana", plan="pro")
    segment("pro", trait("plan", "eq", "pro"), status="draft")
    catch_up(NOW + SECOND)
    assert members("pro") == set()
    change_segment(key="pro", fields={"status": "live"}, actor=ACTOR, clock=lambda: NOW)
    assert members("pro") == {"ana"}


def test_lets_everyone_leave_when_it_is_archived() -> None:
    identify("ana", plan="pro")
    segment("pro", trait("plan", "eq", "pro"))
    change_segment(key="pro", fields={"status": "archived"}, actor=ACTOR, clock=lambda: NOW + DAY)
    assert members("pro") == set()
    assert history("pro")[-1] == ("left", {"kind": "definition"})
    assert NextCheck.objects.count() == 0


def test_follows_a_changed_definition() -> None:
    identify("ana", plan="pro")
    identify("ben", plan="free")
    segment("some", trait("plan", "eq", "pro"))
    assert redefine("some", trait("plan", "eq", "free")).version == 2
    assert members("some") == {"ben"}
    assert {reason["kind"] for _, reason in history("some")} == {"definition"}


def test_leaves_at_the_very_moment_the_window_closes() -> None:
    segment("recent", did("App Opened", "PT5S"))
    track("ana", "App Opened")
    catch_up(NOW + SECOND)
    # The window is half-open at its start: five seconds old is inside, a microsecond more is not.
    catch_up(NOW + 5 * SECOND)
    assert members("recent") == {"ana"}
    assert NextCheck.objects.get().at == NOW + 5 * SECOND + TICK
    catch_up(NOW + 5 * SECOND + TICK)
    assert members("recent") == set()
    assert history("recent")[-1] == ("left", {"kind": "time"})
    assert NextCheck.objects.count() == 0


def test_enters_by_time_when_an_absence_is_complete() -> None:
    steps = [{"name": "Cart"}, {"name": "Order", "occurs": False, "within": "PT24H"}]
    segment("left-behind", {"type": "sequence", "window": {"last": "P8D"}, "steps": steps})
    track("ana", "Cart")
    track("ben", "Cart")
    track("ben", "Order", NOW + timedelta(hours=1))
    catch_up(NOW + timedelta(hours=2))
    assert members("left-behind") == set()
    catch_up(NOW + timedelta(hours=24))
    assert members("left-behind") == {"ana"}
    assert history("left-behind") == [("entered", {"kind": "time"})]


def test_zero_times_in_five_seconds_leaves_and_comes_back() -> None:
    # Dittofeed's 0-times script, with a trait: v is production and never in.
    segment(
        "quiet",
        {"type": "all", "of": [trait("env", "eq", "test"), did("X", "PT5S", op="eq", value=0)]},
    )
    for user, env in (("t", "test"), ("u", "test"), ("v", "production")):
        identify(user, NOW - DAY, env=env)
    track("u", "X")
    catch_up(NOW + SECOND)
    assert members("quiet") == {"t"}
    catch_up(NOW + 6 * SECOND)
    assert members("quiet") == {"t", "u"}


def test_counts_a_late_event_inside_its_window() -> None:
    segment("twice", did("X", "P30D", op="gte", value=2))
    track("ana", "X", NOW - 20 * DAY)
    track("ana", "X", NOW - 10 * DAY, sent=NOW + SECOND)
    catch_up(NOW + 2 * SECOND)
    assert members("twice") == {"ana"}
    # 20 days ago plus 30 days: the first of the two leaves the window in ten days.
    catch_up(NOW + 10 * DAY + SECOND)
    assert members("twice") == set()


def test_clamps_events_of_the_future_to_their_receipt() -> None:
    segment("twice", did("X", "P7D", op="gte", value=2))
    track("ana", "X")
    track("ana", "X", NOW + DAY, sent=NOW + SECOND)
    catch_up(NOW + 2 * SECOND)
    assert members("twice") == {"ana"}


def test_counts_what_a_faster_clock_received() -> None:
    segment("any", did("X"))
    track("ana", "X", NOW + SECOND)
    follow_changes(clock=lambda: NOW)
    assert members("any") == {"ana"}


def test_follows_calendar_windows_at_local_midnight() -> None:
    segment("today", did("X") | {"window": {"calendar": "today"}}, timezone="Europe/Berlin")
    track("ana", "X")
    catch_up(NOW + SECOND)
    assert members("today") == {"ana"}
    # NOW is 16:09 in Berlin on 2026-03-14 (+01:00); midnight there is 23:00 UTC.
    midnight = NOW.replace(hour=23, minute=0, second=0)
    assert Segment.objects.get(key="today").next_run_at == midnight
    catch_up(midnight - TICK)
    assert members("today") == {"ana"}
    catch_up(midnight)
    assert members("today") == set()


def test_changes_an_outer_segment_with_the_inner_one() -> None:
    segment("inner", trait("plan", "eq", "pro"))
    segment("outer", {"type": "segment", "key": "inner"})
    segment("others", {"type": "segment", "key": "inner", "op": "not_in"})
    identify("ana", plan="pro")
    identify("ben", plan="free")
    catch_up(NOW + SECOND)
    assert (members("outer"), members("others")) == ({"ana"}, {"ben"})
    redefine("inner", trait("plan", "eq", "free"), now=NOW + 2 * SECOND)
    assert (members("outer"), members("others")) == ({"ben"}, {"ana"})
    assert history("outer")[-1][1] == {"kind": "segment"}


def test_time_in_an_inner_segment_moves_the_outer_one() -> None:
    segment("inner", did("X", "PT5S"))
    segment("outer", {"type": "not", "of": {"type": "segment", "key": "inner"}})
    track("ana", "X")
    catch_up(NOW + SECOND)
    assert members("outer") == set()
    catch_up(NOW + 6 * SECOND)
    assert members("outer") == {"ana"}


def test_restricted_profiles_leave() -> None:
    segment("all", {"type": "everyone"})
    identify("ana", plan="pro")
    catch_up(NOW + SECOND)
    Profile.objects.update(restricted=True)
    Work.objects.create(profile_id=profile_of("ana"), names=["created"], since=NOW)
    catch_up(NOW + 2 * SECOND)
    assert members("all") == set()


def test_a_merge_lets_the_absorbed_side_leave_and_tells_no_second_entry() -> None:
    segment("pro", trait("plan", "eq", "pro"))
    send({"type": "identify", "anonymousId": "a-1", "traits": {"plan": "pro"}}, at=NOW)
    send({"type": "identify", "anonymousId": "a-2", "traits": {"plan": "pro"}}, at=NOW + SECOND)
    catch_up(NOW + 2 * SECOND)
    first, second = Profile.objects.order_by("created_at")
    send({"type": "identify", "anonymousId": "a-1", "userId": "ana"}, at=NOW + 3 * SECOND)
    send({"type": "identify", "anonymousId": "a-2", "userId": "ana"}, at=NOW + 4 * SECOND)
    catch_up(NOW + 5 * SECOND)
    assert members("pro") == {"ana"}
    assert Segment.objects.get(key="pro").member_count == 1
    rows = MembershipChange.objects.filter(at__gt=NOW + 2 * SECOND)
    assert [(row.profile_uuid, row.kind, row.reason["kind"]) for row in rows] == [
        (second.uuid, MembershipChange.Kind.LEFT, "merge")
    ]
    assert Profile.objects.get().uuid == first.uuid


def test_a_merge_enters_a_survivor_that_was_not_a_member() -> None:
    segment("pro", trait("plan", "eq", "pro"))
    send({"type": "identify", "anonymousId": "a-1", "traits": {"age": 5}}, at=NOW)
    send({"type": "identify", "anonymousId": "a-2", "traits": {"plan": "pro"}}, at=NOW + SECOND)
    catch_up(NOW + 2 * SECOND)
    survivor = Profile.objects.order_by("created_at")[0].uuid
    send({"type": "identify", "anonymousId": "a-1", "userId": "ana"}, at=NOW + 3 * SECOND)
    send({"type": "identify", "anonymousId": "a-2", "userId": "ana"}, at=NOW + 4 * SECOND)
    catch_up(NOW + 5 * SECOND)
    assert members("pro") == {"ana"}
    assert Segment.objects.get(key="pro").member_count == 1
    kinds = [
        (row.profile_uuid == survivor, row.get_kind_display(), row.reason["kind"])
        for row in MembershipChange.objects.filter(at__gt=NOW + 2 * SECOND).order_by("id")
    ]
    assert kinds == [(False, "left", "merge"), (True, "entered", "merge")]


def test_a_merge_is_shown_beforehand_with_the_segments_that_it_can_change() -> None:
    from segments.services.merging import SegmentMerging

    segment("pro", trait("plan", "eq", "pro"))
    segment("old", trait("age", "gt", 60))
    segment("all", {"type": "everyone"})
    identify("ana", plan="pro")
    identify("ben", age=70)
    catch_up(NOW + SECOND)
    pair = (profile_of("ana"), profile_of("ben"))
    name = dict(Segment.objects.values_list("key", "name"))
    shown = SegmentMerging().preview(pair=pair, now=NOW)
    assert [(row["segment"], row["left"], row["right"]) for row in shown] == sorted(
        [(name["pro"], "member", "no member"), (name["old"], "no member", "member")]
    )


def test_keeps_membership_on_whichever_internal_id_survives() -> None:
    from segments.services.merging import SegmentMerging

    segment("pro", trait("plan", "eq", "pro"))
    identify("ana", plan="pro")
    catch_up(NOW + SECOND)
    dropped = Profile.objects.get()
    # The row with more events is kept and takes over the public id of the other.
    kept = Profile.objects.create(uuid="99999999-9999-4999-8999-999999999999", created_at=NOW)
    public = dropped.uuid
    dropped.delete()
    Profile.objects.filter(pk=kept.pk).update(uuid=public, traits={"plan": "pro"})
    pair = MergePair(kept.pk, MembershipChange.objects.get().profile_id, str(public), str(kept.uuid), 1, "m")
    SegmentMerging().on_merge(pairs=[pair], now=NOW + 2 * SECOND)
    Work.objects.create(profile_id=kept.pk, names=["merge"], since=NOW)
    catch_up(NOW + 3 * SECOND)
    assert [row.profile_id for row in Segment.objects.get(key="pro").memberships.all()] == [kept.pk]
    assert [kind for kind, _ in history("pro")] == ["entered"]
    assert Segment.objects.get(key="pro").member_count == 1


def test_says_which_changes_matter() -> None:
    segment("a", {"type": "all", "of": [did("X"), trait("address.city", "eq", "Bonn")]})
    assert set(WorkInterest.objects.values_list("token", flat=True)) == {"created", "event:X", "trait:address"}
    change_segment(key="a", fields={"status": "archived"}, actor=ACTOR, clock=lambda: NOW)
    assert WorkInterest.objects.count() == 0


def test_writes_the_history_of_the_profile() -> None:
    segment("pro", trait("plan", "eq", "pro"))
    identify("ana", plan="pro")
    catch_up(NOW + SECOND)
    row = Change.objects.get(kind=ChangeKind.ENTERED)
    assert (row.profile_id, row.detail) == (profile_of("ana"), {"segment": "pro", "reason": "event"})


def test_waits_are_counted_until_done() -> None:
    segment("recent", did("X", "PT5S"))
    track("ana", "X")
    assert count_changes() == 1
    follow_changes(clock=lambda: NOW + SECOND)
    assert (count_changes(), count_due_checks(clock=lambda: NOW + SECOND)) == (0, 0)
    later = NOW + 6 * SECOND
    assert count_due_checks(clock=lambda: later) == 1
    assert follow_changes(clock=lambda: later) == 1
    assert count_due_checks(clock=lambda: later) == 0


def test_computes_what_a_crash_left_uncomputed() -> None:
    identify("ana", plan="pro")
    segment("pro", trait("plan", "eq", "free"))
    Segment.objects.update(live_version=None)
    identify("ana", NOW + SECOND, plan="free")
    catch_up(NOW + 2 * SECOND)
    assert members("pro") == {"ana"}
    assert Segment.objects.get().live_version == 1


def test_doing_the_same_work_twice_changes_nothing() -> None:
    segment("buyers", did("X"))
    track("ana", "X")
    catch_up(NOW + SECOND)
    Work.objects.create(profile_id=profile_of("ana"), names=["event:X"], since=NOW)
    catch_up(NOW + 2 * SECOND)
    assert len(history("buyers")) == 1
