"""Reading imports and what became of their rows."""

import csv
import io
from collections.abc import Iterator
from typing import Any

import orjson
from django.db import connection
from django.db.models import QuerySet

from cdp.core.access import Principal, show
from cdp.core.api.pagination import Cursor, Fetch
from cdp.core.spreadsheets import safe_cell
from ingestion.errors import UnknownImport
from ingestion.models import Import, RefusedRow, RowOutcome

CSV_PART = 64 * 1024
ROW_OUTCOMES = [one.label for one in RowOutcome]
# A chunk keeps a byte for each of its rows.
NUMBERED = """
SELECT c.first_row + n AS number, get_byte(c.outcomes, n) AS outcome
FROM ingestion_importchunk c CROSS JOIN LATERAL generate_series(0, length(c.outcomes) - 1) AS n
WHERE c.owner_id = %(owner)s AND (%(outcome)s = 0 OR get_byte(c.outcomes, n) = %(outcome)s)
"""
AFTER = f"""
{NUMBERED} AND c.first_row + length(c.outcomes) > %(edge)s AND c.first_row + n > %(edge)s
ORDER BY number LIMIT %(limit)s
"""
BEFORE = f"""
{NUMBERED} AND c.first_row < %(edge)s AND c.first_row + n < %(edge)s ORDER BY number DESC LIMIT %(limit)s
"""


def list_imports() -> QuerySet[Import]:
    """Return all imports with their sources."""
    return Import.objects.select_related("source")


def get_import(*, import_id: str | int) -> Import:
    """Return an import.

    Raises
    ------
    UnknownImport
        None has this id.
    """
    text = str(import_id)
    found = list_imports().filter(pk=int(text)).first() if text.isdecimal() and len(text) < 19 else None
    if found is None:
        message = "No import has this id."
        raise UnknownImport(message)
    return found


def find_rows(
    *, import_id: int, outcome: str = "", edge: int = 0, backward: bool = False, limit: int = 100
) -> list[dict[str, Any]]:
    """Return rows with their outcomes, in the order of the file; `backward`: those before the edge, nearest first.

    Parameters
    ----------
    outcome : str
        A label of `RowOutcome`; ``""``: all.
    edge : int
        Number of the row beside the first one.

    Returns
    -------
    list of dict
        ``row``, ``outcome``, ``code``, ``detail``, ``payload`` (bytes or None): the last three of refused rows.
    """
    wanted = {one.label: one.value for one in RowOutcome}.get(outcome, 0)
    with connection.cursor() as cursor:
        place = {"owner": import_id, "edge": edge, "outcome": wanted, "limit": limit}
        cursor.execute(BEFORE if backward else AFTER, place)
        numbers = cursor.fetchall()
    refused = {
        row.number: row
        for row in RefusedRow.objects.filter(owner_id=import_id, number__in=[number for number, _ in numbers])
    }
    found = []
    for number, value in numbers:
        row = refused.get(number)
        found.append(
            {
                "row": number,
                "outcome": RowOutcome(value).label,
                "code": row.code if row is not None else "",
                "detail": row.detail if row is not None else "",
                "payload": bytes(row.payload) if row is not None and row.payload is not None else None,
            }
        )
    return found


def stream_rows(*, import_id: int, outcome: str = "", page: int = 1000) -> Iterator[dict[str, Any]]:
    """Yield all rows with their outcomes, a page at a time."""
    edge = 0
    while rows := find_rows(import_id=import_id, outcome=outcome, edge=edge, limit=page):
        yield from rows
        edge = rows[-1]["row"]


def rows_from(*, import_id: int, outcome: str) -> Fetch:
    """Return what reads the rows of an import page by page."""

    def fetch(cursor: Cursor | None, limit: int) -> list[dict[str, Any]]:
        if cursor is None:
            return find_rows(import_id=import_id, outcome=outcome, limit=limit)
        edge = cursor.position[0]
        return find_rows(import_id=import_id, outcome=outcome, edge=edge, backward=cursor.backward, limit=limit)

    return fetch


def count_unfinished() -> int:
    """Return how many imports wait or run."""
    status = Import.Status
    return Import.objects.filter(status__in=(status.QUEUED, status.RUNNING, status.UNDOING)).count()


def present_import(found: Import) -> dict[str, Any]:
    """Return an import as REST and commands show it."""
    return {
        "id": str(found.pk),
        "source": found.source.key if found.source is not None else None,
        "status": found.status,
        "rows": found.rows,
        **{one.label: getattr(found, one.label) for one in RowOutcome},
        "error": found.error,
        "file_name": found.file_name,
        "format": found.shape["format"],
        "encoding": found.shape["encoding"] or None,
        "delimiter": found.shape["delimiter"] or None,
        "columns": [{"name": name, "type": found.types.get(name, "text")} for name in found.shape["columns"]],
        "mapping": found.mapping,
        "created_at": found.created_at,
        "began_at": found.began_at,
        "finished_at": found.finished_at,
        "undone_rows": found.undone_rows,
    }


def present_row(row: dict[str, Any], principal: Principal) -> dict[str, Any]:
    """Return what became of a row, with its values as this caller may see them."""
    payload = row["payload"]
    values = show(principal, orjson.loads(payload)) if payload else None
    return {**{name: row[name] for name in ("row", "outcome", "code", "detail")}, "values": values}


def csv_rows(found: Import, *, outcome: str, principal: Principal) -> Iterator[str]:
    """Yield CSV: row, outcome and reason, then the columns of the file, filled for refused rows."""
    columns = [str(name) for name in found.shape["columns"]]
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(["row", "outcome", "code", "detail", *[safe_cell(name) for name in columns]])
    for row in stream_rows(import_id=found.pk, outcome=outcome):
        shown = present_row(row, principal)
        values = shown["values"] or {}
        cells = [safe_cell(values.get(name)) for name in columns]
        writer.writerow([shown["row"], shown["outcome"], shown["code"], safe_cell(shown["detail"]), *cells])
        if buffer.tell() > CSV_PART:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()
