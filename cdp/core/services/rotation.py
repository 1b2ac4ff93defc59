"""Changing the master key: what is under a retired one is encrypted anew, in steps whose progress is the rows."""

from typing import Any

from django.db import connection, transaction

from cdp.core import master_keys, registries
from cdp.core.copying import bytea_array
from cdp.core.registries import SealedColumn
from cdp.core.secrets import UNDER_MASTER_KEY, seal, unseal

STEP_ROWS = 2_000
OLD = "length({column}) > 0 AND substring({column} FROM 1 FOR %(size)s) <> %(current)s"
COUNT = f"SELECT count(*) FROM {{table}} WHERE {OLD}"
NEXT = f"SELECT {{key}}, {{column}} FROM {{table}} WHERE {OLD} {{further}} ORDER BY {{key}} LIMIT %(limit)s FOR UPDATE"
# By place and not by what is left: rows that were done are not looked at again.
FURTHER = "AND {key} > %(after)s"
WRITE = "UPDATE {table} t SET {column} = n.v FROM unnest(%s::{kind}[], %s::bytea[]) AS n(k, v) WHERE t.{key} = n.k"


def count_under_retired() -> int:
    """Return how many values are not encrypted under the current master key."""
    with connection.cursor() as cursor:
        total = 0
        for column in registries.sealed_columns:
            cursor.execute(_named(COUNT, column), _old(column))
            total += cursor.fetchone()[0]
    return total


def rotate_step(column: SealedColumn, *, after: Any = None, limit: int = STEP_ROWS) -> tuple[int, Any]:
    """Encrypt the next values of a column under the current key.

    Returns
    -------
    (int, object)
        How many, and the key of the last row, from which the next step goes on; None once there are no more.

    Raises
    ------
    MasterKeyUnavailable
        If a value is under a key that is not known: nothing of the step is written.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        further = "" if after is None else FURTHER.format(key=column.key)
        cursor.execute(_named(NEXT, column, further=further), {**_old(column), "limit": limit, "after": after})
        rows = cursor.fetchall()
        if not rows:
            return 0, None
        kind = "bigint" if isinstance(rows[0][0], int) else "uuid"
        values = bytea_array(_anew(bytes(value), column) for _, value in rows)
        cursor.execute(_named(WRITE, column, kind=kind), [[row[0] for row in rows], values])
    return len(rows), rows[-1][0] if len(rows) == limit else None


def _anew(value: bytes, column: SealedColumn) -> bytes:
    if column.is_bare:
        return master_keys.encrypt(master_keys.decrypt(value, context=column.context), context=column.context)
    return seal(unseal(value, context=column.context), context=column.context)


def _old(column: SealedColumn) -> dict[str, Any]:
    current = master_keys.current_master_key().id
    prefix = current if column.is_bare else UNDER_MASTER_KEY + current
    return {"current": prefix, "size": len(prefix)}


def _named(statement: str, column: SealedColumn, **further: str) -> str:
    return statement.format(key=column.key, column=column.column, table=column.table, **further)
