"""Turn baskets, coupons, campaigns and invented people into Segment messages.

Every message id is a UUID of what the message is about, so that sending it twice changes nothing. `timestamp` and
`originalTimestamp` are both given: then the server keeps the time as it is and does not correct it by `sentAt`.

References
----------
Segment's ecommerce specification v2 for names and properties of events.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import sha1
from typing import Any, NamedTuple
from uuid import UUID

from ingestion.demo.names import CAMPAIGN_LINKS
from ingestion.demo.people import Account, Choice, Device, Household
from ingestion.demo.reading import Basket, Campaign, Line, Redemption
from ingestion.demo.shifting import Shift
from ingestion.demo.visits import Refund, Visit, steps_of

NAMESPACE = UUID("6b1d6a3e-5f0e-5d5b-9a34-3f5b0d0c2a71")
CURRENCY = "USD"
ORDER_COMPLETED = "Order Completed"
SITE = "https://shop.example.com"
STORE, WEB, REGISTER = "store", "web", "crm"


class Addressed(NamedTuple):
    """A message, the source that sends it, and its time in the data's own year (for ordering)."""

    at: datetime
    source: str
    message: dict[str, Any]


def message_id(key: str) -> str:
    """Return the version 5 UUID of `key`, as `uuid.uuid5` gives it, in a fifth of its time."""
    text = sha1(NAMESPACE.bytes + key.encode(), usedforsecurity=False).hexdigest()
    variant = "89ab"[int(text[16], 16) & 3]
    return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{variant}{text[17:20]}-{text[20:32]}"


def register_entry(household: Household, demographics: Mapping[str, str], *, at: datetime, shift: Shift) -> Addressed:
    """Return the card register's entry: demographics from the data, name and contact invented."""
    contact = {"email": household.email, "phone": household.phone}
    traits: dict[str, Any] = {
        "firstName": household.first_name,
        "lastName": household.last_name,
        "name": f"{household.first_name} {household.last_name}",
        **{name: value for name, value in contact.items() if value},
        "invented_contact": True,
        **demographics,
    }
    message = _message("identify", f"register:{household.id}", at, shift, context=_card(household))
    return Addressed(at, REGISTER, message | {"traits": traits})


def account_messages(household: Household, account: Account, *, shift: Shift) -> Iterator[Addressed]:
    """Yield what an account does once per device: a visit before anybody is known, then the login that tells."""
    for device in account.devices:
        key = f"{account.user_id}:{device.anonymous_id}"
        first = _web_message("page", f"first:{key}", device.first_seen_at, shift, device)
        yield Addressed(device.first_seen_at, WEB, first | _page("Home", "/"))
        if device.login_at is None:
            continue
        current = account.email
        if account.later_email_at is not None and device.login_at >= account.later_email_at:
            current = account.later_email
        login = _web_message("identify", f"login:{key}", device.login_at, shift, device)
        login["context"] |= _card(household)
        traits = {"email": current, "firstName": account.first_name, "invented_contact": True}
        yield Addressed(device.login_at, WEB, login | {"userId": account.user_id, "traits": traits})
    if account.later_email_at is not None:
        at = account.later_email_at
        change = _web_message("identify", f"address:{account.user_id}", at, shift, account.devices[0])
        traits = {"email": account.later_email, "invented_contact": True}
        yield Addressed(at, WEB, change | {"userId": account.user_id, "traits": traits})


def choice_message(household: Household, choice: Choice, *, place: int, shift: Shift) -> Addressed:
    """Return the event that states a consent choice. It carries nothing but the choice."""
    context: dict[str, Any] = {"consent": {"categoryPreferences": choice.categories}}
    key = f"choice:{household.id}:{place}"
    if choice.account is None:
        message = _message("track", key, choice.at, shift, context=context | _card(household))
        source = REGISTER
    else:
        message = _web_message("track", key, choice.at, shift, choice.account.devices[0])
        message["context"] |= context
        message["userId"] = choice.account.user_id
        source = WEB
    return Addressed(choice.at, source, message | {"event": "Segment Consent Preference Updated", "properties": {}})


def campaign_messages(campaign: Campaign, cards: Mapping[int, Household], *, shift: Shift) -> Iterator[Addressed]:
    """Yield one `Campaign Received` for each household that the campaign went to."""
    for household_id in campaign.household_ids:
        properties = {
            "campaign_id": str(campaign.id),
            "campaign_type": campaign.type,
            "starts_on": shift.iso_date(campaign.starts_at),
            "ends_on": shift.iso_date(campaign.ends_at),
        }
        key = f"campaign:{campaign.id}:{household_id}"
        message = _message("track", key, campaign.starts_at, shift, context=_card(cards[household_id]))
        yield Addressed(campaign.starts_at, STORE, message | {"event": "Campaign Received", "properties": properties})


def order_message(
    basket: Basket,
    household: Household,
    *,
    products: Mapping[int, dict[str, str]],
    coupons: Mapping[int, int],
    shift: Shift,
) -> Addressed:
    """Return the basket as `Order Completed`.

    Parameters
    ----------
    products : mapping
        Product id to its static fields.
    coupons : mapping
        Place of a line to the UPC of the coupon that was used on it.

    Notes
    -----
    `revenue` and `total` are the sum of `sales_value`, what the shop received: the data has no taxes and no shipping.
    `discount` is what the card and coupons took off. `price` is per unit, to a hundredth of a cent: fuel is counted in
    thousandths.
    """
    lines: list[dict[str, Any]] = []
    for place, line in enumerate(basket.lines):
        product = _product(line, products)
        if place in coupons:
            product["coupon"] = str(coupons[place])
        lines.append(product)
    revenue = round(sum(line.sales_value for line in basket.lines), 2)
    off = sum(line.retail_discount + line.coupon_discount + line.coupon_match_discount for line in basket.lines)
    properties = {
        "order_id": str(basket.id),
        "store_id": str(basket.store_id),
        "affiliation": f"Store {basket.store_id}",
        "total": revenue,
        "revenue": revenue,
        "discount": round(off, 2),
        "currency": CURRENCY,
        "products": lines,
    }
    message = _message("track", f"order:{basket.id}", basket.at, shift, context=_card(household))
    return Addressed(basket.at, STORE, message | {"event": ORDER_COMPLETED, "properties": properties})


def coupon_message(
    redemption: Redemption,
    household: Household,
    *,
    basket: Basket | None,
    discount: float,
    at: datetime,
    shift: Shift,
) -> Addressed:
    """Return a redemption as `Coupon Applied`; `basket` is None where no purchase of that day explains it."""
    properties: dict[str, Any] = {
        "coupon_id": str(redemption.coupon_upc),
        "coupon_name": f"Campaign {redemption.campaign_id} coupon {redemption.coupon_upc}",
        "campaign_id": str(redemption.campaign_id),
        "discount": round(discount, 2),
        "currency": CURRENCY,
    }
    if basket is not None:
        properties |= {"order_id": str(basket.id), "store_id": str(basket.store_id)}
    key = f"coupon:{redemption.household_id}:{redemption.coupon_upc}:{redemption.campaign_id}:{redemption.on}"
    message = _message("track", key, at, shift, context=_card(household))
    return Addressed(at, STORE, message | {"event": "Coupon Applied", "properties": properties})


def refund_message(
    refund: Refund, basket: Basket, household: Household, *, products: Mapping[int, dict[str, str]], shift: Shift
) -> Addressed:
    """Return an invented `Order Refunded`; a partial one names its line and amount."""
    lines: Sequence[Line] = basket.lines if refund.line is None else [basket.lines[refund.line]]
    properties: dict[str, Any] = {
        "order_id": str(basket.id),
        "store_id": str(basket.store_id),
        "total": round(sum(line.sales_value for line in lines), 2),
        "currency": CURRENCY,
        "products": [_product(line, products) for line in lines],
        "invented": True,
    }
    message = _message("track", f"refund:{basket.id}", refund.at, shift, context=_card(household))
    return Addressed(refund.at, STORE, message | {"event": "Order Refunded", "properties": properties})


def visit_messages(
    visit: Visit, basket: Basket, *, products: Mapping[int, dict[str, str]], shift: Shift
) -> Iterator[Addressed]:
    """Yield the pages and events of one invented visit."""
    for place, (kind, at, line_at) in enumerate(steps_of(visit)):
        key = f"visit:{visit.key}:{place}"
        message = _web_message("page" if kind == "home" else "track", key, at, shift, visit.device)
        if visit.signed_in:
            message["userId"] = visit.account.user_id
        if kind == "home":
            message |= _page("Offers" if visit.link is not None else "Home", "/offers" if visit.link else "/")
            if visit.link is not None:
                message["context"]["campaign"] = CAMPAIGN_LINKS[visit.link]
        elif kind == "checkout":
            added = [_product(basket.lines[one], products) for one in visit.products[: visit.added]]
            message["event"] = "Checkout Started"
            message["properties"] = {
                "order_id": visit.order_id,
                "value": round(sum(product["price"] * product["quantity"] for product in added), 2),
                "currency": CURRENCY,
                "products": added,
                "invented": True,
            }
        elif line_at is not None:
            message["event"] = "Product Viewed" if kind == "viewed" else "Product Added"
            cart = {"cart_id": f"cart-{visit.key}"} if kind == "added" else {}
            product = _product(basket.lines[line_at], products)
            message["properties"] = product | cart | {"currency": CURRENCY, "invented": True}
        yield Addressed(at, WEB, message)


def _message(
    kind: str, key: str, at: datetime, shift: Shift, *, context: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    time = shift.iso(at)
    message: dict[str, Any] = {
        "type": kind,
        "messageId": message_id(key),
        "timestamp": time,
        "originalTimestamp": time,
    }
    if context is not None:
        message["context"] = dict(context)
    return message


def _web_message(kind: str, key: str, at: datetime, shift: Shift, device: Device) -> dict[str, Any]:
    message = _message(kind, key, at, shift, context={"userAgent": device.user_agent, "locale": "en-US"})
    message["anonymousId"] = device.anonymous_id
    return message


def _card(household: Household) -> dict[str, Any]:
    return {"externalIds": [{"id": household.card, "type": "loyalty_id", "collection": "users", "encoding": "none"}]}


def _page(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "properties": {"path": path, "url": SITE + path, "title": name, "invented": True}}


def _product(line: Line, products: Mapping[int, dict[str, str]]) -> dict[str, Any]:
    known: dict[str, Any] = products.get(line.product_id) or {"product_id": str(line.product_id)}
    unit = line.sales_value / line.quantity if line.quantity else line.sales_value
    return {**known, "price": round(unit, 4), "quantity": line.quantity}
