"""Changing the master key: what is under a retired one is encrypted anew, in steps that may be repeated.

All binary columns whose name ends in `sealed` hold what `cdp.core.secrets.seal` made; others are registered.
"""

from collections.abc import Iterable
from typing import Any

from django.apps import apps
from django.db import connection, models, transaction

from cdp.core import registries
from cdp.core.copying import bytea_array
from cdp.core.registries import SealedColumn
from cdp.core.secrets import seal_anew

STEP_ROWS = 5_000
FIRST = "SELECT {key}, {column} FROM {table} WHERE {column} IS NOT NULL ORDER BY {key} LIMIT %(limit)s FOR UPDATE"
NEXT = FIRST.replace("WHERE", "WHERE {key} > %(after)s AND")
WRITE = "UPDATE {table} t SET {column} = n.v FROM unnest(%s::{kind}[], %s::bytea[]) AS n(k, v) WHERE t.{key} = n.k"


def list_sealed_columns() -> list[SealedColumn]:
    """Return every column that a change of the master key concerns."""
    return [*_found_columns(), *registries.sealed_columns]


def rotate_step(column: SealedColumn, *, after: Any = None, limit: int = STEP_ROWS) -> tuple[int, int, Any]:
    """Encrypt the next values of a column under the current key.

    Returns
    -------
    (int, int, object)
        How many were looked at, how many were encrypted anew, and the key of the last row, from which the next step
        goes on; None once there are no more.

    Raises
    ------
    MasterKeyUnavailable
        If a value is under a key that is not known: nothing of the step is written.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_named(FIRST if after is None else NEXT, column), {"limit": limit, "after": after})
        rows = cursor.fetchall()
        anew = [(key, value) for key, old in rows if (value := column.anew(bytes(old))) is not None]
        if anew:
            kind = "bigint" if isinstance(anew[0][0], int) else "uuid"
            values = bytea_array(value for _, value in anew)
            cursor.execute(_named(WRITE, column, kind=kind), [[key for key, _ in anew], values])
    return len(rows), len(anew), rows[-1][0] if len(rows) == limit else None


def _found_columns() -> Iterable[SealedColumn]:
    for model in apps.get_models():
        for field in model._meta.concrete_fields:
            if isinstance(field, models.BinaryField) and field.name.endswith("sealed"):
                key = model._meta.pk.column
                assert key is not None
                yield SealedColumn(model._meta.db_table, field.name, key, _anew)


def _anew(value: bytes) -> bytes | None:
    return seal_anew(value) if value else None


def _named(statement: str, column: SealedColumn, **further: str) -> str:
    return statement.format(key=column.key, column=column.column, table=column.table, **further)
