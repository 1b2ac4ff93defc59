"""Incremental membership, a full computation and the reference agree after any sequence of things that happen."""

import json
import os
import random
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from consent.services.decisions import NewDecision, record_decision
from consent.services.purposes import create_purpose
from consent.services.requests import NewRequest, approve_request, create_request
from consent.services.running import run_privacy_requests
from profiles.errors import BadMerge, CannotUndo
from profiles.models import Identifier, Merge, Profile
from profiles.queries.people import name_identifier
from profiles.services.steward import merge_profiles
from profiles.services.undoing import undo_merge
from segments.language.compile import compile_segment
from segments.language.compile_traits import compile_trait
from segments.language.evaluate import evaluate
from segments.language.person import Moment, Person
from segments.language.rfm import RANKED
from segments.language.scoring import as_json
from segments.language.values import canonical
from segments.models import Membership, Segment, TraitValue
from segments.queries.following import LiveTrait, read_followed
from segments.queries.lists import Line
from segments.queries.people import read_person
from segments.queries.segments import installation_zone, read_setting
from segments.services import evaluation, following
from segments.services.computed_traits import NewTrait, create_trait
from segments.services.following import follow_changes
from segments.services.lists import add_to_list, create_list
from tests.profiles.sending import NOW, send
from tests.segments.asking import ACTOR, catch_up, did, redefine, segment, trait

EXAMPLES = int(os.environ.get("MEMBERSHIP_EXAMPLES", "4"))
STEPS = 12
USERS = ("u1", "u2", "u3", "u4")
DEVICES = ("d1", "d2", "d3")
SEGMENTS: dict[str, Any] = {
    "bought": did("Order", "PT2H"),
    "twice": did("Order", "P1D", op="gte", value=2),
    "spent": did("Order", "PT6H", measure={"fn": "sum", "property": "total"}, op="gt", value=10),
    "never": {"type": "not", "of": did("Order")},
    "rare": did("*", "PT3H", op="lte", value=1),
    "pro": trait("plan", "eq", "pro"),
    "soon": {"type": "trait", "path": "renews", "op": "in_next", "value": "PT4H"},
    "waiting": {
        "type": "sequence",
        "window": {"last": "P1D"},
        "steps": [{"name": "Cart"}, {"name": "Order", "occurs": False, "within": "PT1H"}],
    },
    "last-red": {
        "type": "event_pick",
        "pick": "last",
        "name": "Order",
        "window": {"last": "PT5H"},
        "has": {"property": "colour", "op": "eq", "value": "red"},
    },
    "back": {"type": "lifecycle", "name": "Order", "state": "returning", "period": "PT3H"},
    "known": {"type": "identity", "namespace": "user_id", "op": "exists"},
    "agreed": {"type": "consent", "purpose": "marketing", "status": ["granted"]},
    "today": did("Cart") | {"window": {"calendar": "today"}},
    "between": did("Cart") | {"window": {"between": ["PT5H", "PT1H"]}},
    "outer": {
        "type": "all",
        "of": [
            {"type": "any", "of": [{"type": "segment", "key": "bought"}, {"type": "segment", "key": "pro"}]},
            {"type": "segment", "key": "waiting", "op": "not_in"},
        ],
    },
    "ordered": did("$order", "P1D"),
    "order-value": did("$order", measure={"fn": "sum", "property": "revenue"}, op="gte", value=8),
    "refunded": did("$order", where={"property": "status", "op": "in", "value": ["refunded", "cancelled"]}),
    "visited": did("$session", "PT5H"),
    "long-visit": did("$session", where={"property": "duration_seconds", "op": "gte", "value": 1800}),
    "visits": did("$session", "P1D", measure={"fn": "count"}, op="gte", value=3),
    "orders": trait("orders_count", "gte", 2),
    "revenue": trait("orders_revenue", "between", [1, 10]),
    "recent-order": {"type": "trait", "path": "last_order_at", "op": "in_last", "value": "PT3H"},
    "no-order": trait("orders_count", "eq", 0),
    "entered": {"type": "segment", "key": "bought", "op": "entered", "window": {"last": "PT2H"}},
    "held": {"type": "segment", "key": "known", "op": "held", "for": "PT3H"},
    "long-pro": {"type": "trait_held", "path": "plan", "op": "eq", "value": "pro", "for": "PT2H"},
    "long-not-pro": {"type": "trait_held", "path": "plan", "op": "ne", "value": "pro", "for": "PT90M"},
    "best": {"type": "rfm", "r": [3, 4, 5], "m": [2, 3, 4, 5]},
    "best-buyers": {"type": "all", "of": [{"type": "rfm", "f": [2, 3, 4, 5]}, did("Order", "PT5H")]},
    "of-best": {"type": "all", "of": [{"type": "segment", "key": "best"}, {"type": "segment", "key": "bought"}]},
    "staff": {"type": "list", "key": "staff"},
}
COMPUTED: dict[str, Any] = {
    "orders_done": {"type": "summary", "fn": "count", "name": "Order"},
    "spent_lately": {"type": "summary", "fn": "sum", "name": "Order", "property": "total", "window": {"last": "PT6H"}},
    "mean_order": {"type": "summary", "fn": "average", "name": "$order", "property": "revenue"},
    "last_colour": {"type": "summary", "fn": "last", "name": "Order", "property": "colour"},
    "usual_colour": {"type": "summary", "fn": "most_frequent", "name": "Order", "property": "colour"},
    "colours": {
        "type": "summary",
        "fn": "distinct_list",
        "name": "Order",
        "property": "colour",
        "window": {"last": "P1D"},
    },
    "days_since_cart": {"type": "summary", "fn": "days_since", "name": "Cart"},
    "worth": {
        "type": "weighted_score",
        "criteria": [
            {"when": did("Order", "PT3H"), "weight": 5},
            {"when": {"type": "segment", "key": "pro"}, "weight": 2.5},
            {"when": trait("orders_done", "gte", 2), "weight": 10},
            {"when": {"type": "not", "of": did("Cart", "P1D")}, "weight": -1},
        ],
        "thresholds": [{"from": 10, "class": "gold"}, {"from": 2, "class": "silver"}],
    },
    "rank": {"type": "rfm"},
}
BY_COMPUTED: dict[str, Any] = {
    "buyers": trait("orders_done", "gte", 2),
    "no-buyers": trait("orders_done", "eq", 0),
    "gold": trait("worth.class", "eq", "gold"),
    "quiet": trait("days_since_cart", "gte", 1),
    "red-likers": trait("usual_colour", "eq", "red"),
    "ranked": {"type": "trait", "path": "rank.r", "op": "gte", "value": 4},
}
# Counted in days of a place that changes its clocks.
LOCAL: dict[str, Any] = {
    "local-day": did("Cart") | {"window": {"last": "P1D", "align": "day"}},
    "local-days": did("Cart") | {"window": {"last": "P2D"}},
    "local-today": did("Order") | {"window": {"calendar": "today"}},
    "local-held": {"type": "trait_held", "path": "plan", "op": "exists", "for": "P1D"},
}
ZONE = "Europe/Berlin"
# An ordinary day, and the days before both changes of the clock in Berlin.
STARTS = (NOW, datetime(2026, 3, 28, 12, 40, tzinfo=UTC), datetime(2025, 10, 25, 11, 20, tzinfo=UTC))


def step(draw: random.Random, now: datetime) -> None:
    """Let one thing happen."""
    kind = draw.random()
    who = {"userId": draw.choice(USERS)} if draw.random() < 0.6 else {"anonymousId": draw.choice(DEVICES)}
    at = now - timedelta(minutes=draw.choice([0, 0, 0, 30, 90, 600]))
    if kind < 0.25:
        amount = {"total": draw.choice([4, 8, "7.5"])} if draw.random() < 0.8 else {}
        event = draw.choice(["Completed", "Completed", "Updated", "Refunded", "Cancelled"])
        told = {"order_id": draw.choice("AB"), "currency": draw.choice(["EUR", "USD", None]), **amount}
        item = {"type": "track", **who, "event": f"Order {event}", "properties": told, "timestamp": at.isoformat()}
        send(item, at=now)
    elif kind < 0.5:
        properties = {"total": draw.choice([4, 8, "7.5", None]), "colour": draw.choice(["red", "blue"])}
        event = {"event": draw.choice(["Order", "Cart", "View"]), "properties": properties}
        send({"type": "track", **who, **event, "timestamp": at.isoformat()}, at=now)
    elif kind < 0.75:
        renews = (now + timedelta(minutes=draw.randint(-300, 600))).isoformat()
        traits = draw.choice([{"plan": "pro"}, {"plan": "free"}, {"plan": None}, {"renews": renews}])
        send({"type": "identify", **who, "traits": traits, "timestamp": at.isoformat()}, at=now)
    elif kind < 0.87:
        both = {"userId": draw.choice(USERS), "anonymousId": draw.choice(DEVICES)}
        send({"type": "identify", **both, "timestamp": at.isoformat()}, at=now)
    elif kind < 0.93:
        profiles = list(Profile.objects.order_by("pk"))
        if profiles:
            ends = now + timedelta(minutes=draw.choice([10, 200])) if draw.random() < 0.5 else None
            granted = draw.random() < 0.6
            new = NewDecision(
                purpose="marketing",
                channel=None,
                state="granted" if granted else "withdrawn",
                recorded_by=ACTOR,
                profile_uuid=str(draw.choice(profiles).uuid),
                expires_at=ends if granted else None,
            )
            record_decision(new=new, now=now)
    elif kind < 0.99:
        rearrange(draw, now)
    else:
        redefine("pro", trait("plan", "eq", draw.choice(["pro", "free"])), now=now)


def rearrange(draw: random.Random, now: datetime) -> None:
    """Merge, undo a merge, put somebody on the list, or erase somebody."""
    people = [str(uuid) for uuid in Profile.objects.order_by("pk").values_list("uuid", flat=True)]
    kind = draw.random()
    merge = Merge.objects.filter(undone_at=None).order_by("pk").last()
    if kind < 0.35 and len(people) > 1:
        with suppress(BadMerge):
            merge_profiles(public_ids=draw.sample(people, 2), reason="test", actor=ACTOR, now=now)
    elif kind < 0.7 and merge is not None:
        with suppress(CannotUndo):
            undo_merge(merge_id=merge.pk, actor=ACTOR, now=now)
    elif kind < 0.9 and people:
        add_to_list(key="staff", lines=[Line(profile_id=draw.choice(people))], actor=ACTOR, now=now)
    elif people:
        held = Identifier.objects.select_related("type").order_by("pk").first()
        assert held is not None
        named = name_identifier(type=held.type.key, value=held.value)
        request = create_request(new=NewRequest("erasure", [named], "gdpr", now, "api", "test"), now=now)
        approve_request(request_id=str(request.pk), actor=ACTOR, now=now)
        run_privacy_requests(clock=lambda: now)


def check(now: datetime, told: str) -> None:
    """Compare what is stored with what everyone's evaluation gives."""
    everything = {"event:*", "event:$order", "event:$session", "trait:*", RANKED}
    people = {profile.pk: read_person(profile=profile, tokens=everything, now=now) for profile in Profile.objects.all()}
    assert all(person.computed for person in people.values())
    at = Moment(now, installation_zone=installation_zone())
    counts = dict(Segment.objects.values_list("pk", "member_count"))
    for each in read_followed():
        if isinstance(each, LiveTrait):
            check_values(each, people, at, told)
            continue
        stored = set(Membership.objects.filter(segment_id=each.id).values_list("profile_id", flat=True))
        compiled = compile_segment(each.definition, now=now, setting=read_setting())
        with connection.cursor() as cursor:
            cursor.execute(compiled.sql, compiled.parameters)
            computed = {row[0] for row in cursor.fetchall()}
        assert stored == computed, f"{told}: {each.key} differs from a full computation"
        reference = {pk for pk, someone in people.items() if evaluate(each.definition, someone, at)}
        assert stored == reference, f"{told}: {each.key} differs from the reference"
        assert counts[each.id] == len(stored), f"{told}: {each.key} is counted wrongly"


def check_values(trait: LiveTrait, people: dict[int, Person], at: Moment, told: str) -> None:
    """Compare the values of a computed trait with those of a full computation and of the reference."""
    stored = TraitValue.objects.filter(trait_id=trait.id, value__isnull=False)
    values = {row.profile_id: canonical(row.value) for row in stored}
    compiled = compile_trait(trait.definition, now=at.now, setting=read_setting())
    with connection.cursor() as cursor:
        cursor.execute(f"select profile_id, value::text from ({compiled.sql}) v", compiled.parameters)
        computed = {pk: canonical(json.loads(value)) for pk, value in cursor.fetchall() if value}
    assert values == computed, f"{told}: {trait.key} differs from a full computation"
    default = as_json(trait.definition.compute.default)
    found = {pk: as_json(trait.definition.compute.compute(someone, at)) for pk, someone in people.items()}
    reference = {pk: canonical(value) for pk, value in found.items() if value is not None and value != default}
    assert values == reference, f"{told}: {trait.key} differs from the reference"


@pytest.mark.django_db
@pytest.mark.parametrize("seed", range(EXAMPLES))
def test_incremental_full_and_reference_agree(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # Ranks are brought up to date at once, not at leisure.
    monkeypatch.setattr(following, "PACE", 0)
    monkeypatch.setattr(evaluation, "PACE", 0)
    draw = random.Random(seed)
    now = draw.choice(STARTS)
    with transaction.atomic():
        create_purpose(key="marketing", fields={"name": "Marketing"}, actor=ACTOR, now=now)
        create_list(key="staff", name="Staff", actor=ACTOR, now=now)
        for key, match in SEGMENTS.items():
            segment(key, match, now=now)
        for key, compute in COMPUTED.items():
            definition = {"version": 1, "timezone": ZONE, "compute": compute}
            create_trait(
                new=NewTrait(key=key, name=key, definition=definition, status="live"), actor=ACTOR, clock=lambda: now
            )
        for key, match in BY_COMPUTED.items():
            segment(key, match, now=now)
        for key, match in LOCAL.items():
            segment(key, match, now=now, timezone=ZONE)
        for number in range(STEPS):
            for _ in range(draw.randint(1, 3)):
                step(draw, now)
                now += timedelta(seconds=draw.choice([1, 60]))
            if draw.random() < 0.5:
                follow_changes(clock=lambda moment=now: moment)
            now += timedelta(minutes=draw.choice([0, 1, 29, 60, 61, 180, 1440]))
            catch_up(now)
            check(now, f"seed {seed}, step {number} at {now}")
        assert Identifier.objects.exists()
        transaction.set_rollback(True)
