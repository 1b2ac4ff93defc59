"""What order an event speaks of and what an amount is, as SQL; the index of orders for the events that are there.

The orders themselves are computed by a job after the migration (`profiles.services.orders.prepare_orders`).
"""

from django.db import migrations

FUNCTIONS = r"""
CREATE FUNCTION profiles_order_id(properties jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN char_length(id) <= 512 AND id <> '' THEN id END FROM (
    SELECT CASE jsonb_typeof(properties -> 'order_id')
      WHEN 'string' THEN btrim(properties ->> 'order_id')
      WHEN 'number' THEN trim_scale((properties -> 'order_id')::numeric)::text END
  ) AS found(id)
$$;

CREATE FUNCTION profiles_amount(value jsonb) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN abs(amount) < 1e15 THEN round(amount, 12) END FROM (
    SELECT CASE jsonb_typeof(value) WHEN 'number' THEN value::numeric WHEN 'string' THEN
      CASE WHEN (value #>> '{}') ~ '^-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?$'
        THEN (value #>> '{}')::numeric END END
  ) AS found(amount)
$$;
"""
DROP = "DROP FUNCTION profiles_amount(jsonb); DROP FUNCTION profiles_order_id(jsonb);"

INDEX = """
INSERT INTO profiles_ordermessage (event_id, occurred_at, source_id, order_id)
SELECT id, occurred_at, source_id, profiles_order_id(properties) FROM profiles_event
WHERE name IN ('Order Completed', 'Order Updated', 'Order Cancelled', 'Order Refunded')
    AND type = 1 AND profiles_order_id(properties) IS NOT NULL
"""


class Migration(migrations.Migration):
    dependencies = [("profiles", "0005_orders")]

    operations = [
        migrations.RunSQL(FUNCTIONS, DROP),
        migrations.RunSQL(INDEX, migrations.RunSQL.noop),
    ]
