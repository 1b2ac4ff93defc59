"""The order view: what the stored ecommerce events say about each order, however they arrive."""

import json
import random
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from cdp.core.models import Job
from cdp.core.registries import Subject
from cdp.core.services.jobs import run_jobs
from profiles.models import Identifier, Order, OrderMessage
from profiles.personal_data import Events
from profiles.personal_data_derived import Orders
from profiles.services.orders import prepare_orders
from profiles.services.steward import merge_profiles
from profiles.services.undoing import undo_merge
from tests.profiles.sending import NOW, send, source

pytestmark = pytest.mark.django_db


def said(name: str, order: Any = "A-1", user: str = "u1", minutes: float = 0, **properties: Any) -> dict[str, Any]:
    """Return an ecommerce event, some minutes before the present."""
    return {
        "type": "track",
        "event": f"Order {name}",
        "userId": user,
        "timestamp": (NOW - timedelta(minutes=minutes)).isoformat(),
        "properties": {"order_id": order, **properties},
    }


def only() -> dict[str, Any]:
    """Return the properties of the only order."""
    found: dict[str, Any] = Order.objects.get().properties
    return found


def holder(user: str) -> int:
    """Return the profile of a user id."""
    return Identifier.objects.get(type__key="user_id", value=user).profile_id


def test_keeps_the_first_completion_and_does_not_double_it():
    send(said("Completed", minutes=10, revenue=100, total=120, coupon="SPRING"))
    send(said("Completed", minutes=5, revenue=70, total=90))
    assert only() == {
        "order_id": "A-1",
        "status": "completed",
        "revenue": 100,
        "total": 120,
        "coupon": "SPRING",
        "converted_revenue": 100,
        "converted_total": 120,
        "converted_currency": "EUR",
    }


def test_takes_an_earlier_completion_that_arrives_late():
    send(said("Completed", minutes=5, revenue=70))
    send(said("Completed", minutes=10, revenue=100, user="u2"))
    order = Order.objects.get()
    assert order.properties["revenue"] == 100
    assert order.profile_id == holder("u2")
    assert order.occurred_at == NOW - timedelta(minutes=10)


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 0, 2]])
def test_lets_the_latest_update_replace_what_it_names_in_any_order_of_arrival(order):
    events = [
        said("Completed", minutes=30, revenue=100, total=120, coupon="SPRING"),
        said("Updated", minutes=20, revenue=80, total=96, note="smaller"),
        said("Updated", minutes=10, total=60),
    ]
    for place in order:
        send(events[place])
    # The last update names an amount, so it replaces all amounts: the revenue is then its total.
    assert {name: only()[name] for name in ("revenue", "total", "coupon", "note")} == {
        "revenue": 60,
        "total": 60,
        "coupon": "SPRING",
        "note": "smaller",
    }


@pytest.mark.parametrize(
    ("events", "left", "status"),
    [
        ([said("Cancelled", total=120)], 0, "cancelled"),
        ([said("Refunded")], 0, "refunded"),
        ([said("Refunded", total=30)], 70, "partially_refunded"),
        ([said("Refunded", total="30.5"), said("Refunded", total=9.5)], 60, "partially_refunded"),
        ([said("Refunded", total=500)], 0, "refunded"),
    ],
)
def test_subtracts_cancellations_and_refunds(events, left, status):
    send(said("Completed", minutes=10, revenue=100, total=120), *events)
    assert (only()["revenue"], only()["status"]) == (left, status)
    assert Order.objects.get().converted == left


def test_makes_no_order_without_a_completion_or_an_order_id():
    send(said("Updated", total=5), said("Completed", order=""), said("Completed", order=None))
    send(said("Completed", order={"a": 1}), said("Completed", order="x" * 513))
    send({**said("Completed"), "type": "page", "name": "Order Completed"})
    assert Order.objects.count() == 0


def test_keeps_orders_of_different_sources_apart_and_reads_numbers_as_text():
    send(said("Completed", order=7, revenue=1))
    send(said("Completed", order="7", revenue=2))
    send(said("Completed", order="7", revenue=4), origin=source("browser"))
    assert sorted(Order.objects.values_list("order_id", "revenue")) == [("7", 1), ("7", 4)]


@pytest.mark.parametrize("odd", ["abc", None, [], {}, True, 1e300, "1e99", "NaN"])
def test_bears_amounts_that_are_none(odd):
    send(said("Completed", revenue=odd, total=odd, currency=odd))
    order = Order.objects.get()
    assert order.revenue is None
    assert order.converted is None


def test_follows_merge_and_undo():
    send(said("Completed", order="A", user="u1", revenue=1), said("Completed", order="B", user="u2", revenue=2))
    with transaction.atomic():
        merge = merge_profiles(
            public_ids=[str(i.profile.uuid) for i in Identifier.objects.select_related("profile")],
            reason="same",
            actor="key:test",
            now=NOW,
        )
    assert set(Order.objects.values_list("profile_id", flat=True)) == {holder("u1")} == {holder("u2")}
    undo_merge(merge_id=merge.pk, actor="key:test", now=NOW)
    assert dict(Order.objects.values_list("order_id", "profile_id")) == {"A": holder("u1"), "B": holder("u2")}


# --- Any history ------------------------------------------------------------------------------------------------------


def expected() -> dict[tuple[int, str], tuple[int, float | None, float | None]]:
    """Derive every order from the stored events, one by one: profile, revenue, total.

    An update at the very time of its order follows it.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT source_id, properties, name, profile_id FROM profiles_event WHERE name LIKE 'Order %%'"
            " ORDER BY occurred_at, name <> 'Order Completed', id"
        )
        rows = cursor.fetchall()
    orders: dict[tuple[int, str], dict[str, Any]] = {}
    loaded = [(source_id, json.loads(text), name, profile_id) for source_id, text, name, profile_id in rows]
    for source_id, properties, name, profile_id in loaded:
        key = (source_id, str(properties["order_id"]))
        if name == "Order Completed" and key not in orders:
            orders[key] = {"profile": profile_id, "now": dict(properties), "taken": 0, "all": False}
        elif name == "Order Updated" and key in orders:
            now = orders[key]["now"]
            if {"revenue", "total"} & properties.keys():
                now.pop("revenue", None)
                now.pop("total", None)
            now.update(properties)
    for source_id, properties, name, _ in loaded:
        order = orders.get((source_id, str(properties["order_id"])))
        if order is None or name not in {"Order Cancelled", "Order Refunded"}:
            continue
        if name == "Order Cancelled" or "total" not in properties:
            order["all"] = True
        else:
            order["taken"] += properties["total"]

    def left(order: dict[str, Any], *names: str) -> float | None:
        amount = next((order["now"][name] for name in names if name in order["now"]), None)
        return None if amount is None else 0 if order["all"] else max(0, amount - order["taken"])

    return {
        key: (order["profile"], left(order, "revenue", "total"), left(order, "total", "revenue"))
        for key, order in orders.items()
    }


def stored() -> dict[tuple[int, str], tuple[int, float | None, float | None]]:
    """Return the order view in the same form."""
    return {
        (row.source_id, row.order_id): (row.profile_id, row.properties.get("revenue"), row.properties.get("total"))
        for row in Order.objects.all()
    }


def random_event(draw: random.Random) -> dict[str, Any]:
    """Draw an ecommerce event; times often tie, order ids are few."""
    name = draw.choice(["Completed", "Completed", "Updated", "Updated", "Refunded", "Cancelled"])
    properties: dict[str, Any] = {}
    for amount in ("revenue", "total"):
        if draw.random() < 0.5:
            properties[amount] = draw.choice([5, 10, 12.5, 40, 100])
    if name == "Refunded":
        properties.pop("revenue", None)
    who = {"userId": f"u{draw.randint(1, 3)}"} if draw.random() < 0.7 else {"anonymousId": f"d{draw.randint(1, 3)}"}
    if draw.random() < 0.1:
        return {"type": "identify", "userId": f"u{draw.randint(1, 3)}", "anonymousId": f"d{draw.randint(1, 3)}"}
    event = said(name, draw.choice(["A", "B", 3]), minutes=draw.choice([0, 1, 2, 3, 4, 5]), **properties)
    event.pop("userId")
    return {**event, **who}


@pytest.mark.parametrize("seed", range(6))
def test_is_what_the_stored_events_say_after_any_history(seed):
    draw = random.Random(seed)
    origins = [source(), source("browser")]
    for number in range(12):
        events = [random_event(draw) for _ in range(draw.randint(1, 8))]
        send(*events, origin=draw.choice(origins), at=NOW + timedelta(seconds=number), one_by_one=draw.random() < 0.5)
        assert stored() == expected(), f"seed {seed}, step {number}"
    assert stored()


def test_goes_with_the_events_of_the_person_who_is_erased():
    send(
        said("Completed", order="A", user="u1", minutes=9, revenue=5), said("Updated", order="A", user="u2", revenue=3)
    )
    send(said("Completed", order="B", user="u2", minutes=9, revenue=7), said("Completed", order="B", user="u1"))
    subject = Subject((holder("u2"),), (), (), (), ())
    assert Orders().count(subject=subject) == 1
    while Events().erase(subject=subject, limit=1):
        pass
    # u2's update of A is gone; of B only what u1 said about it is left.
    assert dict(Order.objects.values_list("order_id", "revenue")) == {"A": 5, "B": None}
    assert Orders().count(subject=subject) == 0
    assert OrderMessage.objects.count() == 2


def test_is_computed_anew_for_another_currency(settings):
    send(said("Completed", revenue=5), said("Completed", order="A-2", revenue=5, currency="usd"))
    settings.CDP_CURRENCY = "USD"
    prepare_orders()
    run_jobs()
    assert dict(Order.objects.values_list("order_id", "converted")) == {"A-1": 5, "A-2": 5}
    prepare_orders()
    assert Job.objects.count() == 1
