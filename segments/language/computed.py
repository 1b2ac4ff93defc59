"""Computed traits, read like traits: those that are defined in the installation, and those of orders (rule 16).

Defined ones are stored, and hide a trait of the same name. Those of orders are counted when they are asked for: with an
order they hide a trait of the same name that was sent; without one such a trait is read, else the zeros.
"""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from segments.language.person import Person
from segments.language.plan import Plan, Rows
from segments.language.values import number_of

ORDER = "$order"
COMPUTED_TRAITS = ("orders_count", "orders_revenue", "orders_unconverted", "first_order_at", "last_order_at")
ZEROS = {"orders_count": 0, "orders_revenue": 0, "orders_unconverted": 0}
ZEROS_SQL = """'{"orders_count": 0, "orders_revenue": 0, "orders_unconverted": 0}'::jsonb"""
INSTANT_FORMAT = 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'

COUNTED = f"""jsonb_build_object(
        'orders_count', count(*),
        'orders_revenue', trim_scale(coalesce(sum(o.converted), 0)),
        'orders_unconverted', count(*) filter (where o.revenue is not null and o.converted is null),
        'first_order_at', to_char(min(o.occurred_at) at time zone 'UTC', '{INSTANT_FORMAT}'),
        'last_order_at', to_char(max(o.occurred_at) at time zone 'UTC', '{INSTANT_FORMAT}'))"""


def computed_sql(plan: Plan, rows: Rows) -> str:
    """Return the JSON expression in which a computed trait is found, for the rows of an expression."""
    if rows is plan.main:
        source = plan.source(("orders",), "orders", lambda: _source_sql(plan))
        counted = f"{source}.counted"
    else:
        counted = f"(select {COUNTED} from profiles_order o where o.profile_id = {rows.profile_id} having count(*) > 0)"
    return f"coalesce({counted}, {ZEROS_SQL} || {rows.traits_sql()})"


def _source_sql(plan: Plan) -> str:
    return (
        f"select o.profile_id, {COUNTED} as counted\n    from profiles_order o\n"
        f"    where true{plan.only('o.profile_id')}\n    group by o.profile_id"
    )


def computed_of(person: Person) -> Mapping[str, Any]:
    """Return the JSON in which a computed trait is found: the twin of `computed_sql`."""
    orders = [event for event in person.events if event.derived and event.name == ORDER]
    if not orders:
        return {**ZEROS, **person.traits}
    told = [order.properties or {} for order in orders]
    amounts = [(number_of(each.get("revenue")), number_of(each.get("converted_revenue"))) for each in told]
    total = sum((converted for _, converted in amounts if converted is not None), Decimal(0))
    times = sorted(order.occurred_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ") for order in orders)
    return {
        "orders_count": len(orders),
        "orders_revenue": int(total) if total == int(total) else float(total),
        "orders_unconverted": sum(amount is not None and converted is None for amount, converted in amounts),
        "first_order_at": times[0],
        "last_order_at": times[-1],
    }


def defined_sql(plan: Plan, rows: Rows, key: str) -> str:
    """Return the JSON expression in which a computed trait that is defined in the installation is found."""
    name = plan.bind(key, "computed")
    stored = f"v.trait_id = (select id from segments_computedtrait where key = {name}) and v.value is not null"
    if rows is plan.main:

        def render() -> str:
            only = plan.only("v.profile_id")
            return f"select v.profile_id, v.value\n    from segments_traitvalue v\n    where {stored}{only}"

        found = f"{plan.source(('computed', key), f'computed_{key}', render)}.value"
    else:
        found = f"(select v.value from segments_traitvalue v where {stored} and v.profile_id = {rows.profile_id})"
    default = plan.setting.computed[key]
    if default is not None:
        found = f"coalesce({found}, {plan.bind(json.dumps(default), 'default')}::jsonb)"
    return f"jsonb_build_object({name}::text, {found})"
