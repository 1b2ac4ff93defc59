"""Random definitions and random people, drawn close to where evaluators disagree: edges of windows, DST, odd values."""

import random
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from segments.language.durations import parse_duration
from segments.language.person import Consent, Entry, Event, HeldIdentifier, Person
from segments.language.sessions import derive_sessions
from segments.language.zones import shift

TICK = timedelta(microseconds=1)
# An ordinary day, the nights of both changes of the clock in Berlin, a 31st after a short month, a leap day.
NOWS = (
    datetime(2026, 3, 14, 15, 9, 26, 535897, tzinfo=UTC),
    datetime(2026, 3, 29, 1, 30, tzinfo=UTC),
    datetime(2026, 10, 25, 0, 45, tzinfo=UTC),
    datetime(2026, 3, 31, 12, 0, tzinfo=UTC),
    datetime(2024, 2, 29, 23, 30, tzinfo=UTC),
)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "installation", "profile")
INSTALLATION_ZONE = "Europe/Berlin"
NAMES = ("Order Completed", "Product Viewed", "Added to Cart")
SESSION_GAP = timedelta(minutes=30)
VIEWS = ("$order", "$session")
SOURCES = ("shop", "site")
OF_SESSIONS = ("duration_seconds", "events", "source", "campaign.name", "context.campaign.name")
# How far an event may be from another: around the silence of half an hour that ends a session.
APART = (timedelta(0), timedelta(minutes=5), timedelta(minutes=30), timedelta(minutes=30) - TICK, timedelta(minutes=50))
DURATIONS = ("P1D", "PT24H", "P7D", "P30D", "P1M", "PT1H", "P1DT12H", "P2W")
TEXTS = ("DE", "de", "FR", "", "5", "true", "Köln", "KÖLN", "Ko\u0308ln", "müller@example.org", "K", "1.50", "a.b", "Ǆ")
NUMBERS = (0, 1, 5, -3, 1.5, 2.25, 1e3, 0.1, 100, 1.50)
TIMES = ("2026-03-01", "2026-03-14T15:09:26Z", "2026-03-29T02:30:00", "2026-10-25T02:30", "2024-02-29", "2026-02-30")
TRAITS = ("country", "age", "tags", "joined", "home.city", "items.sku", "active", "plan", "orders_count")
COMPUTED = ("orders_count", "orders_revenue", "orders_unconverted", "first_order_at", "last_order_at")
PATTERNS = ("^D", "[a-z]+$", "\\d", "ö", "(a|b).", "^$|5", "K", ".+@.+\\.org$")
STATES = ("granted", "denied", "withdrawn", "objected", "pending")


def pick(draw: random.Random, options: Any) -> Any:
    """Choose one."""
    return draw.choice(list(options))


# --- Definitions -----------------------------------------------------------------------------------------------------


def definition(draw: random.Random) -> dict[str, Any]:
    """Draw a definition."""
    zone = pick(draw, ZONES) if draw.random() < 0.6 else "UTC"
    return {"version": 1, "timezone": zone, "match": node(draw, depth=draw.choice([0, 1, 2, 2, 3]))}


def node(draw: random.Random, *, depth: int) -> dict[str, Any]:
    """Draw a node."""
    if depth and draw.random() < 0.75:
        kind = pick(draw, ("all", "any", "not"))
        if kind == "not":
            return {"type": "not", "of": node(draw, depth=depth - 1)}
        return {"type": kind, "of": [node(draw, depth=depth - 1) for _ in range(draw.randint(1, 3))]}
    return pick(draw, LEAVES)(draw)


def window(draw: random.Random) -> dict[str, Any]:
    """Draw a window."""
    kind = draw.random()
    align = {"align": pick(draw, ("day", "instant"))} if draw.random() < 0.3 else {}
    if kind < 0.45:
        return {"last": pick(draw, DURATIONS), **align}
    if kind < 0.65:
        return {"between": pick(draw, (["P30D", "P7D"], ["P1M", "P1D"], ["P2D", "PT24H"], ["P30D", "PT1H"])), **align}
    if kind < 0.75:
        return pick(
            draw,
            (
                {"from": "2026-03-01", "to": "2026-03-29T02:30:00"},
                {"from": "2026-03-10T00:00:00Z"},
                {"to": "2026-03-14"},
            ),
        )
    if kind < 0.9:
        names = (
            "today yesterday this_week last_week this_month last_month this_quarter last_quarter this_year last_year"
        )
        return {"calendar": pick(draw, names.split())}
    return {"all_time": True}


def comparison(draw: random.Random, *, references: tuple[str, ...]) -> dict[str, Any]:
    """Draw op, value and cast."""
    kind = draw.random()
    if kind < 0.12:
        cast = {"cast": pick(draw, ("string", "number", "boolean", "datetime", "date"))} if draw.random() < 0.4 else {}
        return {"op": pick(draw, ("exists", "missing", "empty")), **cast}
    if kind < 0.2:
        op = pick(
            draw, ("eq", "ne", "in", "contains", "not_contains", "starts_with", "any_of", "all_of", "none_of", "gt")
        )
        return {"op": op, "value": {"ref": pick(draw, references)}}
    if kind < 0.42:
        op = pick(draw, ("eq", "ne", "contains", "not_contains", "starts_with", "ends_with"))
        return {"op": op, "value": pick(draw, TEXTS[:3] + TEXTS[4:])}
    if kind < 0.47:
        return {"op": "matches", "value": pick(draw, PATTERNS)}
    if kind < 0.6:
        op = pick(draw, ("in", "not_in", "any_of", "all_of", "none_of", "eq", "ne"))
        pool = TEXTS if draw.random() < 0.6 else NUMBERS
        return {"op": op, "value": [pick(draw, pool) for _ in range(draw.randint(1, 3))]}
    if kind < 0.75:
        op = pick(draw, ("eq", "ne", "gt", "gte", "lt", "lte", "contains"))
        return {"op": op, "value": pick(draw, NUMBERS)}
    if kind < 0.8:
        return {"op": "between", "value": [0, pick(draw, (1, 5, 1.5))]}
    if kind < 0.84:
        return {"op": pick(draw, ("eq", "ne")), "value": draw.random() < 0.5}
    cast = {"cast": pick(draw, ("datetime", "date"))} if draw.random() < 0.6 else {}
    if kind < 0.9:
        return {"op": pick(draw, ("in_last", "in_next")), "value": pick(draw, DURATIONS), **cast}
    if kind < 0.93:
        return {"op": "anniversary", **({"value": pick(draw, DURATIONS)} if draw.random() < 0.5 else {})}
    operand = {"ago": pick(draw, DURATIONS)} if draw.random() < 0.6 else pick(draw, TIMES[:5])
    cast = cast or {"cast": "datetime"}
    return {"op": pick(draw, ("before", "after", "gte", "lt", "eq")), "value": operand, **cast}


def trait(draw: random.Random) -> dict[str, Any]:
    """Draw a trait node."""
    references = tuple(f"trait:{name}" for name in TRAITS)
    path = pick(draw, COMPUTED if draw.random() < 0.2 else TRAITS)
    return {"type": "trait", "path": path, **comparison(draw, references=references)}


def property_node(draw: random.Random, *, depth: int = 1, references: tuple[str, ...] = ()) -> dict[str, Any]:
    """Draw a where clause."""
    if depth and draw.random() < 0.3:
        kind = pick(draw, ("all", "any", "not"))
        below = [property_node(draw, depth=depth - 1, references=references) for _ in range(draw.randint(1, 2))]
        return {"type": kind, "of": below[0] if kind == "not" else below}
    places = ("category", "revenue", "products.price", "context.page.url", "product_id", "tags")
    name = pick(draw, OF_SESSIONS if draw.random() < 0.2 else places)
    return {
        "property": name,
        **comparison(draw, references=references or ("trait:country", "trait:items.sku", "trait:orders_count")),
    }


def optional_where(draw: random.Random) -> dict[str, Any]:
    """Draw a where clause, or none."""
    return {"where": property_node(draw)} if draw.random() < 0.35 else {}


def names(draw: random.Random) -> Any:
    """Draw what events are named."""
    kind = draw.random()
    if kind < 0.45:
        pool = (*NAMES, *VIEWS) if draw.random() < 0.5 else NAMES
        return "*" if kind < 0.15 else list(draw.sample(pool, 2)) if kind < 0.3 else pick(draw, VIEWS)
    return pick(draw, NAMES)


def event(draw: random.Random) -> dict[str, Any]:
    """Draw an event node."""
    found: dict[str, Any] = {"type": "event", "name": names(draw), **optional_where(draw)}
    if draw.random() < 0.85:
        found["window"] = window(draw)
    kind = draw.random()
    if kind < 0.25:
        return found
    if kind < 0.65:
        op = pick(draw, ("eq", "ne", "gt", "gte", "lt", "lte", "between", "in", "not_in"))
        value: Any = [0, 2] if op == "between" else [0, 2] if op in {"in", "not_in"} else draw.randint(0, 3)
        measure = {"measure": {"fn": pick(draw, ("count", "days"))}} if draw.random() < 0.6 else {}
        return {**found, **measure, "op": op, "value": value}
    function = pick(draw, ("sum", "avg", "min", "max", "distinct"))
    prop = pick(draw, ("revenue", "products.price", "product_id", "duration_seconds", "events"))
    op = pick(draw, ("eq", "ne", "gt", "gte", "lt", "lte", "between"))
    value = draw.choice([0, 1, 2]) if function == "distinct" else pick(draw, NUMBERS)
    if op == "between":
        value = [0, 2]
    return {**found, "measure": {"fn": function, "property": prop}, "op": op, "value": value}


def event_pick(draw: random.Random) -> dict[str, Any]:
    """Draw an event_pick node."""
    first = {"type": "event_pick", "pick": pick(draw, ("first", "last")), "name": names(draw), **optional_where(draw)}
    return {**first, "window": window(draw), "has": property_node(draw)}


def sequence(draw: random.Random) -> dict[str, Any]:
    """Draw a sequence node."""
    steps: list[dict[str, Any]] = [{"name": names(draw), **optional_where(draw)}]
    for number in range(1, draw.randint(2, 4)):
        step: dict[str, Any] = {"name": names(draw), "occurs": draw.random() < 0.6}
        if draw.random() < 0.55:
            step["within"] = pick(draw, ("PT24H", "P1D", "PT1H", "P7D", "P1M"))
        if draw.random() < 0.3:
            step["same"] = [pick(draw, ("product_id", "products.price"))]
        if draw.random() < 0.25:
            known = [f"step:{n}.product_id" for n in range(number) if steps[n].get("occurs", True)]
            step["where"] = property_node(draw, references=tuple(known))
        steps.append(step)
    return {"type": "sequence", "window": window(draw), "steps": steps}


def lifecycle(draw: random.Random) -> dict[str, Any]:
    """Draw a lifecycle node."""
    state = pick(draw, ("new", "returning", "resurrected", "dormant", "regular"))
    extra = {"at_least": draw.randint(1, 3), "of_last": 3} if state == "regular" else {}
    return {
        "type": "lifecycle",
        "name": names(draw),
        "state": state,
        "period": pick(draw, ("P7D", "P1D", "P1M")),
        **extra,
    }


def held(draw: random.Random) -> dict[str, Any]:
    """Draw a trait_held node."""
    found = {**trait(draw), "type": "trait_held", "for": pick(draw, (*DURATIONS, "PT0S"))}
    return found if found["path"] not in COMPUTED else {**found, "path": "plan"}


def rfm(draw: random.Random) -> dict[str, Any]:
    """Draw an rfm node."""
    asked = draw.sample(("r", "f", "m"), draw.randint(1, 3))
    return {"type": "rfm", **{name: draw.sample(range(1, 6), draw.randint(1, 4)) for name in asked}}


def reference(draw: random.Random) -> dict[str, Any]:
    """Draw a condition on another part of the product."""
    kind = draw.random()
    if kind < 0.25:
        return {"type": "segment", "key": pick(draw, ("vip", "lost")), "op": pick(draw, ("in", "not_in"))}
    if kind < 0.4:
        return {"type": "segment", "key": "vip", "op": pick(draw, ("entered", "left")), "window": window(draw)}
    if kind < 0.5:
        return {"type": "segment", "key": "vip", "op": "held", "for": pick(draw, DURATIONS)}
    if kind < 0.6:
        return {"type": "list", "key": "staff"}
    if kind < 0.8:
        status = draw.sample(
            ["granted", "denied", "withdrawn", "objected", "expired", "pending", "unknown"], draw.randint(1, 3)
        )
        channel = {"channel": pick(draw, ("email", "sms"))} if draw.random() < 0.6 else {}
        return {"type": "consent", "purpose": "marketing", **channel, "status": status}
    if kind < 0.9:
        return {"type": "identity", "namespace": "email", "op": pick(draw, ("exists", "verified", "missing"))}
    if kind < 0.95:
        return {
            "type": "sample",
            "percent": pick(draw, (10, 50, 33.3, 100)),
            "salt": pick(draw, ("a", "ö")),
            "offset": 0,
        }
    return {
        "type": "geo",
        "path": pick(draw, ("place", "home.place")),
        "near": [52.5, 13.4],
        "km": pick(draw, (10, 300)),
    }


LEAVES = (
    *(
        trait,
        trait,
        trait,
        held,
        event,
        event,
        event,
        event_pick,
        sequence,
        sequence,
        lifecycle,
        reference,
        reference,
        rfm,
    ),
)


# --- People ----------------------------------------------------------------------------------------------------------


def moment(draw: random.Random, now: datetime) -> datetime:
    """Draw an instant before `now`, often on the edge of a window."""
    kind = draw.random()
    if kind < 0.5:
        zone = ZoneInfo(pick(draw, ("UTC", "Europe/Berlin", "America/New_York")))
        duration = parse_duration(pick(draw, DURATIONS))
        assert duration is not None
        found = shift(now, duration, zone, -1) + draw.choice([-1, 0, 0, 1]) * TICK
        if draw.random() < 0.3:
            found += timedelta(hours=draw.choice([-1, 1]))
        return found
    if kind < 0.6:
        return now - draw.choice([1, 2, 1000]) * TICK
    return now - timedelta(seconds=draw.randint(1, 40 * 86400) if kind < 0.9 else draw.randint(1, 500 * 86400))


def value(draw: random.Random, now: datetime) -> Any:
    """Draw a JSON value."""
    kind = draw.random()
    if kind < 0.35:
        return pick(draw, TEXTS)
    if kind < 0.6:
        return pick(draw, NUMBERS)
    if kind < 0.75:
        found = moment(draw, now)
        if draw.random() < 0.3:
            found = now + (now - found)
        return pick(draw, (found.isoformat(), found.date().isoformat(), found.replace(tzinfo=None).isoformat()))
    if kind < 0.8:
        return pick(draw, TIMES)
    if kind < 0.9:
        return [pick(draw, TEXTS + NUMBERS) for _ in range(draw.randint(0, 3))]
    return pick(
        draw, (None, True, False, {}, {"lat": 52.4, "lon": 13.1}, [52.5, 13.5], {"latitude": "52.5", "lng": 13.41})
    )


def normalised(found: Any) -> Any:
    """Return a value as traits are stored: texts in normal form C."""
    import unicodedata

    if isinstance(found, str):
        return unicodedata.normalize("NFC", found)
    if isinstance(found, list):
        return [normalised(item) for item in found]
    if isinstance(found, dict):
        return {key: normalised(item) for key, item in found.items()}
    return found


def person(draw: random.Random, now: datetime, number: int) -> Person:
    """Draw a person with a history."""
    traits: dict[str, Any] = {name: value(draw, now) for name in TRAITS if "." not in name and draw.random() < 0.6}
    if draw.random() < 0.5:
        home = {"city": value(draw, now), "place": {"lat": 52.6, "lon": 13.2}}
        traits["home"] = home if draw.random() < 0.7 else [home, {"city": pick(draw, TEXTS)}, 3]
    if draw.random() < 0.5:
        traits["items"] = [{"sku": value(draw, now)} for _ in range(draw.randint(0, 3))]
    if draw.random() < 0.3:
        traits["place"] = value(draw, now)
    if draw.random() < 0.4:
        traits["timezone"] = pick(draw, ("Europe/Berlin", "America/New_York", "Asia/Tokyo", "Nowhere/Land", 5))
    count = draw.choice([0, 1, 2, 3, 6, 10])
    shared = moment(draw, now)
    times: list[datetime] = []
    for _ in range(count):
        near = times and draw.random() < 0.4
        at = times[-1] + draw.choice((1, -1)) * pick(draw, APART) if near else moment(draw, now)
        times.append(shared if draw.random() < 0.15 else at)
    events = tuple(
        Event(
            id=number * 100 + index,
            name=pick(draw, (*NAMES, "", "", *VIEWS)) if draw.random() < 0.5 else pick(draw, NAMES),
            occurred_at=at,
            properties=properties(draw, now) if draw.random() < 0.9 else None,
            context=event_context(draw) if draw.random() < 0.5 else None,
            source=pick(draw, SOURCES),
        )
        for index, at in enumerate(times)
    )
    events = tuple(event if event.name else replace(event, traits=stated(draw, now)) for event in events)
    sessions = derive_sessions((event for event in events if event.name), SESSION_GAP)
    consents = tuple(
        Consent(
            purpose="marketing",
            channel=channel,
            state=pick(draw, STATES),
            effective_at=pick(draw, (shared, shared - timedelta(days=1))),
            recorded_at=shared,
            decision_id=draw.randint(1, 10**9),
            expires_at=pick(draw, (None, now, now + TICK, now - TICK, now + timedelta(days=3))),
        )
        for channel in ("", "email", "sms")
        if draw.random() < 0.4
    )
    return Person(
        uuid=str(uuid.UUID(int=draw.getrandbits(128), version=4)),
        traits=normalised(traits),
        events=(*events, *orders(draw, now, events, number), *sessions),
        consents=consents,
        identifiers=(
            *(HeldIdentifier("email", f"{number}@example.org", draw.random() < 0.5),) * (draw.random() < 0.5),
            *(HeldIdentifier("user_id", f"{pick(draw, TEXTS)}-{number}"),) * (draw.random() < 0.7),
        ),
        segments={key: moment(draw, now) for key in ("vip", "lost") if draw.random() < 0.4},
        entries=tuple(
            Entry("vip", draw.random() < 0.5, now if draw.random() < 0.1 else moment(draw, now))
            for _ in range(draw.choice([0, 0, 1, 3]))
        ),
        lists=frozenset({"staff"} if draw.random() < 0.3 else ()),
    )


def stated(draw: random.Random, now: datetime) -> dict[str, Any] | None:
    """Draw what an identify call says of traits."""
    said = {name: value(draw, now) for name in TRAITS if "." not in name and draw.random() < 0.5}
    if draw.random() < 0.4:
        said["home"] = {"city": value(draw, now)}
    return said if draw.random() < 0.9 else None


def event_context(draw: random.Random) -> dict[str, Any]:
    """Draw the context of an event."""
    page = {"page": {"url": pick(draw, TEXTS)}}
    return {**page, "campaign": {"name": pick(draw, TEXTS)}} if draw.random() < 0.4 else page


def orders(draw: random.Random, now: datetime, events: tuple[Event, ...], number: int) -> list[Event]:
    """Draw orders: some with time and id of the event that made them."""
    made = [each for each in events if each.name == "Order Completed" and draw.random() < 0.7]
    made += [Event(number * 100 + 50 + index, "", moment(draw, now)) for index in range(draw.choice([0, 0, 1, 3]))]
    return [
        Event(each.id, "$order", each.occurred_at, order_properties(draw, now), each.context, derived=True)
        for each in made
    ]


def order_properties(draw: random.Random, now: datetime) -> dict[str, Any]:
    """Draw the properties of an order: amounts are numbers."""
    found = {name: each for name, each in properties(draw, now).items() if name != "revenue"}
    if draw.random() < 0.8:
        found["revenue"] = pick(draw, NUMBERS)
        if draw.random() < 0.7:
            found["converted_revenue"] = pick(draw, NUMBERS)
    return found


def properties(draw: random.Random, now: datetime) -> dict[str, Any]:
    """Draw the properties of an event."""
    found: dict[str, Any] = {}
    for name in ("category", "revenue", "product_id", "tags"):
        if draw.random() < 0.6:
            found[name] = pick(draw, NUMBERS) if name == "revenue" and draw.random() < 0.8 else value(draw, now)
    if draw.random() < 0.4:
        found["products"] = [{"price": pick(draw, (*NUMBERS, "2.5", "x"))} for _ in range(draw.randint(0, 3))]
    return found
