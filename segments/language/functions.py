"""The SQL functions that compiled definitions call: the twins of `values.py` and `fold.py`.

A migration of `segments` creates them. All are single expressions, so that PostgreSQL puts them into the query itself.
"""

from segments.language.fold import FOLD_FROM, FOLD_TO
from segments.language.values import INSTANT_PATTERN, NUMBER_PATTERN, ZONE_PATTERN

SECONDS = 'YYYY-MM-DD"T"HH24:MI:SS'
# The shapes that nearly all instants have: how they look, how many characters say when, and in which format.
SHAPES = (
    ("____-__-__T__:__:__.___Z", 23, f"{SECONDS}.MS"),
    ("____-__-__T__:__:__Z", 19, SECONDS),
    ("____-__-__T__:__:__+00:00", 19, SECONDS),
    ("____-__-__T__:__:__.______+00:00", 26, f"{SECONDS}.US"),
)
YEARS = """value COLLATE "C" >= '1' AND value COLLATE "C" < '9'"""


def _shape(like: str, length: int, written: str) -> str:
    """Return a branch for one shape: what PostgreSQL reads and writes again as it was is what the pattern allows.

    That costs a quarter of the pattern, for which each call builds its automaton anew.
    """
    again = f"left(value, {length}) = to_char(value::timestamptz AT TIME ZONE 'UTC', '{written}')"
    valid = f"value LIKE '{like}' AND pg_input_is_valid(value, 'timestamptz')"
    return f"WHEN {valid} AND {again} AND {YEARS} THEN value::timestamptz"


BRANCHES = "\n    ".join(_shape(*shape) for shape in SHAPES)
QUICK_INSTANT = f"""
CREATE OR REPLACE FUNCTION cdp_instant(value text, zone text) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT CASE
    {BRANCHES}
    WHEN value LIKE '____-__-__' AND pg_input_is_valid(value, 'date')
      AND value = to_char(value::date::timestamp, 'YYYY-MM-DD') AND {YEARS}
      THEN value::date::timestamp AT TIME ZONE zone
    ELSE cdp_read_instant(value, zone) END
$$
"""

CREATE = f"""
CREATE OR REPLACE FUNCTION cdp_nfc(value text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN octet_length(value) = char_length(value) THEN value ELSE normalize(value, NFC) END
$$;

CREATE OR REPLACE FUNCTION cdp_fold(value text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN octet_length(value) = char_length(value) THEN lower(value COLLATE "C")
    ELSE translate(lower(normalize(value, NFC) COLLATE "C"), '{FOLD_FROM}', '{FOLD_TO}') END
$$;

CREATE OR REPLACE FUNCTION cdp_number(value jsonb) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE jsonb_typeof(value) WHEN 'number' THEN value::numeric WHEN 'string' THEN
    CASE WHEN (value #>> '{{}}') ~ '{NUMBER_PATTERN}' THEN (value #>> '{{}}')::numeric END END
$$;

CREATE OR REPLACE FUNCTION cdp_text(value jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE jsonb_typeof(value) WHEN 'string' THEN cdp_nfc(value #>> '{{}}')
    WHEN 'number' THEN trim_scale(value::numeric)::text WHEN 'boolean' THEN value #>> '{{}}' END
$$;

CREATE OR REPLACE FUNCTION cdp_boolean(value jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN value IN ('true'::jsonb, '"true"'::jsonb) THEN true
    WHEN value IN ('false'::jsonb, '"false"'::jsonb) THEN false END
$$;

CREATE OR REPLACE FUNCTION cdp_read_instant(value text, zone text) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN value ~ '{INSTANT_PATTERN}' THEN
    CASE WHEN value ~ ':[0-9.:]+{ZONE_PATTERN}$'
      THEN regexp_replace(value, '([.][0-9]{{6}})[0-9]+', '\\1')::timestamptz
      ELSE regexp_replace(value, '([.][0-9]{{6}})[0-9]+', '\\1')::timestamp AT TIME ZONE zone END END
$$;

CREATE OR REPLACE FUNCTION cdp_instant(value text, zone text) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT cdp_read_instant(value, zone) $$;

DO $do$
BEGIN
  -- PostgreSQL 15 cannot tell beforehand whether a cast will fail.
  IF current_setting('server_version_num')::int >= 160000 THEN
    EXECUTE $create$ {QUICK_INSTANT} $create$;
  END IF;
END
$do$;

CREATE OR REPLACE FUNCTION cdp_instant(value jsonb, zone text) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT cdp_instant(value #>> '{{}}', zone) $$;

CREATE OR REPLACE FUNCTION cdp_elements(value jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN jsonb_typeof(value) = 'array' THEN value ELSE jsonb_build_array(value) END
$$;

CREATE OR REPLACE FUNCTION cdp_list(value jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT cdp_nfc(cdp_elements(value)::text)::jsonb
$$;
"""

DROP = """
DROP FUNCTION IF EXISTS cdp_list(jsonb);
DROP FUNCTION IF EXISTS cdp_elements(jsonb);
DROP FUNCTION IF EXISTS cdp_instant(jsonb, text);
DROP FUNCTION IF EXISTS cdp_instant(text, text);
DROP FUNCTION IF EXISTS cdp_read_instant(text, text);
DROP FUNCTION IF EXISTS cdp_boolean(jsonb);
DROP FUNCTION IF EXISTS cdp_text(jsonb);
DROP FUNCTION IF EXISTS cdp_number(jsonb);
DROP FUNCTION IF EXISTS cdp_fold(text);
DROP FUNCTION IF EXISTS cdp_nfc(text);
"""
