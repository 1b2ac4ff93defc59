"""The order in which the demo is told: who the people are, what they chose, then the year, newest week first.

Newest first, because what segments ask about is there in the first seconds, and because nobody then seems to have
lapsed for a year until the load is over: each person enters and leaves about as often as they really would.

Every stage is deterministic, so that a load that was stopped goes on where it was.
"""

from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta

from ingestion.demo.messages import (
    Addressed,
    account_messages,
    campaign_messages,
    choice_message,
    coupon_message,
    order_message,
    refund_message,
    register_entry,
    visit_messages,
)
from ingestion.demo.people import Household, invent_household
from ingestion.demo.reading import SLICE_DAYS, Basket, Journey, Line, Redemption, baskets_from, slice_starts
from ingestion.demo.shifting import Shift
from ingestion.demo.visits import invent_refund, invent_visit


def invent_households(journey: Journey) -> dict[int, Household]:
    """Return the people behind every card of the data."""
    return {
        household_id: invent_household(household_id, first_day=journey.first_day, last_day=journey.last_day)
        for household_id in journey.household_ids
    }


def people_stage(journey: Journey, households: Mapping[int, Household], *, shift: Shift) -> list[Addressed]:
    """Return the card register, as it stood on the eve of the first day."""
    at = datetime.combine(journey.first_day, time(6)) - timedelta(days=1)
    return [
        register_entry(household, journey.demographics.get(household.id, {}), at=at, shift=shift)
        for household in households.values()
    ]


def accounts_stage(households: Mapping[int, Household], *, shift: Shift) -> list[Addressed]:
    """Return first visits, logins and everybody's first choice in the order of time.

    A later choice comes with its week, so that it finds the one before it.
    """
    messages: list[Addressed] = []
    for household in households.values():
        for account in household.accounts:
            messages.extend(account_messages(household, account, shift=shift))
        for choice in household.choices[:1]:
            messages.append(choice_message(household, choice, place=0, shift=shift))
    return sorted(messages, key=_time)


def week_stages(journey: Journey, households: Mapping[int, Household], *, shift: Shift) -> Iterator[list[Addressed]]:
    """Yield each week's messages, newest week first; what followed from a basket comes with the basket."""
    changed = [
        choice_message(household, choice, place=place, shift=shift)
        for household in households.values()
        for place, choice in enumerate(household.choices)
        if place > 0
    ]
    for start in reversed(slice_starts(journey)):
        baskets = baskets_from(journey, start)
        messages = [
            one
            for campaign in journey.campaigns
            if _slice_of(journey, campaign.starts_at) == start
            for one in campaign_messages(campaign, households, shift=shift)
        ]
        messages.extend(one for one in changed if _slice_of(journey, one.at) == start)
        messages.extend(_week_messages(journey, households, baskets, start, shift))
        yield sorted(messages, key=_time)


def _week_messages(
    journey: Journey, households: Mapping[int, Household], baskets: list[Basket], start: date, shift: Shift
) -> Iterator[Addressed]:
    end = datetime.combine(journey.last_day, time(4, 30))
    coupons = _match_coupons(journey, baskets, start)
    for redemption, basket, places in coupons:
        discount = sum((basket.lines[place].coupon_discount for place in places), 0.0) if basket else 0.0
        at = basket.at if basket else datetime.combine(redemption.on, time(12))
        household = households[redemption.household_id]
        yield coupon_message(redemption, household, basket=basket, discount=discount, at=at, shift=shift)
    used: dict[int, dict[int, int]] = {}
    for redemption, basket, places in coupons:
        if basket is not None:
            used.setdefault(basket.id, {}).update(dict.fromkeys(places, redemption.coupon_upc))
    for basket in baskets:
        household = households[basket.household_id]
        yield order_message(basket, household, products=journey.products, coupons=used.get(basket.id, {}), shift=shift)
        refund = invent_refund(basket, end=end)
        if refund is not None:
            yield refund_message(refund, basket, household, products=journey.products, shift=shift)
        visit = invent_visit(basket, household, end=end)
        if visit is not None:
            yield from visit_messages(visit, basket, products=journey.products, shift=shift)


def _match_coupons(
    journey: Journey, baskets: list[Basket], start: date
) -> list[tuple[Redemption, Basket | None, list[int]]]:
    """Find for every redemption of the week the basket that it was used on, and the places of its lines.

    The data has the day only. A basket of that day with a discounted line of a product that the coupon is for is taken;
    failing that one with any coupon discount; failing that the first of the day.
    """
    of_day: dict[tuple[int, date], list[Basket]] = {}
    for basket in baskets:
        of_day.setdefault((basket.household_id, basket.at.date()), []).append(basket)
    matched: list[tuple[Redemption, Basket | None, list[int]]] = []
    for (household_id, day), redemptions in journey.redemptions.items():
        if not start <= day < start + timedelta(days=SLICE_DAYS):
            continue
        candidates = of_day.get((household_id, day), [])
        for one in redemptions:
            wanted = journey.coupon_products[one.campaign_id, one.coupon_upc]
            places = [[n for n, line in enumerate(basket.lines) if _took(line, wanted)] for basket in candidates]
            found = next((pair for pair in zip(candidates, places, strict=True) if pair[1]), None)
            if found is not None:
                matched.append((one, *found))
                continue
            other = next((b for b in candidates if any(line.coupon_discount > 0 for line in b.lines)), None)
            matched.append((one, other or (candidates[0] if candidates else None), []))
    return matched


def _took(line: Line, wanted: frozenset[int]) -> bool:
    return line.coupon_discount > 0 and line.product_id in wanted


def _slice_of(journey: Journey, at: datetime) -> date:
    """Return the first day of the slice that a time belongs to; campaigns from before the data belong to the first."""
    days = max(0, (at.date() - journey.first_day).days)
    return journey.first_day + timedelta(days=days - days % SLICE_DAYS)


def _time(addressed: Addressed) -> datetime:
    return addressed.at
