"""Traces in what SQL can read: every column of every table, and what the planner and the statistics remember."""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.db import DataError, IntegrityError, connection, transaction

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
ORDER BY c.reltuples, c.oid, a.attnum
"""
# Values of bytea columns are remembered in hexadecimal: these are made readable again.
STATISTICS = r"""
SELECT schemaname, tablename, attname, inherited,
  CASE WHEN remembered LIKE '%%\\x%%' THEN remembered || ' ' || coalesce((
    SELECT string_agg(encode(decode(m[1], 'hex'), 'escape'), ' ')
    FROM regexp_matches(remembered, '\\\\x((?:[0-9a-f]{2})+)', 'g') m), '') ELSE remembered END AS remembered
FROM (
    SELECT schemaname, tablename, attname, inherited, coalesce(most_common_vals::text, '') || ' ' ||
        coalesce(histogram_bounds::text, '') || ' ' || coalesce(most_common_elems::text, '') AS remembered
    FROM pg_stats WHERE schemaname NOT IN ('pg_catalog', 'information_schema')) s
"""
# Columns of other people's rows that may mention the person: the mention goes, the row stays.
REDACTED = (
    ("profiles_event", "properties"),
    ("profiles_event", "traits"),
    ("profiles_event", "context"),
    ("profiles_profile", "traits"),
    ("profiles_correction", "statement"),
)
MENTION = "erased"


# From this version of PostgreSQL on there is a function for it.
HAS_CLEAR_STATISTICS = 180000


@dataclass(frozen=True, slots=True)
class Remembered:
    """A column of whose values the planner remembers some."""

    schema: str
    relation: str
    name: str
    inherited: bool

    @property
    def table(self) -> str:
        """The table as SQL names it; both names come from the catalogue."""
        return f'"{self.schema}"."{self.relation}"'


def count_in_tables(
    needles: Needles, *, keep_alive: Callable[[], None], looked: dict[str, int], seconds: float | None = None
) -> dict[str, int]:
    """Return how many rows of each table still hold a trace; tables without any are left out.

    Parameters
    ----------
    keep_alive : callable
        Called before each table, a partition counting as one: a search of everything takes its time.
    looked : dict
        Gets how many tables (partitions counting as such) and columns were looked through.
    seconds : float, optional
        No further table is begun after this long; the smaller ones come first. None searches all.
    """
    ends = time.monotonic() + seconds if seconds is not None else None
    found: Counter[str] = Counter()
    with connection.cursor() as cursor:
        cursor.execute(COLUMNS)
        by_table: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for table, parent, name, kind, element in cursor.fetchall():
            if parent not in NOT_SEARCHED:
                by_table.setdefault((table, parent), []).append((f'"{name}"', element or kind))
        for (table, parent), columns in by_table.items():
            if ends is not None and time.monotonic() > ends:
                break
            keep_alive()
            looked["tables"] = looked.get("tables", 0) + 1
            looked["columns"] = looked.get("columns", 0) + len(columns)
            own = needles.without_uuids() if parent in PSEUDONYMS_KEPT else needles
            conditions = [_condition(column, kind, own) for column, kind in columns]
            cursor.execute(f"SELECT count(*) FROM {table} WHERE {' OR '.join(conditions)}", _parameters(own))
            found[parent] += cursor.fetchone()[0]
    return {table: count for table, count in found.items() if count}


def list_searched() -> set[str]:
    """Return the names of all tables that are searched, partitions under their parent."""
    with connection.cursor() as cursor:
        cursor.execute(COLUMNS)
        return {row[1] for row in cursor.fetchall()} - NOT_SEARCHED - PSEUDONYMS_KEPT


def redact_mentions(needles: Needles) -> int:
    """Take the person's identifiers out of rows that belong to other people; return how many columns changed."""
    names = needles.without_uuids()
    count = 0
    with connection.cursor() as cursor:
        for table, column in REDACTED:
            if names.expressions:
                condition = _condition(column, "jsonb", names)
                cursor.execute(
                    f"UPDATE {table} SET {column} = {_redacted(column, 'jsonb', names)} WHERE {condition}",
                    _parameters(names),
                )
                count += cursor.rowcount
    return count


def redact_tables(tables: Iterable[str], needles: Needles) -> int:
    """Take the person's names out of whatever texts of these tables hold them; return how many values changed.

    For tables that no store answers for: logs of what staff did, arguments of jobs, definitions that name a person. A
    value that cannot be changed (another row has it already, say) stays, and is found by the search.
    """
    wanted, count = set(tables), 0
    with connection.cursor() as cursor:
        cursor.execute(COLUMNS)
        columns = cursor.fetchall()
        for table, parent, name, kind, element in columns:
            if parent not in wanted or kind in ("uuid", "bytea", "inet", "name", "xml") or not needles.expressions:
                continue
            column = f'"{name}"'
            cast = f"{element}[]" if element else kind
            try:
                with transaction.atomic():
                    cursor.execute(
                        f"UPDATE {table} SET {column} = {_redacted(column, cast, needles)} "
                        f"WHERE {_condition(column, kind, needles)}",
                        _parameters(needles),
                    )
                    count += cursor.rowcount
            except (DataError, IntegrityError):
                continue
    return count


def _redacted(column: str, kind: str, needles: Needles) -> str:
    """Return the expression of a column's value with the names replaced."""
    text = f"{column}::text"
    if kind in ("json", "jsonb") and needles.numbers:
        # Or a number would be replaced by a word without quotes.
        text = f"regexp_replace({text}, %(numbers)s, '\\1\"{MENTION}\"', 'g')"
    for place, (_, flags) in enumerate(needles.expressions):
        text = f"regexp_replace({text}, %(expression{place})s, '\\1{MENTION}', 'g{flags}')"
    return f"({text})::{kind}"


def columns_in_statistics(needles: Needles) -> list[Remembered]:
    """Return the columns of whose values the planner still remembers a trace."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT schemaname, tablename, attname, inherited FROM ({STATISTICS}) r "
            f"WHERE {_text_condition('remembered', needles)} ORDER BY 1, 2, 3, 4",
            _parameters(needles),
        )
        return [Remembered(*row) for row in cursor.fetchall()]


def forget_statistics(needles: Needles) -> list[Remembered]:
    """Let the planner forget values that are gone; return what it remembers all the same.

    Notes
    -----
    ANALYZE leaves the statistics of a table as they were when it finds no row in it, for example in a partition that
    held nobody else's events. There the statistics of the column are deleted.
    """
    with connection.cursor() as cursor:
        for table in dict.fromkeys(column.table for column in columns_in_statistics(needles)):
            cursor.execute(f"ANALYZE {table}")
        for column in columns_in_statistics(needles):
            if connection.pg_version >= HAS_CLEAR_STATISTICS:  # type: ignore[attr-defined]
                cursor.execute(
                    "SELECT pg_clear_attribute_stats(%s, %s, %s, %s)",
                    [column.schema, column.relation, column.name, column.inherited],
                )
            else:
                _clear_by_alter(cursor, column)
    return columns_in_statistics(needles)


def _clear_by_alter(cursor: Any, column: Remembered) -> None:
    """Give the column its own type again, which rewrites nothing and drops its statistics.

    A partition's column can be altered through the partitioned table only.
    """
    cursor.execute(
        "SELECT format('ALTER TABLE %%s ALTER COLUMN %%I TYPE %%s', coalesce(i.inhparent, a.attrelid)::regclass, "
        "a.attname, format_type(a.atttypid, a.atttypmod)) FROM pg_attribute a "
        "LEFT JOIN pg_inherits i ON i.inhrelid = a.attrelid WHERE a.attrelid = %s::regclass AND a.attname = %s",
        [column.table, column.name],
    )
    cursor.execute(cursor.fetchone()[0])


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
        "numbers": needles.numbers,
        **{f"expression{place}": text for place, (text, _) in enumerate(needles.expressions)},
    }
