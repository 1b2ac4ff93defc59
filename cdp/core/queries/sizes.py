"""How many rows there are, without reading large tables to the end."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import QuerySet

EXACT_UP_TO = 100_000
ESTIMATE = "SELECT relname, reltuples::bigint FROM pg_class WHERE oid = ANY(%s::regclass[])"


@dataclass(frozen=True, slots=True)
class Size:
    """A number of rows; `exact` is false where it is the statistics' estimate or a lower bound."""

    value: int
    exact: bool = True


def count_rows(lists: Mapping[str, QuerySet[Any]]) -> dict[str, Size]:
    """Return how long each list is: counted up to 100 000 rows, above that estimated (two statements at most).

    Notes
    -----
    The estimate of a whole table is that of the last ANALYZE, which autovacuum runs after a tenth of it has changed; a
    list that is narrowed by conditions says "at least 100 000" instead.
    """
    if not lists:
        return {}
    parts: list[str] = []
    params: list[Any] = []
    for rows in lists.values():
        text, values = rows.order_by().values("pk")[: EXACT_UP_TO + 1].query.sql_with_params()
        parts.append(f"(SELECT count(*) FROM ({text}) AS part)")
        params.extend(values)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(parts)}", params)
        counted = dict(zip(lists, cursor.fetchone(), strict=True))
        large = {name: lists[name].model._meta.db_table for name, count in counted.items() if count > EXACT_UP_TO}
        estimates: dict[str, int] = {}
        if large:
            cursor.execute(ESTIMATE, [sorted(set(large.values()))])
            estimates = dict(cursor.fetchall())
    sizes = {}
    for name, count in counted.items():
        if count <= EXACT_UP_TO:
            sizes[name] = Size(count)
        else:
            whole = not lists[name].query.where
            sizes[name] = Size(max(estimates.get(large[name], 0), EXACT_UP_TO) if whole else EXACT_UP_TO, exact=False)
    return sizes


def count_list(rows: QuerySet[Any]) -> Size:
    """Return how long one list is (see `count_rows`)."""
    return count_rows({"list": rows})["list"]
