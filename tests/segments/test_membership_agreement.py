"""Incremental membership, a full computation and the reference agree after any sequence of things that happen."""

import os
import random
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from consent.services.decisions import NewDecision, record_decision
from consent.services.purposes import create_purpose
from profiles.models import Identifier, Profile
from segments.language.compile import compile_segment
from segments.language.evaluate import evaluate
from segments.language.person import Moment
from segments.models import Membership, Segment
from segments.queries.people import read_person
from segments.queries.segments import installation_zone, read_live_segments
from segments.services.following import follow_changes
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
}


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
    elif kind < 0.95:
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
    else:
        redefine("pro", trait("plan", "eq", draw.choice(["pro", "free"])), now=now)


def check(now: datetime, told: str) -> None:
    """Compare what is stored with what everyone's evaluation gives."""
    everything = {"event:*", "event:$order", "event:$session"}
    people = {profile.pk: read_person(profile=profile, tokens=everything, now=now) for profile in Profile.objects.all()}
    at = Moment(now, installation_zone=installation_zone())
    counts = dict(Segment.objects.values_list("pk", "member_count"))
    for each in read_live_segments():
        stored = set(Membership.objects.filter(segment_id=each.id).values_list("profile_id", flat=True))
        compiled = compile_segment(each.definition, now=now, installation_zone=installation_zone())
        with connection.cursor() as cursor:
            cursor.execute(compiled.sql, compiled.parameters)
            computed = {row[0] for row in cursor.fetchall()}
        assert stored == computed, f"{told}: {each.key} differs from a full computation"
        reference = {pk for pk, someone in people.items() if evaluate(each.definition, someone, at)}
        assert stored == reference, f"{told}: {each.key} differs from the reference"
        assert counts[each.id] == len(stored), f"{told}: {each.key} is counted wrongly"


@pytest.mark.django_db
@pytest.mark.parametrize("seed", range(EXAMPLES))
def test_incremental_full_and_reference_agree(seed: int) -> None:
    draw = random.Random(seed)
    now = NOW
    with transaction.atomic():
        create_purpose(key="marketing", fields={"name": "Marketing"}, actor=ACTOR, now=now)
        for key, match in SEGMENTS.items():
            segment(key, match, now=now)
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
