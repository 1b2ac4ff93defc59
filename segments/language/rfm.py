"""rfm: how recently, how often and for how much somebody ordered, in fifths of all who ordered (rule 17).

Each score is a rank among everybody, so one person's order moves others. A definition with such a condition is
therefore computed as a whole, never for some people only: `RANKED` says so to those that follow changes.
"""

# ruff: noqa: ARG002 - every kind of condition has the same signature

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from segments.language.computed import ORDER
from segments.language.nodes import Node, Reading
from segments.language.person import Moment, Person, Scores
from segments.language.plan import PROFILES_PARAMETER, Frame, Leaf, Test
from segments.language.reading import fault, join, read_list, read_object, read_whole
from segments.language.values import number_of

RANKED = "ranked:orders"
USER_ID = "user_id"
FIFTHS = 5
DAY = timedelta(days=1)
SCORES = ("r", "f", "m")
WORDS = {"r": "recency", "f": "frequency", "m": "revenue"}


@dataclass(frozen=True, slots=True)
class Rfm(Node):
    """Scores of recency, frequency and revenue, each 1 (worst) to 5 (best); None allows every score."""

    r: tuple[int, ...] | None
    f: tuple[int, ...] | None
    m: tuple[int, ...] | None
    type = "rfm"
    label = "RFM scores"

    @property
    def asked(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """The scores that are asked for."""
        found = zip(SCORES, (self.r, self.f, self.m), strict=True)
        return tuple((name, wanted) for name, wanted in found if wanted is not None)

    def sentence(self) -> str:
        told = [f"{WORDS[name]} {' or '.join(map(str, wanted))}" for name, wanted in self.asked]
        return f"scores {', '.join(told)} of 5 among all who ordered"

    def tokens(self) -> set[str]:
        return {f"event:{ORDER}", f"identifier:{USER_ID}", RANKED}

    def holds(self, person: Person, at: Moment) -> bool:
        scores = person.scores
        return scores is not None and all(getattr(scores, name) in wanted for name, wanted in self.asked)

    def observe(self, person: Person, at: Moment) -> Any:
        scores = person.scores
        return None if scores is None else {name: getattr(scores, name) for name in SCORES}

    def compile(self, frame: Frame) -> Test:
        plan = frame.plan
        source = plan.source(
            ("rfm",),
            "scores",
            lambda: scores_sql(plan.now_sql(), only=f"%({PROFILES_PARAMETER})s" if plan.some else ""),
        )
        tests = [f"{source}.{name} = any({plan.bind(list(wanted), 'scores')})" for name, wanted in self.asked]
        return Leaf(" and ".join(tests))


def scores_sql(now: str, *, only: str = "") -> str:
    """Return the SELECT of everybody's scores: `profile_id`, `r`, `f`, `m`, and what they come from.

    Parameters
    ----------
    now : str
        The instant as an expression.
    only : str
        Placeholder of the profile, or the profiles, whose rows are given; ranks are taken over everybody.
    """
    ranked = f"""select o.profile_id, o.days, o.orders, o.revenue,
        ntile({FIFTHS}) over (order by o.days desc, u.value collate "C", q.uuid) as r,
        ntile({FIFTHS}) over (order by o.orders, u.value collate "C", q.uuid) as f,
        ntile({FIFTHS}) over (order by o.revenue, u.value collate "C", q.uuid) as m
    from (
        select profile_id, floor(extract(epoch from {now} - max(occurred_at)) / 86400) as days, count(*) as orders,
            coalesce(sum(converted), 0) as revenue
        from profiles_order where occurred_at < {now} group by profile_id
    ) o
    join profiles_profile q on q.id = o.profile_id and not q.restricted
    left join (
        select profile_id, min(value collate "C") as value from profiles_identifier
        where type_id = (select id from profiles_identifiertype where key = '{USER_ID}') group by profile_id
    ) u on u.profile_id = o.profile_id"""
    return f"select * from (\n    {ranked}\n    ) ranked where profile_id = any({only})" if only else ranked


def next_day_sql(now: str) -> str:
    """Return the SELECT of the next instant at which somebody's days since the last order grow by one."""
    return (
        f"select min(at + (floor(extract(epoch from {now} - at) / 86400) + 1) * interval '1 day') from ("
        f"select max(occurred_at) as at from profiles_order where occurred_at < {now} group by profile_id) as last"
    )


def score_people(people: Iterable[Person], now: datetime) -> Mapping[str, Scores]:
    """Return the scores of all who ordered before `now`, by public id: the twin of `scores_sql`."""
    told = []
    for person in people:
        orders = [e for e in person.events if e.derived and e.name == ORDER and e.occurred_at < now]
        if orders:
            amounts = [number_of((order.properties or {}).get("converted_revenue")) for order in orders]
            revenue = sum((amount for amount in amounts if amount is not None), Decimal(0))
            user = min((held.value for held in person.identifiers if held.type == USER_ID), default=None)
            # Without a user id one comes last, as NULL does.
            tie = (user is None, user or "", person.uuid)
            days = (now - max(order.occurred_at for order in orders)) // DAY
            told.append((person.uuid, -days, len(orders), revenue, tie))
    ranks = [_fifths(sorted(told, key=lambda each, place=place: (each[place], each[4]))) for place in (1, 2, 3)]  # type: ignore[misc]
    return {each[0]: Scores(*(rank[each[0]] for rank in ranks)) for each in told}


def _fifths(ordered: list[Any]) -> dict[str, int]:
    """Cut into five parts of equal size, the first ones larger by one where it does not come out even (`ntile`)."""
    size, larger = divmod(len(ordered), FIFTHS)
    found, place = {}, 0
    for part in range(FIFTHS):
        until = place + size + (part < larger)
        found.update({each[0]: part + 1 for each in ordered[place:until]})
        place = until
    return found


def read_rfm(data: Mapping[str, Any], reading: Reading) -> Rfm:
    """Read an rfm node."""
    data = read_object(data, reading.path, required=("type",), optional=SCORES)
    found = [read_scores(data.get(name), join(reading.path, name)) for name in SCORES]
    if found == [None, None, None]:
        raise fault(reading.path, "missing_key", "rfm needs at least one of r, f, m: arrays of scores from 1 to 5")
    return Rfm(reading.path, *found)


def read_scores(value: Any, path: str) -> tuple[int, ...] | None:
    """Read the scores that are asked for; None where any will do."""
    if value is None:
        return None
    scores = read_list(value, path, lambda item, at: read_whole(item, at, least=1, most=FIFTHS), most=FIFTHS)
    return tuple(sorted(set(scores)))
