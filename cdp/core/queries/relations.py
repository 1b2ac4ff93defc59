"""What the database consists of, as its catalogue tells: tables, partitions, sequences, migrations."""

from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

TABLES = """
SELECT c.relname, array_agg(a.attname ORDER BY a.attnum)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
GROUP BY c.relname ORDER BY c.relname
"""
PARTITIONS = """
SELECT p.relname, c.relname, pg_get_expr(c.relpartbound, c.oid), c.relkind = 'p'
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = current_schema() AND c.relispartition AND c.relkind IN ('r', 'p')
ORDER BY p.relname, c.relname
"""
SEQUENCES = """
SELECT sequencename, last_value FROM pg_sequences
WHERE schemaname = current_schema() AND last_value IS NOT NULL ORDER BY sequencename
"""
# The migrations themselves say how the tables look; restoring runs them.
NOT_DATA = frozenset({"django_migrations"})


@dataclass(frozen=True, slots=True)
class Table:
    """A table and the columns that hold data of their own; a partitioned one stands for its partitions."""

    name: str
    columns: tuple[str, ...]

    @property
    def quoted(self) -> str:
        """The name as SQL takes it."""
        return f'"{self.name}"'

    @property
    def listed(self) -> str:
        """The columns as SQL takes them."""
        return ", ".join(f'"{column}"' for column in self.columns)


@dataclass(frozen=True, slots=True)
class Part:
    """A partition: its parent, its name and its bounds as SQL writes them."""

    parent: str
    name: str
    bounds: str


def list_tables() -> list[Table]:
    """Return every table that holds data, partitions under their parent."""
    with connection.cursor() as cursor:
        cursor.execute(TABLES)
        return [Table(name, tuple(columns)) for name, columns in cursor.fetchall() if name not in NOT_DATA]


def list_partitions() -> list[Part]:
    """Return every partition."""
    with connection.cursor() as cursor:
        cursor.execute(PARTITIONS)
        return [Part(parent, name, bounds) for parent, name, bounds, _ in cursor.fetchall()]


def read_sequences() -> dict[str, int]:
    """Return where each sequence stands."""
    with connection.cursor() as cursor:
        cursor.execute(SEQUENCES)
        return dict(cursor.fetchall())


def list_migrations() -> list[list[str]]:
    """Return the migrations that the database has, as app and name; none where it is empty."""
    recorder = MigrationRecorder(connection)
    if not recorder.has_table():
        return []
    applied: Any = recorder.applied_migrations()
    return sorted([app, name] for app, name in applied)


def count_other_sessions() -> int:
    """Return how many other processes of this product are connected to the database."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND application_name = 'cdp' AND pid <> pg_backend_pid()"
        )
        count: int = cursor.fetchone()[0]
    return count
