"""Traces in what SQL can read: every column of every table, and what the planner and the statistics remember."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from django.db import connection

from consent.traces.needles import Needles

# The audit trail names acts by public ids for ever, as evidence, and holds no other personal data. The request that is
# being carried out is emptied in the very statement that completes it.
PSEUDONYMS_KEPT = frozenset({"core_auditentry"})
NOT_SEARCHED = frozenset({"consent_privacyrequest"})

COLUMNS = """
SELECT c.oid::regclass::text, coalesce(i.inhparent, c.oid)::regclass::text, a.attname, t.typname,
    coalesce(e.typname, '')
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
WHERE c.relkind IN ('r', 'm')
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND n.nspname NOT LIKE 'pg_temp%'
  AND (t.typname IN ('text', 'varchar', 'bpchar', 'citext', 'json', 'jsonb', 'uuid', 'bytea', 'name', 'inet', 'xml')
       OR (t.typcategory = 'A' AND e.typname IN ('text', 'varchar', 'uuid', 'json', 'jsonb')))
ORDER BY c.oid, a.attnum
"""
STATISTICS = """
SELECT schemaname, tablename, remembered FROM (
    SELECT schemaname, tablename, coalesce(most_common_vals::text, '') || ' ' ||
        coalesce(histogram_bounds::text, '') || ' ' || coalesce(most_common_elems::text, '') AS remembered
    FROM pg_stats WHERE schemaname NOT IN ('pg_catalog', 'information_schema')) s
"""
# Columns of other people's rows that may mention the person: the mention goes, the row stays.
REDACTED = (
    ("profiles_event", "properties"),
    ("profiles_event", "traits"),
    ("profiles_event", "context"),
    ("profiles_profile", "traits"),
)
MENTION = "erased"


def count_in_tables(needles: Needles, *, keep_alive: Callable[[], None]) -> dict[str, int]:
    """Return how many rows of each table still hold a trace; tables without any are left out.

    Parameters
    ----------
    keep_alive : callable
        Called before each table, a partition counting as one: a search of everything takes its time.
    """
    found: Counter[str] = Counter()
    with connection.cursor() as cursor:
        cursor.execute(COLUMNS)
        by_table: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for table, parent, name, kind, element in cursor.fetchall():
            if parent not in NOT_SEARCHED:
                by_table.setdefault((table, parent), []).append((f'"{name}"', element or kind))
        for (table, parent), columns in by_table.items():
            keep_alive()
            own = needles.without_uuids() if parent in PSEUDONYMS_KEPT else needles
            conditions = [_condition(column, kind, own) for column, kind in columns]
            cursor.execute(f"SELECT count(*) FROM {table} WHERE {' OR '.join(conditions)}", _parameters(own))
            found[parent] += cursor.fetchone()[0]
    return {table: count for table, count in found.items() if count}


def redact_mentions(needles: Needles) -> int:
    """Take the person's identifiers out of rows that belong to other people; return how many columns changed."""
    names = needles.without_uuids()
    count = 0
    with connection.cursor() as cursor:
        for table, column in REDACTED:
            text = f"{column}::text"
            for place, (_, flags) in enumerate(names.expressions):
                text = f"regexp_replace({text}, %(expression{place})s, '\\1{MENTION}', 'g{flags}')"
            if names.expressions:
                condition = _condition(column, "jsonb", names)
                cursor.execute(f"UPDATE {table} SET {column} = ({text})::jsonb WHERE {condition}", _parameters(names))
                count += cursor.rowcount
    return count


def tables_in_statistics(needles: Needles) -> list[str]:
    """Return the tables of whose values the planner still remembers a trace."""
    found: list[str] = []
    with connection.cursor() as cursor:
        # What a table may keep, its statistics may remember.
        for own, which in (
            (needles, "NOT (tablename = ANY(%(kept)s))"),
            (needles.without_uuids(), "tablename = ANY(%(kept)s)"),
        ):
            cursor.execute(
                "SELECT DISTINCT quote_ident(schemaname) || '.' || quote_ident(tablename) AS name "
                f"FROM ({STATISTICS}) r WHERE {which} AND {_text_condition('remembered', own)} ORDER BY name",
                {**_parameters(own), "kept": list(PSEUDONYMS_KEPT)},
            )
            found += [row[0] for row in cursor.fetchall()]
    return found


def refresh_statistics(tables: Iterable[str]) -> None:
    """Let the planner look at tables anew, so that it forgets values that are gone."""
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"ANALYZE {table}")


def forget_statements(needles: Needles) -> int:
    """Clear the statements that the statistics extension remembers, if any holds a trace; return how many did."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('pg_stat_statements') IS NOT NULL")
        if not cursor.fetchone()[0]:
            return 0
        cursor.execute(
            f"SELECT count(*) FROM pg_stat_statements WHERE {_text_condition('query', needles)}",
            _parameters(needles),
        )
        count: int = cursor.fetchone()[0]
        if count:
            cursor.execute("SELECT pg_stat_statements_reset()")
        return count


def _condition(column: str, kind: str, needles: Needles) -> str:
    """Return the condition that finds a trace in a column of this type (an array: of its elements)."""
    if kind == "uuid":
        return f"{column}::text ~* %(uuid_expression)s" if needles.uuids else "false"
    if kind == "bytea":
        return _text_condition(f"encode({column}, 'escape')", needles)
    return _text_condition(f"{column}::text", needles)


def _text_condition(text: str, needles: Needles) -> str:
    """Look for the plain texts first: that is many times cheaper than an expression."""
    exact = [
        f"{text} {'~*' if flags else '~'} %(expression{place})s" for place, (_, flags) in enumerate(needles.expressions)
    ]
    return f'(lower({text} COLLATE "C") LIKE ANY(%(patterns)s) AND ({" OR ".join(exact or ["false"])}))'


def _parameters(needles: Needles) -> dict[str, Any]:
    return {
        "patterns": needles.patterns,
        "uuid_expression": "|".join(needles.uuids) or "$^",
        **{f"expression{place}": text for place, (text, _) in enumerate(needles.expressions)},
    }
