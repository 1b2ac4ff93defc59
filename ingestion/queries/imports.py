"""Reading imports and what became of their rows."""

from collections.abc import Iterator
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from ingestion.errors import UnknownImport
from ingestion.models import Import, RefusedRow, RowOutcome

ROW_OUTCOMES = [one.label for one in RowOutcome]
# A chunk keeps a byte for each of its rows.
NUMBERS = """
SELECT c.first_row + n AS number, get_byte(c.outcomes, n) AS outcome
FROM ingestion_importchunk c CROSS JOIN LATERAL generate_series(0, length(c.outcomes) - 1) AS n
WHERE c.owner_id = %(owner)s AND c.first_row + length(c.outcomes) > %(after)s AND c.first_row + n > %(after)s
    AND (%(outcome)s = 0 OR get_byte(c.outcomes, n) = %(outcome)s)
ORDER BY number LIMIT %(limit)s
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


def find_rows(*, import_id: int, outcome: str = "", after: int = 0, limit: int = 100) -> list[dict[str, Any]]:
    """Return rows with their outcomes, in the order of the file.

    Parameters
    ----------
    outcome : str
        A label of `RowOutcome`; ``""``: all.
    after : int
        Number of the row before the first one.

    Returns
    -------
    list of dict
        ``row``, ``outcome``, ``code``, ``detail``, ``payload`` (bytes or None): the last three of refused rows.
    """
    wanted = {one.label: one.value for one in RowOutcome}.get(outcome, 0)
    with connection.cursor() as cursor:
        cursor.execute(NUMBERS, {"owner": import_id, "after": after, "outcome": wanted, "limit": limit})
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
    after = 0
    while rows := find_rows(import_id=import_id, outcome=outcome, after=after, limit=page):
        yield from rows
        after = rows[-1]["row"]


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
