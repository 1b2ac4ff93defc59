"""The order view: what the stored ecommerce events say about each order, kept in `profiles_order`.

An order is a source and an order id. It is derived from the stored events of these two alone, never from how they
arrived: whatever touches one of them (a batch, late or repeated; an erasure; a split) computes the whole order anew,
all touched ones in one statement.

- The first `Order Completed` by time makes the order; it gives it its person, its time and its context. Later ones of
  the same order id add nothing.
- `Order Updated` replaces the properties that it names. One that names an amount replaces all amounts.
- `Order Cancelled`, and an `Order Refunded` without an amount, take all; other refunds take their `total`.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import connection
from django.utils import timezone

from cdp.core import locks
from cdp.core.copying import int_array, text_array
from cdp.core.models import Job
from cdp.core.services.jobs import enqueue
from profiles.models import EventType

if TYPE_CHECKING:
    from profiles.services.record import Incoming

ORDER = "$order"
ORDER_EVENTS = frozenset({"Order Completed", "Order Updated", "Order Cancelled", "Order Refunded"})
# Named by an update, each of these replaces all of them: half of an old price and half of a new one is no price.
AMOUNTS = ("revenue", "total", "subtotal", "shipping", "tax", "discount", "currency", "value")
JOB = "profiles.compute-orders"
CHUNK = 2_000

TRACK = int(EventType.TRACK)
# LATERAL … LIMIT 1 finds each event by its key in the one partition that has it, whatever the planner believes.
NOTE_MESSAGES = """
INSERT INTO profiles_ordermessage (event_id, occurred_at, source_id, order_id)
SELECT t.id, t.at, e.source_id, e.order_id FROM unnest(%s::bigint[], %s::timestamptz[]) AS t(id, at)
CROSS JOIN LATERAL (
    SELECT source_id, profiles_order_id(properties) AS order_id FROM profiles_event
    WHERE id = t.id AND occurred_at = t.at LIMIT 1
) AS e
WHERE e.order_id IS NOT NULL ON CONFLICT DO NOTHING RETURNING source_id, order_id
"""
# One pass over the events of all keys, in windows and one grouping: joining its steps with each other would be at the
# mercy of estimates, which know nothing of them, and take the square of the number of orders.
COMPUTE = """
WITH key AS (
    SELECT DISTINCT source_id, order_id FROM unnest(%(sources)s::int[], %(orders)s::text[]) AS k(source_id, order_id)
),
said AS (
    SELECT k.source_id, k.order_id, e.*, first_value(e.id) OVER made AS made_id,
        first_value(e.profile_id) OVER made AS made_profile_id, first_value(e.occurred_at) OVER made AS made_at,
        first_value(e.name) OVER made = 'Order Completed' AS is_made
    FROM key k LEFT JOIN profiles_ordermessage m ON m.source_id = k.source_id AND m.order_id = k.order_id
    LEFT JOIN LATERAL (
        SELECT id, profile_id, name, occurred_at, coalesce(properties, '{}') AS properties, context
        FROM profiles_event WHERE id = m.event_id AND occurred_at = m.occurred_at LIMIT 1
    ) AS e ON true
    WINDOW made AS (
        PARTITION BY k.source_id, k.order_id ORDER BY e.name IS DISTINCT FROM 'Order Completed', e.occurred_at, e.id
    )
),
stated AS (
    SELECT *, id = made_id OR (name = 'Order Updated' AND occurred_at >= made_at) AS states,
        row_number() OVER (PARTITION BY source_id, order_id ORDER BY id <> made_id, occurred_at, id) AS place,
        CASE name WHEN 'Order Refunded' THEN
            coalesce(profiles_amount(properties -> 'total'), profiles_amount(properties -> 'revenue')) END AS refund
    FROM said
),
priced AS (
    SELECT *, max(place) FILTER (WHERE states AND properties ?| %(amounts)s) OVER (PARTITION BY source_id, order_id)
        AS priced_at
    FROM stated
),
-- What is not stated has no keys here, and so one row each.
folded AS (
    SELECT source_id, order_id, is_made, made_id, made_profile_id, made_at,
        (array_agg(s.context) FILTER (WHERE s.id = s.made_id))[1] AS context,
        jsonb_object_agg(p.key, p.value ORDER BY s.place)
            FILTER (WHERE p.key <> ALL (%(amounts)s) OR s.place = s.priced_at) AS properties,
        bool_or(name = 'Order Cancelled') AS cancelled,
        bool_or(name = 'Order Refunded' AND refund IS NULL) AS refunded, sum(refund) AS amount
    FROM priced s LEFT JOIN LATERAL jsonb_each(CASE WHEN s.states THEN s.properties ELSE '{}' END) AS p ON true
    GROUP BY source_id, order_id, is_made, made_id, made_profile_id, made_at
),
amounts AS (
    SELECT c.*,
        coalesce(profiles_amount(c.properties -> 'revenue'), profiles_amount(c.properties -> 'total'),
            profiles_amount(c.properties -> 'value')) AS revenue,
        coalesce(profiles_amount(c.properties -> 'total'), profiles_amount(c.properties -> 'revenue'),
            profiles_amount(c.properties -> 'value')) AS total,
        CASE WHEN c.properties ->> 'currency' ~ '^ *[A-Za-z]{3} *$' THEN upper(btrim(c.properties ->> 'currency'))
            WHEN coalesce(btrim(c.properties ->> 'currency'), '') = '' THEN %(base)s ELSE '' END AS currency
    FROM folded c WHERE is_made
),
-- What is left of it: nothing of one that was cancelled, or refunded as a whole or in parts up to its total.
remaining AS (
    SELECT a.made_id AS id, a.made_profile_id AS profile_id, a.source_id, a.order_id, a.made_at AS occurred_at,
        a.context, a.properties, a.currency,
        CASE WHEN a.cancelled OR a.refunded THEN a.total
            WHEN a.amount IS NOT NULL THEN least(a.amount, a.total) END AS refund,
        -- greatest() would make 0 of an amount that is not known.
        CASE WHEN a.cancelled OR a.refunded THEN 0 * a.revenue
            WHEN a.amount > a.revenue THEN 0 ELSE a.revenue - coalesce(a.amount, 0) END AS revenue,
        CASE WHEN a.cancelled OR a.refunded THEN 0 * a.total
            WHEN a.amount > a.total THEN 0 ELSE a.total - coalesce(a.amount, 0) END AS total,
        CASE WHEN a.cancelled THEN 'cancelled'
            WHEN a.refunded OR a.amount >= a.total THEN 'refunded'
            WHEN a.amount IS NOT NULL THEN 'partially_refunded' ELSE 'completed' END AS status
    FROM amounts a
),
converted AS (
    SELECT r.*, CASE WHEN r.currency = %(base)s THEN 1 ELSE x.rate END AS rate
    FROM remaining r LEFT JOIN LATERAL (
        SELECT rate FROM profiles_exchangerate WHERE currency = r.currency
            AND valid_on <= (r.occurred_at AT TIME ZONE 'UTC')::date ORDER BY valid_on DESC LIMIT 1
    ) AS x ON true
),
old AS (
    SELECT o.profile_id FROM profiles_order o JOIN key USING (source_id, order_id)
),
kept AS (
    INSERT INTO profiles_order (id, profile_id, source_id, order_id, occurred_at, currency, base_currency, revenue,
        converted, properties, context)
    SELECT id, profile_id, source_id, order_id, occurred_at, currency, %(base)s, revenue, revenue * rate,
        properties || jsonb_build_object('order_id', order_id, 'status', status) || jsonb_strip_nulls(
            jsonb_build_object('revenue', trim_scale(revenue), 'total', trim_scale(total), 'refund', trim_scale(refund),
                'converted_revenue', trim_scale(revenue * rate), 'converted_total', trim_scale(total * rate),
                'converted_currency', CASE WHEN revenue * rate IS NOT NULL THEN %(base)s END)), context
    FROM converted
    ON CONFLICT (source_id, order_id) DO UPDATE SET id = excluded.id, profile_id = excluded.profile_id,
        occurred_at = excluded.occurred_at, currency = excluded.currency, base_currency = excluded.base_currency,
        revenue = excluded.revenue, converted = excluded.converted, properties = excluded.properties,
        context = excluded.context
    RETURNING profile_id
),
gone AS (
    DELETE FROM profiles_order o USING folded f
    WHERE o.source_id = f.source_id AND o.order_id = f.order_id AND f.is_made IS NOT TRUE
)
SELECT profile_id FROM kept UNION SELECT profile_id FROM old
"""
FORGET = """
DELETE FROM profiles_ordermessage WHERE event_id = ANY(%s::bigint[]) RETURNING source_id, order_id
"""
# Orders are those of the person whose timeline their first event is on.
REHOME = """
UPDATE profiles_order o SET profile_id = e.profile_id
FROM profiles_order x CROSS JOIN LATERAL (
    SELECT profile_id FROM profiles_event WHERE id = x.id AND occurred_at = x.occurred_at LIMIT 1
) AS e
WHERE x.profile_id = ANY(%s::bigint[]) AND o.id = x.id AND e.profile_id <> o.profile_id
"""
NOTE_WORK = """
INSERT INTO profiles_work (profile_id, names, since, message_id)
SELECT p, ARRAY['event:$order'], %s, '' FROM unnest(%s::bigint[]) AS p
WHERE EXISTS (SELECT FROM profiles_workinterest WHERE token = 'event:$order')
"""
NEXT_KEYS = """
SELECT DISTINCT source_id, order_id FROM profiles_ordermessage
WHERE (source_id, order_id) > (%s, %s) ORDER BY source_id, order_id LIMIT %s
"""
NEXT_OF_CURRENCY = """
SELECT source_id, order_id FROM profiles_order
WHERE currency = ANY(%s) AND (source_id, order_id) > (%s, %s) ORDER BY source_id, order_id LIMIT %s
"""

Keys = Sequence[tuple[int, str]]


def record_orders(cursor: Any, messages: Iterable["Incoming"], *, now: datetime) -> None:
    """Bring the orders up to date that stored messages speak of; a batch without any costs one look at each name."""
    found = [message for message in messages if message.name in ORDER_EVENTS and message.type == TRACK]
    if not found:
        return
    times = "{" + ",".join([message.occurred_text for message in found]) + "}"
    cursor.execute(NOTE_MESSAGES, [int_array(message.event_id for message in found), times])
    compute_orders(cursor, cursor.fetchall(), now=now)


def compute_orders(cursor: Any, keys: Keys, *, now: datetime) -> None:
    """Compute orders from their events, and tell the followers whose orders they are and were. Two statements.

    Parameters
    ----------
    keys : sequence of (int, str)
        Source and order id, repeated or not.
    """
    if not keys:
        return
    cursor.execute(
        COMPUTE,
        {
            "sources": int_array(source_id for source_id, _ in keys),
            "orders": text_array(order_id for _, order_id in keys),
            "amounts": list(AMOUNTS),
            "base": settings.CDP_CURRENCY,
        },
    )
    cursor.execute(NOTE_WORK, [now, int_array(row[0] for row in cursor.fetchall())])


def forget_order_messages(cursor: Any, event_ids: Sequence[int], *, now: datetime) -> None:
    """Let orders follow after events were deleted."""
    cursor.execute(FORGET, [int_array(event_ids)])
    compute_orders(cursor, cursor.fetchall(), now=now)


def rehome_orders(cursor: Any, profile_ids: Sequence[int]) -> None:
    """Let the orders of profiles follow their events, which were moved to others."""
    cursor.execute(REHOME, [int_array(profile_ids)])


def prepare_orders() -> None:
    """Have all orders computed if none is yet, or if the installation's currency is another one than it was."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM profiles_ordermessage) AND NOT EXISTS (SELECT FROM profiles_order)"
            " OR EXISTS (SELECT FROM profiles_order WHERE base_currency <> %s)",
            [settings.CDP_CURRENCY],
        )
        wanted = cursor.fetchone()[0]
    if wanted and not Job.objects.filter(kind=JOB, status__in=[Job.Status.QUEUED, Job.Status.RUNNING]).exists():
        enqueue(kind=JOB, arguments={})


def compute_orders_again(job: Job) -> bool:
    """Compute one chunk of all orders, or of those in the job's currencies; True once all are done."""
    after = job.progress.get("after", [-1, ""])
    currencies = job.arguments.get("currencies")
    with connection.cursor() as cursor:
        locks.take(cursor, locks.IDENTITY)
        if currencies is None:
            cursor.execute(NEXT_KEYS, [*after, CHUNK])
        else:
            cursor.execute(NEXT_OF_CURRENCY, [currencies, *after, CHUNK])
        keys = cursor.fetchall()
        compute_orders(cursor, keys, now=timezone.now())
    if len(keys) < CHUNK:
        return True
    job.progress = {"after": list(keys[-1])}
    return False
